"""What is asked of Redis: rows read, rows written and removed by its own decision, documents, numbers.

In a cluster a command takes keys of one slot only, so rows are put together by slot; elsewhere by hundreds, as the codec laid them out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from featurestore.errors import WrittenTooLateError

from .base import EncodedRows, WriteMode
from .redis_commands import bulk, digest, documents_key, evalsha, hmget, mget, packed, slot_of, write_steps
from .redis_errands import Errand, carried_out
from .redis_scripts import EXCHANGE, EXPIRE, PUSHED, REMOVE_OLDER, WRITE
from .redis_steps import Knowledge, Steps
from .redis_url import Topology


class Reading:
    """Rows by their keys. Work for `carried_out`."""

    script = None

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys
        self.rows: list[bytes | None] = [None] * len(keys)

    def command(self, members: Sequence[int]) -> tuple[bytes]:
        """MGET of those keys."""
        return (mget([self._keys[member] for member in members]),)

    def take(self, members: Sequence[int], answer: Sequence[bytes | None]) -> None:
        """Put the rows in the places of their keys."""
        for member, row in zip(members, answer, strict=True):
            self.rows[member] = row


class Writing:
    """Rows to be written by the rule of a mode. Work for `carried_out`."""

    script = WRITE

    def __init__(
        self, rows: EncodedRows, mode: WriteMode, expires_after: int | None, horizon: int | None = None, until: int | None = None
    ) -> None:
        self._rows = rows
        lifetime = b"" if expires_after is None else b"%d" % (expires_after // 1000)
        self._arguments = (mode.value.encode(), lifetime, _instant_bytes(horizon), b"" if until is None else b"%d" % until)
        self._tail = b"".join(map(bulk, self._arguments))
        self._one_by_one: tuple[Sequence[bytes], Sequence[bytes]] | None = None
        self.taken = 0
        self.too_late = False

    @property
    def keys(self) -> Sequence[bytes]:
        """The keys, each as a bulk string."""
        return self._bulk_strings()[0]

    def command(self, members: Sequence[int]) -> tuple[bytes | memoryview, ...]:
        """Consecutive rows are sent as they lie there; others are joined."""
        head = evalsha(WRITE, len(members), len(members) + len(self._arguments))
        if isinstance(members, range):
            start, stop = members.start, members.stop
            return head, self._rows.bulk_keys(start, stop), self._rows.bulk_rows(start, stop), self._tail
        keys, rows = self._bulk_strings()
        return (b"".join((head, *map(keys.__getitem__, members), *map(rows.__getitem__, members), self._tail)),)

    def take(self, members: Sequence[int], answer: int) -> None:
        """Count what was taken."""
        if answer < 0:
            self.too_late = True
        else:
            self.taken += answer

    def _bulk_strings(self) -> tuple[Sequence[bytes], Sequence[bytes]]:
        if self._one_by_one is None:
            self._one_by_one = self._rows.bulk_strings()
        return self._one_by_one


class Removing:
    """Keys whose rows are to be removed where they were written earlier. Work for `carried_out`."""

    script = REMOVE_OLDER

    def __init__(self, keys: Sequence[bytes], sequence: int, pushed_before: int, horizon: int | None) -> None:
        self._keys = keys
        self._arguments = (b"%d" % sequence, b"%d" % pushed_before, _instant_bytes(horizon))
        self.removed = 0

    def command(self, members: Sequence[int]) -> tuple[bytes]:
        """The script over those keys."""
        keys = (bulk(self._keys[member]) for member in members)
        return (b"".join((evalsha(REMOVE_OLDER, len(members), len(self._arguments)), *keys, *map(bulk, self._arguments))),)

    def take(self, members: Sequence[int], answer: int) -> None:
        """Count what was removed."""
        self.removed += answer


class Pushed:
    """Keys of which those are wanted that hold a pushed row, with the row. Work for `carried_out`."""

    script = PUSHED

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = keys
        self.rows: list[tuple[bytes, bytes]] = []

    def command(self, members: Sequence[int]) -> tuple[bytes]:
        """The script over those keys."""
        return (b"".join((evalsha(PUSHED, len(members), 0), *(bulk(self._keys[member]) for member in members))),)

    def take(self, members: Sequence[int], answer: Sequence[Any]) -> None:
        """Keep the rows: the server says of each which of the keys it is under, counted from 1."""
        self.rows += [(self._keys[members[place - 1]], row) for place, row in zip(answer[::2], answer[1::2], strict=True)]


class Expiring:
    """Keys whose rows are to go one after the other. Work for `carried_out`."""

    script = EXPIRE

    def __init__(self, keys: Sequence[bytes], first: int, gap: float) -> None:
        """Args: milliseconds: until the first one goes, and between any two."""
        self._keys, self._first, self._gap = keys, first, gap
        self.count = 0

    def command(self, members: Sequence[int]) -> tuple[bytes]:
        """The script over those keys, which follow one another."""
        first = bulk(b"%d" % (self._first + self._gap * members[0]))
        keys = (bulk(self._keys[member]) for member in members)
        return (b"".join((evalsha(EXPIRE, len(members), 2), *keys, first, bulk(repr(self._gap).encode()))),)

    def take(self, members: Sequence[int], answer: int) -> None:
        """Count them."""
        self.count += answer


class One:
    """One command about one key. Work for `carried_out`."""

    def __init__(self, command: bytes, script: str | None = None) -> None:
        self._command, self.script = command, script
        self.answer: Any = None
        self.sent = 0

    def command(self, members: Sequence[int]) -> tuple[bytes]:
        """The command."""
        self.sent += 1
        return (self._command,)

    def take(self, members: Sequence[int], answer: Any) -> None:
        """Keep the answer."""
        self.answer = answer


def rows_read(keys: Sequence[bytes], knowledge: Knowledge) -> Steps[list[bytes | None]]:
    """The row of each key, or None, in the order of `keys`."""
    work = Reading(keys)
    yield from carried_out(work, errands_for(keys, knowledge), knowledge, knowledge.url.retry_reads_for)
    return work.rows


def rows_written(
    rows: EncodedRows,
    mode: WriteMode,
    knowledge: Knowledge,
    *,
    expires_after: int | None,
    horizon: int | None = None,
    until: int | None = None,
) -> Steps[int]:
    """Write rows; how many were taken. One that is sent again because an answer was lost may count as taken twice over.

    Raises WrittenTooLateError where some came after `until`.
    """
    work = Writing(rows, mode, expires_after, horizon, until)
    errands = errands_for(work.keys, knowledge) if _sharded(knowledge) else [Errand(0, members) for members in write_steps(rows)]
    yield from carried_out(work, errands, knowledge, knowledge.url.retry_writes_for)
    if work.too_late:
        raise WrittenTooLateError("Rows came to Redis too late to be written.")
    return work.taken


def answered(key: str, command: bytes, knowledge: Knowledge, retry_for: float) -> Steps[Any]:
    """The answer to a command about one key."""
    work = One(command)
    yield from carried_out(work, [Errand(slot_of(key.encode()), (0,))], knowledge, retry_for)
    return work.answer


def documents_exchanged(
    project: str, expected: Mapping[str, bytes | None], documents: Mapping[str, bytes | None], knowledge: Knowledge
) -> Steps[bool]:
    """Write documents if those of `expected` are what is given there; whether they were.

    Where the command was sent again, it may have found what it had written itself the first time.
    """
    key, retry_for = documents_key(project), knowledge.url.retry_writes_for
    arguments = (len(expected), *_named_contents(expected), *_named_contents(documents))
    work = One(packed("EVALSHA", digest(EXCHANGE), 1, key, *arguments), EXCHANGE)
    yield from carried_out(work, [Errand(slot_of(key.encode()), (0,))], knowledge, retry_for)
    if work.answer == 1 or work.sent == 1 or not documents:
        return bool(work.answer == 1)
    there = yield from answered(key, hmget(project, tuple(documents)), knowledge, retry_for)
    return bool(there == list(documents.values()))


def single_errands(keys: Sequence[bytes], knowledge: Knowledge) -> list[Errand]:
    """One errand for each key, where there are slots; one for all where there are none."""
    if not _sharded(knowledge):
        return errands_for(keys, knowledge)
    return [Errand(slot_of(key), (member,)) for member, key in enumerate(keys)]


def errands_for(keys: Sequence[bytes], knowledge: Knowledge) -> list[Errand]:
    """One errand for each slot that the keys are in; one for all where there are no slots."""
    if not _sharded(knowledge):
        return [Errand(0, range(len(keys)))]
    by_slot: dict[int, list[int]] = {}
    for member, slot in enumerate(map(slot_of, keys)):
        by_slot.setdefault(slot, []).append(member)
    return [Errand(slot, members) for slot, members in by_slot.items()]


def _sharded(knowledge: Knowledge) -> bool:
    return knowledge.url.topology is Topology.CLUSTER


def _named_contents(documents: Mapping[str, bytes | None]) -> Iterator[str | bytes]:
    """Name, whether there is one, and content of each document."""
    for name, content in documents.items():
        yield from (name, "0" if content is None else "1", content or b"")


def _instant_bytes(micros: int | None) -> bytes:
    """As a row holds it; empty: there is none."""
    return b"" if micros is None else micros.to_bytes(8, "big", signed=True)
