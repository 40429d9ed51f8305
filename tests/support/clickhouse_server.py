"""A real ClickHouse for tests: its engine in a process of its own, reached by HTTP as a server is, gone when it is closed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clickhouse_connect
import pyarrow as pa
import pyarrow.types as kinds

from featurestore.registry.definitions import Relation

FRONT = Path(__file__).with_name("clickhouse_front.py")
USERS: Mapping[str, Mapping[str, Any]] = {
    # A server may say anything in its users' profiles: this one says whatever would change what our queries mean.
    "default": {"settings": {"session_timezone": "America/New_York", "join_use_nulls": "0", "prefer_column_name_to_alias": "0"}},
    "analyst": {"password": "it's a 'secret'", "settings": {"readonly": "2"}},
    "reader": {"settings": {"readonly": "1"}},
}


@dataclass(frozen=True)
class ClickHouseServer:
    """A running server."""

    directory: Path
    port: int

    @property
    def output(self) -> Mapping[str, Any]:
        return {"type": "clickhouse", "host": "127.0.0.1", "port": self.port, "schema": "shop"}

    def relation(self, name: str) -> Relation:
        return Relation(name, "shop")

    def load(self, relation: Relation, rows: pa.Table) -> None:
        columns = ", ".join(f"{quoted(field.name)} {stored(field.type)}" for field in rows.schema)
        place = f"{quoted(relation.schema or 'shop')}.{quoted(relation.identifier)}"
        self.run(f"CREATE OR REPLACE TABLE {place} ({columns}) ENGINE = MergeTree ORDER BY tuple()")
        if rows.num_rows:
            with self.client() as client:
                client.insert_arrow(place, rows)

    def run(self, *statements: str) -> None:
        """Run statements that answer nothing."""
        with self.client() as client:
            for statement in statements:
                client.command(statement)

    def client(self) -> Any:
        """A client of its own."""
        return clickhouse_connect.get_client(host="127.0.0.1", port=self.port, compress=False)


@contextmanager
def clickhouse_server(directory: Path) -> Iterator[ClickHouseServer]:
    """A server whose tables are in a folder. Raises RuntimeError where it does not start."""
    command = [sys.executable, str(FRONT), str(directory / "clickhouse"), json.dumps(USERS)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        port = process.stdout.readline()
        if not port:
            raise RuntimeError(f"ClickHouse's engine did not start: {process.stderr.read()}")
        server = ClickHouseServer(directory, int(port))
        server.run("CREATE DATABASE shop")
        yield server
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        process.stderr.close()


def stored(data_type: pa.DataType) -> str:
    """The type that a dbt model's column has, for values of that Arrow type; what can be null there is."""
    if kinds.is_list(data_type):
        return f"Array({stored(data_type.value_type)})"
    if kinds.is_map(data_type):
        return f"Map(String, {stored(data_type.item_type)})"
    if kinds.is_struct(data_type):
        return f"Nullable(Tuple({', '.join(f'{quoted(each.name)} {stored(each.type)}' for each in data_type.fields)}))"
    if kinds.is_decimal(data_type):
        return f"Nullable(Decimal({data_type.precision}, {data_type.scale}))"
    if kinds.is_timestamp(data_type):
        zone = ", 'UTC'" if data_type.tz else ""
        return f"Nullable(DateTime64(6{zone}))"
    return f"Nullable({STORED[str(data_type)]})"


STORED = {
    "bool": "Bool",
    "int8": "Int8",
    "int16": "Int16",
    "int32": "Int32",
    "int64": "Int64",
    "float": "Float32",
    "double": "Float64",
    "string": "String",
    "binary": "String",
    "date32[day]": "Date32",
    "time64[us]": "Time64(6)",
}


def quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
