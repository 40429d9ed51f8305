"""PostgreSQL: the database of the dbt profile, read through Arrow's own driver, whose answers are a binary COPY.

A session is one transaction that sees the database as it was when the session began, whatever dbt writes meanwhile, and that leaves
nothing behind: it is rolled back, unless it was opened to create a table.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from featurestore.dbt.profiles import Target
from featurestore.errors import NotInstalledError, WarehouseError
from featurestore.registry.definitions import Column, Relation

from .postgres_profile import PostgresProfile, read_profile

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection

    from .postgres_session import PostgresSession


@dataclass(frozen=True)
class PostgresWarehouse:
    """A PostgreSQL database."""

    profile: PostgresProfile

    @classmethod
    def of_target(cls, target: Target) -> PostgresWarehouse:
        """The database that a dbt-postgres target names. Raises WarehouseError where it lacks what a connection needs."""
        return cls(read_profile(target))

    @property
    def dialect(self) -> str:
        """The sqlglot name of its SQL."""
        return "postgres"

    @contextmanager
    def session(self, *, read_only: bool = True) -> Iterator[PostgresSession]:
        """Open a connection, and close it on the way out. Raises WarehouseError."""
        connection = self._connect()
        from .postgres_session import PostgresSession

        session = PostgresSession(connection)
        try:
            session.begin(self.profile.role, self.profile.search_path)
            yield session
        finally:
            session.close()

    def describe(self, relations: Sequence[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
        """The columns of those relations that exist."""
        wanted = [relation for relation in relations if relation.database in (None, self.profile.database)]
        if not wanted:
            return {}
        with self.session() as session:
            found = session.described(json.dumps([_place(relation) for relation in wanted]))
        return {wanted[place - 1]: columns for place, columns in found.items()}

    def _connect(self) -> Connection:
        try:
            import adbc_driver_manager
            from adbc_driver_postgresql import dbapi
        except ImportError:
            raise NotInstalledError("adbc-driver-postgresql", "postgres", "A PostgreSQL warehouse") from None
        for attempt in range(1, self.profile.attempts + 1):
            try:
                connection: Connection = dbapi.connect(self.profile.connection)
                return connection
            except adbc_driver_manager.Error as error:
                if attempt == self.profile.attempts:
                    reason = str(error).partition("Failed to connect: ")[2].strip() or "the driver gives no reason."
                    raise WarehouseError(f"The database {self.profile.shown} cannot be reached: {reason}") from None
                time.sleep(attempt)
        raise AssertionError("there is at least one attempt")


def _place(relation: Relation) -> str:
    """A relation's quoted name, as `to_regclass` reads it: without a schema, the first of that name on the search path."""
    parts = [relation.identifier] if relation.schema is None else [relation.schema, relation.identifier]
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)
