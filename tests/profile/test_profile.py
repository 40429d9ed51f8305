"""What every warehouse says of the same values, against numpy and against counting them one by one."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from reference import jensen_shannon, stability_index
from sqlglot import exp
from warehouses import RunningWarehouse, opened

from featurestore.arrow import arrow_type
from featurestore.dbt.drift import DriftLimits
from featurestore.errors import RequestError
from featurestore.profile.report import COLUMNS, append_to_table, to_arrow
from featurestore.profile.run import profile_views
from featurestore.profile.sides import TimeRange, TrainingTable, time_range
from featurestore.profile.statistics import FeatureProfile, ProfileReport
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import BOOLEAN, DATE, FLOAT64, INT64, STRING, TIMESTAMP, DecimalType
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import column, relation

START = datetime(2024, 1, 1)
DAY = timedelta(days=1)
ROWS = 1_000
VIEW = FeatureView(
    "orders",
    "model.shop.orders",
    "models/orders.sql",
    Relation("profiled_orders"),
    (Entity("customer", (Column("customer_id", INT64),)),),
    Column("ordered_at", TIMESTAMP),
    (
        Feature("score", FLOAT64),
        Feature("items", INT64),
        Feature("amount", DecimalType(10, 2)),
        Feature("country", STRING),
        Feature("returned", BOOLEAN),
        Feature("born", DATE),
        Feature("empty", FLOAT64),
    ),
)
LIMITS = {"score": DriftLimits(psi=0.1), "country": DriftLimits(jensen_shannon=0.9), "items": DriftLimits(psi=0.1)}


def values(day: int) -> list[dict[str, Any]]:
    """So many rows of one day; those of the second day have greater scores, and a country more."""
    random = np.random.default_rng(day)
    rows = []
    for place in range(ROWS):
        score: float | None = float(np.round(random.normal(10 + 3 * day, 2), 6))
        if place % 50 == 0:
            score = None if place % 100 else float("nan")
        if place == 7:
            score = float("-inf")
        rows.append(
            {
                "customer_id": place,
                "ordered_at": START + day * DAY + timedelta(seconds=place),
                "score": score,
                "items": int(random.poisson(3)),
                "amount": None if place % 4 == 0 else Decimal(int(random.integers(0, 10_000))) / 100,
                "country": ["NL", "BE", "Ünited ' Kingdom", "DE"][int(random.integers(0, 3 + day))],
                "returned": bool(random.integers(0, 2)),
                "born": date(1990, 1, 1) + int(random.integers(0, 40)) * DAY,
                "empty": None,
            }
        )
    return rows


DAYS = [values(0), values(1)]


@pytest.fixture(scope="module")
def loaded(running: RunningWarehouse) -> RunningWarehouse:
    columns = [*VIEW.join_keys, VIEW.event_timestamp, *VIEW.features]
    schema = pa.schema([(each.name, arrow_type(each.value_type)) for each in columns])
    running.load(running.relation("profiled_orders"), pa.Table.from_pylist([*DAYS[0], *DAYS[1]], schema))
    return running


def view_of(running: RunningWarehouse) -> FeatureView:
    return replace(VIEW, relation=running.relation("profiled_orders"))


def report_of(running: RunningWarehouse) -> ProfileReport:
    days = [TimeRange(START + day * DAY, START + (day + 1) * DAY) for day in (0, 1)]
    return profile_views(opened(running), [view_of(running)], days[1], days[0], lambda _: LIMITS, at=START, chosen=True)


@pytest.fixture(scope="module")
def found(loaded: RunningWarehouse) -> dict[str, FeatureProfile]:
    return {each.reference.feature: each for each in report_of(loaded).features}


def present(name: str, day: int) -> list[Any]:
    return [row[name] for row in DAYS[day] if row[name] is not None]


def finite(name: str, day: int) -> np.ndarray:
    numbers = np.array([float(value) for value in present(name, day)])
    return numbers[np.isfinite(numbers)]


def test_numbers_have_the_statistics_that_numpy_finds(found: dict[str, FeatureProfile], loaded: RunningWarehouse) -> None:
    for name in ("score", "items", "amount"):
        said, numbers = found[name].current, finite(name, 1)
        assert (said.rows, said.nulls) == (ROWS, ROWS - len(present(name, 1)))
        assert said.not_finite == len(present(name, 1)) - len(numbers)
        assert (said.minimum, said.maximum) == (numbers.min(), numbers.max())
        assert said.mean == pytest.approx(numbers.mean(), rel=1e-12)
        assert said.stddev == pytest.approx(numbers.std(ddof=1), rel=1e-9)
        distinct = len(set(numbers.tolist()))
        exact = dialect_named(opened(loaded).dialect).approximate_distinct is None
        assert said.distinct == (distinct if exact else pytest.approx(distinct, rel=0.25, abs=1))
        assert said.quantiles is not None
        for probability, value in said.quantiles.items():
            assert (numbers < value).mean() <= probability + 0.01, "no more than that part is smaller"
            assert (numbers <= value).mean() >= probability - 0.01
        assert said.histogram is not None
        counted = np.histogram(numbers, [said.histogram[0].above, *(each.up_to for each in said.histogram)])[0]
        # numpy's bins hold their lower end, ours their upper: no value of these is on one but those of the ends and the whole numbers.
        if name == "score":
            assert [each.rows for each in said.histogram] == counted.tolist()
        assert sum(each.rows for each in said.histogram) == len(numbers)
    assert found["score"].current.top_values is None


def test_categories_have_their_most_frequent_values(found: dict[str, FeatureProfile]) -> None:
    for name in ("country", "items"):
        counted = Counter(present(name, 1))
        top = found[name].current.top_values
        assert top is not None
        assert dict(top) == dict(counted.most_common(20))
        assert [times for _, times in top] == sorted(counted.values(), reverse=True)[:20]
    born = found["born"].current
    assert (born.minimum, born.maximum) == (min(map(str, present("born", 1))), max(map(str, present("born", 1))))
    assert found["returned"].current.mean is None
    assert found["country"].current.quantiles is None


def test_what_has_no_value_has_no_statistics(found: dict[str, FeatureProfile]) -> None:
    empty = found["empty"].current
    assert (empty.rows, empty.nulls, empty.not_finite, empty.distinct) == (ROWS, ROWS, 0, 0)
    assert (empty.minimum, empty.mean, empty.stddev, empty.quantiles, empty.histogram) == (None, None, None, {}, ())


def test_drift_is_measured_in_the_bins_of_the_baseline(found: dict[str, FeatureProfile]) -> None:
    drift = found["score"].drift
    baseline = found["score"].baseline
    assert drift is not None
    assert baseline is not None
    assert baseline.quantiles is not None
    ends = sorted({baseline.quantiles[p / 10] for p in range(1, 10)})
    sides = []
    for day in (0, 1):
        numbers = finite("score", day)
        inside = np.bincount(np.searchsorted(ends, numbers, side="left"), minlength=len(ends) + 1).tolist()
        sides.append([*inside, ROWS - len(present("score", day)), len(present("score", day)) - len(numbers)])
    assert [[each.baseline for each in drift.bins], [each.current for each in drift.bins]] == sides
    assert drift.psi == pytest.approx(stability_index(*sides))
    assert drift.jensen_shannon == pytest.approx(jensen_shannon(*sides))
    assert drift.psi > 1
    assert drift.past == (f"psi of {drift.psi:.3f} is past 0.1",)

    country = found["country"].drift
    assert country is not None
    assert {each.name: (each.baseline, each.current) for each in country.bins} == {
        **{name: (present("country", 0).count(name), present("country", 1).count(name)) for name in ("NL", "BE", "Ünited ' Kingdom")},
        "(other)": (0, present("country", 1).count("DE")),
        "(null)": (0, 0),
    }
    assert country.past == ()
    items = found["items"].drift
    assert items is not None
    assert items.psi is not None
    assert items.psi < 0.1, "which is drawn alike on both days"


def test_profiles_gather_in_a_table(loaded: RunningWarehouse) -> None:
    report, target = report_of(loaded), loaded.relation("kept_profiles")
    warehouse = opened(loaded)
    for times in (1, 2):
        assert append_to_table(report, warehouse, target) == len(VIEW.features)
        with warehouse.session() as session:
            query = exp.select(*(column(each.name) for each in COLUMNS)).from_(relation(target))
            rows = session.query(query).read_all().to_pylist()
        assert len(rows) == times * len(VIEW.features)
    said = {row["feature"]: row for row in rows}
    written = {row["feature"]: row for row in to_arrow(report).to_pylist()}
    for name in ("score", "country", "empty"):
        for key in ("row_count", "psi", "drifted", "top_values", "p50", "minimum", "compared_with", "mean"):
            assert said[name][key] == written[name][key]
    with pytest.raises(RequestError, match="is no table of profiles: it has no baseline_mean"):
        append_to_table(report, warehouse, view_of(loaded).relation)


def test_a_training_table_is_compared_by_the_names_of_its_columns(loaded: RunningWarehouse) -> None:
    rows = [{"label": 1, "orders__score": row["score"], "country": row["country"]} for row in DAYS[0]]
    schema = pa.schema([("label", pa.int64()), ("orders__score", pa.float64()), ("country", pa.string())])
    loaded.load(loaded.relation("train_set"), pa.Table.from_pylist(rows, schema))
    trained = TrainingTable(loaded.relation("train_set"))
    day = TimeRange(START, START + DAY)
    report = profile_views(opened(loaded), [view_of(loaded)], day, trained, lambda _: LIMITS, at=START, chosen=True)
    drifts = {each.reference.feature: each.drift.psi for each in report.features if each.drift is not None}
    assert drifts == {"score": 0, "country": 0}
    assert "orders:amount is not on both sides" in report.left_out


def test_no_rows_are_no_drift(loaded: RunningWarehouse) -> None:
    nothing = TimeRange(START - DAY, START)
    day = TimeRange(START, START + DAY)
    report = profile_views(opened(loaded), [view_of(loaded)], nothing, day, lambda _: LIMITS, at=START, chosen=True)
    assert {(each.drift.psi, each.drift.past) for each in report.features if each.drift is not None} == {(None, ())}
    assert {each.current.rows for each in report.features} == {0}


def test_a_range_has_to_end_after_it_begins() -> None:
    at = START.replace(tzinfo=timezone.utc)
    with pytest.raises(RequestError, match="has to end later"):
        time_range(at, at)
