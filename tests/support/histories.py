"""Random feature views with their rows, and random spines, in small worlds where ties, edges and late rows are the rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone

import pyarrow as pa
from hypothesis import strategies as st
from reference import Row, Rules

from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, LateData, Relation
from featurestore.registry.value_types import DATE, FLOAT64, INT64, STRING, TIMESTAMP, TIMESTAMP_UTC, ValueType

START = datetime(2024, 2, 28, 22)
HALF_AN_HOUR, TICK = timedelta(minutes=30), timedelta(microseconds=1)
PARIS = timezone(timedelta(hours=1))

MOMENTS = st.builds(
    lambda steps, nudge: START + steps * HALF_AN_HOUR + nudge * TICK,
    st.integers(0, 12),
    st.sampled_from([0, 0, 0, -1, 1]),
)
DURATIONS = st.sampled_from([timedelta(0), TICK, HALF_AN_HOUR, timedelta(hours=1), timedelta(hours=1) + TICK, timedelta(days=1)])
NAMES = st.sampled_from(
    [
        ("key", "part", "happened", "written", "ends", "gone", ("amount", "ratio", "label")),
        ("select", 'a "quoted" key', "order", "group", "end", "where", ("row_number", "asked_at", "event_timestamp")),
        ("spine", "asked", "event_timestamp", "created_timestamp", "valid_to", "dbt_is_deleted", ("known_at", "version", "place")),
    ]
)
ARROW: dict[ValueType, pa.DataType] = {
    DATE: pa.date32(),
    FLOAT64: pa.float64(),
    INT64: pa.int64(),
    STRING: pa.string(),
    TIMESTAMP: pa.timestamp("us"),
    TIMESTAMP_UTC: pa.timestamp("us", "UTC"),
}


@dataclass(frozen=True)
class World:
    """A view, what it declares about time, its rows, and the spine that asks about it."""

    view: FeatureView
    rules: Rules
    rows: tuple[Row, ...]
    spine_type: ValueType
    spine: tuple[tuple[tuple[object, ...], datetime | date | None], ...]

    def table(self) -> pa.Table:
        """The view's rows, as the warehouse has them."""
        view = self.view
        columns: list[tuple[Column | Feature, Sequence[object]]] = [
            *((key, [row.keys[index] for row in self.rows]) for index, key in enumerate(view.join_keys)),
            (view.event_timestamp, [row.event_timestamp for row in self.rows]),
            *((feature, [row.features[index] for row in self.rows]) for index, feature in enumerate(view.features)),
        ]
        if view.created_timestamp:
            columns.append((view.created_timestamp, [row.created_timestamp for row in self.rows]))
        if view.valid_to:
            columns.append((view.valid_to, [row.valid_to for row in self.rows]))
        if view.is_deleted:
            columns.append((view.is_deleted, [row.is_deleted for row in self.rows]))
        return pa.table({column.name: pa.array(values, ARROW[column.value_type]) for column, values in columns})

    def spine_columns(self, asked_at: str) -> dict[str, pa.Array]:
        """The spine's columns, its timestamp under that name."""
        keys = {
            key.name: pa.array([asked[index] for asked, _ in self.spine], ARROW[key.value_type])
            for index, key in enumerate(self.view.join_keys)
        }
        return {**keys, asked_at: pa.array([moment for _, moment in self.spine], ARROW[self.spine_type])}


@st.composite
def worlds(draw: st.DrawFn, validity: str = "none") -> World:
    """A world whose view has no validity ranges (`none`), ones that never overlap (`disjoint`), or any (`overlapping`)."""
    view, rules = draw(views(validity))
    key_values = draw(keys_of(view))
    asked_keys = st.one_of(st.sampled_from(key_values), st.sampled_from(key_values), _with_null(key_values[0]))
    rows = draw(st.lists(_rows(view, asked_keys), max_size=14))
    if validity == "disjoint":
        rows = _made_disjoint(rows, draw(st.lists(st.sampled_from([timedelta(0), TICK, HALF_AN_HOUR]), min_size=14, max_size=14)))
    spine_type = draw(st.sampled_from([TIMESTAMP, TIMESTAMP, TIMESTAMP_UTC, DATE]))
    asked = st.tuples(asked_keys, st.one_of(_moments(spine_type), _moments(spine_type), _moments(spine_type), st.none()))
    spine = draw(st.lists(asked, max_size=12))
    if spine and draw(st.booleans()):
        spine = [*spine, spine[0]]
    return World(view, rules, tuple(rows), spine_type, tuple(spine))


@st.composite
def views(draw: st.DrawFn, validity: str) -> tuple[FeatureView, Rules]:
    """A view and the part of its declaration that decides which row counts."""
    key, part, happened, written, ends, gone, feature_names = draw(NAMES)
    key_types = draw(st.sampled_from([(INT64,), (STRING,), (STRING, STRING), (DATE, INT64)]))
    columns = tuple(Column(name, value_type) for name, value_type in zip((key, part), key_types, strict=False))
    created = draw(st.sampled_from([None, TIMESTAMP, TIMESTAMP_UTC, DATE]))
    rules = Rules(
        ttl=draw(st.one_of(st.none(), DURATIONS)),
        available_after=draw(st.one_of(st.just(timedelta(0)), DURATIONS)),
        as_known=created is not None and draw(st.booleans()),
    )
    view = FeatureView(
        name=draw(st.sampled_from(["orders", "orders.v2", "asked", 'a "view"'])),
        unique_id="model.world.orders",
        path="models/orders.sql",
        relation=Relation(draw(st.sampled_from(["orders", "spine", "select", 'a "table"']))),
        entities=(Entity("customer", columns),),
        event_timestamp=Column(happened, draw(st.sampled_from([TIMESTAMP, TIMESTAMP, TIMESTAMP_UTC, DATE]))),
        created_timestamp=Column(written, created) if created else None,
        valid_to=Column(ends, draw(st.sampled_from([TIMESTAMP, TIMESTAMP_UTC]))) if validity != "none" else None,
        is_deleted=Column(gone, STRING) if validity != "none" and draw(st.booleans()) else None,
        disjoint_validity=validity != "overlapping",
        features=tuple(Feature(name, value_type) for name, value_type in zip(feature_names, (INT64, FLOAT64, STRING), strict=True)),
        ttl=rules.ttl,
        available_after=rules.available_after,
        late_data=LateData.AS_KNOWN if rules.as_known else LateData.AS_EVENT,
    )
    if validity == "disjoint":
        # What ends a row is the next one's timestamp, so both are of one type and exact.
        view = replace(view, event_timestamp=Column(happened, TIMESTAMP), valid_to=Column(ends, TIMESTAMP))
    return view, rules


def keys_of(view: FeatureView) -> st.SearchStrategy[list[tuple[object, ...]]]:
    """A few entity keys, among them some that would be the same if their parts were glued together."""
    values = {
        INT64: st.sampled_from([0, 1, 11]),
        STRING: st.sampled_from(["1", "11", "", "a,b", "A,b", "é"]),
        DATE: st.sampled_from([date(2024, 2, 28), date(2024, 2, 29)]),
    }
    return st.lists(st.tuples(*(values[key.value_type] for key in view.join_keys)), min_size=1, max_size=3)


def _rows(view: FeatureView, keys: st.SearchStrategy[tuple[object, ...]]) -> st.SearchStrategy[Row]:
    values = st.tuples(
        st.one_of(st.none(), st.integers(0, 2)),
        st.one_of(st.none(), st.sampled_from([0.5, -1.0, float("nan"), float("inf")])),
        st.one_of(st.none(), st.sampled_from(["", "a", "Z", "é"])),
    )
    often = _moments(view.event_timestamp.value_type)
    created, ends = view.created_timestamp, view.valid_to
    return st.builds(
        Row,
        keys=keys,
        event_timestamp=st.one_of(often, often, often, often, st.none()),
        features=values,
        created_timestamp=st.one_of(st.none(), _moments(created.value_type), _moments(created.value_type)) if created else st.none(),
        valid_to=st.one_of(st.none(), _moments(ends.value_type)) if ends else st.none(),
        is_deleted=st.sampled_from(["False", "False", "True", None]) if view.is_deleted else st.none(),
    )


def _moments(value_type: ValueType) -> st.SearchStrategy[datetime | date]:
    if value_type == DATE:
        return MOMENTS.map(lambda moment: moment.date())
    if value_type == TIMESTAMP_UTC:
        return MOMENTS.map(lambda moment: moment.replace(tzinfo=timezone.utc).astimezone(PARIS))
    return MOMENTS


def _with_null(key: tuple[object, ...]) -> st.SearchStrategy[tuple[object, ...]]:
    return st.sampled_from([(*key[:place], None, *key[place + 1 :]) for place in range(len(key))])


def _made_disjoint(rows: Sequence[Row], gaps: Sequence[timedelta]) -> list[Row]:
    """The rows without those of an equal key and timestamp, each ended by the next one of its key or a little earlier."""
    first = {(row.keys, row.event_timestamp): row for row in reversed(rows)}
    kept = sorted(first.values(), key=lambda row: str(row.event_timestamp))
    ended = []
    for row, gap in zip(kept, gaps, strict=False):
        later = [
            other.event_timestamp for other in kept if other.keys == row.keys and str(other.event_timestamp) > str(row.event_timestamp)
        ]
        moments = [moment for moment in later if isinstance(moment, datetime)]
        ends = row.valid_to if not moments else min(moments) - gap
        ended.append(replace(row, valid_to=ends))
    return ended
