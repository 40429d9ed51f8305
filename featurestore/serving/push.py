"""What may be pushed, decided without reaching anything: rows of plain values, checked against the view that is served.

All that is wrong is named at once, before anything is written. A row has every join key, the event timestamp and every feature: one that
was left out would be served as null. A row counts as training would count it, so one whose time has not come yet is refused: until then
there would be two answers to the same question. A row whose TTL has passed is as good as any: both roads answer null for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from featurestore.codec.keys import KeySpace, encode_keys
from featurestore.codec.layout import RowSchema, push_sequence
from featurestore.codec.resolve import conversion
from featurestore.codec.rows import PlainRows, row_bytes
from featurestore.codec.values import WrongValue, storing
from featurestore.errors import PushError, RequestError, RowProblem, did_you_mean
from featurestore.registry.definitions import Column, FeatureView
from featurestore.registry.value_types import DATE
from featurestore.timestamps import duration_micros, format_duration, from_micros, to_micros

from .shapes import column_lists, refuse_no_rows

PushedRows: TypeAlias = Sequence[Mapping[str, object]] | Mapping[str, Sequence[object]]
"""A list of rows or a dict of columns: join keys, event timestamp, features and, where the view has one, the created timestamp."""

_MISSING = object()
_ROWS = "rows to push"
_MICROS_PER_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Pushed:
    """What became of a push."""

    view: str
    rows: int
    """How many were pushed."""

    written: int
    """Of how many entity keys the newest pushed row is online now. Of the others something newer was there already, and still is."""


@dataclass(frozen=True, slots=True)
class CheckedRows:
    """Rows of one view that may be written."""

    view: FeatureView
    columns: Mapping[str, Sequence[Any]]
    """As the codec stores them, by name; the created timestamp is there where the view has one."""

    event_times: Sequence[int]
    """Microseconds since the epoch."""

    newest: Mapping[str, int]
    """The place of each entity key's newest row: of the greatest event time, then created timestamp; the last of those that are equal."""

    def encoded(self, space: KeySpace, number: int) -> PlainRows:
        """The newest row of each entity key. Args: number: of the run that began last."""
        schema = RowSchema.of(self.view).schema_id
        features = [self.columns[feature.name] for feature in self.view.features]
        rows = [
            row_bytes(self.event_times[place], push_sequence(number), schema, [column[place] for column in features])
            for place in self.newest.values()
        ]
        return PlainRows(list(zip(space.keys(list(self.newest)), rows, strict=True)))


def pushed_columns(view: FeatureView) -> tuple[Column, ...]:
    """All that a pushed row of that view has, in the order in which it lands; the created timestamp may be left out."""
    created = _created_timestamp(view)
    instants = (view.event_timestamp,) if created is None else (view.event_timestamp, created)
    return (*view.join_keys, *instants, *(Column(feature.name, feature.value_type) for feature in view.features))


def takes_the_rows_of(served: FeatureView, view: FeatureView) -> bool:
    """Whether a row that was checked against one record of a view is a row of what is served: of the same columns, and counting from the
    same time on."""
    return (served.name, pushed_columns(served), served.available_after) == (view.name, pushed_columns(view), view.available_after)


def _created_timestamp(view: FeatureView) -> Column | None:
    """Where a row says when it was written, if it says that in a column of its own."""
    return None if view.created_timestamp == view.event_timestamp else view.created_timestamp


def refuse_unpushable(view: FeatureView) -> None:
    """Raise RequestError for a view that no single row can be pushed to."""
    if view.aggregated:
        raise RequestError(
            f"{view.name!r} aggregates events over windows: a pushed event cannot be folded into them exactly. Append it to the table that "
            "the model reads, run dbt build, then fsdbt materialize."
        )
    if view.valid_to is not None:
        raise RequestError(
            f"{view.name!r} is a dbt snapshot: only dbt says from when until when its rows count. Make a feature view of the model that "
            "it is taken of, and push to that."
        )
    if view.unresolved:
        raise RequestError(f"{view.name!r} is not built yet: the types of {', '.join(view.unresolved)} are unknown. Run dbt build.")


def check_rows(view: FeatureView, rows: PushedRows, now: datetime) -> CheckedRows:
    """Check all of it. Raises PushError naming everything that is wrong; RequestError for another shape or kind of view."""
    refuse_unpushable(view)
    checker = _Checker(view, to_micros(now))
    names, count = checker.shape(rows)
    columns = {column.name: checker.column(column, names.get(column.name), count) for column in checker.required}
    created = _created_timestamp(view)
    if created is not None:
        columns[created.name] = checker.created(created, names.get(created.name), count)
    event_times = _micros(view.event_timestamp, columns)
    checker.refuse_future(event_times)
    checker.raise_problems()
    keys = encode_keys(view.join_keys, [plain_values(key, columns[key.name]) for key in view.join_keys])
    return CheckedRows(view, columns, event_times, _newest(keys, event_times, _micros(created, columns) if created else event_times))


def plain_values(column: Column, stored: Sequence[Any]) -> list[Any]:
    """Stored values as a reader gets them."""
    convert = conversion(column.value_type, column.value_type)
    return [value if value is None or convert is None else convert(value) for value in stored]


class _Checker:
    """Collects what is wrong with the rows of one push."""

    def __init__(self, view: FeatureView, now: int) -> None:
        self._view, self._now = view, now
        self._problems: list[RowProblem] = []
        self._keys = {key.name for key in view.join_keys}
        self._known = [column.name for column in pushed_columns(view)]
        self.required = tuple(column for column in pushed_columns(view) if column != _created_timestamp(view))

    def shape(self, rows: PushedRows) -> tuple[dict[str, list[Any]], int]:
        """The columns by name, and how many rows there are."""
        if isinstance(rows, Mapping):
            columns = column_lists(rows, _ROWS)
            count = len(next(iter(columns.values()), ()))
        else:
            refuse_no_rows(rows, _ROWS)
            names = dict.fromkeys(name for row in rows for name in row)
            columns, count = {name: [row.get(name, _MISSING) for row in rows] for name in names}, len(rows)
        for name in columns:
            if name not in self._known:
                self._problem(None, str(name), f"{self._view.name!r} has no such column.{did_you_mean(str(name), self._known)}")
        return columns, count

    def column(self, column: Column, values: list[Any] | None, count: int) -> list[Any]:
        """The stored values of a column that every row must have."""
        if values is None:
            if count:
                self._problem(None, column.name, f"is missing: {self._what(column)}")
            return [None] * count
        store = storing(column.value_type)
        needed = column.name in self._keys or column.name == self._view.event_timestamp.name
        stored: list[Any] = [None] * len(values)
        for row, value in enumerate(values):
            if value is _MISSING:
                self._problem(row, column.name, f"is missing: {self._what(column)}")
            elif value is None:
                if needed:
                    self._problem(row, column.name, f"is null: {self._what(column)}")
            else:
                try:
                    stored[row] = store(value)
                except WrongValue as wrong:
                    self._problem(row, column.name, str(wrong))
        return stored

    def created(self, column: Column, values: list[Any] | None, count: int) -> list[Any]:
        """When each row was written, as stored: now, where it does not say."""
        scale = _scale(column)
        stored = [self._now // scale] * count
        store = storing(column.value_type)
        for row, value in enumerate(values or ()):
            if value is not None and value is not _MISSING:
                try:
                    stored[row] = store(value)
                except WrongValue as wrong:
                    self._problem(row, column.name, str(wrong))
                    continue
                if stored[row] * scale > self._now:
                    self._problem(row, column.name, f"is {_shown(stored[row] * scale)}, and now is only {_shown(self._now)}")
        return stored

    def refuse_future(self, event_times: Sequence[int | None]) -> None:
        """Rows that do not count yet."""
        wait = duration_micros(self._view.available_after)
        after = f", {format_duration(self._view.available_after)} after its event time" if wait else ""
        for row, event_time in enumerate(event_times):
            if event_time is not None and event_time + wait > self._now:
                message = f"counts from {_shown(event_time + wait)} on{after}, and now is only {_shown(self._now)}: push it then"
                self._problem(row, self._view.event_timestamp.name, message)

    def raise_problems(self) -> None:
        if self._problems:
            raise PushError(self._view.name, sorted(self._problems, key=lambda problem: -1 if problem.row is None else problem.row))

    def _what(self, column: Column) -> str:
        if column.name in self._keys:
            return "every row names its entity by all join keys"
        if column.name == self._view.event_timestamp.name:
            return "every row says when its values became true"
        return "a row replaces all features of its entity; give None where one is null"

    def _problem(self, row: int | None, column: str, message: str) -> None:
        self._problems.append(RowProblem(row, column, message))


def _newest(keys: Sequence[str], event_times: Sequence[Any], created: Sequence[int]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for place, key in enumerate(keys):
        before = newest.get(key)
        if before is None or (event_times[before], created[before]) <= (event_times[place], created[place]):
            newest[key] = place
    return newest


def _micros(column: Column, columns: Mapping[str, Sequence[Any]]) -> list[Any]:
    scale = _scale(column)
    return [None if value is None else value * scale for value in columns[column.name]]


def _scale(column: Column) -> int:
    """Microseconds of the unit in which its instants are stored."""
    return _MICROS_PER_DAY if column.value_type == DATE else 1


def _shown(micros: int) -> str:
    return from_micros(micros).isoformat().replace("+00:00", "Z")
