"""What a change of the project does to its features, and to whoever uses them."""
