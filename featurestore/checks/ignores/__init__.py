"""What a project waives, where it says so, and whether it may."""
