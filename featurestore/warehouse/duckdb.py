"""The embedded default: the DuckDB file that dbt builds, opened for one job and closed after it.

DuckDB lets one process write, and nobody read meanwhile. So a session is short; when another process holds the file it is waited for,
and then named. Reading sessions are read-only; what they need to keep goes into temporary tables, which spill to disk.
"""

from __future__ import annotations

import os
import re
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import duckdb

from featurestore.dbt.profiles import Target
from featurestore.errors import WarehouseError, WarehouseLockedError
from featurestore.registry.definitions import Column, Relation

from .duckdb_columns import COLUMNS, column_of
from .duckdb_profile import DuckDBProfile, literal, read_profile

if TYPE_CHECKING:
    from .duckdb_session import DuckDBSession

PATIENCE = timedelta(seconds=10)
"""How long a locked file is waited for."""

_FIRST_WAIT, _LONGEST_WAIT = 0.05, 1.0
_ALWAYS: Mapping[str, str] = {
    "TimeZone": "UTC",
    # The queries leave out what they take for the default.
    "default_null_order": "nulls_last",
    "preserve_insertion_order": "true",
    # A table that does not exist must not turn out to be a variable of the program.
    "python_enable_replacements": "false",
    "enable_progress_bar": "false",
}


@dataclass(frozen=True)
class DuckDBWarehouse:
    """A DuckDB database."""

    profile: DuckDBProfile
    patience: timedelta = PATIENCE

    @classmethod
    def of_target(cls, target: Target) -> DuckDBWarehouse:
        """The database that a dbt-duckdb target names. Raises WarehouseError where it is in memory."""
        return cls(read_profile(target))

    @property
    def dialect(self) -> str:
        """The sqlglot name of its SQL."""
        return "duckdb"

    @contextmanager
    def session(self, *, read_only: bool = True) -> Iterator[DuckDBSession]:
        """Open a connection, and close it on the way out. Raises WarehouseLockedError, WarehouseError."""
        # Arrow and sqlglot come with it, and a listing needs neither.
        from .duckdb_session import DuckDBSession

        connection = self._connect(read_only)
        session = DuckDBSession(connection)
        try:
            yield session
        finally:
            session.close()
            connection.close()

    def describe(self, relations: Sequence[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
        """The columns of those relations that exist."""
        file = self.profile.file
        if not relations or (file is not None and not file.exists()):
            # Before the first dbt build there is no database, and so no table.
            return {}
        connection = self._connect(read_only=True)
        try:
            names = sorted({wanted.identifier.lower() for wanted in relations})
            rows = connection.execute(COLUMNS, [names]).fetchall()
        finally:
            connection.close()
        found: dict[tuple[str, ...], list[Column]] = {}
        for database, schema, name, *column, _, _ in rows:
            found.setdefault((database, schema, name), []).append(column_of(*column))
        described = {}
        for wanted in relations:
            columns = next((columns for place, columns in found.items() if _is_at(wanted, place, rows[0][-2:])), None)
            if columns is not None:
                described[wanted] = tuple(columns)
        return described

    def _connect(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        file = self.profile.file
        if file is not None and not file.exists():
            raise WarehouseError(f"There is no database {file}. Run `dbt build` first: it makes it.")
        deadline, wait = time.monotonic() + self.patience.total_seconds(), _FIRST_WAIT
        while True:
            try:
                return self._opened(read_only)
            except duckdb.ConnectionException as error:
                raise WarehouseLockedError(
                    f"This process holds {self.profile.shown} open in another way: {error} Close that connection first."
                ) from error
            except duckdb.IOException as error:
                if "lock" not in str(error):
                    raise WarehouseError(f"{self.profile.shown} cannot be opened: {error}") from error
                if time.monotonic() + wait > deadline:
                    raise _locked(self.profile.shown, error) from error
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
            except duckdb.Error as error:
                raise WarehouseError(f"{self.profile.shown} cannot be opened as the dbt profile says: {error}") from error

    def _opened(self, read_only: bool) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(self.profile.path, read_only=read_only, config=dict(self.profile.config))
        try:
            for extension in self.profile.extensions:
                _load_extension(connection, extension)
            for statement in self.profile.statements(read_only=read_only):
                connection.execute(statement)
            for name, value in {**self._places(), **_ALWAYS}.items():
                connection.execute(f"SET {name} = {literal(value)}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _places(self) -> dict[str, str]:
        """Where files are looked for (views over files name them as dbt saw them) and where to spill to, unless the profile says."""
        places = {}
        if "file_search_path" not in self.profile.settings:
            places["file_search_path"] = str(self.profile.base_dir)
        file = self.profile.file
        beside = file is not None and os.access(file.parent, os.W_OK)
        if "temp_directory" not in self.profile.settings and not beside:
            places["temp_directory"] = os.path.join(tempfile.gettempdir(), "featurestore-spill")
        return places


def _locked(path: str, error: duckdb.Error) -> WarehouseLockedError:
    holder = re.search(r"held in (.+?) \(PID (\d+)\)", str(error))
    who = f" by {holder.group(1)} (process {holder.group(2)})" if holder else " by another process"
    return WarehouseLockedError(
        f"{path} is held open{who}, and DuckDB lets nobody else in meanwhile. Wait for it to end, or close it there, and try again."
    )


def _load_extension(connection: duckdb.DuckDBPyConnection, extension: Mapping[str, str]) -> None:
    name, repository = extension["name"], extension.get("repo")
    try:
        connection.load_extension(name)
    except duckdb.Error:
        connection.install_extension(name, repository=repository) if repository else connection.install_extension(name)
        connection.load_extension(name)


def _is_at(wanted: Relation, place: tuple[str, ...], here: tuple[str, str]) -> bool:
    """Whether a relation is the one at (database, schema, name). DuckDB folds case, and fills in what is left out from where it is."""
    parts = (wanted.database or here[0], wanted.schema or here[1], wanted.identifier)
    return tuple(part.casefold() for part in parts) == tuple(part.casefold() for part in place)
