"""dbt snapshots, made by the real dbt over a source that changes: a row counts until it ends, in training and in serving alike."""

from __future__ import annotations

import textwrap
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from dbt_command import run_dbt

from featurestore import FeatureStore
from featurestore.timestamps import utc_now

HARD_DELETES = ("ignore", "invalidate", "new_record")
FAR_FUTURE = "cast('9999-12-31' as timestamp)"
SNAPSHOTS = {f"{deletes}{'_until_far' if far else ''}": (deletes, far) for deletes in HARD_DELETES for far in (False, True)}


class PriceList:
    """A project whose source is a list of prices, and which snapshots it in every way that dbt knows."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "snapshots").mkdir(parents=True)
        self._write(
            "dbt_project.yml",
            """
            name: prices
            version: "1.0"
            profile: prices
            vars: {featurestore: {online_store: "sqlite:///online.db"}}
            """,
        )
        self._write(
            "profiles.yml",
            """
            prices:
              target: dev
              outputs: {dev: {type: duckdb, path: prices.duckdb, settings: {TimeZone: UTC}}}
            """,
        )
        snapshots = "".join(self._snapshot(name, *how) for name, how in SNAPSHOTS.items())
        sources = "sources:\n  - {name: shop, schema: main, tables: [{name: prices}]}\n"
        (directory / "snapshots" / "prices.yml").write_text(f"{sources}snapshots:\n{snapshots}", encoding="utf-8")

    def write(self, rows: list[tuple[int, str, float]]) -> None:
        """Make the source exactly those rows: product, when it changed, price."""
        with duckdb.connect(self.directory / "prices.duckdb") as connection:
            connection.execute("create or replace table prices (product_id bigint, changed_at timestamp, price double)")
            connection.executemany("insert into prices values (?, cast(? as timestamp), ?)", rows)

    def publish(self) -> datetime:
        """Snapshot and materialize; says as of when."""
        run_dbt(self.directory, "snapshot")
        at = utc_now()
        with self.store(at) as store:
            assert len(store.materialize().published) == len(SNAPSHOTS)
        return at

    def store(self, at: datetime) -> FeatureStore:
        return FeatureStore(self.directory, profiles_dir=self.directory, clock=lambda: at)

    def _write(self, name: str, text: str) -> None:
        (self.directory / name).write_text(textwrap.dedent(text), encoding="utf-8")

    def _snapshot(self, name: str, deletes: str, far: bool) -> str:
        current = f'dbt_valid_to_current: "{FAR_FUTURE}"' if far else "enabled: true"
        return textwrap.indent(
            textwrap.dedent(f"""\
                - name: {name}
                  relation: source('shop', 'prices')
                  config:
                    unique_key: product_id
                    strategy: timestamp
                    updated_at: changed_at
                    hard_deletes: {deletes}
                    {current}
                    meta: {{feature_view: {{entity: product_id, features: [price]}}}}
                """),
            "  ",
        )


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> tuple[PriceList, list[datetime]]:
    """Three snapshots: at first, after a change and a deletion, and after what was deleted came back."""
    prices = PriceList(tmp_path_factory.mktemp("prices") / "project")
    prices.write([(1, "2024-01-01", 10.0), (2, "2024-01-01", 20.0)])
    moments = [prices.publish()]
    assert_law(prices, moments[-1])
    prices.write([(1, "2024-02-01", 11.0), (3, "2024-02-01", 30.0)])
    moments.append(prices.publish())
    assert_law(prices, moments[-1])
    prices.write([(1, "2024-02-01", 11.0), (3, "2024-02-01", 30.0), (2, f"{utc_now():%Y-%m-%d %H:%M:%S.%f}", 22.0)])
    moments.append(prices.publish())
    assert_law(prices, moments[-1])
    return prices, moments


def assert_law(prices: PriceList, at: datetime) -> None:
    """Checked where it must hold, right after it was published and before the next change."""
    keys: list[dict[str, Any]] = [{"product_id": key} for key in (1, 2, 3, 99)]
    with prices.store(at) as store:
        for name in SNAPSHOTS:
            assert store.get_online_features(keys, [f"{name}:price"]).to_dict()["price"] == trained(prices, name, [1, 2, 3, 99], at), name


def trained(prices: PriceList, snapshot: str, products: list[int], at: datetime) -> list[float | None]:
    spine = pa.table({"product_id": products, "event_timestamp": pa.array([at] * len(products), pa.timestamp("us", "UTC"))})
    with prices.store(at) as store:
        values: list[float | None] = store.get_historical_features(spine, [f"{snapshot}:price"]).to_arrow()["price"].to_pylist()
    return values


@pytest.mark.parametrize("snapshot", SNAPSHOTS)
def test_a_change_ends_the_row_before_it(history: tuple[PriceList, list[datetime]], snapshot: str) -> None:
    prices, moments = history
    midnight = datetime(2024, 2, 1, tzinfo=timezone.utc)
    assert trained(prices, snapshot, [1], midnight - timedelta(microseconds=1)) == [10.0]
    assert trained(prices, snapshot, [1], midnight) == [11.0]
    assert trained(prices, snapshot, [1, 3, 99], moments[-1]) == [11.0, 30.0, None]


@pytest.mark.parametrize("snapshot", SNAPSHOTS)
def test_a_deleted_row_is_gone_from_its_deletion_on_where_dbt_records_it(history: tuple[PriceList, list[datetime]], snapshot: str) -> None:
    prices, moments = history
    assert trained(prices, snapshot, [2], moments[0]) == [20.0]
    assert trained(prices, snapshot, [2], moments[1]) == [20.0 if SNAPSHOTS[snapshot][0] == "ignore" else None]


@pytest.mark.parametrize("snapshot", SNAPSHOTS)
def test_what_came_back_counts_again(history: tuple[PriceList, list[datetime]], snapshot: str) -> None:
    prices, moments = history
    assert trained(prices, snapshot, [2], moments[2]) == [22.0]
