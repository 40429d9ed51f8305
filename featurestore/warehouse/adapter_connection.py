"""The dbt adapter of a target, connected as dbt itself connects it, and statements run through it.

The adapter's own class of credentials reads the profile, so whatever logs dbt in logs us in. Nothing of the project is loaded: an
adapter needs its credentials and a few names. All of this is dbt's own interface for its adapters (dbt 1.8 and later), not one for
programs, so this is the only module that touches it.
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from featurestore.dbt.profiles import Target
from featurestore.errors import NotInstalledError, WarehouseError

EXTRAS = frozenset({"athena", "bigquery", "databricks", "fabric", "redshift", "snowflake", "sqlserver", "trino"})
"""The adapters that come with an extra of their own."""

_TRANSACTIONAL = frozenset({"fabric", "postgres", "redshift", "sqlserver", "synapse"})
_MISSING = re.compile(
    r"does not exist|not found|cannot be found|invalid object name|no such table|unknown table|undefined table", re.IGNORECASE
)
_SECRET = re.compile(r"pass|token|secret|key|pwd", re.IGNORECASE)
_NOT_CREDENTIALS = ("type", "threads")


@dataclass
class _Config:
    """What an adapter asks of the project that it runs for."""

    credentials: Any
    profile_name: str
    target_name: str
    threads: int = 1
    project_name: str = "featurestore"
    query_comment: Any = None
    cli_vars: dict[str, Any] = field(default_factory=dict)
    target_path: str = "target"
    log_cache_events: bool = False
    quoting: dict[str, Any] = field(default_factory=dict)
    flags: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class AdapterConnection:
    """One open connection of a dbt adapter. It belongs to the thread that opened it, except for reading an answer."""

    adapter: Any
    target: Target = field(repr=False)

    @property
    def kind(self) -> str:
        """The adapter's type, such as `trino`."""
        return self.target.type

    @property
    def handle(self) -> Any:
        """The driver's own connection."""
        return self.adapter.connections.get_thread_connection().handle

    @property
    def home(self) -> tuple[str | None, str | None]:
        """The database and the schema that the target builds into."""
        credentials = self.adapter.config.credentials
        return credentials.database or None, credentials.schema or None

    def run(self, text: str) -> Any:
        """Run one statement and return the driver's cursor. Raises WarehouseError with the warehouse's own words."""
        connections = self.adapter.connections
        try:
            if self.kind == "bigquery":
                return connections.raw_execute(text)[1]
            return connections.add_query(text, auto_begin=False, abridge_sql_log=True)[1]
        except Exception as error:
            raise self.refused(error) from error

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is run within it is seen at once by everybody, or never: where the warehouse has transactions that tables are made in."""
        if self.kind not in _TRANSACTIONAL:
            yield
            return
        self.run("BEGIN TRANSACTION")
        yield
        self.run("COMMIT")

    def type_text(self, described: tuple[Any, ...]) -> str:
        """What the warehouse calls the type of a column of an answer, as the driver describes it; empty where it does not say enough."""
        code, precision, scale = described[1], *(described[4:6] if len(described) >= 6 else (None, None))
        coded = isinstance(code, int | type)
        return _type_text(str(self.adapter.connections.data_type_code_to_name(code) if coded else code), precision, scale)

    def refused(self, error: Exception) -> WarehouseError:
        """What went wrong, in the warehouse's words, without what the profile keeps secret."""
        said = _without_secrets(str(error).strip(), self.target.settings)
        if _MISSING.search(said):
            return WarehouseError(f"The warehouse has no such table or view. Run `dbt build`: it makes it.\n{said}")
        return WarehouseError(f"The warehouse refused the query: {said}")


@contextmanager
def connected(adapter: Any, target: Target) -> Iterator[AdapterConnection]:
    """Open a connection as the target says, and close it on the way out. Raises WarehouseError."""
    connection = AdapterConnection(adapter, target)
    adapter.acquire_connection("featurestore")
    try:
        try:
            opened = connection.handle
        except Exception as error:
            said = _without_secrets(str(error).strip(), target.settings)
            raise WarehouseError(f"The dbt target {target} cannot be reached: {said}") from error
        assert opened is not None
        yield connection
    finally:
        adapter.cleanup_connections()


def open_adapter(target: Target) -> Any:
    """dbt's adapter for the target, not connected yet. Raises NotInstalledError, WarehouseError for settings that it cannot read."""
    plugin = _plugin(target)
    from dbt_common.context import set_invocation_context

    set_invocation_context(os.environ)
    settings = {name: value for name, value in target.settings.items() if name not in _NOT_CREDENTIALS}
    try:
        data = plugin.credentials.translate_aliases(settings)
        plugin.credentials.validate(data)
        credentials = plugin.credentials.from_dict(data)
    except Exception as error:
        said = _without_secrets(getattr(error, "message", None) or str(error), target.settings)
        raise WarehouseError(f"dbt-{target.type} cannot read the target {target}: {said}") from None
    return plugin.adapter(_Config(credentials, target.profile, target.name), multiprocessing.get_context("spawn"))


def _plugin(target: Target) -> Any:
    try:
        return importlib.import_module(f"dbt.adapters.{target.type}").Plugin
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("dbt"):
            raise
        purpose = f"The dbt target {target}"
        if target.type in EXTRAS:
            raise NotInstalledError(f"dbt-{target.type}", target.type, purpose) from None
        raise WarehouseError(f"{purpose} needs its adapter here. Run: pip install dbt-{target.type}") from None


_NAMES = {
    # psycopg2's words for PostgreSQL's types.
    "BINARY": "BYTEA",
    "DATETIME": "TIMESTAMP",
    "DATETIMETZ": "TIMESTAMP WITH TIME ZONE",
    "FLOAT": "DOUBLE PRECISION",
    "LONGINTEGER": "BIGINT",
    "UNICODE": "TEXT",
    # The Snowflake connector's.
    "FIXED": "NUMBER",
}
_DECIMALS = frozenset({"DECIMAL", "NUMERIC", "NUMBER"})
_PSYCOPG2_ARRAY = re.compile(r"(\w+)ARRAY")


def _type_text(name: str, precision: int | None, scale: int | None) -> str:
    word = name.upper()
    array = _PSYCOPG2_ARRAY.fullmatch(word)
    if array is not None:
        item = _type_text(array[1], None, None)
        return f"{item}[]" if item else ""
    word = _NAMES.get(word, word)
    if word not in _DECIMALS:
        return name if word == name.upper() else word
    return f"{word}({precision}, {scale or 0})" if precision and precision < 1000 else ""


def _without_secrets(text: str, settings: Mapping[str, Any]) -> str:
    for name, value in settings.items():
        if isinstance(value, Mapping):
            text = _without_secrets(text, value)
        elif _SECRET.search(name) and isinstance(value, str) and len(value) > 3:
            text = text.replace(value, "*****")
    return text
