"""How each view is read follows from what it declares and from how many rows there are."""

from __future__ import annotations

from dataclasses import replace

import pytest

from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, LateData, Relation
from featurestore.registry.value_types import INT64, TIMESTAMP, DecimalType, IntegerType, ValueType
from featurestore.sql.dialects import dialect_named
from featurestore.sql.point_in_time.join import Strategy
from featurestore.training.plan import decide, is_lookup_index

VIEW = FeatureView(
    name="orders",
    unique_id="model.shop.orders",
    path="models/orders.sql",
    relation=Relation("orders"),
    entities=(Entity("customer", (Column("customer_id", INT64),)),),
    event_timestamp=Column("ordered_at", TIMESTAMP),
    features=(Feature("amount", INT64),),
)
DUCKDB, POSTGRES = dialect_named("duckdb"), dialect_named("postgres")


@pytest.mark.parametrize(
    ("spine_rows", "view_rows", "pruned"),
    [
        (10_000, 10_000_000, True),
        (1_000_000, 10_000_000, False),
        (0, 5, False),
        (0, 1000, True),
        (10_000, None, True),
        (1_000_000, None, False),
    ],
)
def test_a_view_much_larger_than_the_spine_is_cut_down_first(spine_rows: int, view_rows: int | None, pruned: bool) -> None:
    assert decide(VIEW, DUCKDB, spine_rows, view_rows).plan.prune is pruned


def test_asof_is_used_where_the_warehouse_has_it() -> None:
    assert decide(VIEW, DUCKDB, 1, 1).plan.strategy is Strategy.ASOF
    assert decide(VIEW, POSTGRES, 1, 1).plan.strategy is Strategy.THIN_UNION


@pytest.mark.parametrize(
    ("spine_rows", "view_rows", "looked_up"),
    [(1000, 1_000_000, True), (100_000, 1_000_000, True), (100_001, 10_000_000, False), (1000, 9_999, False), (10, None, False)],
)
def test_few_rows_are_looked_up_in_an_index(spine_rows: int, view_rows: int | None, looked_up: bool) -> None:
    decision = decide(VIEW, POSTGRES, spine_rows, view_rows, indexed=True)
    assert (decision.plan.strategy is Strategy.LATERAL) is looked_up
    assert ("index" in decision.reason) is looked_up


@pytest.mark.parametrize(
    ("columns", "spine_type", "found"),
    [
        (("customer_id", "ordered_at"), INT64, True),
        (("customer_id", "ordered_at", "amount"), INT64, True),
        (("customer_id", "ordered_at"), IntegerType(16), True),
        (("customer_id", "ordered_at"), DecimalType(20, 0), False),
        (("ordered_at", "customer_id"), INT64, False),
        (("customer_id",), INT64, False),
        ((), INT64, False),
    ],
)
def test_an_index_is_of_use_when_it_begins_with_keys_and_timestamp(columns: tuple[str, ...], spine_type: ValueType, found: bool) -> None:
    assert is_lookup_index(columns, VIEW, {"customer_id": spine_type}) is found


def test_snapshots_that_may_overlap_need_a_plan_of_their_own() -> None:
    snapshot = replace(VIEW, valid_to=Column("dbt_valid_to", TIMESTAMP))
    assert decide(snapshot, DUCKDB, 1, 1).plan.strategy is Strategy.ASOF
    assert decide(replace(snapshot, disjoint_validity=False), DUCKDB, 1, 1).plan.strategy is Strategy.VALIDITY_RANGES


def test_the_decision_is_a_sentence_with_the_counts() -> None:
    late = replace(VIEW, created_timestamp=Column("loaded_at", TIMESTAMP), late_data=LateData.AS_KNOWN)
    assert str(decide(late, POSTGRES, 1000, 2_000_000)) == (
        "orders (about 2,000,000 rows): thin_union, pruned to the keys of the spine. postgres has no ASOF join, so keys and timestamps go "
        "through one window after rows that were written too late to count are left out. "
        "The view has 2,000 times as many rows as the spine, so most of them are left out first."
    )
