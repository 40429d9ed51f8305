"""A view of aggregations is read by the plan that costs less, and whoever asks is told why."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from featurestore.registry.aggregations import AggregateFunction, feature_name
from featurestore.registry.definitions import Aggregation, Column, Entity, Feature, FeatureView, LateData, Relation
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import FLOAT64, INT64, TIMESTAMP
from featurestore.sql.dialects import dialect_named
from featurestore.sql.point_in_time.join import Strategy
from featurestore.training.crowd import Crowd
from featurestore.training.plan import Decision, decide_windows

AMOUNT = Column("amount", FLOAT64)
DAY = timedelta(days=1)


def view(*functions: AggregateFunction) -> FeatureView:
    return FeatureView(
        name="payments",
        unique_id="model.shop.payments",
        path="models/payments.sql",
        relation=Relation("payments"),
        entities=(Entity("customer", (Column("customer_id", INT64),)),),
        event_timestamp=Column("paid_at", TIMESTAMP),
        created_timestamp=Column("loaded_at", TIMESTAMP),
        features=tuple(
            Feature(feature_name("amount", function, DAY), FLOAT64, aggregation=Aggregation(function, DAY, AMOUNT))
            for function in functions
        ),
    )


def decided(asked: FeatureView, rows_per_key: float, dialect: str = "duckdb", features: int | None = None) -> Decision:
    requested = RequestedView(asked, asked.features[:features], tuple(feature.name for feature in asked.features[:features]))
    return decide_windows(requested, dialect_named(dialect), 1000, 5000, Crowd(rows_per_key))


def test_few_asked_rows_of_a_key_are_joined_to_its_events_and_many_share_a_timeline() -> None:
    sums = view(AggregateFunction.SUM)
    assert decided(sums, 5).plan.strategy is Strategy.RANGE_JOIN
    assert "about a key about 5 times: few enough" in str(decided(sums, 5))
    assert decided(sums, 50).plan.strategy is Strategy.RANGE_FRAME
    assert "about a key about 50 times: too many" in str(decided(sums, 50))


@pytest.mark.parametrize(
    ("asked", "dialect", "because"),
    [
        (view(AggregateFunction.STDDEV), "duckdb", "A standard deviation looks at a window's values once more"),
        (view(AggregateFunction.COUNT_DISTINCT), "postgres", "postgres counts no distinct values in a frame"),
        (replace(view(AggregateFunction.SUM), late_data=LateData.AS_KNOWN), "duckdb", "Its events become known in another order"),
        (view(AggregateFunction.SUM), "redshift", "redshift has no frame by range of integers"),
    ],
)
def test_what_no_frame_can_hold_is_joined_however_crowded_it_is(asked: FeatureView, dialect: str, because: str) -> None:
    decision = decided(asked, 5000, dialect)
    assert decision.plan.strategy is Strategy.RANGE_JOIN
    assert because in decision.reason


def test_only_what_is_asked_for_decides() -> None:
    both = view(AggregateFunction.SUM, AggregateFunction.STDDEV)
    assert decided(both, 5000).plan.strategy is Strategy.RANGE_JOIN
    assert decided(both, 5000, features=1).plan.strategy is Strategy.RANGE_FRAME
    assert decided(view(AggregateFunction.COUNT_DISTINCT), 5000).plan.strategy is Strategy.RANGE_FRAME, "DuckDB counts them in a frame"
