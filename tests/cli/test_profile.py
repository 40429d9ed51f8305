"""`fsdbt profile`, as a scheduler runs it: what is online against a training set, and one week against another."""

from __future__ import annotations

import json
import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shop_project import YAML, dbt, fsdbt, make_shop

from featurestore import FeatureStore
from featurestore.errors import DeclarationError, RequestError

ORDERS = """
select i as customer_id, timestamp '2024-01-01' + i * interval 1 minute as ordered_at, ordered_at as loaded_at,
    (i % 7)::bigint as orders_7d, (case when i < 200 then i else 10 * i end)::decimal(10, 2) as amount
from range(400) as r (i)
"""
LIMITED = YAML.replace(
    "          created_timestamp: loaded_at\n", "          created_timestamp: loaded_at\n          drift: {psi: 0.2}\n", 1
).replace(
    "  - name: customer_profile\n",
    "    columns:\n      - {name: orders_7d, config: {meta: {drift: {psi: none, jensen_shannon: 0.5}}}}\n  - name: customer_profile\n",
    1,
)
MIDDLE = "2024-01-01T03:20:00Z"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = make_shop(tmp_path_factory.mktemp("profiled") / "shop", orders=ORDERS, yaml=LIMITED)
    dbt(shop, "build")
    with FeatureStore(shop, profiles_dir=shop) as store:
        store.materialize()
        store.get_historical_features(
            "select i as customer_id, timestamp '2024-01-01 12:00:00' as event_timestamp from range(200) as r (i)", "churn_model"
        ).to_parquet(shop / "train.parquet")
    return shop


@pytest.fixture
def shop(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "shop"))


def features(output: str) -> dict[str, dict[str, Any]]:
    return {each["feature"]: each for each in json.loads(output)["features"]}


def test_one_time_range_against_another(shop: Path) -> None:
    again = fsdbt(
        shop, "profile", "-s", "customer_orders", "--start", MIDDLE, "--against-end", MIDDLE, "--json", "--table", "main.profiles"
    )
    assert again.returncode == 11, again.stderr
    found = features(again.stdout)
    amount, orders = found["customer_orders:amount"], found["customer_orders:orders_7d"]
    assert (amount["current"]["rows"], amount["baseline"]["rows"]) == (200, 200)
    assert amount["drift"]["past"] == [f"psi of {amount['drift']['psi']:.3f} is past 0.2"]
    assert orders["drift"]["limits"] == {"psi": None, "jensen_shannon": 0.5}
    assert orders["drift"]["past"] == []
    assert amount["drift"]["bins"][-3] == {"name": amount["drift"]["bins"][-3]["name"], "baseline": 20, "current": 200}
    with duckdb.connect(str(shop / "shop.duckdb"), read_only=True) as connection:
        kept = connection.execute("select feature, row_count, drifted, profile_of, compared_with from profiles order by 1").fetchall()
    words = ("rows from 2024-01-01 03:20:00 on, UTC", "rows before 2024-01-01 03:20:00, UTC")
    assert kept == [("amount", 200, True, *words), ("orders_7d", 200, False, *words)]


def test_what_is_online_against_a_training_set(shop: Path) -> None:
    done = fsdbt(shop, "profile", "--online", "--against", "train.parquet")
    assert done.returncode == 11
    table = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert table["feature"][-2:] == ["psi", "jensen_shannon"]
    assert table["customer_orders:amount"][1:3] == ["400", "0"]
    assert "customer_orders:amount drifted: psi of" in done.stderr
    assert "what is online, against train.parquet" in done.stderr
    with FeatureStore(shop, profiles_dir=shop) as store:
        trained = store.get_historical_features(
            "select i as customer_id, now() at time zone 'UTC' as event_timestamp from range(400) as r (i)", ["customer_orders:*"]
        )
        trained.to_table("main.trained")
        same = store.profile(["customer_orders"], online=True, against="main.trained", sample=None)
        assert [(str(each.reference), each.drift.psi) for each in same.features if each.drift] == [
            ("customer_orders:orders_7d", 0),
            ("customer_orders:amount", 0),
        ]
        assert same.drifted == ()
        part = store.profile(["customer_orders"], online=True, sample=50)
        assert [each.current.rows for each in part.features] == [50, 50]
        model = store.profile(["customer_orders"], against="ref('customer_orders')")
        assert {each.drift.psi for each in model.features if each.drift} == {0}


def test_what_cannot_be_asked_is_refused(shop: Path, tmp_path: Path) -> None:
    pq.write_table(pa.table({"label": [1]}), tmp_path / "labels.parquet")
    with FeatureStore(shop, profiles_dir=shop) as store:
        for options, why in (
            ({"online": True, "start": MIDDLE}, "What is online is of now"),
            ({"against": "train.parquet", "against_end": MIDDLE}, "not with both"),
            ({"start": MIDDLE, "end": MIDDLE}, "has to end later"),
            ({"start": "soon"}, "start: 'soon' is no instant"),
            ({"against": str(tmp_path / "labels.parquet")}, "has no column of a feature of customer_orders"),
            ({"table": "no table"}, "is no table name"),
        ):
            with pytest.raises(RequestError, match=why):
                store.profile(**options)
    sampled = fsdbt(shop, "profile", "--sample", "5")
    assert (sampled.returncode, "--sample is of what is online" in sampled.stderr) == (2, True)
    missing = fsdbt(shop, "profile", "--against", "main.missing")
    assert missing.returncode == 4, missing.stderr


def test_limits_that_are_none_are_told_with_the_nearest_word(shop: Path) -> None:
    path = shop / "models/shop.yml"
    path.write_text(path.read_text().replace("drift: {psi: 0.2}", "drift: {pis: 0.2, jensen_shannon: 0}"))
    dbt(shop, "parse")
    with FeatureStore(shop, profiles_dir=shop) as store, pytest.raises(DeclarationError) as refused:
        store.profile(["customer_orders"])
    assert "meta.feature_view.drift.pis: there is no such measure. Did you mean 'psi'?" in str(refused.value)
    assert "meta.feature_view.drift.jensen_shannon: must be a number greater than 0" in str(refused.value)


TWINS = {
    "models/a.sql": "select i as customer_id, timestamp '2024-01-01' as at, i % 5 as score, i % 2 = 0 as vip, "
    "date '2024-01-01' + (i % 3)::integer as born, [i] as basket from range(200) as r (i)",
    "models/b.sql": "select i as customer_id, timestamp '2024-01-01' as at, 1000 * i as score from range(200) as r (i)",
}
VIEWS = """
  - name: a
    config: {meta: {feature_view: {entities: {customer: customer_id}, timestamp: at, drift: {psi: 0.2}}}}
  - name: b
    config: {meta: {feature_view: {entities: {customer: customer_id}, timestamp: at}}}
"""


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = make_shop(tmp_path_factory.mktemp("twins") / "shop", yaml="models:" + VIEWS, extra=TWINS)
    for name in ("customer_orders", "customer_profile"):
        (shop / f"models/{name}.sql").unlink()
    dbt(shop, "build")
    return shop


def test_a_column_that_may_be_of_several_views_is_that_of_the_lock_or_of_none(twins: Path, tmp_path: Path) -> None:
    with FeatureStore(twins, profiles_dir=twins) as store:
        spine = "select i as customer_id, timestamp '2024-02-01' as event_timestamp from range(200) as r (i)"
        path = tmp_path / "train.parquet"
        store.get_historical_features(spine, ["a:score", "a:vip"]).to_parquet(path)
        locked = store.profile(against=path)
        assert {str(each.reference): each.drift.psi for each in locked.features if each.drift} == {"a:score": 0, "a:vip": 0}
        assert any("score of" in line and "call it b__score" in line for line in locked.left_out)
        path.with_name("train.parquet.lock.json").unlink()
        unlocked = store.profile(against=path)
        assert [str(each.reference) for each in unlocked.features if each.drift] == ["a:vip"]
        assert any(line.startswith("a:score: score of") and "call it a__score" in line for line in unlocked.left_out)


def test_columns_of_like_types_are_compared_and_others_named(twins: Path, tmp_path: Path) -> None:
    path = tmp_path / "frame.parquet"
    days = [datetime(2024, 1, 1 + place % 3) for place in range(200)]
    columns = {
        "a__score": pa.array([float(place % 5) for place in range(200)]),
        "a__vip": pa.array([int(place % 2 == 0) for place in range(200)]),
        "a__born": pa.array(days, pa.timestamp("ns")),
        "a__basket": pa.array([str(place) for place in range(200)]),
    }
    pq.write_table(pa.table(columns), path)
    with FeatureStore(twins, profiles_dir=twins) as store:
        report = store.profile(["a"], against=path)
        same = {"score": 0, "vip": 0, "born": 0}
        assert {each.reference.feature: each.drift.psi for each in report.features if each.drift} == same
        (line,) = report.left_out
        assert line.startswith("a:basket: it is string in")
        columns |= {"a__score": pa.array([[place] for place in range(200)]), "a__vip": pa.array([2] * 200)}
        columns["a__born"] = pa.array([day.replace(hour=12) for day in days], pa.timestamp("ns"))
        pq.write_table(pa.table(columns), path)
        other = store.profile(["a"], against=path)
        assert {each.reference.feature for each in other.drifted} == {"vip", "born"}, "2 is no boolean, and noon no date"
        assert any(line.startswith("a:score: it is list<int64> in") and "int64 in the project" in line for line in other.left_out)


def test_limits_without_rows_are_no_silence(twins: Path, shop: Path) -> None:
    empty = fsdbt(twins, "profile", "-s", "a", "--start", "2030-01-01", "--against-end", "2030-01-01")
    assert (empty.returncode, "a:score has limits, and no rows to hold to them" in empty.stderr) == (11, True), empty.stderr
    no_baseline = fsdbt(twins, "profile", "-s", "a", "--against-start", "2030-01-01")
    assert (no_baseline.returncode, "there are none of rows from 2030" in no_baseline.stderr) == (0, True), no_baseline.stderr
    path = shop / "models/shop.yml"
    said = path.read_text().replace("drift: {psi: 0.2}", "drift: {psi: nan, jensen_shannon: 1}")
    path.write_text(said)
    dbt(shop, "parse")
    with FeatureStore(shop, profiles_dir=shop) as store, pytest.raises(DeclarationError) as refused:
        store.profile(["customer_orders"], against_end=MIDDLE)
    assert "meta.feature_view.drift.psi: must be a number greater than 0" in str(refused.value)
    assert "meta.feature_view.drift.jensen_shannon: must be less than 1" in str(refused.value)
