"""Spark, as dbt-spark's session method runs it: in the process, on a cluster, or on a Spark Connect server."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.dbt.profiles import Target
from featurestore.registry.definitions import Column, Relation

from .spark_profile import SparkProfile, read_profile

if TYPE_CHECKING:
    from .spark_session import SparkSQLSession


@dataclass(frozen=True)
class SparkWarehouse:
    """A Spark and the metastore that it finds its tables in."""

    profile: SparkProfile

    @classmethod
    def of_target(cls, target: Target) -> SparkWarehouse:
        """The Spark that a dbt-spark target names. Raises WarehouseError for a method over which it cannot be used."""
        return cls(read_profile(target))

    @property
    def dialect(self) -> str:
        """The sqlglot name of its SQL."""
        return "spark"

    @contextmanager
    def session(self, *, read_only: bool = True) -> Iterator[SparkSQLSession]:
        """Open a session, and close it on the way out. Spark itself knows no reading session. Raises WarehouseError."""
        # Spark takes seconds to start, and a listing needs none.
        from .spark_process import spark_session

        with spark_session(self.profile) as spark:
            from .spark_session import SparkSQLSession

            session = SparkSQLSession(spark, self.profile)
            try:
                yield session
            finally:
                session.close()

    def describe(self, relations: Sequence[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
        """The columns of those relations that exist."""
        if not relations:
            return {}
        with self.session() as session:
            found = {relation: session.describe(relation) for relation in relations}
        return {relation: columns for relation, columns in found.items() if columns is not None}
