"""The guide on pushing, as it is written: what serving saw, training sees, however often it was pushed and rebuilt."""

from __future__ import annotations

import json
import re
import textwrap
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import polars
import pyarrow as pa
import pytest
from dbt_command import run_dbt
from shop_project import fsdbt

from featurestore import FeatureStore, OnlineFeatureStore
from featurestore.errors import PushError, RequestError
from featurestore.serving.push import Pushed

GUIDE = (Path(__file__).parents[2] / "docs/guides/push.md").read_text(encoding="utf-8")
FILES = {
    "dbt_project.yml": """
        name: shop
        version: "1.0"
        profile: shop
        models: {shop: {+materialized: table}}
        vars: {featurestore: {online_store: "sqlite:///online.db"}}
        """,
    "profiles.yml": """
        shop:
          target: dev
          outputs: {dev: {type: duckdb, path: shop.duckdb, settings: {TimeZone: UTC}}}
        """,
    "models/customer_orders_batch.sql": """
        select * from (values
            (1::bigint, timestamp '2024-05-01 09:00:00', timestamp '2024-05-01 10:00:00', 1::bigint, 10.50::decimal(10, 2)),
            (2, timestamp '2024-05-01 09:30:00', timestamp '2024-05-01 10:00:00', 4, null)
        ) as batch (customer_id, ordered_at, loaded_at, orders_7d, amount)
        """,
}
NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
MINUTE = timedelta(minutes=1)
CUSTOMERS = [1, 2, 9, 5]
FEATURES = ["customer_orders:orders_7d", "customer_orders:amount"]


class Shop:
    """The guide's project."""

    def __init__(self, directory: Path) -> None:
        self.directory, self.now = directory, NOON
        in_guide = re.findall(r"```\w+\n(?:--|#) (models/\S+)\n(.*?)```", GUIDE, re.DOTALL)
        assert len(in_guide) == 3
        for name, text in (*FILES.items(), *in_guide):
            path = directory / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(text), encoding="utf-8")

    def store(self) -> FeatureStore:
        return FeatureStore(self.directory, profiles_dir=self.directory, clock=lambda: self.now)

    def online(self) -> list[tuple[int | None, Decimal | None]]:
        """As a service reads it."""
        with OnlineFeatureStore(f"sqlite:///{self.directory}/online.db", "shop", clock=lambda: self.now) as reader:
            answer = reader.get_online_features({"customer_id": CUSTOMERS}, FEATURES).to_dict()
        return list(zip(answer["orders_7d"], answer["amount"], strict=True))

    def training(self) -> list[tuple[int | None, Decimal | None]]:
        """For the same customers at this instant."""
        spine = pa.table({"customer_id": CUSTOMERS, "event_timestamp": pa.array([self.now] * len(CUSTOMERS), pa.timestamp("us", "UTC"))})
        with self.store() as store:
            answer = store.get_historical_features(spine, FEATURES).to_arrow()
        return list(zip(answer["orders_7d"].to_pylist(), answer["amount"].to_pylist(), strict=True))


def order(customer: int, at: datetime, orders: int, amount: str | None = None) -> dict[str, object]:
    return {"customer_id": customer, "ordered_at": at, "orders_7d": orders, "amount": None if amount is None else Decimal(amount)}


@pytest.fixture(scope="module")
def shop(tmp_path_factory) -> Shop:
    made = Shop(tmp_path_factory.mktemp("shop"))
    run_dbt(made.directory, "build")
    with made.store() as store:
        store.materialize()
    return made


def test_what_serving_saw_training_sees(shop):
    batch = [(1, Decimal("10.50")), (4, None), (None, None), (None, None)]
    assert shop.online() == shop.training() == batch
    first = [order(1, NOON - MINUTE, 2, "30.75"), order(9, NOON - 5 * MINUTE, 1), order(2, NOON - 300 * MINUTE, 99)]
    with shop.store() as store:
        assert store.push("customer_orders", first, to="online_and_offline") == Pushed("customer_orders", rows=3, written=2)
        seen = [(2, Decimal("30.75")), (4, None), (1, None), (None, None)]
        assert shop.online() == seen, "at once; an older row has changed nothing"
        assert shop.training() == batch, "which dbt has not built yet"
        shop.now += MINUTE
        assert store.push("customer_orders", first, to="online_and_offline").rows == 3, "pushed again, as after a failure"
        wrong = [order(1, shop.now + MINUTE, 7), order(2, shop.now, "x")]
        with pytest.raises(PushError) as refused:
            store.push("customer_orders", wrong, to="online_and_offline")
        assert [problem.row for problem in refused.value.problems] == [0, 1]
        frame = polars.DataFrame([order(5, NOON, 6, "1.25")], schema_overrides={"amount": polars.Decimal(10, 2)})
        assert store.push("customer_orders", frame, to="offline") == Pushed("customer_orders", rows=1, written=0)
    assert shop.online() == seen, "what went offline only is not served yet"

    run_dbt(shop.directory, "build", "--full-refresh")
    seen[3] = (6, Decimal("1.25"))
    assert shop.training() == seen, "what landed outlives a rebuild"
    with shop.store() as store:
        assert [each.rows for each in store.materialize(full_refresh=True).published] == [4]
        job = store.get_historical_features("select 1::bigint as customer_id, timestamp '2024-05-01 11:58:59' as event_timestamp", FEATURES)
        assert job.to_arrow()["orders_7d"].to_pylist() == [1], "nobody saw it a moment earlier"
    assert shop.online() == shop.training() == seen


def test_what_cannot_land_is_refused_before_anything_is_written(shop):
    with shop.store() as store:
        for to, why in (
            ("offlin", "Did you mean 'offline'"),
            ("both", "A push goes to online, offline, online_and_offline, not to 'both'"),
        ):
            with pytest.raises(RequestError, match=why):
                store.push("customer_orders", [order(5, NOON, 1)], to=to)
        big = pa.table(
            {"customer_id": range(25_000), "ordered_at": [NOON] * 25_000, "orders_7d": [1] * 24_999 + [None], "amount": [1.5] * 25_000}
        )
        with pytest.raises(PushError, match=r"^25000 problems(?s:.)*row 0: amount: must be a Decimal"):
            store.push("customer_orders", big)
        with pytest.raises(PushError, match=r"^1 problem .*\n  every row: amount: is missing"):
            store.push("customer_orders", big.drop_columns("amount"), to="offline")


def test_a_large_table_is_pushed_in_parts(shop):
    rows = 12_000
    table = pa.table(
        {
            "customer_id": range(100, 100 + rows),
            "ordered_at": pa.array([NOON] * rows, pa.timestamp("us", "UTC")),
            "orders_7d": pa.array(range(rows), pa.int32()),
            "amount": pa.array([None] * rows, pa.decimal128(10, 2)),
        }
    )
    with shop.store() as store:
        for source in (table, table.to_reader(5000)):
            assert store.push("customer_orders", source) == Pushed("customer_orders", rows, rows)
        assert store.get_online_features({"customer_id": [100, 99 + rows]}, FEATURES[0]).to_dict()["orders_7d"] == [0, rows - 1]


def test_the_command_line_pushes_json_and_parquet(shop, tmp_path):
    row = {"customer_id": 70_001, "ordered_at": "2024-05-01T11:00:00Z", "orders_7d": 1, "amount": "12.50"}
    files = {
        "rows.json": json.dumps([row]),
        "columns.json": json.dumps({name: [value] for name, value in row.items()}),
        "rows.ndjson": f"{json.dumps(row)}\n\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    for name, written in zip(files, (1, 1, 1), strict=True):
        done = fsdbt(shop.directory, "push", "customer_orders", str(tmp_path / name), "--json")
        assert json.loads(done.stdout) == {"view": "customer_orders", "rows": 1, "written": written, "to": "online"}, done.stderr
    with shop.store() as store:
        assert store.get_online_features({"customer_id": [70_001]}, FEATURES).to_dict()["amount"] == [Decimal("12.50")]
    (tmp_path / "bad.ndjson").write_text(f"{json.dumps(row)}\n{{")
    (tmp_path / "wrong.json").write_text(json.dumps({**{name: [value] for name, value in row.items()}, "amount": ["a lot"]}))
    for name, why in (
        ("bad.ndjson", "line 2 is no JSON"),
        ("wrong.json", "row 0: amount: must be a Decimal"),
        ("no.json", "cannot be read: No such file"),
        ("no.parquet", "cannot be read"),
    ):
        done = fsdbt(shop.directory, "push", "customer_orders", str(tmp_path / name))
        assert done.returncode == 2
        assert why in done.stderr
