"""`python -m featurestore.server`: the server that the environment describes. `fsdbt serve` becomes this process, so that what the
command line imported is gone.
"""

from __future__ import annotations

import os
import sys

import uvicorn

from featurestore.errors import FeatureStoreError

from .settings import settings_from


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    try:
        settings = settings_from(os.environ)
    except FeatureStoreError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    uvicorn.run(
        "featurestore.server.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        access_log=False,
        log_level="info",
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=int(settings.keep_alive),
        timeout_graceful_shutdown=int(settings.shutdown_timeout),
        ws="none",
    )


if __name__ == "__main__":
    main()
