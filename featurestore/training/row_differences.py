"""Counts, row by row, where an answer differs from the locked file, as both stream by, and proves that the file is the locked one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from featurestore.warehouse.base import BATCH_ROWS

from .comparison import DataFile, Example, RowDifferences
from .digest import moved
from .lock import Lock
from .recorded import RowDigests
from .rows import Rows


@dataclass(frozen=True, slots=True)
class ComparedColumn:
    """A feature's column, and the columns of the spine by which a person finds a row of it."""

    name: str
    keys: tuple[str, ...]
    event_timestamp: str


class LockedRows:
    """The rows of a locked file, to be laid beside an answer that has them in the same order.

    Args:
        path: the file.
        columns: what to compare, of those that the answer has.
    """

    def __init__(self, path: Path, columns: Sequence[ComparedColumn]) -> None:
        self._columns = columns
        self._differences = {column.name: RowDifferences() for column in columns}
        self._row = 0
        try:
            self._file: pq.ParquetFile | None = pq.ParquetFile(path)
        except FileNotFoundError:
            self._file, self._state = None, DataFile.MISSING
        except (OSError, pa.ArrowInvalid):
            self._file, self._state = None, DataFile.REPLACED
        if self._file is not None:
            self._state = DataFile.INTACT
            self._digests = RowDigests(self._file.schema_arrow)
            self._rows = Rows(self._file.iter_batches(BATCH_ROWS))

    def beside(self, answer: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The answer's batches, each compared as it passes."""
        if self._file is None:
            yield from answer
            return
        for batch in answer:
            start = 0
            while start < batch.num_rows and (part := self._take(batch.num_rows - start)) is not None:
                self._compare(part, batch.slice(start, part.num_rows))
                start += part.num_rows
            yield batch
        self.read()

    def read(self) -> None:
        """Read what is left of the file."""
        if self._file is not None:
            while self._take(BATCH_ROWS) is not None:
                pass
            self._file.close()

    def state(self, lock: Lock) -> DataFile:
        """Whether the file, read to its end, is the one that was locked."""
        if self._state is DataFile.INTACT:
            locked = {column.name: column.digest for column in lock.spine.columns}
            locked.update((feature.column, feature.digest) for feature in lock.features)
            found = {column.name: column.digest for column in self._digests.columns}
            return DataFile.INTACT if found == locked else DataFile.REPLACED
        return self._state

    @property
    def differences(self) -> Mapping[str, RowDifferences]:
        """What was found, by column. It means something where both had the same rows."""
        return self._differences

    def _take(self, at_most: int) -> pa.RecordBatch | None:
        """The next rows of the file, not more than that; None at its end."""
        try:
            part = self._rows.next(at_most)
        except (OSError, pa.ArrowException):
            # Its last bytes say that it is a Parquet file, and what comes before them is damaged.
            self._state = DataFile.REPLACED
            self._rows = Rows(iter(()))
            return None
        if part is not None:
            self._digests.update(part)
        return part

    def _compare(self, then: pa.RecordBatch, now: pa.RecordBatch) -> None:
        for column in self._columns:
            so_far = self._differences[column.name]
            if so_far.rows is None or column.name not in then.schema.names:
                continue
            mask = _moved(then.column(column.name), now.column(column.name))
            if mask is None:
                self._differences[column.name] = RowDifferences(None)
                continue
            count = pc.sum(mask).as_py() or 0
            if count:
                example = so_far.example or self._example(column, then, now, pc.index(mask, True).as_py())
                self._differences[column.name] = RowDifferences(so_far.rows + count, example)
        self._row += now.num_rows

    def _example(self, column: ComparedColumn, then: pa.RecordBatch, now: pa.RecordBatch, row: int) -> Example:
        asked = now.slice(row, 1)
        keys = {name: _shown(asked.column(name)) for name in column.keys}
        values = (_shown(rows.column(column.name).slice(row, 1)) for rows in (then, now))
        return Example(self._row + row, keys, _shown(asked.column(column.event_timestamp)), *values)


def _shown(one: pa.Array) -> Any:
    """The one value of a column, as Python has it: without the nanoseconds, which only pandas could say."""
    if pa.types.is_timestamp(one.type) and one.type.unit == "ns":
        one = one.cast(pa.timestamp("us", one.type.tz), safe=False)
    return one[0].as_py()


def _moved(then: pa.Array, now: pa.Array) -> pa.BooleanArray | None:
    """Which values differ; values of two types are compared as the new one, and None means that they cannot be."""
    if then.type != now.type:
        try:
            then = then.cast(now.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None
    return moved(then, now)
