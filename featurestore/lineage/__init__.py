"""From a feature to the source columns that it is made of, through SQL and through models."""
