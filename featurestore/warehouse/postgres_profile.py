"""What a dbt-postgres target says about its database, as libpq takes it.

dbt gives the role and the search path to a connection of its own making; here they are set in the transaction that a session is, so that
a pool of connections between us and the server keeps nothing of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from featurestore.dbt.profiles import Target
from featurestore.errors import WarehouseError

_PASSED_ON = ("sslmode", "sslcert", "sslkey", "sslrootcert")
_APPLICATION, _CONNECT_TIMEOUT = "fsdbt", "10"


@dataclass(frozen=True)
class PostgresProfile:
    """A dbt-postgres target, checked."""

    shown: str
    """The database as a message may name it."""

    database: str
    parameters: Mapping[str, str] = field(repr=False)
    """What libpq is told, by its own words for it."""

    role: str | None = None
    search_path: str | None = None
    attempts: int = 2
    """How often a connection is tried before giving up."""

    @property
    def connection(self) -> str:
        """The parameters as libpq reads them."""
        return " ".join(f"{name}={_quoted(value)}" for name, value in self.parameters.items())


def read_profile(target: Target) -> PostgresProfile:
    """Read a dbt-postgres target. Raises WarehouseError where it lacks what a connection needs."""
    said = {name: value for name, value in target.settings.items() if value is not None and value != ""}
    database, password = said.get("dbname", said.get("database")), said.get("password", said.get("pass"))
    needed = {"host": said.get("host"), "user": said.get("user"), "port": said.get("port"), "dbname": database, "password": password}
    missing = [name for name, value in needed.items() if value is None]
    if missing:
        raise WarehouseError(f"The dbt target {target} has no {' and no '.join(missing)}. dbt-postgres needs it too: run `dbt debug`.")
    parameters = {
        **needed,
        "application_name": said.get("application_name", _APPLICATION),
        "connect_timeout": said.get("connect_timeout", _CONNECT_TIMEOUT),
        **{name: said[name] for name in _PASSED_ON if name in said},
    }
    if said.get("keepalives_idle"):
        parameters["keepalives_idle"] = said["keepalives_idle"]
    return PostgresProfile(
        shown=f"{database} on {said['host']}:{said['port']}",
        database=str(database),
        parameters={name: str(value) for name, value in parameters.items()},
        role=said.get("role"),
        search_path=said.get("search_path"),
        attempts=1 + int(said.get("retries", 1)),
    )


def _quoted(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
