"""Rows that Feast's clients write, as a push of ours takes them.

Feast's client calls the timestamps `event_timestamp` and `created` whatever they are called at the source, sends an instant as whole
seconds since the epoch, and a map or struct as JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from featurestore.registry.definitions import FeatureView
from featurestore.registry.value_types import DateType, MapType, StructType, TimestampType, ValueType
from featurestore.serving.push import PushedRows, pushed_columns
from featurestore.timestamps import EPOCH

EVENT_TIMESTAMP, CREATED = "event_timestamp", "created"


def rows_of(view: FeatureView, df: PushedRows) -> PushedRows:
    """The columns of a data frame, as JSON has them, under the names and in the forms that a push of that view takes."""
    columns = {column.name: column.value_type for column in pushed_columns(view)}
    assert isinstance(df, Mapping)
    rows: dict[str, Any] = dict(df)
    if EVENT_TIMESTAMP in rows and EVENT_TIMESTAMP not in columns:
        rows[view.event_timestamp.name] = rows.pop(EVENT_TIMESTAMP)
    if CREATED in rows and CREATED not in columns:
        created = rows.pop(CREATED)
        if view.created_timestamp is not None:
            rows[view.created_timestamp.name] = created
    for name, value_type in columns.items():
        read = _reader(value_type)
        if read is not None and isinstance(rows.get(name), list):
            rows[name] = [read(value) for value in rows[name]]
    return rows


def _reader(value_type: ValueType) -> Callable[[Any], Any] | None:
    """What reads a value of that type where Feast writes it in its own way. What it cannot read stays as it came."""
    match value_type:
        case TimestampType():
            return _instant
        case DateType():
            return _date
        case MapType() | StructType():
            return _mapping
    return None


def _instant(value: Any) -> Any:
    if type(value) is not int:
        return value
    try:
        return EPOCH + timedelta(seconds=value)
    except OverflowError:
        return value


def _date(value: Any) -> Any:
    instant = _instant(value)
    return instant.date() if isinstance(instant, datetime) else _day(instant)


def _day(value: Any) -> Any:
    """Feast has no dates: one comes as the text of its midnight."""
    if isinstance(value, str) and len(value) > 10:
        try:
            midnight = datetime.fromisoformat(value)
        except ValueError:
            return value
        return midnight.date() if midnight.time() == midnight.min.time() else value
    return value


def _mapping(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
