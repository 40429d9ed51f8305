"""An input has the same value in training as in serving, whatever column of the spine brings it; what is refused there is null here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from asking import Asked
from expressions import spelled, values_of
from hypothesis import strategies as st
from sqlglot import exp
from warehouses import WAREHOUSES, RunningWarehouse, for_all, of_its_own, opened

from featurestore.arrow import arrow_type, conformed
from featurestore.dbt.on_demand import ExpressionDeclaration, OnDemandDeclaration, on_demand_features
from featurestore.errors import EntityDataframeError, RequestError
from featurestore.registry.definitions import Column, Feature, FeatureView, Relation
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import (
    BOOLEAN,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    UNRESOLVED,
    DecimalType,
    FloatType,
    IntegerType,
)
from featurestore.serving.inputs import typed_inputs
from featurestore.serving.on_demand import RequestRows, compiled
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import ascending, column, named, table
from featurestore.sql.point_in_time.on_demand import Places, worked_out
from featurestore.training.spine import LoadedSpine, QuerySpine, SpineUse, checked_spine
from featurestore.training.uploaded_spine import ArrowSpine

ASKED_AT = datetime(2024, 1, 31, 14, 30)
GIVEN = (
    *(IntegerType(bits, signed) for bits in (8, 16, 32, 64) for signed in (True, False)),
    *(FloatType(32), FLOAT64, DecimalType(4, 1), DecimalType(12, 3), DecimalType(20, 0), DecimalType(38, 9)),
    *(BOOLEAN, STRING, DATE, TIMESTAMP, TIMESTAMP_UTC),
)
DECLARED = (
    *("tinyint", "smallint", "integer", "bigint", "utinyint", "usmallint", "uinteger", "ubigint", "float", "double"),
    *("decimal(5, 2)", "decimal(12, 3)", "decimal(20, 0)", "decimal(38, 10)"),
    *("boolean", "varchar", "date", "timestamp", "timestamptz"),
)
WORKING = [each for each in of_its_own() if dialect_named(str(each.id)).works_out_on_demand]
pytestmark = pytest.mark.parametrize("warehouse_name", WORKING, indirect=True)


@pytest.fixture(scope="module")
def asked(running: RunningWarehouse, warehouse_name: str) -> Iterator[Asked]:
    warehouse = opened(running)
    with warehouse.session() as session:
        yield Asked(session, dialect_named(warehouse.dialect), WAREHOUSES[warehouse_name].examples)


def declared(name: str, data_type: str) -> Feature:
    """A feature on demand that is its only input, as a dbt project declares it."""
    said = OnDemandDeclaration({name: data_type}, (ExpressionDeclaration("itself", name),))

    def report(path: str, problem: str) -> None:
        raise AssertionError(f"{path}: {problem}")

    (feature,) = on_demand_features(said, (), {}, False, "duckdb", report)
    return feature


def asking_for(feature: Feature) -> RequestedView:
    view = FeatureView("nothing", "model.shop.nothing", "", Relation("nothing"), (), Column("computed_at", TIMESTAMP), (feature,))
    return RequestedView(view, (feature,), ("itself",))


def served(feature: Feature, name: str, value: Any) -> object:
    """What the serving path answers of the value; None of one that it refuses."""
    assert feature.on_demand is not None
    try:
        inputs = typed_inputs(asking_for(feature).inputs, {name: [value]})
    except RequestError:
        return None
    row = {input_name: values for (input_name, _), values in inputs.items()}
    (answer,) = compiled(feature.on_demand.tree)(RequestRows(1, ASKED_AT, {}, row))
    return answer


def trained(asked: Asked, loaded: LoadedSpine, features: list[Feature]) -> list[list[object]]:
    """What training answers, feature by feature."""
    outputs = []
    types = {each.name: each.value_type for each in loaded.columns}
    places = Places(types, "event_timestamp", "entity_df", {}, "none")
    for place, feature in enumerate(features):
        assert feature.on_demand is not None
        checked_spine(loaded, (asking_for(feature),), "event_timestamp")
        outputs.append(named(worked_out(feature.on_demand, places, asked.dialect), f"answer_{place}"))
    query = exp.select(*outputs).from_(table("entity_df")).order_by(ascending(column(loaded.row_number)))
    found = asked.session.query(query).read_all()
    return [
        pa.chunked_array(
            [conformed(chunk, arrow_type(each.value_type)) for chunk in answers.chunks], arrow_type(each.value_type)
        ).to_pylist()
        for each, answers in zip(features, found.columns, strict=True)
    ]


def put(asked: Asked, columns: Mapping[str, pa.Array], *, zoned: str | None = None) -> LoadedSpine:
    """A spine with those columns beside its instants. Args: zoned: the one that a query makes zoned, which no upload does."""
    count = len(next(iter(columns.values())))
    rows = pa.table({"event_timestamp": pa.array([ASKED_AT] * count, pa.timestamp("us")), **columns})
    use = SpineUse("event_timestamp", frozenset(columns))
    if zoned is None:
        return ArrowSpine(rows.to_reader).put(asked.session, use)
    asked.session.upload("given_rows", rows.append_column("place", pa.array(range(count))).to_reader())
    moment = named(exp.AtTimeZone(this=column(zoned), zone=exp.Literal.string("UTC")), zoned)
    query = exp.select(column("event_timestamp"), moment).from_(table("given_rows")).order_by(ascending(column("place")))
    return QuerySpine(query.subquery("spine_query"), asked.dialect, "").put(asked.session, use)


GIVEN_VALUES = {f"given_{place}": (given, values_of(given)) for place, given in enumerate(GIVEN)}


def test_every_column_of_a_spine_is_the_input_that_a_request_brings(asked: Asked) -> None:
    strategies = {name: st.lists(st.none() | values, min_size=6, max_size=6) for name, (_, values) in GIVEN_VALUES.items()}
    wholly_refused = set()

    @for_all(asked.examples // 4, rows=st.fixed_dictionaries(strategies))
    def _(rows: dict[str, list[Any]]) -> None:
        columns = {name: pa.array(values, arrow_type(GIVEN_VALUES[name][0])) for name, values in rows.items()}
        # What is asked of serving is what a reader of the column sees.
        rows = {name: values.to_pylist() for name, values in columns.items()}
        loaded = put(asked, columns)
        taken = []
        for name in rows:
            for data_type in DECLARED:
                feature = declared(name, data_type)
                try:
                    checked_spine(loaded, (asking_for(feature),), "event_timestamp")
                except EntityDataframeError:
                    wholly_refused.add((name, data_type))
                else:
                    taken.append((name, data_type, feature))
        answers = trained(asked, loaded, [feature for *_, feature in taken])
        for (name, data_type, feature), answer in zip(taken, answers, strict=True):
            expected = [served(feature, name, value) for value in rows[name]]
            assert list(map(spelled, answer)) == list(map(spelled, expected)), f"{GIVEN_VALUES[name][0]} as {data_type}: {rows[name]}"

    assert len(wholly_refused) < len(GIVEN) * len(DECLARED) * 3 // 4


@pytest.mark.parametrize("data_type", ["timestamp", "timestamptz"])
@pytest.mark.parametrize("kind", ["naive", "zoned", "a zoned column of a query", "dates"])
def test_an_instant_keeps_its_time_of_day(asked: Asked, data_type: str, kind: str) -> None:
    feature = declared("x", data_type)
    values = {"zoned": pa.array([ASKED_AT], pa.timestamp("us", "UTC")), "dates": pa.array([ASKED_AT.date()])}.get(
        kind, pa.array([ASKED_AT], pa.timestamp("us"))
    )
    loaded = put(asked, {"x": values}, zoned="x" if kind == "a zoned column of a query" else None)
    expected = datetime(2024, 1, 31) if kind == "dates" else ASKED_AT
    assert trained(asked, loaded, [feature]) == [[expected]] == [[served(feature, "x", values[0].as_py())]]


def test_nanoseconds_of_a_spine_are_left_out(asked: Asked) -> None:
    feature = declared("x", "timestamp")
    loaded = put(asked, {"x": pa.array([1_999, -1, None], pa.timestamp("ns"))})
    epoch = datetime(1970, 1, 1)
    assert trained(asked, loaded, [feature]) == [[epoch + timedelta(microseconds=1), epoch - timedelta(microseconds=1), None]]


@pytest.mark.parametrize(
    ("data_type", "given", "value", "answer"),
    [
        ("float", FLOAT64, 0.1, 0.1),
        ("float", FLOAT64, 1e300, 1e300),
        ("uinteger", INT64, 3_000_000_000, 3_000_000_000),
        ("utinyint", INT64, 200, 200),
        ("uinteger", INT64, -5, -5),
        ("ubigint", INT64, -5, Decimal(-5)),
        ("ubigint", IntegerType(64, False), 2**64 - 1, Decimal(2**64 - 1)),
        ("bigint", IntegerType(64, False), 2**64 - 1, None),
        ("tinyint", IntegerType(8, False), 200, None),
        ("tinyint", IntegerType(64, False), 200, None),
    ],
)
def test_numbers_are_taken_as_what_is_calculated_with(asked: Asked, data_type: str, given: Any, value: Any, answer: Any) -> None:
    feature = declared("x", data_type)
    loaded = put(asked, {"x": pa.array([value], arrow_type(given))})
    assert trained(asked, loaded, [feature]) == [[answer]] == [[served(feature, "x", value)]]


@pytest.mark.parametrize(
    ("data_type", "values", "answers"),
    [
        ("bigint", ["9" * 20, "12", None], [None, 12, None]),
        ("tinyint", ["300", "-128", None], [None, -128, None]),
        ("decimal(5, 2)", ["1000.00", "-999.99", None], [None, Decimal("-999.99"), None]),
    ],
)
def test_a_column_of_a_type_that_nobody_knows_is_null_where_it_does_not_fit(
    asked: Asked, data_type: str, values: Any, answers: Any
) -> None:
    feature = declared("x", data_type)
    loaded = put(asked, {"x": pa.array([value and Decimal(value) for value in values], pa.decimal128(38, 2))})
    of_no_type = replace(
        loaded, columns=tuple(Column(each.name, UNRESOLVED if each.name == "x" else each.value_type) for each in loaded.columns)
    )
    assert trained(asked, of_no_type, [feature]) == [answers]
