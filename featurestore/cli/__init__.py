"""The command line, `fsdbt`. Each command is one module; nothing heavy is imported before a command needs it."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `fsdbt` with the arguments of this process, and exit with the code that the outcome has.

    0 done; 1 something could not be done or published; 2 a wrong name or argument; 3 the project, its profile or its declarations;
    4 the warehouse; 5 the online store; 6 a locked training set is not the same any more; 7 online and offline do not say the same;
    8 a change breaks readers; 130 interrupted.
    """
    from featurestore.errors import FeatureStoreError

    from .app import app

    try:
        app()
    except FeatureStoreError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
