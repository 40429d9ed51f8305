"""An answer that is digested as it streams by, so that at its end there is the lock of exactly what was read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from .digest import ColumnDigest
from .lock import Lock, LockedColumn


@dataclass
class RecordedAnswer:
    """Batches to be read once, to their end."""

    batches: pa.RecordBatchReader = field(repr=False)
    _lock: Callable[[Sequence[LockedColumn], int], Lock] = field(repr=False)
    _digests: RowDigests = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._digests = RowDigests(self.schema)

    @property
    def schema(self) -> pa.Schema:
        """The columns of all batches: the spine's, then the features'."""
        return self.batches.schema

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self.batches:
            self._digests.update(batch)
            yield batch

    def lock(self) -> Lock:
        """The lock of the batches that were read."""
        return self._lock(self._digests.columns, self._digests.rows)


class RowDigests:
    """The digests of all columns of some batches."""

    def __init__(self, schema: pa.Schema) -> None:
        self.rows = 0
        self._columns = [(each.name, ColumnDigest(each.type)) for each in schema]

    def update(self, batch: pa.RecordBatch) -> None:
        """Take in the next rows."""
        self.rows += batch.num_rows
        for (_, digest), column in zip(self._columns, batch.columns, strict=True):
            digest.update(column)

    @property
    def columns(self) -> tuple[LockedColumn, ...]:
        """What they are now, in the order of the columns."""
        return tuple(LockedColumn(name, digest.type, str(digest)) for name, digest in self._columns)
