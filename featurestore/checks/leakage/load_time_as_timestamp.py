"""The event timestamp says when a row was loaded, or when dbt ran, and not when something happened.

Why it leaks: `current_timestamp as as_of`, or `_loaded_at`, moves the whole history to the day of a backfill. A point-in-time join then
finds nothing before that day, and everything on it, what happened later than the labels included; each full refresh gives every row
another time.

How to mend: declare the column that says when it happened as `timestamp`, and the load time as `created_timestamp`, which breaks ties
between versions of a row. The later one of both (`greatest(happened_at, loaded_at)`) is a sound event timestamp too: it is when the row
was known.
"""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.joins import stamps
from featurestore.checks.naming import is_event_of, is_load_time
from featurestore.checks.subject import ModelInView

RULE = Rule("load_time_as_timestamp", "The event timestamp is when a row was loaded", Severity.ERROR)


def find(model: ModelInView, /) -> Iterator[Spot]:
    for each in stamps(model):
        loaded = each.leaf is not None and is_load_time(each.leaf.column) and not is_event_of(each.leaf.column, each.leaf.node)
        if each.model == model.model.node.unique_id and (each.clock or loaded):
            yield Spot(
                each.at,
                frozenset(),
                "A row counts from when it was loaded, not from when it happened, and a rebuild moves the whole history.",
                "Declare the time at which it happened as `timestamp`, and this one as `created_timestamp`.",
            )
