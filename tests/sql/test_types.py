"""A column's type becomes the value type whose values come back exactly, proved with DuckDB itself."""

from __future__ import annotations

import subprocess
import sys

import duckdb
import pyarrow as pa
import pytest

from featurestore.errors import UnsupportedTypeError
from featurestore.registry.value_types import UNRESOLVED
from featurestore.sql.types import parse_data_type

DUCKDB = [
    # a value of the type, and the value type
    ("true", "boolean"),
    ("1::tinyint", "int8"),
    ("1::smallint", "int16"),
    ("1::integer", "int32"),
    ("1::bigint", "int64"),
    ("1::utinyint", "uint8"),
    ("1::usmallint", "uint16"),
    ("1::uinteger", "uint32"),
    ("1::ubigint", "uint64"),
    ("1::hugeint", "decimal(38, 0)"),
    ("(select sum(x) from (values (1::bigint)) as t(x))", "decimal(38, 0)"),
    ("1::float", "float32"),
    ("1::double", "float64"),
    ("1::decimal", "decimal(18, 3)"),
    ("1::decimal(38, 10)", "decimal(38, 10)"),
    ("1.50", "decimal(3, 2)"),
    ("'a'", "string"),
    ("'a'::varchar(3)", "string"),
    ("uuid()", "string"),
    ("'{}'::json", "string"),
    ("'a'::enum('a', 'b(')", "string"),
    ("'a'::blob", "bytes"),
    ("date '2024-01-31'", "date"),
    ("time '10:00:00'", "time"),
    ("timestamp '2024-01-31'", "timestamp"),
    ("timestamp_s '2024-01-31'", "timestamp"),
    ("timestamp_ms '2024-01-31'", "timestamp"),
    ("timestamp_ns '2024-01-31'", "timestamp"),
    ("timestamptz '2024-01-31'", "timestamp_utc"),
    ("[1]", "list<int32>"),
    ("[[1::bigint], []]", "list<list<int64>>"),
    ("[1, 2, 3]::float[3]", "list<float32>"),
    ("[1.5::decimal(10, 2)]", "list<decimal(10, 2)>"),
    ("{'a': 1, 'b c': 'x', 'd\"e': [true]}", 'struct<a: int32, "b c": string, "d""e": list<boolean>>'),
    ("[{'at': timestamptz '2024-01-31', 'inner': {'n': 1::hugeint}}]", "list<struct<at: timestamp_utc, inner: struct<n: decimal(38, 0)>>>"),
    ("map {'a': 1::bigint}", "map<string, int64>"),
    ("map {date '2024-01-31': [1::double]}", "map<date, list<float64>>"),
]
ARROW = {
    "decimal(38, 0)": pa.decimal128(38, 0),
    "float32": pa.float32(),
    "uint64": pa.uint64(),
    "bytes": pa.binary(),
    "time": pa.time64("us"),
    "list<int32>": pa.list_(pa.int32()),
}
REFUSED = [
    "interval 1 day",
    "'101'::bit",
    "1::uhugeint",
    "1::bignum",
    "union_value(a := 1)",
    "timetz '10:00:00+01'",
    "[interval 1 day]",
    "{'a': interval 1 day}",
]


@pytest.fixture(scope="module")
def warehouse() -> duckdb.DuckDBPyConnection:
    return duckdb.connect()


def type_of(warehouse: duckdb.DuckDBPyConnection, value: str) -> str:
    """What DuckDB calls the type of a column that holds the value."""
    return str(warehouse.sql(f"select {value} as x").types[0])


@pytest.mark.parametrize(("value", "value_type"), DUCKDB)
def test_a_type_that_duckdb_names_is_read_exactly(warehouse: duckdb.DuckDBPyConnection, value: str, value_type: str) -> None:
    assert str(parse_data_type(type_of(warehouse, value), "duckdb")) == value_type


@pytest.mark.parametrize(("value_type", "arrow"), ARROW.items())
def test_the_value_type_is_what_arrow_brings(warehouse: duckdb.DuckDBPyConnection, value_type: str, arrow: pa.DataType) -> None:
    for value in (value for value, own in DUCKDB if own == value_type):
        assert pa.table(warehouse.sql(f"select {value} as x")).schema.field("x").type == arrow


def test_a_column_of_nothing_but_null_has_no_type() -> None:
    with pytest.raises(UnsupportedTypeError):
        parse_data_type('"NULL"', "duckdb")


@pytest.mark.parametrize("value", REFUSED)
def test_what_no_feature_can_hold_is_refused_with_the_remedy(warehouse: duckdb.DuckDBPyConnection, value: str) -> None:
    with pytest.raises(UnsupportedTypeError, match=r"no feature can have the type .*\. Cast it in the model, to text or to a number"):
        parse_data_type(type_of(warehouse, value), "duckdb")


@pytest.mark.parametrize(
    ("text", "dialect", "value_type"),
    [
        ("  Double   Precision ", "duckdb", "float64"),
        ("int", "duckdb", "int32"),
        ("character varying(20)", "postgres", "string"),
        ("timestamp(3) without time zone", "postgres", "timestamp"),
        ("timestamp(3) with time zone", "postgres", "timestamp_utc"),
        ("real", "postgres", "float32"),
        ("float", "postgres", "float64"),
        ("float(24)", "postgres", "float32"),
        ("numeric(10, 2)", "postgres", "decimal(10, 2)"),
        ("integer[]", "postgres", "list<int32>"),
        ("jsonb", "postgres", "string"),
        ("number", "snowflake", "decimal(38, 0)"),
        ("integer", "snowflake", "int64"),
        ("timestamp_ntz(9)", "snowflake", "timestamp"),
        ("variant", "snowflake", "string"),
        ("numeric", "bigquery", "decimal(38, 9)"),
        ("timestamp", "bigquery", "timestamp_utc"),
        ("array<struct<a int64, b string>>", "bigquery", "list<struct<a: int64, b: string>>"),
        ("timestamp", "spark", "timestamp_utc"),
        ("decimal", "spark", "decimal(10, 0)"),
        ("map<string,array<bigint>>", "databricks", "map<string, list<int64>>"),
        ("tinyint", "tsql", "uint8"),
        ("nvarchar(max)", "tsql", "string"),
        ("datetimeoffset(7)", "tsql", "timestamp_utc"),
        ("datetime2(6)", "fabric", "timestamp"),
        ("varchar(max)", "redshift", "string"),
        ("timestamp(6) with time zone", "trino", "timestamp_utc"),
        ("row(a integer, b varchar)", "trino", "struct<a: int32, b: string>"),
        ("bigint", "a_dialect_that_nobody_knows", "int64"),
        ("array<bigint>", "a_dialect_that_nobody_knows", "list<int64>"),
    ],
)
def test_a_type_means_what_its_warehouse_says(text: str, dialect: str, value_type: str) -> None:
    assert str(parse_data_type(text, dialect)) == value_type


@pytest.mark.parametrize(
    ("text", "dialect", "message"),
    [
        ("numeric", "postgres", "NUMERIC without precision holds any number of digits. Cast it in the model, like numeric(18, 4)."),
        ("decimal(76, 38)", "bigquery", "DECIMAL(76, 38) has more digits than the 38 a feature can hold. Cast it in the model."),
        ("json", "bigquery", "no feature can have the type json."),
        ("timestamp", "tsql", "no feature can have the type timestamp."),
        ("money", "postgres", "no feature can have the type money."),
        ("integer(", "duckdb", "no feature can have the type integer(."),
        ("", "duckdb", "no feature can have the type ''."),
        ("struct(" + ", ".join(f"column_{n} interval" for n in range(40)) + ")", "duckdb", "..."),
    ],
)
def test_another_type_is_refused_in_one_short_line(text: str, dialect: str, message: str) -> None:
    with pytest.raises(UnsupportedTypeError) as caught:
        parse_data_type(text, dialect)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 200


def test_unresolved_is_nothing_that_a_warehouse_says() -> None:
    with pytest.raises(UnsupportedTypeError):
        parse_data_type(str(UNRESOLVED), "duckdb")


def test_common_types_need_no_sql_parser() -> None:
    names = ["bigint", "varchar(20)", "decimal(18, 2)", "timestamp with time zone", "double precision", "integer[]", "float[384]"]
    program = f"import sys; from featurestore.sql.types import parse_data_type\nfor name in {names}: parse_data_type(name, 'duckdb')\n"
    assert subprocess.run([sys.executable, "-c", program + "sys.exit('sqlglot' in sys.modules)"], check=False).returncode == 0
