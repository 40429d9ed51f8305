"""Runs SQL in the warehouse that the dbt project runs on, and brings the answer back as Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from featurestore.registry.definitions import Column, Relation

if TYPE_CHECKING:
    import pyarrow as pa
    from sqlglot import exp

BATCH_ROWS = 100_000
"""Rows of one batch of an answer: large enough to encode fast, small enough that a few of them fit anywhere."""


class WarehouseSession(Protocol):
    """One connection, held for as long as one job needs it. It has one answer open at a time."""

    def upload(self, name: str, rows: pa.RecordBatchReader) -> None:
        """Put rows into a temporary table of that name, streaming."""
        ...

    def keep(self, name: str, query: exp.Query) -> None:
        """Put the answer of a query into a temporary table of that name."""
        ...

    def query(self, statement: exp.Expr | str) -> pa.RecordBatchReader:
        """Run one SELECT and stream its answer. Raises WarehouseError with the warehouse's own words."""
        ...

    def columns(self, query: exp.Query) -> tuple[Column, ...]:
        """What columns a query answers with, without running it. A type that no feature can have is `UNRESOLVED`."""
        ...

    def row_count(self, of: exp.Table) -> int | None:
        """About how many rows a relation has, as the warehouse's statistics say without reading it. None where they do not."""
        ...

    def create_table(self, relation: Relation, query: exp.Query) -> int:
        """Create or replace a table with the answer of a query, at once or not at all, and say how many rows it has."""
        ...

    def append(self, relation: Relation, rows: pa.RecordBatchReader) -> None:
        """Add rows to a table that exists, all or none. Their columns are called as the warehouse stores those of the table."""
        ...


@runtime_checkable
class MapsBatches(Protocol):
    """What a session of a warehouse can do besides, that runs Python on the machines which hold its rows."""

    def map_batches(
        self,
        statement: exp.Query,
        function: Callable[[Iterator[pa.RecordBatch]], Iterator[pa.RecordBatch]],
        schema: pa.Schema,
        *,
        together: int = 0,
    ) -> pa.Table:
        """Run a function over an answer's batches where they are, and bring back what it says of them, in no order.

        Args:
            function: takes and gives batches, once for each partition of the answer, and anew where a task is tried again. It is
                pickled, and what it imports must be installed there.
            schema: of what it gives, which has to be small: all of it comes back at once.
            together: by how many of the answer's first columns rows belong together. All that are alike in them come to one call, one
                after the other, in the order of the column that follows.

        Raises what the function raised, where that is an error of ours.
        """
        ...


@runtime_checkable
class TimeTravel(Protocol):
    """What a session can do beside, where the warehouse keeps the past of its tables: Snowflake, BigQuery, Delta, Iceberg."""

    def time_travel_point(self) -> str:
        """What to write into a query, some day later, to read the tables as they are now, in the warehouse's own words.

        Asked before a job reads anything, so that nothing it reads is older: `TIMESTAMP => '2024-03-01 10:00:00.123 +0000'`.
        """
        ...


def time_travel_point(session: WarehouseSession) -> str | None:
    """The point by which a later query can read what the session reads now; None where the warehouse forgets."""
    return session.time_travel_point() if isinstance(session, TimeTravel) else None


@runtime_checkable
class IndexedSession(WarehouseSession, Protocol):
    """A session with a warehouse whose tables have indexes."""

    def indexes(self, of: exp.Table) -> Sequence[tuple[str, ...]]:
        """The columns of each index of a relation by which any row of it is found, in order."""
        ...


APPENDED = "appended_rows"
"""The temporary table that rows stand in before they are appended, all or none."""


class Warehouse(Protocol):
    """A target of the dbt profile."""

    @property
    def dialect(self) -> str:
        """The sqlglot name of its SQL, such as `duckdb`."""
        ...

    def session(self, *, read_only: bool = True) -> AbstractContextManager[WarehouseSession]:
        """Open a connection, and close it on the way out. Raises WarehouseLockedError, WarehouseError."""
        ...

    def describe(self, relations: Sequence[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
        """The columns of those relations that exist, with their types. One that does not exist is absent from the answer.

        Columns of a type that no feature can have carry `UNRESOLVED`.
        """
        ...
