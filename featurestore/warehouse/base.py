"""Runs SQL in the warehouse that the dbt project runs on, and brings the answer back as Arrow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import pyarrow as pa
from sqlglot import exp

from featurestore.registry.definitions import Column, Relation


class WarehouseSession(Protocol):
    """One connection, held for as long as one job needs it."""

    def upload(self, name: str, rows: pa.RecordBatchReader) -> None:
        """Put rows into a temporary table of that name, streaming."""
        ...

    def query(self, statement: exp.Expression | str) -> pa.RecordBatchReader:
        """Run one SELECT and stream its answer. Raises WarehouseError with the warehouse's own words."""
        ...

    def execute(self, statement: exp.Expression | str) -> None:
        """Run one statement that answers nothing."""
        ...


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
