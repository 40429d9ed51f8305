"""`python -m featurestore.server`: the server that the environment describes. `fsdbt serve` becomes this process, so that what the
command line imported is gone.
"""

from __future__ import annotations

import os
import sys

import uvicorn

from featurestore.errors import FeatureStoreError

from .access.guard import Access
from .connection import Connection
from .settings import settings_from
from .tls import tls_options, warnings


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    try:
        settings = settings_from(os.environ)
        tls = tls_options(settings)
        # Read here too, so that a file that cannot be used ends this process and not each worker after the other.
        access = Access(settings)
    except FeatureStoreError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    for warning in warnings(settings, access.guarded):
        print(f"warning: {warning}", file=sys.stderr, flush=True)
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
        http=Connection,
        ws="none",
        **tls,
    )


if __name__ == "__main__":
    main()
