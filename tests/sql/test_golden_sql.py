"""The SQL that people read in reviews: one file for each dialect and each thing that is asked. `make golden` writes them anew."""

from __future__ import annotations

import os
from dataclasses import astuple, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from sqlglot import exp

from featurestore.dbt.stored_names import stored_name
from featurestore.registry.aggregations import AggregateFunction, feature_name
from featurestore.registry.definitions import Aggregation, Column, Entity, Feature, FeatureView, LateData, Relation
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    DecimalType,
    ListType,
)
from featurestore.sql.dialects import TemporaryTables, dialect_named
from featurestore.sql.expressions import relation, render, table
from featurestore.sql.latest import entity_key_counts, latest_rows, view_bounds
from featurestore.sql.literals import insertion, new_table
from featurestore.sql.point_in_time.join import PointInTimeJoin, Spine, Strategy, ViewPlan, point_in_time_query
from featurestore.sql.profile import Profiled, profiled, rows_between, summary, top_values
from featurestore.sql.steps import step_rows

GOLDEN = Path(__file__).parent / "golden"
DIALECTS = ("duckdb", "clickhouse", "postgres", "spark", "snowflake", "bigquery", "databricks", "redshift", "trino", "tsql", "fabric")
CUSTOMER, SHOP = Entity("customer", (Column("customer_id", INT64),)), Entity("shop", (Column("shop", STRING),))
ORDERS = FeatureView(
    name="customer_orders",
    unique_id="model.shop.customer_orders",
    path="models/customer_orders.sql",
    relation=Relation("customer_orders", "features", "shop"),
    entities=(CUSTOMER,),
    event_timestamp=Column("ordered_at", TIMESTAMP_UTC),
    created_timestamp=Column("loaded_at", TIMESTAMP_UTC),
    features=(Feature("orders_7d", INT64), Feature("amount_7d", FLOAT64), Feature("basket", ListType(STRING))),
    ttl=timedelta(days=7),
    available_after=timedelta(hours=1),
)
AS_KNOWN = FeatureView(
    name="shop_visits",
    unique_id="model.shop.shop_visits",
    path="models/shop_visits.sql",
    relation=Relation("shop_visits", "features", "shop"),
    entities=(CUSTOMER, SHOP),
    event_timestamp=Column("visited_at", TIMESTAMP),
    created_timestamp=Column("loaded_at", TIMESTAMP),
    features=(Feature("visits", INT64),),
    late_data=LateData.AS_KNOWN,
)
PROFILE = FeatureView(
    name="customer_profile",
    unique_id="snapshot.shop.customer_profile",
    path="snapshots/customer_profile.yml",
    relation=Relation("customer_profile", "snapshots", "shop"),
    entities=(CUSTOMER,),
    event_timestamp=Column("dbt_valid_from", TIMESTAMP),
    valid_to=Column("dbt_valid_to", TIMESTAMP),
    is_deleted=Column("dbt_is_deleted", STRING),
    features=(Feature("city", STRING),),
)
OVERLAPPING = FeatureView(
    name="subscriptions",
    unique_id="snapshot.shop.subscriptions",
    path="snapshots/subscriptions.yml",
    relation=Relation("subscriptions", "snapshots", "shop"),
    entities=(CUSTOMER,),
    event_timestamp=Column("dbt_valid_from", TIMESTAMP),
    valid_to=Column("dbt_valid_to", TIMESTAMP),
    disjoint_validity=False,
    features=(Feature("plan", STRING),),
    ttl=timedelta(days=30),
)


def _aggregated(function: str, window: timedelta, column: Column | None = None, filter: str | None = None) -> Feature:
    name = None if column is None else ("paid" if filter else column.name)
    answered = AggregateFunction(function).result_type(column.value_type if column else None)
    assert answered is not None
    of = Aggregation(AggregateFunction(function), window, column, filter)
    return Feature(feature_name(name, of.function, window), answered, aggregation=of)


AMOUNT, SCORE = Column("amount", DecimalType(18, 2)), Column("score", FLOAT64)
IN_A_FRAME = (
    *(_aggregated(function, timedelta(days=days), AMOUNT) for function in ("sum", "max", "last") for days in (1, 7)),
    *(_aggregated(function, timedelta(days=7), SCORE) for function in ("sum", "avg", "count")),
    _aggregated("count", timedelta(days=30)),
    _aggregated("sum", timedelta(days=1), AMOUNT, "status = 'paid'"),
)
PAYMENTS = FeatureView(
    name="customer_payments",
    unique_id="model.shop.customer_payments",
    path="models/customer_payments.sql",
    relation=Relation("customer_payments", "features", "shop"),
    entities=(CUSTOMER,),
    event_timestamp=Column("paid_at", TIMESTAMP_UTC),
    created_timestamp=Column("loaded_at", TIMESTAMP_UTC),
    features=IN_A_FRAME,
    available_after=timedelta(hours=1),
)
ANY_FUNCTION = FeatureView(
    name="shop_payments",
    unique_id="model.shop.shop_payments",
    path="models/shop_payments.sql",
    relation=Relation("shop_payments", "features", "shop"),
    entities=(CUSTOMER, SHOP),
    event_timestamp=Column("paid_at", TIMESTAMP),
    created_timestamp=Column("loaded_at", TIMESTAMP),
    features=tuple(_aggregated(function, timedelta(days=7), SCORE) for function in ("stddev", "count_distinct", "last")),
    late_data=LateData.AS_KNOWN,
)
SPINE_COLUMNS = (Column("customer_id", INT64), Column("shop", STRING), Column("event_timestamp", TIMESTAMP), Column("label", FLOAT64))
AT = datetime(2024, 3, 1, 12, 30)
UPLOADED = tuple(
    Column(name, value_type)
    for name, value_type in [
        ("row_number", INT64),
        ("shop", STRING),
        ("event_timestamp", TIMESTAMP),
        ("day", DATE),
        ("flag", BOOLEAN),
        ("score", FLOAT64),
        ("price", DecimalType(10, 2)),
        ("token", BYTES),
    ]
)
ROW = (1, "it's é \\", AT, date(2024, 3, 1), True, 0.1, Decimal("1.50"), b"\x00'")


def stored(of: Column, dialect: str) -> Column:
    return replace(of, stored_as=stored_name(of.name, dialect))


def in_warehouse(view: FeatureView, dialect: str) -> FeatureView:
    """The view as it is declared without quotes, under the names that the warehouse keeps."""
    instants = {name: getattr(view, name) for name in ("event_timestamp", "created_timestamp", "valid_to", "is_deleted")}
    return replace(
        view,
        **{name: stored(of, dialect) for name, of in instants.items() if of is not None},
        entities=tuple(replace(each, join_keys=tuple(stored(key, dialect) for key in each.join_keys)) for each in view.entities),
        features=tuple(replace(each, stored_as=stored_name(each.name, dialect)) for each in view.features),
        relation=Relation(*(stored_name(str(part), dialect) for part in astuple(view.relation))),
    )


def asked(view: FeatureView, *features: str) -> RequestedView:
    chosen = tuple(feature for feature in view.features if feature.name in features)
    return RequestedView(view, chosen, features)


def all_of(view: FeatureView) -> RequestedView:
    return RequestedView(view, view.features, tuple(feature.name for feature in view.features))


def training(dialect: str, plans: dict[str, ViewPlan], *views: RequestedView) -> exp.Expression:
    labels = Relation(*(stored_name(part, dialect) for part in ("labels", "ml", "shop")))
    spine = Spine(relation(labels), tuple(stored(each, dialect) for each in SPINE_COLUMNS), "event_timestamp")
    return point_in_time_query(PointInTimeJoin(spine, views), plans, dialect_named(dialect))


def queries(dialect: str) -> dict[str, exp.Expression]:
    """What is asked, by the name of its file."""
    views = (in_warehouse(view, dialect) for view in (ORDERS, AS_KNOWN, PROFILE, OVERLAPPING))
    orders_view, visits, profile, subscriptions = views
    the_day_before = AT - timedelta(days=1)
    one = Strategy.ASOF if dialect_named(dialect).asof_join else Strategy.THIN_UNION
    orders = asked(orders_view, "orders_7d", "amount_7d")
    found = {
        "one_view": training(dialect, {ORDERS.name: ViewPlan(one)}, orders),
        "two_views_of_two_keys_pruned": training(
            dialect,
            {ORDERS.name: ViewPlan(one, prune=True), AS_KNOWN.name: ViewPlan(one, prune=True)},
            orders,
            asked(visits, "visits"),
        ),
        "snapshot": training(dialect, {PROFILE.name: ViewPlan(one)}, asked(profile, "city")),
        "overlapping_snapshot": training(dialect, {OVERLAPPING.name: ViewPlan(Strategy.VALIDITY_RANGES)}, asked(subscriptions, "plan")),
        "latest": latest_rows(orders_view, AT, dialect),
        "latest_of_what_changed": latest_rows(orders_view, AT, dialect, changed_since=the_day_before, counted_at=the_day_before),
        "bounds": view_bounds(orders_view, AT, dialect, digested=True, created_by=the_day_before),
        "entity_keys": entity_key_counts(orders_view, AT, dialect, not_before=the_day_before, not_before_then=None),
    }
    if dialect_named(dialect).range_frame is not None:
        found["windows_by_range_frame"] = training(dialect, {PAYMENTS.name: ViewPlan(Strategy.RANGE_FRAME)}, all_of(PAYMENTS))
    found["windows_by_range_join"] = training(dialect, {PAYMENTS.name: ViewPlan(Strategy.RANGE_JOIN, prune=True)}, all_of(PAYMENTS))
    found["windows_of_any_function"] = training(dialect, {ANY_FUNCTION.name: ViewPlan(Strategy.RANGE_JOIN)}, all_of(ANY_FUNCTION))
    found["steps"] = step_rows(PAYMENTS, AT, dialect)
    facts = dialect_named(dialect)
    found["profiled_rows"] = rows_between(orders_view, AT - timedelta(days=30), AT, facts)
    found["profile"] = summary("profiled_current", [*profiled(orders_view.features), Profiled("f3", "city", STRING)], facts)
    found["profile_top_values"] = top_values("profiled_current", Profiled("f3", "city", STRING), 20, facts)
    if dialect not in ("duckdb", "spark", "clickhouse"):
        # The others are reached through dbt's adapters, and so is a spine sent to them.
        temporary = facts.temporary_tables is TemporaryTables.TEMPORARY
        target = table("#entity_df" if facts.temporary_tables is TemporaryTables.HASH else "entity_df")
        found["upload_table"] = new_table(target.copy(), UPLOADED, facts, temporary=temporary)
        found["upload_rows"] = insertion(target, UPLOADED, (ROW, [None] * len(ROW)), facts)
    if facts.asof_join:
        found["one_view_by_thin_union"] = training(dialect, {ORDERS.name: ViewPlan(Strategy.THIN_UNION)}, orders)
    if dialect_named(dialect).indexed_lookup:
        found["one_view_by_lateral"] = training(dialect, {ORDERS.name: ViewPlan(Strategy.LATERAL)}, orders)
    return found


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_sql_is_as_it_was_reviewed(dialect: str) -> None:
    written = {name: render(query, dialect_named(dialect)) + "\n" for name, query in queries(dialect).items()}
    folder = GOLDEN / dialect
    if os.environ.get("UPDATE_GOLDEN"):
        folder.mkdir(parents=True, exist_ok=True)
        for file in folder.iterdir():
            file.unlink()
        for name, text in written.items():
            (folder / f"{name}.sql").write_text(text)
    assert written == {file.stem: file.read_text() for file in folder.iterdir()}


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if not dialect_named(dialect).asof_join])
def test_no_dialect_without_an_asof_join_is_given_one(dialect: str) -> None:
    assert not any("ASOF" in render(query, dialect_named(dialect)) for query in queries(dialect).values())
