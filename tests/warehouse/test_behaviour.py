"""What every warehouse promises: values come back exactly, instants are UTC, names are whatever they are, and nothing is lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from histories import World, worlds
from hypothesis import strategies as st
from reference import features_at
from sqlglot import exp
from warehouses import WAREHOUSES, RunningWarehouse, for_all, opened

from featurestore.arrow import arrow_type
from featurestore.errors import WarehouseError
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_UTC,
    UNRESOLVED,
    DecimalType,
    FloatType,
    IntegerType,
    ListType,
    MapType,
    StructType,
    ValueType,
    is_nested,
)
from featurestore.sql.expressions import column, relation, table
from featurestore.training.retrieval import RetrievalJob, historical_features
from featurestore.training.spine import ref
from featurestore.warehouse.base import BATCH_ROWS

NOON = datetime(2024, 2, 29, 12)
TICK = timedelta(microseconds=1)
PARIS = timezone(timedelta(hours=1))
MOMENTS = {
    "naive": pa.array([NOON], pa.timestamp("us")),
    "seconds": pa.array([NOON], pa.timestamp("s")),
    "nanoseconds, as pandas has them": pa.array([NOON], pa.timestamp("ns")),
    "zoned": pa.array([NOON.replace(tzinfo=timezone.utc).astimezone(PARIS)], pa.timestamp("us", "Europe/Paris")),
    "zoned nanoseconds": pa.array([NOON.replace(tzinfo=timezone.utc)], pa.timestamp("ns", "America/New_York")),
}
VALUES: dict[str, tuple[ValueType, list[Any]]] = {
    "boolean": (BOOLEAN, [True, False, None]),
    "int8": (IntegerType(8), [-128, 127, None]),
    "int16": (IntegerType(16), [-(2**15), 2**15 - 1, None]),
    "int32": (IntegerType(32), [-(2**31), 2**31 - 1, None]),
    "int64": (INT64, [-(2**63), 2**63 - 1, None]),
    "float32": (FloatType(32), [0.5, -1.5, math.inf, None]),
    "float64": (FLOAT64, [0.1, -0.0, 5e-324, 1.7976931348623157e308, math.nan, -math.inf, None]),
    "decimal": (DecimalType(10, 2), [Decimal("-99999999.99"), Decimal("0.01"), Decimal("0.00"), None]),
    "wide decimal": (DecimalType(38, 10), [Decimal("1234567890123456789012345678.0123456789"), None]),
    "text": (STRING, ["", "it's", 'a "quoted" word', "back\\slash", "é 漢 🦆", "two\nlines", " padded ", None]),
    "bytes": (BYTES, [b"", b"\x00\xff'", None]),
    "date": (DATE, [date(1970, 1, 1), date(2024, 2, 29), date(1900, 1, 1), None]),
    "time": (TIME, [time(0), time(23, 59, 59, 999999), None]),
    "timestamp": (TIMESTAMP, [NOON, NOON + TICK, datetime(1970, 1, 1), datetime(1901, 1, 1, 0, 0, 0, 1), None]),
    "zoned timestamp": (TIMESTAMP_UTC, [NOON.replace(tzinfo=timezone.utc), (NOON + TICK).replace(tzinfo=timezone.utc), None]),
    "integers": (ListType(INT64), [[1, 2, 3], [], [2**62], None]),
    "integers and nulls": (ListType(INT64), [[1, None], None]),
    "embedding": (ListType(FloatType(32)), [[0.5, -0.25], [], None]),
    "texts": (ListType(STRING), [["a", "", "it's"], [], None]),
    "struct": (StructType((("a", INT64), ("b", STRING))), [{"a": 1, "b": "x"}, {"a": None, "b": None}, None]),
    "map": (MapType(STRING, INT64), [[("a", 1), ("b", 2)], [], None]),
}


def view_of(running: RunningWarehouse, name: str, features: Sequence[Feature], **changes: Any) -> FeatureView:
    """A view over a table of that name: keys are numbers."""
    plain = FeatureView(
        name=name,
        unique_id=f"model.shop.{name}",
        path=f"models/{name}.sql",
        relation=running.relation(name),
        entities=(Entity("customer", (Column("customer_id", INT64),)),),
        event_timestamp=Column("happened_at", TIMESTAMP),
        features=tuple(features),
    )
    return replace(plain, **changes)


def build(running: RunningWarehouse, view: FeatureView, columns: dict[str, Sequence[Any]]) -> None:
    """Put rows into the view's table."""
    types = {of.name: arrow_type(of.value_type) for of in (*view.join_keys, view.event_timestamp, *view.features)}
    running.load(view.relation, pa.table({name: pa.array(values, types[name]) for name, values in columns.items()}))


def ask(running: RunningWarehouse, entity_df: Any, *views: FeatureView, **options: Any) -> RetrievalJob:
    requested = tuple(RequestedView(view, view.features, tuple(feature.name for feature in view.features)) for view in views)
    return historical_features(opened(running), requested, entity_df, relation_of=running.relation, **options)


def spine(keys: Sequence[Any], at: datetime = NOON + timedelta(days=1)) -> pa.Table:
    return pa.table({"customer_id": pa.array(keys, pa.int64()), "event_timestamp": pa.array([at] * len(keys), pa.timestamp("us"))})


def shown(value: Any) -> str:
    """A value as text that tells 0.0 from -0.0 and not one spelling of UTC from another."""
    return value.isoformat() if isinstance(value, datetime) else repr(value)


@pytest.mark.parametrize(("value_type", "values"), VALUES.values(), ids=VALUES)
def test_values_come_back_exactly(running: RunningWarehouse, value_type: ValueType, values: list[Any]) -> None:
    view = view_of(running, "typed_values", [Feature("value", value_type)])
    keys = list(range(len(values)))
    build(running, view, {"customer_id": keys, "happened_at": [NOON] * len(keys), "value": values})
    answer = ask(running, spine([*keys, 99]), view).to_arrow()
    assert answer.schema.field("value").type == arrow_type(value_type)
    assert list(map(shown, answer.column("value").to_pylist())) == list(map(shown, [*values, None]))


@pytest.mark.parametrize(("value_type", "values"), VALUES.values(), ids=VALUES)
def test_the_types_of_a_table_are_known(running: RunningWarehouse, value_type: ValueType, values: list[Any]) -> None:
    """So that a column whose type nobody declared is what it is."""
    view = view_of(running, "described_values", [Feature("value", value_type)])
    build(running, view, {"customer_id": [1], "happened_at": [NOON], "value": values[:1]})
    found = {of.name: of.value_type for of in opened(running).describe([view.relation])[view.relation]}
    assert found == {"customer_id": INT64, "happened_at": TIMESTAMP, "value": value_type}


LANDED = {"bytes": ["bytes"], "others": [name for name, (of, _) in VALUES.items() if not is_nested(of) and name != "bytes"]}


@pytest.mark.parametrize("landed", LANDED.values(), ids=LANDED)
def test_rows_are_appended_to_a_table_exactly(running: RunningWarehouse, landed: list[str]) -> None:
    types = {f"v{place}": VALUES[name][0] for place, name in enumerate(landed)}
    columns = {f"v{place}": VALUES[name][1] for place, name in enumerate(landed)}
    rows = [{name: values[at % len(values)] for name, values in columns.items()} for at in range(12)]
    schema = pa.schema([("n", pa.int64()), *((name, arrow_type(of)) for name, of in types.items())])
    table_of = lambda numbers: pa.Table.from_pylist([{"n": n, **rows[n]} for n in numbers], schema=schema)  # noqa: E731
    landing = running.relation("landed_values")
    running.load(landing, table_of([0]))
    warehouse = opened(running)
    stored = {each.name: each.stored_name for each in warehouse.describe([landing])[landing]}
    for numbers in (range(1, 5), range(5, 12), ()):
        part = table_of(numbers).select([*reversed(schema.names)])
        with warehouse.session(read_only=False) as session:
            session.append(landing, part.rename_columns([stored[name] for name in part.schema.names]).to_reader())
    with warehouse.session() as session:
        chosen = [exp.alias_(exp.column(stored[name], quoted=True), name, quoted=True) for name in schema.names]
        answer = session.query(exp.select(*chosen).from_(relation(landing))).read_all().sort_by("n").to_pylist()
    assert [row["n"] for row in answer] == list(range(12))
    for name in types:
        assert [shown(row[name]) for row in answer] == [shown(row[name]) for row in rows], landed[int(name[1:])]


def test_rows_of_a_column_that_a_table_does_not_have_are_refused(running: RunningWarehouse) -> None:
    landing = running.relation("landed_numbers")
    running.load(landing, pa.table({"n": pa.array([1], pa.int64())}))
    with pytest.raises(WarehouseError), opened(running).session(read_only=False) as session:
        session.append(landing, pa.table({"no_such_column": pa.array([2], pa.int64())}).to_reader())
    with opened(running).session() as session:
        assert session.query(exp.select("*").from_(relation(landing))).read_all().num_rows == 1


def test_a_relation_that_is_not_there_is_absent_from_the_answer(running: RunningWarehouse) -> None:
    assert opened(running).describe([running.relation("no_such_table")]) == {}


def test_a_view_that_was_never_built_names_its_model(running: RunningWarehouse) -> None:
    with pytest.raises(WarehouseError, match="dbt build --select never_built"):
        ask(running, spine([1]), view_of(running, "never_built", [Feature("value", INT64)])).to_arrow()


class TestInstants:
    @pytest.mark.parametrize("stored", [TIMESTAMP, TIMESTAMP_UTC], ids=["naive", "zoned"])
    @pytest.mark.parametrize("moments", MOMENTS.values(), ids=MOMENTS)
    def test_are_the_same_however_they_are_written(self, running: RunningWarehouse, stored: ValueType, moments: pa.Array) -> None:
        view = view_of(running, "instants", [Feature("value", INT64)], event_timestamp=Column("happened_at", stored))
        zone = timezone.utc if stored == TIMESTAMP_UTC else None
        happened = [(NOON - TICK).replace(tzinfo=zone), NOON.replace(tzinfo=zone), (NOON + TICK).replace(tzinfo=zone)]
        build(running, view, {"customer_id": [1, 1, 1], "happened_at": happened, "value": [1, 2, 3]})
        answer = ask(running, pa.table({"customer_id": [1], "event_timestamp": moments}), view).to_arrow()
        assert answer.column("value").to_pylist() == [2]
        assert answer.column("event_timestamp").combine_chunks() == moments

    def test_a_nanosecond_before_a_value_is_before_it(self, running: RunningWarehouse) -> None:
        view = view_of(running, "instants", [Feature("value", INT64)])
        build(running, view, {"customer_id": [1], "happened_at": [NOON], "value": [1]})
        just_before = pa.array([NOON], pa.timestamp("ns")).cast(pa.int64()).to_pylist()[0] - 1
        asked = pa.table({"customer_id": [1], "event_timestamp": pa.array([just_before], pa.timestamp("ns"))})
        assert ask(running, asked, view).to_arrow().column("value").to_pylist() == [None]

    def test_a_date_is_its_midnight(self, running: RunningWarehouse) -> None:
        view = view_of(running, "days", [Feature("value", INT64)], event_timestamp=Column("happened_at", DATE))
        build(running, view, {"customer_id": [1, 1], "happened_at": [NOON.date(), date(2024, 3, 1)], "value": [1, 2]})
        days = pa.table({"customer_id": [1, 1, 1], "day": [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]})
        assert ask(running, days, view, event_timestamp="day").to_arrow().column("value").to_pylist() == [None, 1, 2]


class TestNames:
    @pytest.mark.parametrize(
        ("table_name", "key", "timestamp", "feature"),
        [
            pytest.param("order", "select", "from", "group", id="reserved words"),
            pytest.param("Mixed Case", "CustomerId", "HappenedAt", "Value", id="capitals and spaces"),
            pytest.param('a "quoted" table', 'a "quoted" key', "when's", "50% off", id="quotes"),
            pytest.param("größe", "schlüssel", "zeit", "wert", id="letters"),
            pytest.param("spine", "asked_at", "row_number", "known_at", id="our own"),
            pytest.param("t" * 60, "k" * 60, "w" * 60, "f" * 60, id="long"),
        ],
    )
    def test_may_be_whatever_they_are(self, running: RunningWarehouse, table_name: str, key: str, timestamp: str, feature: str) -> None:
        view = view_of(
            running,
            table_name,
            [Feature(feature, INT64)],
            entities=(Entity("customer", (Column(key, INT64),)),),
            event_timestamp=Column(timestamp, TIMESTAMP),
        )
        build(running, view, {key: [1, 2], timestamp: [NOON, NOON], feature: [5, 6]})
        asked = pa.table({key: [2, 1, 3], "event_timestamp": [NOON] * 3})
        assert ask(running, asked, view).to_arrow().column(feature).to_pylist() == [6, 5, None]


class TestSizes:
    def test_an_empty_spine_answers_with_no_rows_and_all_columns(self, running: RunningWarehouse) -> None:
        view = view_of(running, "few_values", [Feature("value", DecimalType(10, 2))])
        build(running, view, {"customer_id": [1], "happened_at": [NOON], "value": [Decimal("1.00")]})
        answer = ask(running, spine([]), view).to_arrow()
        assert (answer.num_rows, answer.column_names) == (0, ["customer_id", "event_timestamp", "value"])
        assert answer.schema.field("value").type == pa.decimal128(10, 2)

    def test_an_empty_view_answers_with_nulls(self, running: RunningWarehouse) -> None:
        view = view_of(running, "no_values", [Feature("value", INT64)])
        build(running, view, {"customer_id": [], "happened_at": [], "value": []})
        assert ask(running, spine([1, None, 1]), view).to_arrow().column("value").to_pylist() == [None] * 3

    def test_two_hundred_features_of_a_view(self, running: RunningWarehouse) -> None:
        features = [Feature(f"feature_{number}", INT64) for number in range(200)]
        view = view_of(running, "wide_view", features)
        build(running, view, {"customer_id": [1], "happened_at": [NOON], **{f"feature_{n}": [n] for n in range(200)}})
        answer = ask(running, spine([1, 2]), view).to_arrow().to_pylist()
        assert [answer[0][feature.name] for feature in features] == list(range(200))
        assert [answer[1][feature.name] for feature in features] == [None] * 200

    def test_forty_views_in_one_request(self, running: RunningWarehouse) -> None:
        views = [view_of(running, f"one_of_forty_{number}", [Feature(f"value_{number}", INT64)]) for number in range(40)]
        for number, view in enumerate(views):
            build(running, view, {"customer_id": [1, 2], "happened_at": [NOON, NOON], f"value_{number}": [number, -number]})
        answer = ask(running, spine([2, 1]), *views).to_arrow().to_pylist()
        assert [answer[1][f"value_{number}"] for number in range(40)] == list(range(40))

    def test_more_rows_than_a_batch_come_back_in_their_order(self, running: RunningWarehouse) -> None:
        count = BATCH_ROWS + 5_000
        view = view_of(running, "many_values", [Feature("value", INT64)])
        keys = pa.array(range(count), pa.int64())
        rows = {"customer_id": keys, "happened_at": pa.array([NOON] * count, pa.timestamp("us")), "value": keys}
        running.load(view.relation, pa.table(rows))
        backwards = pa.array(range(count - 1, -1, -1), pa.int64())
        asked = pa.table({"customer_id": backwards, "event_timestamp": pa.array([NOON] * count, pa.timestamp("us"))})
        with ask(running, asked, view).to_arrow_batches() as batches:
            sizes, answer = [], []
            for batch in batches:
                sizes.append(batch.num_rows)
                answer.append(batch.column("value"))
        assert len(sizes) > 1, "streamed, not held as a whole"
        assert pa.chunked_array(answer).combine_chunks() == backwards


class TestSpines:
    def test_a_model_is_a_spine_and_keeps_its_columns(self, running: RunningWarehouse) -> None:
        view = view_of(running, "few_values", [Feature("value", INT64)])
        build(running, view, {"customer_id": [1, 2], "happened_at": [NOON, NOON], "value": [5, 6]})
        labels = pa.table({"customer_id": [2, 1, 2], "event_timestamp": [NOON] * 3, "label": ["a", "b", "c"]})
        running.load(running.relation("labels"), labels)
        answer = sorted(ask(running, ref("labels"), view).to_arrow().to_pylist(), key=lambda row: row["label"])
        assert [(row["customer_id"], row["label"], row["value"]) for row in answer] == [(2, "a", 6), (1, "b", 5), (2, "c", 6)]

    def test_the_answer_can_stay_in_the_warehouse(self, running: RunningWarehouse) -> None:
        view = view_of(running, "few_values", [Feature("value", INT64)])
        build(running, view, {"customer_id": [1, 2], "happened_at": [NOON, NOON], "value": [5, 6]})
        target = running.relation("training_set")
        asked = spine([2, 1, 3]).append_column("label", pa.array(["a", None, "c"]))
        job = ask(running, asked, view)
        name = ".".join(part for part in (target.database, target.schema, target.identifier) if part)
        assert job.to_table(name, overwrite=True) == 3
        assert job.to_table(name, overwrite=True) == 3
        kept = [column(each) for each in ("customer_id", "label", "value")]
        with opened(running).session() as session:
            rows = session.query(exp.select(*kept).from_(relation(target))).read_all().to_pylist()
        assert sorted(map(repr, (tuple(row.values()) for row in rows))) == sorted(map(repr, [(2, "a", 6), (1, None, 5), (3, "c", None)]))


class TestSessions:
    def test_what_is_kept_stays_as_it_was(self, running: RunningWarehouse) -> None:
        """A query that answers otherwise each time is run once."""
        with opened(running).session() as session:
            session.upload("numbers", pa.table({"n": [3, 1, 2]}).to_reader())
            session.keep("kept", exp.select(column("n")).from_(table("numbers")))
            session.upload("numbers", pa.table({"n": [9]}).to_reader())
            kept = session.query(exp.select(column("n")).from_(table("kept")).order_by(column("n"))).read_all()
            assert kept.column(0).to_pylist() == [1, 2, 3]

    def test_temporary_tables_are_nobody_elses(self, running: RunningWarehouse) -> None:
        with opened(running).session() as session:
            session.upload("passing", pa.table({"n": [1]}).to_reader())
        with pytest.raises(WarehouseError), opened(running).session() as session:
            session.query(exp.select(column("n")).from_(table("passing"))).read_all()

    def test_the_columns_of_a_query_are_known_without_running_it(self, running: RunningWarehouse) -> None:
        with opened(running).session() as session:
            session.upload("typed", pa.table({"n": pa.array([1], pa.int64()), "at": pa.array([NOON], pa.timestamp("us"))}).to_reader())
            columns = session.columns(exp.select(column("n"), column("at")).from_(table("typed")))
        assert [each.name for each in columns] == ["n", "at"]
        assert columns[0].value_type == INT64
        assert columns[1].value_type in (TIMESTAMP, TIMESTAMP_UTC)
        assert UNRESOLVED not in [each.value_type for each in columns]

    def test_what_the_warehouse_refuses_is_said_in_its_words(self, running: RunningWarehouse) -> None:
        with opened(running).session() as session:
            session.upload("numbers", pa.table({"n": [1]}).to_reader())
            query = exp.select(column("no_such_column")).from_(table("numbers"))
            with pytest.raises(WarehouseError, match="no_such_column"):
                session.query(query).read_all()


def test_a_training_set_is_what_the_reference_says(running: RunningWarehouse, warehouse_name: str) -> None:
    """The whole way: tables as dbt leaves them, a spine from the caller, the plan that the planner makes."""

    @for_all(WAREHOUSES[warehouse_name].examples, world=st.one_of(worlds(), worlds("disjoint"), worlds("overlapping")))
    def _(world: World) -> None:
        view = replace(world.view, relation=running.relation(world.view.relation.identifier))
        running.load(view.relation, world.table())
        outputs = tuple(f"out {feature.name}" for feature in view.features)
        asked = pa.table({**world.spine_columns("asked when"), "label": pa.array(range(len(world.spine)), pa.int64())})
        job = historical_features(
            opened(running), (RequestedView(view, view.features, outputs),), asked, relation_of=Relation, event_timestamp="asked when"
        )
        answer = job.to_arrow()
        assert answer.select(asked.column_names).equals(asked)
        nothing = (None,) * len(view.features)
        expected = [features_at(world.rows, world.rules, keys, moment) or nothing for keys, moment in world.spine]
        found = zip(*(answer.column(name).to_pylist() for name in outputs), strict=True)
        assert [list(map(shown, row)) for row in found] == [list(map(shown, row)) for row in expected]
