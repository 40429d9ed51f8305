"""Rules on what YAML declares, and on what it leaves out."""
