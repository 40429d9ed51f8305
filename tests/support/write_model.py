"""The rules of writes once more, slowly and from their words alone: what a store has to end with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Stored(NamedTuple):
    """One row of one key, ordered as rows are: by event time, then by sequence."""

    event_time: int
    sequence: int

    @property
    def pushed(self) -> bool:
        return self.sequence % 2 == 1


@dataclass
class WriteModel:
    """A store of one key space, as a dictionary."""

    rows: dict[int, Stored] = field(default_factory=dict)

    def write(self, rows: Mapping[int, Stored]) -> None:
        """Newest wins."""
        for key, new in rows.items():
            self.rows[key] = max(new, self.rows.get(key, new))

    def write_exact(self, rows: Mapping[int, Stored], horizon: int | None) -> None:
        """What the warehouse says, unless something is newer that came later, or that it has not caught up with."""
        for key, new in rows.items():
            old = self.rows.get(key)
            if old is not None and old.sequence < new.sequence and not _ahead(old, horizon):
                old = None
            self.rows[key] = new if old is None else max(new, old)

    def remove_older(self, sequence: int, pushed_before: int, horizon: int | None) -> None:
        """Drop what is from before, but for pushes that the warehouse has not caught up with."""
        for key, row in list(self.rows.items()):
            if row.sequence < (pushed_before if row.pushed else sequence) and not _ahead(row, horizon):
                del self.rows[key]


def _ahead(row: Stored, horizon: int | None) -> bool:
    return row.pushed and (horizon is None or row.event_time > horizon)


def newest(writes: Iterable[tuple[int, Stored]]) -> dict[int, Stored]:
    """The greatest row of each key."""
    found: dict[int, Stored] = {}
    for key, row in writes:
        found[key] = max(row, found.get(key, row))
    return found
