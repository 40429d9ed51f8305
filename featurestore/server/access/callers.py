"""Who calls: the holder of the key or token in `Authorization: Bearer …`, the one place where either may stand.

    401    nothing came, or nothing that counts; `WWW-Authenticate` says which (RFC 6750)
    400    it came twice, or in the URL, where logs and proxies would keep it

What came is never repeated, in no error and no log.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import unquote_to_bytes

from featurestore.errors import NotAuthenticatedError
from featurestore.server.http import HttpError
from featurestore.timestamps import utc_now

from .api_keys import PREFIX, holder_of
from .grants import EVERYTHING, Grant
from .keys_file import KeysFile
from .tokens import IssuerKeys, TokenSettings, read_token

_IN_URL = re.compile(rb"(?i)(?:^|[&;])(?:access_token|api[-_]?key|authorization|token|key)=|fsdbt_|\beyJ[0-9A-Za-z_-]+\.")


VERIFIED_FOR = 60.0
"""Seconds after which the signature of a token is checked again, as its issuer may have withdrawn the key."""

MOST_VERIFIED = 4096


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and what may be had."""

    name: str
    """Of the key, or what the token calls its holder. Fit for a log."""

    grant: Grant


EVERYBODY = Caller("", EVERYTHING)
"""Who calls where no key is asked for."""


class Callers:
    """Everyone who may call.

    Args:
        keys: the API keys that count. None: there are none.
        tokens: what a token has to be, and the keys of its issuer. None: no token counts.
        clock: says what time it is; for tests.
    """

    def __init__(
        self, keys: KeysFile | None, tokens: tuple[TokenSettings, IssuerKeys] | None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self._keys, self._tokens, self._clock = keys, tokens, clock
        self._verified = VerifiedTokens()

    @property
    def guarded(self) -> bool:
        """Whether anything at all is asked of a caller."""
        return self._keys is not None or self._tokens is not None

    async def caller(self, authorization: Sequence[bytes], query: bytes) -> Caller:
        """Who sent a request.

        Args:
            authorization: the values of every such header.
            query: what stands behind the question mark.

        Raises NotAuthenticatedError, HttpError 400 for a key in the wrong place, IssuerUnavailableError.
        """
        if not self.guarded:
            return EVERYBODY
        if query and _IN_URL.search(unquote_to_bytes(query)):
            raise HttpError(
                400,
                "key_in_url",
                "A key or token does not belong in the URL, where logs and proxies keep it: it counts as leaked, replace it. Send it as "
                "`Authorization: Bearer …`.",
            )
        return await self._holder(_presented(authorization))

    async def _holder(self, presented: str) -> Caller:
        if presented.startswith(PREFIX) or self._tokens is None:
            key = holder_of(presented, self._keys.keys() if self._keys is not None else {}, self._clock())
            return Caller(key.name, key.grant)
        return await self._verified.caller(presented, self._tokens, self._clock().timestamp())


class VerifiedTokens:
    """The tokens that were verified within the last minute: checking a signature costs more than the read that it is for, and a caller
    sends the same token for an hour. Only those that count are kept, so nobody can fill the memory by making some up.
    """

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[Caller, float]] = {}

    async def caller(self, presented: str, tokens: tuple[TokenSettings, IssuerKeys], now: float) -> Caller:
        """Who sent it. Args: now: seconds since the epoch. Raises what `read_token` does."""
        digest = hashlib.sha256(presented.encode()).digest()
        known = self._known.get(digest)
        if known is not None and now < known[1]:
            return known[0]
        token = await read_token(presented, *tokens)
        caller = Caller(token.holder, token.grant)
        if len(self._known) >= MOST_VERIFIED:
            self._known = {}
        self._known[digest] = caller, min(now + VERIFIED_FOR, token.expires)
        return caller


def _presented(authorization: Sequence[bytes]) -> str:
    """The key or token of a request. Raises NotAuthenticatedError, and HttpError 400 where it came twice."""
    if not authorization:
        raise NotAuthenticatedError("A key is needed. Send it as `Authorization: Bearer …`.", given=False)
    if len(authorization) > 1:
        raise HttpError(400, "several_keys", "There are several Authorization headers. Send one.")
    scheme, _, rest = authorization[0].partition(b" ")
    presented = rest.strip()
    if scheme.lower() != b"bearer" or not presented or not presented.isascii():
        raise NotAuthenticatedError("The Authorization header must read `Bearer` and a key or a token.", given=True)
    return presented.decode()
