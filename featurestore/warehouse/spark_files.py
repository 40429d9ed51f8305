"""What a Spark session keeps until it closes: Parquet files in a folder that the driver and every executor reach.

Spark computes anew whatever it is asked again, in another order if need be, so what must stay as it is (a spine's numbers, the rows that
matched) is written down. Answers take the same way: executors write their parts side by side, and the driver reads them one after the
other, so that neither ever holds an answer, or a partition of it, as a whole.

Where Spark runs on this machine the folder is a local one and this process reads and writes in it. On a cluster only Spark does; what
goes in and out passes through it, batch by batch.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .base import BATCH_ROWS
from .spark_columns import stored_as
from .spark_profile import SparkProfile

_ROW_GROUP_BYTES = 32 << 20
"""What is read into memory at once is one row group."""

_ROWS_AT_ONCE = 1_000_000
"""Rows that are sent to a cluster at once."""


@dataclass(frozen=True)
class Staged:
    """Rows that were written down."""

    path: str
    schema: Any
    """Spark's, so that no job has to find it out again."""

    @property
    def files(self) -> list[Path]:
        """Of a local one: its files, in the order of their rows."""
        return sorted(Path(self.path).glob("part-*.parquet"), key=lambda file: _place(file.name))


@dataclass
class StagedFiles:
    """The folder of one session."""

    spark: Any
    folder: str
    local: bool
    _count: int = field(default=0, init=False)

    @classmethod
    def of(cls, spark: Any, profile: SparkProfile) -> StagedFiles:
        """A new folder: where the target says, else on this machine where Spark runs here, else beside the warehouse's own tables."""
        if profile.staging is not None:
            return cls(spark, f"{profile.staging.rstrip('/')}/{_unique()}", local=False)
        # A session of Spark Connect has no context.
        context = getattr(spark, "sparkContext", None)
        if context is not None and context.master.startswith("local"):
            beside = context.getConf().get("spark.local.dir")
            return cls(spark, tempfile.mkdtemp(prefix="featurestore-", dir=beside), local=True)
        return cls(spark, f"{spark.conf.get('spark.sql.warehouse.dir').rstrip('/')}/{_unique()}", local=False)

    def close(self) -> None:
        """Remove what was kept."""
        if self.local:
            shutil.rmtree(self.folder, ignore_errors=True)
        elif self._count:
            remove_folder(self.spark, self.folder)

    def put(self, rows: pa.RecordBatchReader) -> Staged:
        """Write rows, streaming."""
        from pyspark.sql.pandas.types import from_arrow_schema

        schema = pa.schema([pa.field(field.name, stored_as(field.type)) for field in rows.schema])
        stored = (pa.Table.from_batches([batch]).cast(schema) for batch in rows)
        staged = Staged(self._next(), from_arrow_schema(schema, prefer_timestamp_ntz=True))
        if self.local:
            _put_here(staged, schema, stored)
        else:
            self._put_there(staged, schema, stored)
        return staged

    def write(self, frame: Any) -> Staged:
        """Write the rows of a frame where the executors are."""
        staged = Staged(self._next(), frame.schema)
        frame.write.option("parquet.block.size", str(_ROW_GROUP_BYTES)).parquet(staged.path)
        return staged

    def frame(self, staged: Staged) -> Any:
        """What was written, as a frame."""
        return self.spark.read.schema(staged.schema).option("datetimeRebaseMode", "CORRECTED").parquet(staged.path)

    def count(self, staged: Staged) -> int:
        """How many rows were written, as the files say."""
        if self.local:
            return sum(pq.read_metadata(file).num_rows for file in staged.files)
        return int(self.frame(staged).count())

    def read(self, staged: Staged, told: Callable[[Exception], Exception]) -> pa.RecordBatchReader:
        """What was written, streaming, in the order in which it was.

        Args:
            told: says in our words what goes wrong on the way.
        """
        parts = _parts_here(staged) if self.local else self._parts_there(staged)
        schema = next(parts)
        return pa.RecordBatchReader.from_batches(schema, _told(parts, told))

    def _next(self) -> str:
        self._count += 1
        return f"{self.folder}/{self._count}"

    def _put_there(self, staged: Staged, schema: pa.Schema, stored: Iterator[pa.Table]) -> None:
        waiting = [schema.empty_table()]
        for rows in stored:
            waiting.append(rows)
            if sum(table.num_rows for table in waiting) >= _ROWS_AT_ONCE:
                self._send(staged, waiting)
                waiting = []
        if waiting:
            self._send(staged, waiting)

    def _send(self, staged: Staged, tables: list[pa.Table]) -> None:
        self.spark.createDataFrame(pa.concat_tables(tables), schema=staged.schema).write.mode("append").parquet(staged.path)

    def _parts_there(self, staged: Staged) -> Iterator[Any]:
        from pyspark.sql.pandas.types import to_arrow_schema

        schema = to_arrow_schema(staged.schema, timezone="UTC")
        yield schema
        for file in sorted(self.frame(staged).inputFiles(), key=lambda name: _place(name.rpartition("/")[2])):
            # A partition is brought as a whole, so each is one row group.
            for row in messages(self.frame(Staged(file, staged.schema))).toLocalIterator(prefetchPartitions=True):
                yield from (batch.cast(schema) for batch in pa.ipc.open_stream(row.batch))


def _put_here(staged: Staged, schema: pa.Schema, stored: Iterator[pa.Table]) -> None:
    Path(staged.path).mkdir(parents=True)
    with pq.ParquetWriter(f"{staged.path}/part-00000.parquet", schema) as writer:
        for rows in stored:
            writer.write_table(rows)


def _parts_here(staged: Staged) -> Iterator[Any]:
    """The schema, then the batches; a file is gone when it has been read."""
    schema: pa.Schema | None = None
    for file in staged.files:
        with pq.ParquetFile(file) as rows:
            if schema is None:
                schema = rows.schema_arrow.remove_metadata()
                yield schema
            for batch in rows.iter_batches(batch_size=BATCH_ROWS):
                yield batch.cast(schema)
        file.unlink()
    shutil.rmtree(staged.path, ignore_errors=True)


def messages(frame: Any) -> Any:
    """The frame's rows, many in each row of the answer: an Arrow stream of one batch."""

    # Inside, so that it travels to the executors as it is, and nothing of ours has to be installed there.
    def as_messages(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as writer:
                writer.write_batch(batch)
            yield pa.RecordBatch.from_arrays([pa.array([sink.getvalue().to_pybytes()], pa.binary())], names=["batch"])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return frame.mapInArrow(as_messages, "batch binary")


def remove_folder(spark: Any, path: str) -> None:
    """Remove a folder of a file system that Spark reaches. On a Connect server there is no way to; it is named so that it can be found."""
    context = getattr(spark, "_jsc", None)
    if context is None:
        return
    place = spark._jvm.org.apache.hadoop.fs.Path(path)
    place.getFileSystem(context.hadoopConfiguration()).delete(place, True)


def _told(parts: Iterator[Any], told: Callable[[Exception], Exception]) -> Iterator[pa.RecordBatch]:
    try:
        yield from parts
    except Exception as error:
        raise told(error) from error


def _place(file: str) -> tuple[int, str]:
    """Where a part stands among the others: Spark numbers them as its partitions are."""
    return int(file.split("-")[1].split(".")[0]), file


def _unique() -> str:
    return f"_featurestore_{uuid.uuid4().hex}"
