"""How the row of a view of aggregations says what holds when: each value from one instant on, to the next.

After an instant, without new events, a window changes only at instants that are known then: when an event leaves it, or when one that
is there already comes to count. So a row holds the values from the instant of the materialization on, and a reader takes those of the last
instant that has come:

    exact_until    int64          the row says nothing about any later instant
    counted_from   list<int64>    from when on `newest_event` holds
    newest_event   list<int64>    the timestamp of the newest event in the longest window; null: there is none, and so no row
    from_7d        list<int64>    from when on the values of that window hold; so for each window
    amount_sum_7d  list<…>        the feature's values, as many as its window has instants; so for each feature

Instants are microseconds since the epoch, UTC, in ascending order; the first is that of the materialization. No feature has one of these
names: they all end in a function and a window.
"""

from __future__ import annotations

from datetime import timedelta

from featurestore.registry.aggregations import window_name
from featurestore.registry.definitions import Feature, FeatureView
from featurestore.registry.value_types import INT64, ListType, ValueType

EXACT_UNTIL, COUNTED_FROM, NEWEST_EVENT = "exact_until", "counted_from", "newest_event"


def from_field(window: timedelta) -> str:
    """The name of the field that says from when on the values of that window hold."""
    return f"from_{window_name(window)}"


def stepped_fields(view: FeatureView) -> tuple[tuple[str, ValueType], ...]:
    """The fields of a row, in their order."""
    instants = ListType(INT64)
    return (
        (EXACT_UNTIL, INT64),
        (COUNTED_FROM, instants),
        (NEWEST_EVENT, instants),
        *((from_field(window), instants) for window in view.windows),
        *((feature.name, ListType(feature.value_type)) for feature in view.features),
    )


def read_fields(features: tuple[Feature, ...]) -> tuple[Feature, ...]:
    """What has to be read of a row for those features: the first three fields, the windows' instants, then the features' lists."""
    windows = windows_of(features)
    instants = ListType(INT64)
    return (
        Feature(EXACT_UNTIL, INT64),
        Feature(COUNTED_FROM, instants),
        Feature(NEWEST_EVENT, instants),
        *(Feature(from_field(window), instants) for window in windows),
        *(Feature(feature.name, ListType(feature.value_type)) for feature in features),
    )


def windows_of(features: tuple[Feature, ...]) -> tuple[timedelta, ...]:
    """The windows of those features, shortest first."""
    return tuple(sorted({feature.aggregation.window for feature in features if feature.aggregation}))
