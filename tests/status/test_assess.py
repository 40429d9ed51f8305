"""How bad a view's state is, decided from what is known of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from featurestore.dbt.freshness import Promise, SourceFreshness
from featurestore.materialize.lease import Lease
from featurestore.materialize.plan import Mode, Skip, Task
from featurestore.materialize.watermarks import Watermark
from featurestore.registry.aggregations import AggregateFunction
from featurestore.registry.definitions import Aggregation, Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import INT64, TIMESTAMP
from featurestore.status.assess import Concern, Known, Level, RowsOnline, assess, shown
from featurestore.status.runs import RunRecord

NOON = datetime(2024, 5, 1, 12, tzinfo=timezone.utc)
HOUR = timedelta(hours=1)
VIEW = FeatureView(
    "orders",
    "model.shop.orders",
    "models/orders.sql",
    Relation("orders"),
    (Entity("customer", (Column("customer_id", INT64),)),),
    Column("ordered_at", TIMESTAMP),
    (Feature("amount", INT64),),
)
MARK = Watermark("orders", NOON - HOUR, 1, "d", rows=7, mode="full", key_prefix="p", event_timestamp=NOON - 2 * HOUR)
FINE = Known(VIEW, MARK, True, NOON - 2 * HOUR, (), Promise(), (), None, Skip(VIEW, "already published"), None, None)


def levels(known: Known, max_lag: timedelta | None = None) -> list[Level]:
    return [concern.level for concern in assess(known, NOON, max_lag).concerns]


def test_a_view_of_which_nothing_is_promised_passes_with_its_lag() -> None:
    status = assess(FINE, NOON)
    assert (status.level, status.lag, status.behind) == (Level.PASS, 2 * HOUR, timedelta(0))
    assert status.rows == RowsOnline(7, 7, "full run", NOON - HOUR)


@pytest.mark.parametrize(
    ("warn", "error", "found"),
    [(2, 4, []), (1, 4, [Level.WARN]), (1, 1, [Level.ERROR]), (None, 1, [Level.ERROR]), (1, None, [Level.WARN]), (None, None, [])],
)
def test_the_lag_is_held_to_what_dbt_promises(warn: int | None, error: int | None, found: list[Level]) -> None:
    promise = Promise(warn * HOUR if warn else None, error * HOUR if error else None, "app.orders")
    assert levels(replace(FINE, promise=promise)) == found


def test_what_counts_later_may_be_older_by_as_much() -> None:
    late = replace(FINE, view=replace(VIEW, available_after=HOUR), promise=Promise(HOUR, None, "app.orders"))
    assert (levels(late), assess(late, NOON).warn_after) == ([], 2 * HOUR)


def test_past_the_ttl_nothing_counts() -> None:
    assert levels(replace(FINE, view=replace(VIEW, ttl=2 * HOUR))) == []
    assert levels(replace(FINE, view=replace(VIEW, ttl=HOUR))) == [Level.ERROR]


def test_a_limit_may_be_given() -> None:
    assert (levels(FINE, 2 * HOUR), levels(FINE, HOUR)) == ([], [Level.ERROR])


def test_aggregations_lag_from_the_instant_they_were_made_at() -> None:
    counted = Feature("orders_7d", INT64, aggregation=Aggregation(AggregateFunction.COUNT, timedelta(days=7)))
    view = replace(VIEW, features=(counted,), exact_for=2 * HOUR)
    assert (assess(replace(FINE, view=view), NOON).lag, levels(replace(FINE, view=view))) == (HOUR, [])
    assert levels(replace(FINE, view=replace(view, exact_for=HOUR / 2))) == [Level.ERROR]


def test_what_is_not_there_is_said() -> None:
    assert levels(replace(FINE, watermark=None)) == [Level.ERROR]
    assert levels(replace(FINE, in_warehouse=False)) == [Level.ERROR]
    gone = replace(FINE, in_warehouse=False, planned=Task(VIEW, Mode.FULL, "its definition changed"))
    assert levels(gone) == [Level.ERROR], "there is nothing to materialize"
    empty = replace(FINE, watermark=Watermark("orders", NOON, 1, "d", rows=0, mode="full", key_prefix="p"), offline_event_timestamp=None)
    assert levels(empty) == [Level.WARN]


def test_what_is_to_be_published_is_a_warning_until_it_is_being_published() -> None:
    ahead = replace(FINE, offline_event_timestamp=NOON - HOUR, planned=Task(VIEW, Mode.FULL, "a table is rebuilt as a whole"))
    assert (levels(ahead), assess(ahead, NOON).behind) == ([Level.WARN, Level.WARN], HOUR)
    assert levels(replace(ahead, publishing=Lease(2, "1 on here", 0, 1))) == []


def test_runs_that_went_wrong_are_said() -> None:
    failed = RunRecord(NOON, "failed", "the warehouse said no")
    assert levels(replace(FINE, last_run=failed)) == [Level.ERROR]
    assert levels(replace(FINE, planned=Skip(VIEW, "its test not_null failed", failed=True))) == [Level.WARN]
    held = RunRecord(NOON, "held back", "its test not_null failed")
    assert levels(replace(FINE, last_run=held, planned=None)) == [Level.WARN]
    assert levels(replace(FINE, last_run=held)) == [], "a later run of dbt decides"


def test_what_source_freshness_found_is_taken_at_its_word() -> None:
    words = {"pass": [], "warn": [Level.WARN], "error": [Level.ERROR], "runtime error": [Level.ERROR]}
    for word, found in words.items():
        assert levels(replace(FINE, sources=(SourceFreshness("app.orders", word, None, NOON),))) == found


def test_drift_counts_as_it_is_told() -> None:
    assert levels(replace(FINE, drift=(Concern(Level.WARN, "amount is not served yet"),))) == [Level.WARN]


def test_rows_after_incremental_runs_are_said_as_bounds_unless_they_were_counted() -> None:
    known = replace(FINE, watermark=Watermark("orders", NOON, 2, "d", rows=3, mode="incremental", key_prefix="p", entity_keys=9))
    assert assess(known, NOON).rows == RowsOnline(3, 9, "run", NOON)
    last = RunRecord(NOON, "published", "dbt only appends to it", "incremental", 3, full_rows=7, full_at=NOON - HOUR, rows_since=5)
    assert assess(replace(known, last_run=last), NOON).rows == RowsOnline(7, 12, "full run", NOON - HOUR)
    assert assess(replace(known, last_run=last, counted=8), NOON).rows == RowsOnline(8, 8, "count", NOON)


def test_durations_are_shown_by_their_greatest_units() -> None:
    assert shown(timedelta(days=3, hours=2, minutes=5, microseconds=7)) == "3 days 2 hours"
    assert (shown(timedelta(0)), shown(timedelta(seconds=-90))) == ("0 seconds", "-1 minute 30 seconds")
