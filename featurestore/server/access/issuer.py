"""The keys that an issuer publishes (JWKS), kept, and read again when they may have changed.

They are read anew every five minutes and when a token names a key that is not among them: an issuer that rotates its keys is followed
at once. Between two attempts pass thirty seconds, whether the first one succeeded or not, so that tokens with invented key ids cause
no requests to the issuer. An issuer that cannot be reached leaves the keys of before in force for an hour: long enough for its
maintenance, and a key that it withdrew does not count for ever.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from featurestore.errors import IssuerUnavailableError, NotInstalledError

if TYPE_CHECKING:
    from jwt import PyJWK

FRESH_FOR = 300.0
"""Seconds after which the keys are read anew, in the background."""

NOT_WITHIN = 30.0
"""Seconds between two attempts."""

KEPT_FOR = 3600.0
"""Seconds that keys count on when they cannot be read anew."""

TIMEOUT = 5.0
"""Seconds for one attempt."""

Fetch = Callable[[], Awaitable[Sequence[Mapping[str, Any]]]]

_log = logging.getLogger("featurestore.access")


class PublishedKeys:
    """The keys of one issuer.

    Args:
        fetch: reads the issuer's keys, each as a JWK's fields. Raises OSError where they cannot be had.
        clock: seconds that only grow.
    """

    def __init__(self, fetch: Fetch, clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch, self._clock = fetch, clock
        self._jwks: tuple[Mapping[str, Any], ...] = ()
        self._keys: dict[tuple[str | None, str], PyJWK] = {}
        self._read_at: float | None = None
        self._tried_at: float | None = None
        self._reading: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        """The key of that id for that algorithm, None where the issuer has none. Raises IssuerUnavailableError."""
        key = self._find(key_id, algorithm)
        if self._is_due(found=key is not None):
            self._tried_at = self._clock()
            self._reading = asyncio.create_task(self._read())
        if (key is None or not self._count()) and self._reading is not None:
            # Shielded: one caller who gives up does not take the answer from the others.
            await asyncio.shield(self._reading)
            key = self._find(key_id, algorithm)
        if not self._count():
            raise IssuerUnavailableError("The keys of the token's issuer cannot be read, so that no token can be checked. Try again later.")
        return key

    def _count(self) -> bool:
        return self._read_at is not None and self._clock() - self._read_at <= KEPT_FOR

    def _is_due(self, *, found: bool) -> bool:
        now = self._clock()
        if self._tried_at is not None and now - self._tried_at < NOT_WITHIN:
            return False
        return not found or self._read_at is None or now - self._read_at >= FRESH_FOR

    def _find(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        asked = (key_id, algorithm)
        if asked in self._keys:
            return self._keys[asked]
        fitting = [jwk for jwk in self._jwks if _fits(jwk, key_id, algorithm)]
        keys = [key for key in (_key_of(jwk, algorithm) for jwk in fitting) if key is not None]
        if len(keys) != 1:
            # Not kept: whoever sends tokens could name ever other keys.
            return None
        self._keys[asked] = keys[0]
        return keys[0]

    async def _read(self) -> None:
        try:
            jwks = tuple(await self._fetch())
        except (OSError, ValueError) as error:
            _log.error("The keys of the tokens' issuer cannot be read: %s", error)
            return
        self._jwks, self._keys, self._read_at = jwks, {}, self._clock()


def jwks_at(url: str) -> Fetch:
    """What reads the keys that are published there. Raises NotInstalledError."""
    try:
        from jwt import PyJWKClient, PyJWTError
    except ImportError:
        raise NotInstalledError("PyJWT[crypto]", "serve", "Checking tokens") from None
    client = PyJWKClient(url, cache_jwk_set=False, timeout=TIMEOUT)

    def read() -> Sequence[Mapping[str, Any]]:
        try:
            keys = client.fetch_data().get("keys")
        except PyJWTError as error:
            raise OSError(str(error)) from None
        if not isinstance(keys, list):
            raise OSError("what its address answers is no key set.")
        return [key for key in keys if isinstance(key, dict)]

    async def fetch() -> Sequence[Mapping[str, Any]]:
        return await asyncio.to_thread(read)

    return fetch


def _fits(jwk: Mapping[str, Any], key_id: str | None, algorithm: str) -> bool:
    """Whether that key may have signed such a token. A token that names no key is of the only one that fits."""
    return (key_id is None or jwk.get("kid") == key_id) and jwk.get("alg", algorithm) == algorithm and jwk.get("use", "sig") == "sig"


def _key_of(jwk: Mapping[str, Any], algorithm: str) -> PyJWK | None:
    """The key as PyJWT takes it, None where it is of a kind that the algorithm is not for."""
    import jwt

    try:
        key = jwt.PyJWK(dict(jwk), algorithm)
        key.Algorithm.prepare_key(key.key)
        return key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
