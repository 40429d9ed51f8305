"""What each warehouse's SQL can do, as data. A query is built for its dialect from these facts; no tree is ever transpiled to another.

sqlglot spells names, types and intervals for a dialect; what it would get wrong without complaint (an ASOF join, a zone conversion
of another meaning) is a fact here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import Enum

from featurestore.errors import WarehouseError, did_you_mean


class ZonedToUtc(str, Enum):
    """How a zoned timestamp becomes the UTC wall-clock reading that every instant is compared as."""

    MICROSECONDS = "microseconds"
    """`MAKE_TIMESTAMP(EPOCH_US(x))`: DuckDB's own `AT TIME ZONE` asks a calendar for each row, at twenty times the cost."""

    AT_TIME_ZONE = "at_time_zone"
    """`x AT TIME ZONE 'UTC'`."""

    CAST = "cast"
    """A cast converts: Spark's does in a session whose zone is UTC."""

    AT_TIME_ZONE_THEN_CAST = "at_time_zone_then_cast"
    """`CAST(x AT TIME ZONE 'UTC' AS …)`: the value stays zoned, now in UTC, and the cast drops the zone."""

    CONVERT_TIMEZONE = "convert_timezone"
    """`CAST(CONVERT_TIMEZONE('UTC', x) AS …)`, the same in Snowflake's words."""

    DATETIME = "datetime"
    """`DATETIME(x, 'UTC')`: BigQuery's cast converts to the zone that its project is set to."""


class Folding(str, Enum):
    """What becomes of a name without quotes where the case of names tells them apart."""

    KEEPS = "keeps"
    """It stays as it is, or case tells no names apart."""

    UPPER = "upper"
    LOWER = "lower"

    def stored(self, name: str) -> str:
        """What the warehouse calls what is written `name`, without quotes."""
        return name.upper() if self is Folding.UPPER else name.lower() if self is Folding.LOWER else name


class Durations(str, Enum):
    """How an instant is moved by a duration."""

    INTERVAL = "interval"
    """`x + INTERVAL '7' DAY`."""

    DATEADD = "dateadd"
    """`DATEADD(DAY, 7, x)`, which takes no more than 31 bits: a duration of many units is added part by part."""

    DATETIME_ADD = "datetime_add"
    """`DATETIME_ADD(x, INTERVAL 7 DAY)`."""


class Microseconds(str, Enum):
    """How an instant becomes whole microseconds since 1970."""

    EPOCH_US = "epoch_us"
    """`EPOCH_US(x)`."""

    UNIX_MICROS = "unix_micros"
    """`UNIX_MICROS(CAST(x AS TIMESTAMP))`."""

    DATE_PART = "date_part"
    """`DATE_PART(EPOCH_MICROSECOND, x)`."""

    EXTRACT_EPOCH = "extract_epoch"
    """`CAST(EXTRACT(EPOCH FROM x) * 1000000 AS BIGINT)`, where seconds are exact decimals."""


class Quantiles(str, Enum):
    """How the quantiles of a number are found in one pass."""

    APPROX_QUANTILE = "approx_quantile"
    """`APPROX_QUANTILE(x, [p, …])`: DuckDB's t-digest."""

    PERCENTILE_APPROX = "percentile_approx"
    """`PERCENTILE_APPROX(x, ARRAY(p, …), 10000)`: within a ten-thousandth of the rank."""

    QUANTILES_GK = "quantiles_gk"
    """`quantilesGK(1000, p, …)(x)`: within a thousandth of the rank."""

    PERCENTILE_DISC = "percentile_disc"
    """`PERCENTILE_DISC(ARRAY[p, …]) WITHIN GROUP (ORDER BY x)`: exact."""

    APPROX_PERCENTILE_ARRAY = "approx_percentile_array"
    """`APPROX_PERCENTILE(x, ARRAY[p, …])`: Trino's."""

    APPROX_PERCENTILE = "approx_percentile"
    """`APPROX_PERCENTILE(x, p)`, each by itself: Snowflake's t-digest."""

    APPROX_QUANTILES = "approx_quantiles"
    """`APPROX_QUANTILES(x, 100)`, of which those asked for are taken: BigQuery's."""

    APPROX_PERCENTILE_DISC = "approx_percentile_disc"
    """`APPROX_PERCENTILE_DISC(p) WITHIN GROUP (ORDER BY x)`, each by itself: SQL Server's."""

    PERCENTILE_CONT = "percentile_cont"
    """`PERCENTILE_CONT(p) WITHIN GROUP (ORDER BY x)`, each by itself, of one feature a statement: Redshift's, and exact."""


class HashedRow(str, Enum):
    """How a row is given to the function that makes 64 bits of it."""

    VALUES = "values"
    """Value by value, null ones too."""

    VALUES_AND_NULLS = "values_and_nulls"
    """Value by value, and beside each whether it is null: the function takes no notice of a null."""

    TEXT = "text"
    """As the text of the whole row, with a seed."""

    TUPLE = "tuple"
    """The values in a tuple: of a null by itself it makes null."""


class TemporaryTables(str, Enum):
    """Where a session keeps what it needs for as long as it lasts."""

    TEMPORARY = "temporary"
    """In temporary tables."""

    HASH = "hash"
    """In temporary tables whose names begin with `#`."""

    NONE = "none"
    """In tables of the target's own schema, under names that nobody else has, dropped at the end of the session."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One warehouse's SQL."""

    name: str
    """What sqlglot calls it."""

    asof_join: bool
    """Whether `ASOF JOIN … ON keys AND asked >= known` runs there."""

    zoned_to_utc: ZonedToUtc
    folding: Folding = Folding.KEEPS
    timestamp: str = "TIMESTAMP"
    """Its type of naive instants with microseconds, as it writes it."""

    text: str = "TEXT"
    """Its type of text of any length and any language, as it writes it."""

    binary: str = "VARBINARY"
    """Its type of bytes of any length, as it writes it."""

    time: str = "TIME"
    """Its type of a time of the day with microseconds, as it writes it."""

    national_text: bool = False
    """Whether a text in any language is written `N'…'`."""

    text_collation: str | None = None
    """The collation that tells text apart by code points, where the one that columns have by default does not."""

    durations: Durations = Durations.INTERVAL
    shortest_interval: timedelta = timedelta(microseconds=1)
    """What an interval counts in."""

    match_condition: bool = False
    """Whether an ASOF join has its inequality in MATCH_CONDITION, as Snowflake's has, and keeps rows that match nothing."""

    not_distinct: bool = True
    """Whether there is `IS NOT DISTINCT FROM`."""

    has_nan: bool = True
    """Whether a float can be not-a-number. Where none can, what has no number is null."""

    nan_is_greatest: bool = True
    """Whether not-a-number stands above every number in an ORDER BY. BigQuery has it below."""

    numbering_order: bool = False
    """Whether ROW_NUMBER insists on an ORDER BY, and takes one that says nothing."""

    orders_nested: bool = True
    """Whether lists, structs and maps can stand in an ORDER BY. Where they cannot, their JSON is ordered instead."""

    json_of: str | None = None
    """The type that its JSON function takes, where that is not any nested one."""

    nullable_nested: bool = True
    """Whether lists, structs and maps can be null. Where they cannot, an answer tells "none" apart by a list around each."""

    row_hash: str | None = None
    """The function that makes 64 bits of any values, nested and null ones too. None where there is none to rely on."""

    hashed_as: HashedRow = HashedRow.VALUES
    """How a row is given to that function."""

    ranks_at_once: bool = False
    """Whether rows that may share keys and timestamp are all ranked in one pass. Elsewhere those that do are looked for first; but where
    a CTE is computed as often as it is named, looking twice costs more than ranking all."""

    temporary_tables: TemporaryTables = TemporaryTables.TEMPORARY
    replaces_tables: bool = False
    """Whether CREATE OR REPLACE TABLE … AS is there, which replaces at once or not at all."""

    session: tuple[str, ...] = ()
    """Statements that make a session as the queries assume: UTC its zone, the case of quoted names kept."""

    anti_join: bool = False
    """Whether rows that match nothing are found by `LEFT ANTI JOIN`, because a subquery may not look out at them."""

    signed_row_number: bool = True
    """Whether ROW_NUMBER answers with a BIGINT. Where it does not, it is cast: a union of both kinds of integers has no type."""

    plain_names: bool = True
    """Whether a column `t.x` of a join is called `x` in the answer. Where it may be called `t.x`, it is renamed to what it is called."""

    lazy_case: bool = True
    """Whether CASE looks only at the branch that it takes. Where it looks at all of them, no cast in one may fail."""

    ctes_run_once: bool = True
    """Whether a CTE that is named twice has the same rows both times, in whatever order it was read."""

    numbering: str | None = None
    """The function that numbers rows in the order they are read in, where ROW_NUMBER insists on an order."""

    indexed_lookup: bool = False
    """Whether `LATERAL` runs there and tables have indexes, so that one look-up for each asked row may be the quickest."""

    range_frame: Microseconds | None = None
    """How rows are put in order of time for a frame `RANGE BETWEEN n PRECEDING AND CURRENT ROW`. None: it has no such frame."""

    distinct_in_frame: bool = False
    """Whether COUNT(DISTINCT x) can stand in such a frame."""

    wide_integer: str = "DECIMAL(38, 0)"
    """A type of whole numbers up to 2^126, whose sum is exact and of that size too."""

    widest_decimal: str = "DECIMAL({precision}, {scale})"
    """The type of decimals of 38 digits, as it writes it."""

    casts_floats_exactly: bool = False
    """Whether a cast of a float to that type keeps the whole number that it is. Elsewhere it is put together from 64-bit integers."""

    kinds_of_text: bool = False
    """Whether what counts as text (a UUID, JSON, an enumeration, text padded with spaces) has types of its own, some of them without
    an order. Features of them are read as text."""

    byte_order: str | None = None
    """The collation that orders text by its bytes, where text is ordered otherwise unless told so."""

    works_out_on_demand: bool = False
    """Whether its SQL is known to answer an expression of a feature on demand as the serving path does, to the last bit."""

    raises_on_float_range: bool = False
    """Whether arithmetic of floats is an error where its answer is infinite, or too small to be told from zero."""

    try_cast: bool = True
    """Whether there is a TRY_CAST that is null where a number does not fit. Elsewhere it is asked first."""

    rounds_floats_half_away: bool = True
    """Whether ROUND of a float takes halves away from zero. Elsewhere it is put together from TRUNC."""

    short_decimal_products: bool = False
    """Whether a product of two decimals of up to 18 digits is an error where it has more itself."""

    casts_long_decimals_exactly: bool = True
    """Whether a decimal of more than 15 digits becomes the nearest float. Elsewhere its text does."""

    longest_name: int | None = None
    """How many bytes of a name count, where that is few: two names that begin alike are the same name."""

    most_columns: int | None = None
    """How many columns an answer can have, where that is few."""

    quantiles: Quantiles = Quantiles.PERCENTILE_APPROX
    approximate_distinct: str | None = "APPROX_COUNT_DISTINCT"
    """The function that reckons how many distinct values there are in bounded memory. None: they are counted."""

    deviation: str = "STDDEV_SAMP"
    """The function of the sample's standard deviation that loses no digits to large values."""


_OF_ADAPTERS = {"athena": "trino", "glue": "spark", "sqlserver": "tsql", "synapse": "tsql"}
_T_SQL = Dialect(
    "tsql",
    asof_join=False,
    zoned_to_utc=ZonedToUtc.AT_TIME_ZONE_THEN_CAST,
    timestamp="DATETIME2(6)",
    text="NVARCHAR(MAX)",
    binary="VARBINARY(MAX)",
    time="TIME(6)",
    national_text=True,
    temporary_tables=TemporaryTables.HASH,
    text_collation="Latin1_General_BIN2",
    durations=Durations.DATEADD,
    not_distinct=False,
    numbering_order=True,
    has_nan=False,
    quantiles=Quantiles.APPROX_PERCENTILE_DISC,
    deviation="STDEV",
)
_DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect(
            "duckdb",
            asof_join=True,
            zoned_to_utc=ZonedToUtc.MICROSECONDS,
            row_hash="HASH",
            binary="BLOB",
            replaces_tables=True,
            range_frame=Microseconds.EPOCH_US,
            distinct_in_frame=True,
            wide_integer="HUGEINT",
            casts_floats_exactly=True,
            works_out_on_demand=True,
            short_decimal_products=True,
            casts_long_decimals_exactly=False,
            session=("SET TimeZone = 'UTC'",),
            quantiles=Quantiles.APPROX_QUANTILE,
        ),
        Dialect(
            "postgres",
            asof_join=False,
            zoned_to_utc=ZonedToUtc.AT_TIME_ZONE,
            folding=Folding.LOWER,
            indexed_lookup=True,
            kinds_of_text=True,
            byte_order="C",
            longest_name=63,
            most_columns=1_664,
            row_hash="HASHTEXTEXTENDED",
            hashed_as=HashedRow.TEXT,
            range_frame=Microseconds.EXTRACT_EPOCH,
            wide_integer="NUMERIC",
            works_out_on_demand=True,
            raises_on_float_range=True,
            try_cast=False,
            rounds_floats_half_away=False,
            session=("SET TIME ZONE 'UTC'",),
            quantiles=Quantiles.PERCENTILE_DISC,
            approximate_distinct=None,
        ),
        Dialect(
            "spark",
            asof_join=False,
            zoned_to_utc=ZonedToUtc.CAST,
            orders_nested=False,
            row_hash="XXHASH64",
            hashed_as=HashedRow.VALUES_AND_NULLS,
            ranks_at_once=True,
            numbering="MONOTONICALLY_INCREASING_ID",
            range_frame=Microseconds.UNIX_MICROS,
        ),
        Dialect(
            "clickhouse",
            asof_join=True,
            zoned_to_utc=ZonedToUtc.CAST,
            timestamp="Nullable(DateTime64(6, 'UTC'))",
            text="Nullable(String)",
            nan_is_greatest=False,
            nullable_nested=False,
            row_hash="sipHash64",
            hashed_as=HashedRow.TUPLE,
            anti_join=True,
            signed_row_number=False,
            plain_names=False,
            lazy_case=False,
            ctes_run_once=False,
            wide_integer="Nullable(Int128)",
            widest_decimal="Nullable(Decimal({precision}, {scale}))",
            quantiles=Quantiles.QUANTILES_GK,
            approximate_distinct="uniq",
            deviation="stddevSampStable",
        ),
        Dialect(
            "snowflake",
            asof_join=True,
            match_condition=True,
            zoned_to_utc=ZonedToUtc.CONVERT_TIMEZONE,
            folding=Folding.UPPER,
            timestamp="TIMESTAMP_NTZ(6)",
            numbering_order=True,
            orders_nested=False,
            json_of="VARIANT",
            range_frame=Microseconds.DATE_PART,
            binary="BINARY",
            replaces_tables=True,
            session=("ALTER SESSION SET TIMEZONE = 'UTC'", "ALTER SESSION SET QUOTED_IDENTIFIERS_IGNORE_CASE = FALSE"),
            quantiles=Quantiles.APPROX_PERCENTILE,
        ),
        Dialect(
            "bigquery",
            asof_join=False,
            zoned_to_utc=ZonedToUtc.DATETIME,
            timestamp="DATETIME",
            binary="BYTES",
            temporary_tables=TemporaryTables.NONE,
            durations=Durations.DATETIME_ADD,
            nan_is_greatest=False,
            replaces_tables=True,
            orders_nested=False,
            range_frame=Microseconds.UNIX_MICROS,
            wide_integer="BIGNUMERIC",
            widest_decimal="BIGNUMERIC({precision}, {scale})",
            quantiles=Quantiles.APPROX_QUANTILES,
        ),
        Dialect(
            "databricks",
            asof_join=False,
            zoned_to_utc=ZonedToUtc.CAST,
            orders_nested=False,
            ranks_at_once=True,
            numbering="MONOTONICALLY_INCREASING_ID",
            range_frame=Microseconds.UNIX_MICROS,
            temporary_tables=TemporaryTables.NONE,
            replaces_tables=True,
            session=("SET TIME ZONE 'UTC'",),
        ),
        Dialect(
            "redshift",
            asof_join=False,
            zoned_to_utc=ZonedToUtc.AT_TIME_ZONE,
            not_distinct=False,
            folding=Folding.LOWER,
            binary="VARBYTE(65535)",
            session=("SET timezone TO 'UTC'", "SET enable_case_sensitive_identifier TO true"),
            quantiles=Quantiles.PERCENTILE_CONT,
            approximate_distinct=None,
        ),
        Dialect(
            "trino",
            asof_join=False,
            zoned_to_utc=ZonedToUtc.AT_TIME_ZONE_THEN_CAST,
            timestamp="TIMESTAMP(6)",
            time="TIME(6)",
            temporary_tables=TemporaryTables.NONE,
            shortest_interval=timedelta(milliseconds=1),
            orders_nested=False,
            quantiles=Quantiles.APPROX_PERCENTILE_ARRAY,
            approximate_distinct="APPROX_DISTINCT",
        ),
        _T_SQL,
        replace(_T_SQL, name="fabric", text="VARCHAR(8000)", binary="VARBINARY(8000)", text_collation="Latin1_General_100_BIN2_UTF8"),
    )
}


def dialect_named(name: str) -> Dialect:
    """The dialect that sqlglot calls `name`. Raises WarehouseError for one that no query can be built for yet."""
    try:
        return _DIALECTS[name]
    except KeyError:
        raise WarehouseError(f"No query can be built for {name!r} yet.{did_you_mean(name, _DIALECTS)}") from None


def folding_of(name: str) -> Folding:
    """What becomes of a name without quotes in the dialect of that name; nothing in one that nobody has looked at yet."""
    return _DIALECTS[name].folding if name in _DIALECTS else Folding.KEEPS


def dialect_of(adapter_type: str) -> str:
    """The sqlglot name of the SQL that an adapter of dbt speaks."""
    return _OF_ADAPTERS.get(adapter_type, adapter_type)
