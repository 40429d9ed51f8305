"""A lock says what a training set was made of, holds no secret, and is refused where it cannot be understood."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest

from featurestore import FeatureStore, ref
from featurestore.dbt.checksums import ModelState
from featurestore.errors import LockError
from featurestore.registry.aggregations import AggregateFunction
from featurestore.registry.definitions import Aggregation, Column, Entity, Feature, FeatureReference, FeatureView, Relation
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import INT64, TIMESTAMP, parse_value_type
from featurestore.sql.on_demand.grammar import parse_expression
from featurestore.training.comparison import changes_between
from featurestore.training.lock import (
    Answered,
    Lock,
    LockedColumn,
    LockedProject,
    LockedRequest,
    LockedWarehouse,
    Origin,
    holds_credential,
    make_lock,
    read_lock,
    request_of,
    to_json,
)
from featurestore.training.parquet_files import lock_path
from featurestore.training.retrieval import RetrievalJob
from featurestore.warehouse.duckdb import DuckDBWarehouse
from featurestore.warehouse.duckdb_session import DuckDBSession

AT = datetime(2024, 6, 1, 12, 30, tzinfo=timezone.utc)
SPINE = "select 1 as customer_id, timestamp '2024-01-02' as event_timestamp"


@pytest.fixture
def store(shop: Path) -> Iterator[FeatureStore]:
    with FeatureStore(shop, clock=lambda: AT) as store:
        yield store


def written(job: RetrievalJob, path: Path) -> dict[str, Any]:
    job.to_parquet(path)
    lock: dict[str, Any] = json.loads(lock_path(path).read_text(encoding="utf-8"))
    return lock


def test_a_lock_says_what_the_training_set_was_made_of(store: FeatureStore, tmp_path: Path) -> None:
    job = store.get_historical_features(SPINE, "churn_model")
    lock = written(job, tmp_path / "train.parquet")
    manifest = json.loads((store.project.directory / "target" / "manifest.json").read_text())
    assert (lock["format"], lock["created_at"], lock["rows"]) == (1, "2024-06-01T12:30:00Z", 1)
    assert (lock["project"]["name"], lock["project"]["target"]) == ("shop", "dev")
    assert lock["project"]["dbt_version"] == manifest["metadata"]["dbt_version"]
    assert lock["request"] == {"service": "churn_model", "features": [], "event_timestamp": "event_timestamp", "full_feature_names": False}
    assert lock["warehouse"] == {"dialect": "duckdb", "time_travel": None}
    assert (lock["spine"]["given"], lock["spine"]["text"], lock["spine"]["rows"]) == ("sql", SPINE, 1)
    assert [(column["name"], column["type"]) for column in lock["spine"]["columns"]] == [
        ("customer_id", "int32"),
        ("event_timestamp", "timestamp"),
    ]
    assert [(each["column"], f"{each['view']}:{each['feature']}", each["type"]) for each in lock["features"]] == [
        ("orders_7d", "customer_orders:orders_7d", "int32"),
        ("amount", "customer_orders:amount", "decimal(10, 2)"),
        ("tier", "customer_profile:tier", "string"),
    ]
    for view in lock["views"]:
        node = manifest["nodes"][view["definition"]["unique_id"]]
        assert view["model"]["checksum"] == f"sha256:{node['checksum']['checksum']}"
        assert view["definition"]["relation"] == {"database": "shop", "schema": "main", "identifier": view["view"]}
    assert lock["views"][1]["definition"]["ttl"] == "7 days"
    assert lock["sql"]["text"] == job.sql


def test_how_the_spine_was_given_is_written_down(store: FeatureStore, tmp_path: Path) -> None:
    spine = pd.DataFrame({"customer_id": [1], "event_timestamp": [AT]})
    for entity_df, given, text in ((spine, "dataframe", None), (ref("customer_profile"), "model", "customer_profile")):
        timestamp = "since" if given == "model" else "event_timestamp"
        lock = written(store.get_historical_features(entity_df, ["customer_orders:*"], event_timestamp=timestamp), tmp_path / "a.parquet")
        assert (lock["spine"]["given"], lock["spine"]["text"]) == (given, text)


def test_nothing_depends_on_the_day_or_the_order_of_the_spines_columns(store: FeatureStore, tmp_path: Path) -> None:
    one = written(store.get_historical_features(SPINE, "churn_model"), tmp_path / "one.parquet")
    with FeatureStore(store.project.directory, clock=lambda: AT.replace(day=2)) as later:
        turned = "select timestamp '2024-01-02' as event_timestamp, 1 as customer_id"
        other = written(later.get_historical_features(turned, "churn_model"), tmp_path / "other.parquet")
    assert one["created_at"] != other["created_at"]
    assert one["spine"]["digest"] == other["spine"]["digest"]
    assert (one["features"], one["views"], one["project"]) == (other["features"], other["views"], other["project"])


@pytest.mark.parametrize(
    "sql",
    [
        "select * from postgres_scan('host=db password=hunter2', 'public', 'labels')",
        "select * from postgres_scan('host=db user=me pwd = x', 'public', 'labels')",
        "select * from 'postgres://me:hunter2@db/labels'",
        "select * from read_csv('https://blob/labels.csv?sv=1&sig=abc%3D')",
        "select * from read_parquet('s3://b/l.parquet?X-Amz-Signature=0a1b')",
        "select * from s3('https://b/l.parquet', aws_secret_access_key => 'abc')",
        "select * from f(access_key_id='AKIA', secret: 'x')",
        "select * from users where api_token = 'abc'",
        "create user me identified by x",
    ],
)
def test_sql_that_holds_a_credential_is_recognised(sql: str) -> None:
    assert holds_credential(sql)


@pytest.mark.parametrize(
    "sql",
    [
        SPINE,
        "select customer_id, seen_at as event_timestamp from sessions join tokens using (token) where sessions.secret = tokens.secret",
        "select password_resets, token_count from logins where author = 'x' and signed = true and sigma = 1",
        "select * from labels where note = 'call me: 5' and site = 'https://shop.example/a?b=c@d'",
    ],
)
def test_ordinary_sql_is_not_taken_for_one(sql: str) -> None:
    assert not holds_credential(sql)


def test_a_credential_in_the_spine_is_written_nowhere_and_the_set_can_still_be_rebuilt(store: FeatureStore, tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    job = store.get_historical_features(f"{SPINE} where 'password=hunter2' <> ''", "churn_model")
    lock = written(job, path)
    assert (lock["spine"]["given"], lock["spine"]["text"]) == ("sql", None)
    assert "hunter2" not in lock_path(path).read_text()
    assert '"entity_df"' in lock["sql"]["text"]
    assert store.rebuild_training_set(path).same
    path.unlink()
    with pytest.raises(LockError, match=r"was SQL that the lock withholds.*--spine"):
        store.rebuild_training_set(path)
    assert store.rebuild_training_set(path, entity_df=SPINE).same


def test_what_the_profile_says_is_not_written(shop: Path, tmp_path: Path) -> None:
    profiles = shop / "profiles.yml"
    profiles.write_text(profiles.read_text().replace("threads: 1", "threads: 1, user: me@shop, password: hunter2, token: abcdef"))
    path = tmp_path / "train.parquet"
    with FeatureStore(shop) as store:
        assert store.target.settings["password"] == "hunter2"
        store.get_historical_features(SPINE, "churn_model").to_parquet(path)
    lock = lock_path(path).read_text()
    assert not [word for word in ("hunter2", "me@shop", "abcdef", str(shop), "shop.duckdb") if word in lock]


class KeepsItsPast(DuckDBSession):
    """A session of a warehouse that can show its tables as they were."""

    def time_travel_point(self) -> str:
        return "VERSION AS OF 7"


class WarehouseOfThePast(DuckDBWarehouse):
    @contextmanager
    def session(self, *, read_only: bool = True) -> Iterator[DuckDBSession]:
        with super().session(read_only=read_only) as session:
            session.__class__ = KeepsItsPast
            yield session


def test_the_time_travel_point_is_written_down_where_there_is_one(store: FeatureStore, tmp_path: Path) -> None:
    job = store.get_historical_features(SPINE, "churn_model")
    job = replace(job, warehouse=WarehouseOfThePast.of_target(store.target))
    path = tmp_path / "train.parquet"
    assert written(job, path)["warehouse"]["time_travel"] == "VERSION AS OF 7"
    assert store.rebuild_training_set(path).time_travel == "VERSION AS OF 7"


@pytest.mark.parametrize(
    ("features", "request_"),
    [
        ("churn_model", LockedRequest("churn_model", (), "at", True)),
        ("a:b", LockedRequest(None, ("a:b",), "at", True)),
        (["a:*", FeatureReference("b", "c")], LockedRequest(None, ("a:*", "b:c"), "at", True)),
    ],
)
def test_a_request_is_kept_in_its_callers_words(features: Any, request_: LockedRequest) -> None:
    assert request_of(features, "at", True) == request_


def test_a_definition_is_what_a_value_depends_on_in_words() -> None:
    window = Aggregation(AggregateFunction.SUM, timedelta(days=7), Column("amount", INT64), filter="amount > 0")
    feature = Feature("amount_sum_7d", INT64, description="Of a week.", tags=("money",), aggregation=window)
    view = FeatureView(
        name="orders",
        unique_id="model.shop.orders",
        path="models/orders.sql",
        relation=Relation("orders"),
        entities=(Entity("customer", (Column("customer_id", INT64),)),),
        event_timestamp=Column("ordered_at", TIMESTAMP),
        features=(feature,),
        available_after=timedelta(hours=36),
        exact_for=timedelta(hours=3),
        description="Orders.",
        tags=("nightly",),
        online=False,
    )
    origin = Origin(LockedProject("shop", "dev", "sha256:0"), LockedRequest("churn_model"), {"orders": ModelState("sha256:1")}, AT)
    columns = [LockedColumn(name, "int64", f"sha256:{name}") for name in ("customer_id", "event_timestamp", "amount_sum_7d")]
    answered = Answered(columns, 3, None, LockedWarehouse("duckdb"), "SELECT 1")
    lock = make_lock(origin, (RequestedView(view, (feature,), ("amount_sum_7d",)),), answered)
    assert lock.features[0].definition == {"value_type": "int64", "aggregation": str(window)}
    definition = lock.views[0].definition
    assert set(definition) == {"unique_id", "relation", "entities", "event_timestamp", "available_after"}
    assert definition["available_after"] == "1 day 12 hours"


class TestAnExpression:
    """On demand, a feature is what its expression is read as."""

    @staticmethod
    def lock(expression: str, data_type: str) -> Lock:
        tree = parse_expression(expression, {}, {"x": parse_value_type(data_type)}, {})
        feature = Feature("ratio", tree.tree.value_type, on_demand=tree)
        view = FeatureView("orders", "model.shop.orders", "", Relation("orders"), (), Column("ordered_at", TIMESTAMP), (feature,))
        origin = Origin(LockedProject("shop", "dev", "sha256:0"), LockedRequest("churn_model"), {"orders": ModelState("sha256:1")}, AT)
        columns = [LockedColumn(name, "float64", f"sha256:{name}") for name in ("event_timestamp", "ratio")]
        answered = Answered(columns, 3, None, LockedWarehouse("duckdb"), "SELECT 1")
        return make_lock(origin, (RequestedView(view, (feature,), ("ratio",)),), answered)

    def test_its_words_are_kept_and_its_tree_is_digested(self) -> None:
        definition = self.lock("x  / 2", "int64").features[0].definition
        assert definition["on_demand"] == {"expression": "x  / 2", "tree": definition["on_demand"]["tree"]}
        assert definition["on_demand"]["tree"].startswith("sha256:")

    def test_other_words_for_the_same_are_no_change(self) -> None:
        assert changes_between(self.lock("x  / 2", "int64"), self.lock("(x/2)", "int64")) == ()

    @pytest.mark.parametrize(("expression", "data_type"), [("x / 3", "int64"), ("x / 2", "int32"), ("x / 2", "decimal(5, 2)")])
    def test_another_tree_is_a_change_whatever_its_words(self, expression: str, data_type: str) -> None:
        changes = changes_between(self.lock("x / 2", "int64"), self.lock(expression, data_type))
        assert {"orders:ratio: on_demand tree"} <= {change.what for change in changes}

    def test_a_lock_that_kept_the_words_alone_is_compared_by_them(self) -> None:
        lock = self.lock("x / 2", "int64")
        (feature,) = lock.features
        of_old = replace(lock, features=(replace(feature, definition={**feature.definition, "on_demand": "x / 2"}),))
        assert changes_between(of_old, lock) == ()
        assert [change.then for change in changes_between(of_old, self.lock("x / 3", "int64"))] == ["x / 2"]


class TestReading:
    def test_what_is_written_is_read_back(self, store: FeatureStore, tmp_path: Path) -> None:
        path = tmp_path / "train.parquet"
        written(store.get_historical_features(SPINE, "churn_model"), path)
        lock = read_lock(lock_path(path))
        assert to_json(lock) == lock_path(path).read_bytes()

    def test_keys_that_a_later_version_adds_are_ignored(self, store: FeatureStore, tmp_path: Path) -> None:
        path = tmp_path / "train.parquet"
        content = written(store.get_historical_features(SPINE, "churn_model"), path)
        before = read_lock(lock_path(path))
        content["brand_new"] = content["spine"]["brand_new"] = 1
        lock_path(path).write_bytes(msgspec.json.encode(content))
        assert read_lock(lock_path(path)) == before

    def test_a_missing_one_says_what_makes_one(self, tmp_path: Path) -> None:
        with pytest.raises(LockError, match=r"There is no lock .*train\.parquet\.lock\.json\. .*fsdbt train"):
            read_lock(tmp_path / "train.parquet.lock.json")

    @pytest.mark.parametrize("content", ["", "{", "[]", "\x00", '{"format": 1}', '{"format": "1"}', '{"format": 1, "rows": "x"}'])
    def test_a_garbled_one_is_named(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "train.parquet.lock.json"
        path.write_text(content)
        with pytest.raises(LockError, match=r"train\.parquet\.lock\.json is no lock of a training set: .*version control"):
            read_lock(path)

    def test_a_newer_format_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "train.parquet.lock.json"
        path.write_text('{"format": 2, "spine": 7}')
        with pytest.raises(LockError, match=r"has format 2, and this version reads up to 1\. Upgrade featurestore"):
            read_lock(path)
