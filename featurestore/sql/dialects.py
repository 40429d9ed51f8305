"""What each warehouse's SQL can do, as data. A query is built for its dialect from these facts; no tree is ever transpiled to another.

sqlglot spells names, types and intervals for a dialect; what it would get wrong without complaint (an ASOF join, a zone conversion
of another meaning) is a fact here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from featurestore.errors import WarehouseError, did_you_mean


class ZonedToUtc(str, Enum):
    """How a zoned timestamp becomes the UTC wall-clock reading that every instant is compared as."""

    MICROSECONDS = "microseconds"
    """`MAKE_TIMESTAMP(EPOCH_US(x))`: DuckDB's own `AT TIME ZONE` asks a calendar for each row, at twenty times the cost."""

    AT_TIME_ZONE = "at_time_zone"
    """`x AT TIME ZONE 'UTC'`."""

    CAST = "cast"
    """A cast converts: BigQuery's always does, Spark's does in a session whose zone is UTC."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """One warehouse's SQL."""

    name: str
    """What sqlglot calls it."""

    asof_join: bool
    """Whether `ASOF JOIN … ON keys AND asked >= known` runs there."""

    zoned_to_utc: ZonedToUtc
    orders_nested: bool = True
    """Whether lists, structs and maps can stand in an ORDER BY. Where they cannot, their JSON is ordered instead."""

    row_hash: str | None = None
    """The function that makes 64 bits of any values, nested and null ones too. None where there is none to rely on."""

    numbering: str | None = None
    """The function that numbers rows in the order they are read in, where ROW_NUMBER insists on an order."""


_DIALECTS = {
    dialect.name: dialect
    for dialect in (
        Dialect("duckdb", asof_join=True, zoned_to_utc=ZonedToUtc.MICROSECONDS, row_hash="HASH"),
        Dialect("postgres", asof_join=False, zoned_to_utc=ZonedToUtc.AT_TIME_ZONE),
        Dialect("bigquery", asof_join=False, zoned_to_utc=ZonedToUtc.CAST, orders_nested=False),
        Dialect("spark", asof_join=False, zoned_to_utc=ZonedToUtc.CAST, orders_nested=False, numbering="MONOTONICALLY_INCREASING_ID"),
    )
}


def dialect_named(name: str) -> Dialect:
    """The dialect that sqlglot calls `name`. Raises WarehouseError for one that no query can be built for yet."""
    try:
        return _DIALECTS[name]
    except KeyError:
        raise WarehouseError(f"No query can be built for {name!r} yet.{did_you_mean(name, _DIALECTS)}") from None
