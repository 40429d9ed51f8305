"""Random views of aggregations with their events, and random spines: late, tied, null, filtered and extreme events are the rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, TypeAlias

import pyarrow as pa
from histories import DURATIONS, MOMENTS, PARIS, TICK, keys_of
from hypothesis import strategies as st
from reference import Row, Rules, Windowed, instant

from featurestore.arrow import arrow_type
from featurestore.registry.aggregations import AggregateFunction, feature_name
from featurestore.registry.definitions import Aggregation, Column, Entity, Feature, FeatureView, LateData, Relation
from featurestore.registry.value_types import DATE, FLOAT64, INT64, STRING, TIMESTAMP, TIMESTAMP_UTC, DecimalType, ValueType

AMOUNT, RATIO, PRICE, LABEL = range(4)
COLUMNS = (
    Column("amount", INT64),
    Column("ratio", FLOAT64),
    Column("unit_price", DecimalType(10, 2)),
    Column("label", STRING),
)
"""Of every event, beside keys and timestamps."""

VALUES: tuple[st.SearchStrategy[Any], ...] = (
    st.one_of(st.none(), st.integers(-3, 3), st.sampled_from([2**40, -(2**33)])),
    st.one_of(
        st.none(),
        st.sampled_from([0.1, 0.2, -0.3, 1e12, -1e-3, 3.3]),
        st.sampled_from([0.1, 0.2, 0.7, float("nan"), float("inf"), -float("inf"), 2.0**42, -5e300]),
        st.floats(-1e6, 1e6, allow_subnormal=False),
    ),
    st.one_of(st.none(), st.sampled_from([Decimal("0.01"), Decimal("-2.50"), Decimal("99999999.99")])),
    st.one_of(st.none(), st.sampled_from(["", "a", "b", "Z"])),
)
FILTERS: Mapping[str | None, Callable[[Row], bool] | None] = {
    None: None,
    "label = 'a'": lambda event: event.features[LABEL] == "a",
    "amount > 0 or label is null": lambda event: (event.features[AMOUNT] or 0) > 0 or event.features[LABEL] is None,
    "unit_price >= 0.01 and not label in ('b', 'Z')": lambda event: (
        event.features[PRICE] is not None and event.features[PRICE] > 0 and event.features[LABEL] in ("", "a")
    ),
}
"""Filters as they are declared, and what they mean."""

Asked: TypeAlias = tuple[tuple[object, ...], datetime | date | None]
"""A key, and the instant as of which it is asked about."""

WINDOWS = st.sampled_from([timedelta(minutes=30), timedelta(hours=1), timedelta(hours=2), timedelta(days=1), timedelta(hours=1) + TICK])


@dataclass(frozen=True)
class EventWorld:
    """A view of aggregations, what it declares about time, its events, and the spine that asks about it."""

    view: FeatureView
    rules: Rules
    windowed: tuple[Windowed, ...]
    events: tuple[Row, ...]
    spine_type: ValueType
    spine: tuple[Asked, ...]

    @property
    def longest(self) -> timedelta:
        return max(each.window for each in self.windowed)

    def table(self) -> pa.Table:
        """The events, as the warehouse has them."""
        view, events = self.view, self.events
        columns = [(key, [event.keys[index] for event in events]) for index, key in enumerate(view.join_keys)]
        columns.append((view.event_timestamp, [event.event_timestamp for event in events]))
        if view.created_timestamp:
            columns.append((view.created_timestamp, [event.created_timestamp for event in events]))
        columns += [(column, [event.features[index] for event in events]) for index, column in enumerate(COLUMNS)]
        return pa.table({column.name: pa.array(values, arrow_type(column.value_type)) for column, values in columns})

    def spine_columns(self, asked_at: str) -> dict[str, pa.Array]:
        """The spine's columns, its timestamp under that name."""
        keys = {
            key.name: pa.array([asked[index] for asked, _ in self.spine], arrow_type(key.value_type))
            for index, key in enumerate(self.view.join_keys)
        }
        return {**keys, asked_at: pa.array([moment for _, moment in self.spine], arrow_type(self.spine_type))}


@st.composite
def event_worlds(draw: st.DrawFn, functions: frozenset[AggregateFunction] = frozenset(AggregateFunction)) -> EventWorld:
    """A world whose view has some of these functions."""
    key_types = draw(st.sampled_from([(INT64,), (STRING,), (STRING, STRING), (DATE, INT64)]))
    keys = tuple(Column(name, value_type) for name, value_type in zip(("key", 'a "part"'), key_types, strict=False))
    created = draw(st.sampled_from([None, TIMESTAMP, TIMESTAMP_UTC, DATE]))
    rules = Rules(
        available_after=draw(st.one_of(st.just(timedelta(0)), DURATIONS.filter(lambda duration: duration <= timedelta(hours=1)))),
        as_known=created is not None and draw(st.booleans()),
    )
    features, windowed = draw(_features(functions, rules.available_after))
    view = FeatureView(
        name=draw(st.sampled_from(["orders", "orders.v2", "asked"])),
        unique_id="model.world.orders",
        path="models/orders.sql",
        relation=Relation(draw(st.sampled_from(["orders", "spine", "select"]))),
        entities=(Entity("customer", keys),),
        event_timestamp=Column("happened", draw(st.sampled_from([TIMESTAMP, TIMESTAMP, TIMESTAMP_UTC, DATE]))),
        created_timestamp=Column("written", created) if created else None,
        features=features,
        available_after=rules.available_after,
        late_data=LateData.AS_KNOWN if rules.as_known else LateData.AS_EVENT,
        exact_for=draw(st.sampled_from([timedelta(minutes=30), timedelta(hours=3), timedelta(days=1)])),
    )
    key_values = draw(keys_of(view))[:2]
    events = draw(st.lists(_events(view, st.sampled_from(key_values)), min_size=draw(st.sampled_from([0, 4, 8])), max_size=14))
    spine_type = draw(st.sampled_from([TIMESTAMP, TIMESTAMP, TIMESTAMP_UTC, DATE]))
    asked = st.one_of(_at_an_edge(view, events, spine_type), _at_an_edge(view, events, spine_type), _anywhere(key_values, spine_type))
    spine = draw(st.lists(asked, min_size=draw(st.sampled_from([0, 4, 8])), max_size=12))
    return EventWorld(view, rules, windowed, tuple(events), spine_type, tuple([*spine, *spine[:1]]))


def _at_an_edge(view: FeatureView, events: Sequence[Row], spine_type: ValueType) -> st.SearchStrategy[Asked]:
    """An event's key, at the instant at which it comes to count or leaves a window, or a microsecond beside it."""
    happened = [(event.keys, moment) for event in events if (moment := instant(event.event_timestamp)) is not None]
    if not happened:
        return st.nothing()
    offsets = st.sampled_from([timedelta(0), view.available_after, *view.windows, *view.windows])
    nudges = st.sampled_from([timedelta(0), timedelta(0), TICK, -TICK])
    return st.builds(
        lambda event, offset, nudge: (event[0], _of_type(event[1] + offset + nudge, spine_type)), st.sampled_from(happened), offsets, nudges
    )


def _anywhere(keys: Sequence[tuple[object, ...]], spine_type: ValueType) -> st.SearchStrategy[Asked]:
    moments = _moments(spine_type)
    asked_keys = st.one_of(st.sampled_from(keys), st.sampled_from(keys), st.just((*keys[0][:-1], None)))
    return st.tuples(asked_keys, st.one_of(moments, moments, moments, st.none()))


@st.composite
def _features(
    draw: st.DrawFn, functions: frozenset[AggregateFunction], available_after: timedelta
) -> tuple[tuple[Feature, ...], tuple[Windowed, ...]]:
    windows = draw(st.lists(WINDOWS.filter(lambda window: window > available_after), min_size=1, max_size=3, unique=True))
    chosen = draw(
        st.lists(st.tuples(st.sampled_from([None, *range(4)]), st.sampled_from(list(FILTERS))), min_size=1, max_size=3, unique=True)
    )
    features: list[Feature] = []
    windowed: list[Windowed] = []
    for number, (place, condition) in enumerate(chosen):
        of = None if place is None else COLUMNS[place]
        possible = [each for each in AggregateFunction if each in functions and each.result_type(of and of.value_type) is not None]
        for function in draw(st.lists(st.sampled_from(possible), min_size=1, max_size=4, unique=True)) if possible else ():
            for window in windows:
                aggregation = Aggregation(function, window, of, condition)
                answered = function.result_type(of.value_type if of else None)
                assert answered is not None
                features.append(Feature(feature_name(f"f{number}", function, window), answered, aggregation=aggregation))
                windowed.append(Windowed(function.value, window, place, FILTERS[condition]))
    if not features:
        count = AggregateFunction.COUNT
        features = [Feature(feature_name(None, count, window), INT64, aggregation=Aggregation(count, window)) for window in windows]
        windowed = [Windowed("count", window) for window in windows]
    return tuple(features), tuple(windowed)


def _events(view: FeatureView, keys: st.SearchStrategy[tuple[object, ...]]) -> st.SearchStrategy[Row]:
    often = _moments(view.event_timestamp.value_type)
    created = view.created_timestamp
    return st.builds(
        Row,
        keys=keys,
        event_timestamp=st.one_of(often, often, often, often, st.none()),
        features=st.tuples(*VALUES),
        created_timestamp=st.one_of(st.none(), _moments(created.value_type), _moments(created.value_type)) if created else st.none(),
    )


def _moments(value_type: ValueType) -> st.SearchStrategy[datetime | date]:
    return MOMENTS.map(lambda moment: _of_type(moment, value_type))


def _of_type(moment: datetime, value_type: ValueType) -> datetime | date:
    if value_type == DATE:
        return moment.date()
    return moment.replace(tzinfo=timezone.utc).astimezone(PARIS) if value_type == TIMESTAMP_UTC else moment
