"""A ClickHouse server, or ClickHouse Cloud, by HTTP: one session for each job, which has temporary tables of its own.

What the queries rely on is set for each query by the session, whatever the server's profile says; a user who may not change settings
is refused with the remedy. Tables that replace rows when their parts merge are read as if they had been merged (`final`), so that an
answer does not depend on when ClickHouse got round to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from featurestore.dbt.profiles import Target
from featurestore.errors import NotInstalledError, WarehouseError
from featurestore.registry.definitions import Column, Relation

from .clickhouse_profile import ClickHouseProfile, read_profile

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from .clickhouse_session import ClickHouseSession

_ALWAYS: Mapping[str, str] = {
    "session_timezone": "UTC",
    # A row that matches nothing has nulls, and not zeros and empty texts.
    "join_use_nulls": "1",
    # "max(x) AS x … HAVING max(x) > 1" means the column x, as everywhere else.
    "prefer_column_name_to_alias": "1",
    "final": "1",
    "output_format_arrow_string_as_string": "1",
    "output_format_arrow_low_cardinality_as_dictionary": "0",
    # Forty views of two hundred features are a long text.
    "max_query_size": str(64 * 1024 * 1024),
    "max_ast_elements": "5000000",
    "max_expanded_ast_elements": "50000000",
}
_SESSION_TIMEOUT = "600"
"""Seconds that temporary tables live on when this process is gone."""

_COLUMNS = """
select database, table, name, type
from system.columns
where has({tables:Array(String)}, table)
order by database, table, position
"""


@dataclass(frozen=True)
class ClickHouseWarehouse:
    """A database of a ClickHouse server."""

    profile: ClickHouseProfile

    @classmethod
    def of_target(cls, target: Target) -> ClickHouseWarehouse:
        """The database that a dbt-clickhouse target names. Raises WarehouseError where it is reached by the native protocol."""
        return cls(read_profile(target))

    @property
    def dialect(self) -> str:
        """The sqlglot name of its SQL."""
        return "clickhouse"

    @contextmanager
    def session(self, *, read_only: bool = True) -> Iterator[ClickHouseSession]:
        """Open a session, and close it on the way out. Raises WarehouseError."""
        with self._client() as client:
            from .clickhouse_session import ClickHouseSession

            client.database = self.profile.database
            session = ClickHouseSession(client, self.profile)
            try:
                yield session
            finally:
                session.close()

    def describe(self, relations: Sequence[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
        """The columns of those relations that exist."""
        if not relations:
            return {}
        with self._client() as client:
            from .clickhouse_columns import column_of
            from .clickhouse_session import told

            with told():
                rows = client.query(_COLUMNS, parameters={"tables": sorted({wanted.identifier for wanted in relations})}).result_rows
        found: dict[tuple[str, str], list[Column]] = {}
        for database, table, *column in rows:
            found.setdefault((database, table), []).append(column_of(*column))
        places = {wanted: (wanted.schema or self.profile.database, wanted.identifier) for wanted in relations}
        return {wanted: tuple(found[place]) for wanted, place in places.items() if place in found}

    @contextmanager
    def _client(self) -> Iterator[Client]:
        try:
            import clickhouse_connect
        except ImportError:
            raise NotInstalledError("clickhouse-connect", "clickhouse", "ClickHouse") from None
        from .clickhouse_session import told

        profile = self.profile
        options: dict[str, Any] = {
            **profile.options,
            "host": profile.host,
            "port": profile.port,
            "interface": "https" if profile.secure else "http",
            "settings": {"session_timeout": _SESSION_TIMEOUT},
            "autogenerate_session_id": True,
            "query_limit": 0,
            "show_clickhouse_errors": "scrub",
        }
        with told(f"{profile.shown} cannot be reached as the dbt target {profile.target} says"):
            client = clickhouse_connect.get_client(**options)
        try:
            for name, value in {**profile.custom_settings, **_ALWAYS}.items():
                _set(client, name, str(value), profile)
            yield client
        finally:
            client.close()


def _set(client: Client, name: str, value: str, profile: ClickHouseProfile) -> None:
    known = client.server_settings.get(name)
    if known is not None and known.readonly and known.value != value:
        raise WarehouseError(
            f"The user of the dbt target {profile.target} may not change settings, and our queries rely on {name} = {value}. "
            "Give the user a settings profile with `readonly = 2`, which lets it change settings and make temporary tables and still "
            "write nothing."
        )
    client.set_client_setting(name, value)
