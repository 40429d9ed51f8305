"""The HTTP server: the registry snapshot and the online store, and nothing else. Started by `fsdbt serve`."""
