"""Rows of any library on their way to the online store and to a landing table: checked once, numbered as they were given."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from duckdb_file import DuckDBFile
from published_shop import NOON, ORDERS, Shop
from warehouses import opened

from featurestore import landing
from featurestore.codec.keys import key_space
from featurestore.errors import PushError, RequestError
from featurestore.registry.definitions import FeatureView, Relation
from featurestore.serving.push import Pushed

LANDED = dataclasses.replace(ORDERS, landing=Relation("pushed_orders", "main", "shop"))


@pytest.fixture
def shop(tmp_path: Path):
    published = Shop(f"sqlite:///{tmp_path}/online.db")
    published.publish(ORDERS)
    yield published
    published.store.close()


def pushed(shop: Shop, rows: Any, tmp_path: Path, *, declared: FeatureView | None = None, served: FeatureView = ORDERS) -> Pushed:
    with shop.reader() as store:
        return landing.push_rows(
            rows,
            online=store.push_checked,
            declared=declared,
            served=served,
            warehouse=lambda: opened(DuckDBFile(tmp_path)),
            clock=shop.clock,
        )


def order(customer: int, **columns: Any) -> dict[str, Any]:
    return {"customer_id": customer, "event_timestamp": NOON, "orders_7d": customer, "spent": 1.5, **columns}


def table_of(*batches: list[dict[str, Any]]) -> pa.Table:
    """A table in as many pieces."""
    schema = pa.schema(
        [("customer_id", pa.int64()), ("event_timestamp", pa.timestamp("us", "UTC")), ("orders_7d", pa.int64()), ("spent", pa.float64())]
    )
    return pa.Table.from_batches([pa.RecordBatch.from_pylist(rows, schema) for rows in batches])


PIECES = ([order(0), order(1, customer_id=None), order(2)], [order(3, customer_id=None), order(4)], [order(5)])
EARLIER = timedelta(days=1)


def test_what_is_wrong_with_a_table_is_told_by_the_rows_of_the_table(shop: Shop, tmp_path: Path) -> None:
    with pytest.raises(PushError, match="2 problems in the rows for 'orders'; nothing was written") as refused:
        pushed(shop, table_of(*PIECES), tmp_path)
    assert [(problem.row, problem.column) for problem in refused.value.problems] == [(1, "customer_id"), (3, "customer_id")]


def test_what_is_wrong_with_a_stream_is_told_by_its_rows_and_how_many_were_written_before(shop: Shop, tmp_path: Path) -> None:
    stream = table_of([order(0), order(1), order(2)], *PIECES[1:]).to_reader()
    with pytest.raises(PushError, match="1 problem in the rows for 'orders'; of the stream 3 rows were written before") as refused:
        pushed(shop, stream, tmp_path)
    assert [problem.row for problem in refused.value.problems] == [3]
    with shop.reader() as store:
        assert store.get_online_features({"customer_id": [0, 2, 4]}, "orders:orders_7d").to_dict()["orders_7d"] == [0, 2, None]


def test_rows_are_checked_once_on_their_way_to_both(shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with duckdb.connect(DuckDBFile(tmp_path).path) as connection:
        connection.execute("create table pushed_orders (customer_id bigint, event_timestamp timestamptz, orders_7d bigint, spent double)")
    checked: list[int] = []
    check = landing.check_rows

    def counted(view: FeatureView, rows: Any, now: Any) -> Any:
        done = check(view, rows, now)
        checked.append(len(done.event_times))
        return done

    monkeypatch.setattr(landing, "check_rows", counted)
    monkeypatch.setattr("featurestore.serving.reader.check_rows", counted)
    assert pushed(shop, [order(1), order(2)], tmp_path, declared=LANDED) == Pushed("orders", 2, 2)
    assert checked == [2]
    with duckdb.connect(DuckDBFile(tmp_path).path) as connection:
        assert connection.execute("select customer_id, orders_7d from pushed_orders order by all").fetchall() == [(1, 1), (2, 2)]


@pytest.mark.parametrize(
    "served",
    [dataclasses.replace(ORDERS, available_after=EARLIER), dataclasses.replace(ORDERS, features=ORDERS.features[:1])],
    ids=["known later", "fewer features"],
)
def test_a_view_that_is_served_otherwise_than_it_is_declared_takes_no_rows(shop: Shop, tmp_path: Path, served: FeatureView) -> None:
    with pytest.raises(RequestError, match="served by another definition than the project has"):
        pushed(shop, [order(1)], tmp_path, declared=LANDED, served=served)
    shop.publish(served)
    with pytest.raises(RequestError, match="served by another definition than the project has"):
        pushed(shop, [order(1)], tmp_path)
    assert shop.store.count(key_space("shop", served)) == 0
