"""From a URL to an online store. A URL may hold a password: nothing here, and no error, ever shows one.

sqlite:///online_store.db          a file, relative to the project's folder
sqlite:////var/lib/features.db     a file, by its whole path
redis://[user:password@]host[:port][/database]      and the other ways to reach Redis, see `redis_url`
"""

from __future__ import annotations

import re
from pathlib import Path

from featurestore.errors import SettingsError, did_you_mean

from .base import AsyncOnlineStore, OnlineStore
from .redis_url import SCHEMES as REDIS_SCHEMES

_SCHEMES = ("sqlite", *REDIS_SCHEMES)
_HOST = r"(\[[0-9A-Fa-f:.%]*\]|[^\[\]:,]*)(:\d*)?"
_HOSTS = re.compile(f"{_HOST}(,{_HOST})*", re.ASCII)


PATIENCE_OF_A_RUN = 60.0
"""Seconds for which what writes a whole view tries again: a server is restarted, a network comes back, and an hour's work is not lost."""


def open_store(url: str, base_dir: Path | str = ".", *, patience: float = 0.0) -> OnlineStore:
    """The online store at that URL; nothing is reached before it is used.

    Args:
        base_dir: the folder that a relative path of `sqlite:///` starts from.
        patience: seconds for which requests are tried again at the least where the store cannot be reached and the URL does not say for
            how long. A file waits for other writers in any case.

    Raises SettingsError where the URL is none of an online store.
    """
    if _scheme(url) == "sqlite":
        from .embedded import EmbeddedStore

        return EmbeddedStore(_file(url, Path(base_dir)))
    from .redis import RedisStore

    return RedisStore(url, patience)


def open_async_store(url: str, base_dir: Path | str = ".") -> AsyncOnlineStore:
    """As `open_store`, what a service needs for asyncio."""
    if _scheme(url) == "sqlite":
        from .embedded import AsyncEmbeddedStore, EmbeddedStore

        return AsyncEmbeddedStore(EmbeddedStore(_file(url, Path(base_dir))))
    from .redis import AsyncRedisStore

    return AsyncRedisStore(url)


def without_secrets(url: str) -> str:
    """The URL as it may be shown: user name and password, and what follows a question mark, left out."""
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite":
        return url
    place, mark, options = rest.partition("?")
    shown = place.rpartition("@")[2].partition("#")[0]
    # A password may hold any sign. Where it cannot be told from what follows it, nothing is shown.
    if (mark and "@" in options) or not _HOSTS.fullmatch(shown.partition("/")[0]):
        return f"{scheme}://…"
    return scheme + separator + shown


def _scheme(url: str) -> str:
    scheme, separator, _ = url.partition("://")
    if separator and scheme in _SCHEMES:
        return scheme
    shown = f"{scheme}://…" if separator else "without a scheme"
    known = ", ".join(f"{name}://" for name in _SCHEMES)
    raise SettingsError(f"An online store URL begins with one of {known}; this one is {shown}.{did_you_mean(scheme, _SCHEMES)}")


def _file(url: str, base_dir: Path) -> Path:
    path = url.removeprefix("sqlite://")
    if not path.startswith("/") or path == "/":
        raise SettingsError(
            f"{without_secrets(url)!r} names no file. Write sqlite:///online_store.db, or sqlite:////var/lib/features.db for a whole path."
        )
    return base_dir / path[1:]
