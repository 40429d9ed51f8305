"""Build a range of history again, batch by batch, and publish only what that changed."""
