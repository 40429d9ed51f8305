"""Finds what would make training see more than serving can: leaks in SQL, and declarations that let one pass."""
