"""Rules on SQL that cannot be read, or not in full: what is not known is said, and not guessed."""
