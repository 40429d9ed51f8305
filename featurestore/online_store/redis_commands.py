"""Commands as bytes ready to send, put together for many keys in less time than a packer of any command takes."""

from __future__ import annotations

from binascii import crc_hqx
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from hashlib import sha1
from itertools import chain

import hiredis

from featurestore.codec.keys import KeySpace

from .base import EncodedRows

ROWS_PER_COMMAND = 500
"""While a command runs, Redis answers nobody else: about a millisecond."""

BYTES_PER_COMMAND = 1 << 22
SLOTS = 16384
_SIZES = tuple(b"\r\n$%d\r\n" % length for length in range(512))


def packed(*command: str | bytes | int) -> bytes:
    """Any command."""
    whole: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]
    return whole


def mget(keys: Sequence[bytes]) -> bytes:
    """MGET of those keys."""
    try:
        sized = chain.from_iterable(zip(map(_SIZES.__getitem__, map(len, keys)), keys, strict=True))
        return b"*%d\r\n$4\r\nMGET%s\r\n" % (len(keys) + 1, b"".join(sized))
    except IndexError:
        return packed("MGET", *keys)


def hmget(project: str, names: Sequence[str]) -> bytes:
    """HMGET of those documents."""
    return packed("HMGET", documents_key(project), *names)


def hset(project: str, documents: Mapping[str, bytes]) -> bytes:
    """HSET of those documents."""
    return packed("HSET", documents_key(project), *(part for pair in documents.items() for part in pair))


def documents_key(project: str) -> str:
    """Where a project's documents are."""
    return f"{project}:documents"


def sequence_key(project: str) -> str:
    """Where a project's runs are counted."""
    return f"{project}:sequence"


@cache
def digest(script: str) -> str:
    """The name by which a server knows a script."""
    return sha1(script.encode(), usedforsecurity=False).hexdigest()


def slot_of(key: bytes) -> int:
    """The cluster slot of a key: that of what its first pair of braces holds, or of all of it where they hold nothing."""
    start = key.find(b"{") + 1
    if start:
        stop = key.find(b"}", start)
        if stop > start:
            return crc_hqx(key[start:stop], 0) % SLOTS
    return crc_hqx(key, 0) % SLOTS


def scan(space: KeySpace, cursor: bytes, count: int) -> bytes:
    """SCAN for the keys of a key space."""
    return packed("SCAN", cursor, "MATCH", _glob_escaped(space.prefix) + b"*" + _glob_escaped(space.suffix), "COUNT", count)


def write_steps(rows: EncodedRows) -> Iterator[range]:
    """Rows that need not be of one slot, in parts that each go into one command."""
    size = len(rows.bulk_rows(0, len(rows)))
    step = max(1, min(ROWS_PER_COMMAND, BYTES_PER_COMMAND * len(rows) // max(1, size)))
    return (range(start, min(start + step, len(rows))) for start in range(0, len(rows), step))


def evalsha(script: str, count: int, more: int) -> bytes:
    """The beginning of a command that runs a script over `count` keys, which follow, with the `more` arguments that come after them."""
    return b"*%d\r\n$7\r\nEVALSHA\r\n$40\r\n%s\r\n%s" % (3 + count + more, digest(script).encode(), bulk(b"%d" % count))


def bulk(content: bytes) -> bytes:
    """One bulk string."""
    return b"$%d\r\n%s\r\n" % (len(content), content)


def _glob_escaped(text: bytes) -> bytes:
    return b"".join(b"\\" + text[at : at + 1] if text[at : at + 1] in b"*?[]^\\-" else text[at : at + 1] for at in range(len(text)))
