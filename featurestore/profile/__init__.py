"""Statistics of features, and how far two sets of their values are apart."""
