"""An API key: how one is made, recognised and compared.

    fsdbt_<id>_<secret>        the id 16 hex digits, the secret 43 characters of base64url, which are 256 random bits

The id is public: it finds the key's record in one step and names the key in a list. Only the SHA-256 of the whole text is kept. A slow
hash is for passwords, which people choose and others guess; nobody guesses 256 random bits, and a slow hash of every request would be
a way to stop the server. A text of any other shape is never compared with anything, so that a key somebody chose cannot be used even
if its hash is put into the file.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from featurestore.errors import NotAuthenticatedError

from .grants import Grant

PREFIX = "fsdbt_"
"""What every key begins with, so that people and scanners for leaked secrets know one when they see it."""

HASH = re.compile(r"sha256:[0-9a-f]{64}")
ID = re.compile(r"[0-9a-f]{16}")
_KEY = re.compile(r"fsdbt_([0-9a-f]{16})_[A-Za-z0-9_-]{43}")
_NOBODYS_HASH = f"sha256:{'0' * 64}"


@dataclass(frozen=True, slots=True)
class ApiKey:
    """What is kept of a key. Nothing here lets anyone in."""

    id: str
    name: str
    """Whose it is: shown in lists and in the access log. Several keys may have one name while one replaces the other."""

    hash: str
    """`sha256:` and 64 hex digits."""

    grant: Grant
    created: datetime | None = None
    expires: datetime | None = None
    """From this instant on it no longer counts."""


def new_key() -> tuple[str, str, str]:
    """A new key, its id and its hash. The key itself exists nowhere else."""
    key_id = secrets.token_hex(8)
    key = f"{PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
    return key, key_id, hash_of(key)


def hash_of(key: str) -> str:
    """What is kept of that key."""
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def holder_of(presented: str, keys: Mapping[str, ApiKey], now: datetime) -> ApiKey:
    """The record of the key that was presented.

    Args:
        keys: all that count, by id.

    Raises NotAuthenticatedError, which is the same for a key that never was, one that was revoked and one that is not quite right.
    """
    shape = _KEY.fullmatch(presented)
    key = keys.get(shape.group(1)) if shape else None
    # Hashed and compared whether or not there is such an id, so that the time taken says nothing of it.
    same = hmac.compare_digest(hash_of(presented) if shape else _NOBODYS_HASH, key.hash if key else _NOBODYS_HASH)
    if key is None or not same:
        raise NotAuthenticatedError("This API key is not known here: it was mistyped, or revoked.", given=True)
    if key.expires is not None and key.expires <= now:
        raise NotAuthenticatedError(f"The API key {key.name!r} has expired. Make a new one: fsdbt keys create.", given=True)
    return key
