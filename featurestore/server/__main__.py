"""`python -m featurestore.server`: the server that the environment describes. `fsdbt serve` becomes this process, so that what the
command line imported is gone.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import uvicorn

from featurestore.errors import FeatureStoreError
from featurestore.online_store.connect import open_async_store

from .access.guard import Access
from .connection import Connection
from .settings import ServerSettings, settings_from
from .tls import tls_options, warnings
from .traces import chosen_exporter


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    try:
        settings = settings_from(os.environ)
        tls = tls_options(settings)
        # Looked at here too, so that a file, a URL or a package that cannot be used ends this process and not each worker after the other.
        access = Access(settings)
        open_async_store(settings.online_store, settings.base_dir)
        chosen_exporter(os.environ)
    except FeatureStoreError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    for warning in warnings(settings, access.guarded):
        print(f"warning: {warning}", file=sys.stderr, flush=True)
    with _files_of_metrics(settings.workers):
        _serve(settings, tls)


def _serve(settings: ServerSettings, tls: Mapping[str, Any]) -> None:
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
        timeout_keep_alive=settings.keep_alive,
        timeout_graceful_shutdown=settings.shutdown_timeout,
        http=Connection,
        ws="none",
        **tls,
    )


@contextmanager
def _files_of_metrics(workers: int) -> Iterator[None]:
    """A folder where several workers keep their numbers for one another."""
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="fsdbt-metrics") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        yield


if __name__ == "__main__":
    main()
