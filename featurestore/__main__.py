"""`python -m featurestore` is `fsdbt`."""

from featurestore.cli import main

main()
