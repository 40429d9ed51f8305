"""The warehouses that run for real in the tests, each started by them: whatever is promised is promised of all.

A gap is a strict xfail: the name of a test, or of one of its cases as `name[case]`, with the reason. A server that cannot be started
is a failure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pytest
from adapter_warehouses import adapter_duckdb, adapter_postgres
from clickhouse_server import clickhouse_server
from duckdb_file import duckdb_file
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from postgres_server import postgres_database
from spark_server import local_spark

from featurestore.dbt.profiles import Target
from featurestore.registry.definitions import Relation
from featurestore.warehouse.base import Warehouse
from featurestore.warehouse.open import open_warehouse


class RunningWarehouse(Protocol):
    """A warehouse that a test started."""

    @property
    def output(self) -> Mapping[str, Any]:
        """The output of a dbt profile that reaches it."""
        ...

    @property
    def directory(self) -> Path:
        """The project's folder, where paths in the output start."""
        ...

    def relation(self, name: str) -> Relation:
        """A table of that name, where dbt would put it."""
        ...

    def load(self, relation: Relation, rows: pa.Table) -> None:
        """Create or replace a table with exactly those rows, in the types that dbt would give them."""
        ...


def opened(running: RunningWarehouse) -> Warehouse:
    """The product's own way into it, or the way that is to be tried."""
    target = Target("shop", "dev", str(running.output["type"]), running.output, running.directory)
    way: Callable[[Target], Warehouse] = getattr(running, "opened", open_warehouse)
    return way(target)


@dataclass(frozen=True)
class WarehouseUnderTest:
    """How a warehouse is started, and how much is asked of it."""

    start: Callable[[Path], AbstractContextManager[RunningWarehouse]]
    examples: int = 100
    """How many random histories it is asked about in each test."""

    gaps: Mapping[str, str] = field(default_factory=dict)


_ON_DEMAND = (
    "test_both_roads_answer_the_same_to_the_last_bit",
    "test_every_example_in_the_reference_is_what_both_roads_answer",
    "test_what_is_worked_out_on_demand_is_the_same",
)
_CALENDAR = "the rows of a driver hold no instant after the year 9999"
WAREHOUSES: Mapping[str, WarehouseUnderTest] = {
    "duckdb": WarehouseUnderTest(duckdb_file),
    "postgres": WarehouseUnderTest(
        postgres_database,
        gaps={
            **dict.fromkeys(
                ("test_values_come_back_exactly[struct]", "test_values_come_back_exactly[map]"), "PostgreSQL has no structs and no maps"
            ),
            **dict.fromkeys(
                ("test_the_types_of_a_table_are_known[struct]", "test_the_types_of_a_table_are_known[map]"),
                "PostgreSQL has no structs and no maps",
            ),
            "test_the_types_of_a_table_are_known[int8]": "PostgreSQL's smallest integer has 16 bits",
        },
    ),
    "spark": WarehouseUnderTest(
        local_spark,
        examples=5,
        gaps={
            **dict.fromkeys(
                _ON_DEMAND,
                "features on demand are not worked out in Spark yet",
            ),
            "test_macro_python_and_reference_agree_on_random_histories": "this Spark's tables are in memory, where no dbt sees them; "
            "what the macro answers on Spark is compared over the reference project",
        },
    ),
    "clickhouse": WarehouseUnderTest(
        clickhouse_server,
        examples=25,
        gaps={
            **{
                f"test_values_come_back_exactly[{nested}]": "ClickHouse has no null lists and maps: it stores an empty one"
                for nested in ("integers", "integers and nulls", "embedding", "texts", "map")
            },
            **dict.fromkeys(
                _ON_DEMAND,
                "features on demand are not worked out in ClickHouse yet",
            ),
            "test_digests_are_those_of_the_values": "ClickHouse has no null lists: it stores an empty one",
            "test_the_types_of_a_table_are_known[bytes]": "ClickHouse keeps bytes of any length as String, which is read as text",
            "test_rows_are_appended_to_a_table_exactly[bytes]": "ClickHouse keeps bytes of any length as String, which is read as text",
        },
    ),
    "adapter-duckdb": WarehouseUnderTest(
        adapter_duckdb,
        examples=10,
        gaps={"test_a_sentinel_near_the_end_of_the_calendar_does_no_harm": _CALENDAR},
    ),
    "adapter-postgres": WarehouseUnderTest(
        adapter_postgres,
        examples=10,
        gaps={
            **{
                f"{test}[{kind}]": "PostgreSQL has no structs and no maps"
                for test in ("test_values_come_back_exactly", "test_the_types_of_a_table_are_known")
                for kind in ("struct", "map")
            },
            "test_a_sentinel_near_the_end_of_the_calendar_does_no_harm": _CALENDAR,
            "test_the_types_of_a_table_are_known[int8]": "PostgreSQL's smallest integer has 16 bits",
        },
    ),
}


def of_its_own(but: str = "") -> list[Any]:
    """The warehouses, each by its own driver: what dbt itself makes in one does not depend on how we reach it."""
    names = [name for name in WAREHOUSES if not name.startswith("adapter-") and name != but]
    return [pytest.param(name, marks=pytest.mark.xdist_group(f"warehouse {name}"), id=name) for name in names]


def pairs_with_stores() -> list[Any]:
    """Warehouses and stores that the law is tried in: the default warehouse with every store, and every other with one."""
    pairs = [("duckdb", "embedded"), ("duckdb", "redis"), *((name, "redis") for name in WAREHOUSES if name != "duckdb")]
    return [pytest.param(*pair, marks=pytest.mark.xdist_group(f"warehouse {pair[0]}"), id="-".join(pair)) for pair in pairs]


def for_all(examples: int, **strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], None]:
    """Runs what it decorates for that many random cases."""

    def run(check: Callable[..., None]) -> None:
        settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))(given(**strategies)(check))()

    return run
