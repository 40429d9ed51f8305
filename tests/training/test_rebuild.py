"""A training set is built again from its lock, and what changed since is named: the feature, the rows, the spine, and what lies around."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore import FeatureStore, ref
from featurestore.errors import EntityDataframeError, LockError, RequestError
from featurestore.training.comparison import Change, Comparison, DataFile, Example, FeatureComparison, SpineComparison, Verdict

AT = datetime(2024, 6, 1, tzinfo=timezone.utc)
LABELS = "select customer_id, event_timestamp, label from labels"
TIER = "customer_profile:tier"
AMOUNT = "customer_orders:amount"


def day(number: int) -> datetime:
    return datetime(2024, 1, number)


@pytest.fixture
def store(shop: Path) -> Iterator[FeatureStore]:
    change(
        shop,
        "create table labels as select * from (values (1, timestamp '2024-01-02', true), (3, timestamp '2024-01-03', false), "
        "(1, timestamp '2024-01-04', null), (2, timestamp '2024-01-04', true)) as l(customer_id, event_timestamp, label)",
    )
    with FeatureStore(shop, clock=lambda: AT) as store:
        yield store


def change(shop: Path, *statements: str) -> None:
    """Change the warehouse, as a dbt run would."""
    with duckdb.connect(str(shop / "shop.duckdb")) as connection:
        for statement in statements:
            connection.execute(statement)


def train(store: FeatureStore, spine: Any = LABELS, features: Any = "churn_model", **options: Any) -> Path:
    path = store.project.directory / "train.parquet"
    store.get_historical_features(spine, features, **options).to_parquet(path)
    return path


def verdicts(comparison: Comparison) -> dict[str, Verdict]:
    return {each.feature: each.verdict for each in comparison.features if each.verdict is not Verdict.SAME}


def feature(comparison: Comparison, name: str) -> FeatureComparison:
    return next(each for each in comparison.features if each.feature == name)


SPINES = {
    "sql": LABELS,
    "model": ref("customer_orders"),
    "arrow": pa.table({"customer_id": [1, 3, 2], "event_timestamp": pa.array([day(4)] * 3, pa.timestamp("ns", "Europe/Paris"))}),
    "pandas": pd.DataFrame({"customer_id": [1, 3], "event_timestamp": [day(4), day(5)], "label": pd.Categorical(["a", "b"])}, index=[7, 3]),
}


@pytest.mark.parametrize("kind", SPINES)
def test_nothing_changed_is_the_same(store: FeatureStore, kind: str) -> None:
    model = {"features": [TIER], "event_timestamp": "ordered_at"} if kind == "model" else {}
    path = train(store, SPINES[kind], **model)
    before = path.read_bytes()
    comparison = store.rebuild_training_set(path)
    assert comparison.same
    assert comparison.file is DataFile.INTACT
    assert comparison.spine.verdict is Verdict.SAME
    assert (verdicts(comparison), comparison.changes, comparison.written) == ({}, (), None)
    assert path.read_bytes() == before


def test_the_feature_that_moved_is_named_with_its_rows_and_an_example(store: FeatureStore, shop: Path) -> None:
    path = train(store)
    change(shop, "update customer_profile set tier = 'silver' where customer_id = 1")
    comparison = store.rebuild_training_set(path)
    assert not comparison.same
    assert comparison.moved == (TIER,)
    found = feature(comparison, TIER)
    assert (found.verdict, found.rows) == (Verdict.MOVED, 2)
    assert found.example == Example(0, {"customer_id": 1}, day(2), "gold", "silver")


def test_where_the_file_is_gone_digests_say_which_feature_moved(store: FeatureStore, shop: Path) -> None:
    path = train(store)
    path.unlink()
    assert store.rebuild_training_set(path).same
    change(shop, "update customer_orders set amount = 0 where amount is null")
    comparison = store.rebuild_training_set(path.with_name("train.parquet.lock.json"))
    assert (comparison.file, verdicts(comparison)) == (DataFile.MISSING, {AMOUNT: Verdict.MOVED})
    assert feature(comparison, AMOUNT).rows is None


@pytest.mark.parametrize("kind", ["other rows", "no Parquet", "damaged"])
def test_a_file_that_is_not_the_locked_one_is_not_compared_with(store: FeatureStore, shop: Path, kind: str) -> None:
    path = train(store)
    rows = pq.read_table(path)
    if kind == "other rows":
        pq.write_table(rows.set_column(rows.column_names.index("tier"), "tier", pa.array(["other"] * rows.num_rows)), path)
    else:
        path.write_bytes(b"none" if kind == "no Parquet" else b"PAR1" + b"\xff" * 400 + path.read_bytes()[404:])
    change(shop, "update customer_profile set tier = 'silver'")
    comparison = store.rebuild_training_set(path)
    assert (comparison.file, verdicts(comparison)) == (DataFile.REPLACED, {TIER: Verdict.MOVED})
    assert feature(comparison, TIER).rows is None


class TestSpine:
    def test_new_labels_are_counted_and_features_compared_for_the_rows_from_then(self, store: FeatureStore, shop: Path) -> None:
        path = train(store)
        change(shop, "insert into labels values (3, timestamp '2024-01-09', true), (3, timestamp '2024-01-09', true)")
        change(shop, "delete from labels where customer_id = 2", "update customer_profile set tier = 'silver' where customer_id = 3")
        comparison = store.rebuild_training_set(path)
        assert comparison.spine == SpineComparison(Verdict.MOVED, 4, 5, rows_added=2, rows_removed=1)
        assert verdicts(comparison) == {TIER: Verdict.MOVED}
        assert feature(comparison, TIER).example == Example(1, {"customer_id": 3}, day(3), "new", "silver")
        assert comparison.rows == 4

    def test_new_labels_alone_move_no_feature(self, store: FeatureStore, shop: Path) -> None:
        path = train(store)
        change(shop, "insert into labels values (3, timestamp '2024-01-09', true)")
        comparison = store.rebuild_training_set(path)
        assert (comparison.same, comparison.moved) == (False, ())

    def test_another_order_is_the_same_data(self, store: FeatureStore, shop: Path) -> None:
        path = train(store)
        change(
            shop, "create table other as from labels order by customer_id desc", "drop table labels", "alter table other rename to labels"
        )
        comparison = store.rebuild_training_set(path)
        assert comparison.same
        assert comparison.spine.verdict is Verdict.REORDERED
        change(shop, "update customer_profile set tier = 'silver' where customer_id = 1")
        assert store.rebuild_training_set(path).moved == (TIER,)

    def test_without_the_rows_from_then_features_cannot_be_compared(self, store: FeatureStore, shop: Path) -> None:
        path = train(store)
        path.unlink()
        change(shop, "insert into labels values (3, timestamp '2024-01-09', true)")
        comparison = store.rebuild_training_set(path)
        assert comparison.spine == SpineComparison(Verdict.MOVED, 4, 5)
        assert set(verdicts(comparison).values()) == {Verdict.UNKNOWN}

    def test_a_corrected_label_is_a_moved_spine_that_hides_no_feature(self, store: FeatureStore, shop: Path) -> None:
        path = train(store)
        change(shop, "update labels set label = false where label is null", "update customer_profile set tier = 'silver'")
        for _ in range(2):
            comparison = store.rebuild_training_set(path)
            assert (comparison.spine.verdict, comparison.spine.columns) == (Verdict.MOVED, ("label",))
            assert verdicts(comparison) == {TIER: Verdict.MOVED}
            path.unlink(missing_ok=True)

    def test_a_column_of_another_type_is_named(self, store: FeatureStore, shop: Path) -> None:
        path = train(store)
        change(shop, "alter table labels alter label type integer")
        comparison = store.rebuild_training_set(path)
        assert (comparison.spine.verdict, comparison.spine.columns) == (Verdict.MOVED, ("label",))

    def test_a_model_that_is_gone(self, store: FeatureStore, shop: Path) -> None:
        path = train(store, ref("customer_orders"), [TIER], event_timestamp="ordered_at")
        forget(shop, "model.shop.customer_orders")
        with FeatureStore(shop) as later:
            assert later.rebuild_training_set(path).spine == SpineComparison(Verdict.GONE, 3, None)
            path.unlink()
            with pytest.raises(LockError, match="entity_df="):
                later.rebuild_training_set(path)

    def test_a_dataframe_whose_file_is_gone_is_asked_for_and_checked(self, store: FeatureStore, shop: Path, tmp_path: Path) -> None:
        spine = pd.DataFrame({"customer_id": [1, 3], "event_timestamp": [day(4), day(5)]})
        path = train(store, spine)
        path.unlink()
        with pytest.raises(
            LockError, match=r"The spine of .*train\.parquet was a dataframe, and the file that has its rows is gone\. .*--spine"
        ):
            store.rebuild_training_set(path)
        in_micros = pa.table({"event_timestamp": pa.array([day(4), day(5)], pa.timestamp("us")), "customer_id": [1, 3]})
        assert store.rebuild_training_set(path, entity_df=in_micros).same
        output = tmp_path / "again.parquet"
        with pytest.raises(EntityDataframeError, match=r"is not the spine .*: it had 2 rows, and this has 1"):
            store.rebuild_training_set(path, entity_df=spine[:1], output=output)
        with pytest.raises(
            EntityDataframeError, match=r"these of its columns are others, or in another order: customer_id, event_timestamp"
        ):
            store.rebuild_training_set(path, entity_df=spine[::-1], output=output)
        assert list(tmp_path.glob("*again*")) == []

    def test_a_dataframe_whose_file_was_replaced(self, store: FeatureStore) -> None:
        path = train(store, SPINES["arrow"])
        pq.write_table(pq.read_table(path).slice(1), path)
        with pytest.raises(LockError, match="holds other rows by now"):
            store.rebuild_training_set(path)

    def test_an_empty_one(self, store: FeatureStore) -> None:
        path = train(store, f"{LABELS} where false")
        comparison = store.rebuild_training_set(path)
        assert (comparison.same, comparison.rows) == (True, 0)


def forget(shop: Path, *nodes: str) -> None:
    """Take models out of the manifest, and what refers to them."""
    path = shop / "target" / "manifest.json"
    manifest = json.loads(path.read_text())
    for node in nodes:
        del manifest["nodes"][node]
    manifest["exposures"] = {}
    path.write_text(json.dumps(manifest))


class TestAround:
    def test_a_feature_that_no_longer_exists(self, store: FeatureStore, shop: Path) -> None:
        path = train(store)
        forget(shop, "model.shop.customer_profile")
        with FeatureStore(shop) as later:
            comparison = later.rebuild_training_set(path)
            assert verdicts(comparison) == {TIER: Verdict.GONE}
            assert not comparison.same
        forget(shop, "model.shop.customer_orders")
        with FeatureStore(shop) as later:
            comparison = later.rebuild_training_set(path)
            assert set(verdicts(comparison).values()) == {Verdict.GONE}
            assert (len(comparison.moved), comparison.file) == (3, DataFile.INTACT)

    def test_a_feature_of_another_type_and_the_same_values(self, store: FeatureStore, shop: Path) -> None:
        path = train(store)
        change(shop, "alter table customer_orders alter orders_7d type bigint")
        with FeatureStore(shop) as later:
            found = feature(later.rebuild_training_set(path), "customer_orders:orders_7d")
        assert (found.verdict, found.type_then, found.type_now, found.rows) == (Verdict.MOVED, "int32", "int64", 0)

    def test_a_feature_of_a_type_that_cannot_be_compared(self, store: FeatureStore, shop: Path) -> None:
        path = train(store)
        change(shop, "alter table customer_profile alter tier type integer[] using [1]")
        with FeatureStore(shop) as later:
            found = feature(later.rebuild_training_set(path), TIER)
        assert (found.verdict, found.type_now, found.rows) == (Verdict.MOVED, "list<int32>", None)

    def test_what_was_declared_otherwise_is_named(self, store: FeatureStore, shop: Path) -> None:
        path = train(store)
        manifest = shop / "target" / "manifest.json"
        manifest.write_text(manifest.read_text().replace('"ttl": "7 days"', '"ttl": "1 day 12 hours"'))
        with FeatureStore(shop) as later:
            comparison = later.rebuild_training_set(path)
        assert Change("customer_profile: ttl", "7 days", "1 day 12 hours") in comparison.changes
        assert "sql" in [change.what for change in comparison.changes]
        assert verdicts(comparison) == {TIER: Verdict.MOVED}, "gold of January 1 has expired by the 4th"

    def test_the_services_features_are_those_from_then(self, store: FeatureStore, shop: Path) -> None:
        path = train(store)
        manifest = shop / "target" / "manifest.json"
        manifest.write_text(manifest.read_text().replace('["customer_orders:*", "customer_profile:tier"]', '["customer_profile:tier"]'))
        with FeatureStore(shop) as later:
            assert len(later.registry.service("churn_model").features) == 1
            assert later.rebuild_training_set(path).same

    def test_full_names_and_lists_are_kept(self, store: FeatureStore) -> None:
        path = train(store, features=[TIER, "customer_orders:orders_7d"], full_feature_names=True)
        comparison = store.rebuild_training_set(path)
        assert comparison.same
        assert [each.column for each in comparison.features] == ["customer_profile__tier", "customer_orders__orders_7d"]


class TestOutput:
    def test_what_is_built_now_goes_elsewhere_with_a_lock_of_its_own(self, store: FeatureStore, shop: Path) -> None:
        path = train(store)
        change(shop, "update customer_profile set tier = 'silver'", "insert into labels values (3, timestamp '2024-01-09', true)")
        output = shop / "again.parquet"
        comparison = store.rebuild_training_set(path, output=output)
        assert comparison.written == str(output)
        assert pq.read_table(output).column("tier").to_pylist() == ["silver", "silver", "silver", None]
        lock = json.loads((shop / "again.parquet.lock.json").read_text())
        assert (lock["spine"]["given"], lock["spine"]["text"], lock["request"]["service"]) == ("sql", LABELS, "churn_model")
        assert store.rebuild_training_set(output).moved == ()

    def test_the_locked_file_is_replaced_only_when_asked(self, store: FeatureStore, shop: Path) -> None:
        path = train(store)
        before = path.read_bytes()
        change(shop, "update customer_profile set tier = 'silver'", "insert into labels values (3, timestamp '2024-01-09', true)")
        with pytest.raises(RequestError, match=r"is the locked training set.*--overwrite"):
            store.rebuild_training_set(path, output=path)
        assert path.read_bytes() == before
        comparison = store.rebuild_training_set(path, output=path, overwrite=True)
        assert (comparison.moved, feature(comparison, TIER).rows) == ((TIER,), 3)
        assert store.rebuild_training_set(path).moved == ()


def test_nested_values_are_compared_row_by_row(store: FeatureStore, shop: Path) -> None:
    change(shop, "alter table customer_profile alter tier type double[] using [1.5, null, 'nan'::double]")
    with FeatureStore(shop) as nested:
        path = train(nested)
        assert nested.rebuild_training_set(path).same
        change(shop, "update customer_profile set tier = [1.5, 0, 'nan'::double] where customer_id = 3")
        found = feature(nested.rebuild_training_set(path), TIER)
    assert found.rows == 1
    assert found.example is not None
    assert found.example.row == 1


def test_rows_are_counted_over_batches_of_any_size(store: FeatureStore, shop: Path) -> None:
    spine = "select i % 4 as customer_id, timestamp '2024-01-01' + to_minutes(i) as event_timestamp from range(250_000) as r(i)"
    path = train(store, spine)
    pq.write_table(pq.read_table(path), path, row_group_size=33_333)
    before = pq.read_table(path, columns=["tier"]).column("tier").to_pylist()
    change(shop, "update customer_profile set since = since + interval 100 minute, tier = 'platinum' where customer_id = 1")
    found = feature(store.rebuild_training_set(path), TIER)
    now = store.get_historical_features(spine, [TIER]).to_arrow().column("tier").to_pylist()
    assert found.rows == sum(then != later for then, later in zip(before, now, strict=True)) > 0
    assert found.example is not None
    assert found.example.row == next(row for row, (then, later) in enumerate(zip(before, now, strict=True)) if then != later)
