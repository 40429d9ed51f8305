"""Training sets as Parquet files: one appears whole or not at all, and never beside the lock of another.

A file and its lock cannot be put in place at once. So the old lock goes first, then the file changes, then the new lock comes: whoever is
killed in between leaves a file without a lock, which can be made again, and never one with a lock that speaks of other rows.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from featurestore.errors import EntityDataframeError, RequestError, did_you_mean
from featurestore.warehouse.base import BATCH_ROWS

if TYPE_CHECKING:
    import pyarrow.parquet as pq

LOCK_SUFFIX = ".lock.json"


@dataclass(frozen=True, slots=True)
class ParquetRows:
    """The rows of a Parquet file, as a spine; read anew as often as they are asked for, a batch at a time."""

    path: Path
    columns: tuple[str, ...] | None = None
    """Those to read, in order. None: all."""

    def open(self) -> pa.RecordBatchReader:
        """A stream of them. Raises EntityDataframeError where there is no such file, or it lacks a column."""
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(self.path)
        except (OSError, pa.ArrowInvalid) as error:
            raise self._unreadable(error) from None
        schema = file.schema_arrow
        names = list(self.columns) if self.columns is not None else schema.names
        missing = next((name for name in names if name not in schema.names), None)
        if missing is not None:
            raise EntityDataframeError(f"The entity dataframe {self.path} has no column {missing!r}.{did_you_mean(missing, schema.names)}")
        chosen = pa.schema([schema.field(name) for name in names], schema.metadata)
        # A file gives its columns in its own order, whatever order they are asked for in.
        return pa.RecordBatchReader.from_batches(chosen, self._batches(file, names))

    def _batches(self, file: pq.ParquetFile, names: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            for batch in file.iter_batches(BATCH_ROWS, columns=names):
                yield batch.select(names)
        except (OSError, pa.ArrowException) as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: Exception) -> EntityDataframeError:
        return EntityDataframeError(f"The entity dataframe {self.path} cannot be read as a Parquet file: {error}")


def lock_path(path: Path) -> Path:
    """Where the lock of a file lies: `train.parquet.lock.json` beside `train.parquet`."""
    return path.with_name(path.name + LOCK_SUFFIX)


def data_path(path: Path) -> Path:
    """The file that a path speaks of, which may be its lock's."""
    return path.with_name(path.name.removesuffix(LOCK_SUFFIX))


def checked_target(path: str | os.PathLike[str]) -> Path:
    """A path that a file can be written to. Raises RequestError."""
    target = Path(path)
    if target.is_dir() or not target.parent.is_dir():
        raise RequestError(f"{target} cannot be written: {'it is a folder' if target.is_dir() else f'there is no folder {target.parent}'}.")
    return target


def write_parquet(target: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], lock: Callable[[], bytes] | None = None) -> int:
    """Write a file and its lock. Returns how many rows it has.

    Args:
        lock: asked once all batches are through. None: the file has no lock.
    """
    import pyarrow.parquet as pq

    rows = 0
    with _unfinished(target) as data, _unfinished(lock_path(target)) as locked:
        with pq.ParquetWriter(data, schema) as writer:
            for batch in batches:
                writer.write_batch(batch)
                rows += batch.num_rows
        if lock is not None:
            locked.write_bytes(lock())
        lock_path(target).unlink(missing_ok=True)
        os.replace(data, target)
        if lock is not None:
            os.replace(locked, lock_path(target))
    return rows


@contextmanager
def _unfinished(target: Path) -> Iterator[Path]:
    """A file beside the target to be written first; it is gone afterwards."""
    path = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}.unfinished")
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
