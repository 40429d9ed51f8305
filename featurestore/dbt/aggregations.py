"""What `meta.feature_view.aggregations` may say, and the features it becomes.

Each entry names a column, functions and windows; every pair of a function and a window is a feature. As everywhere, every wrong word is
reported with the nearest right one, and reading goes on.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from featurestore.errors import did_you_mean
from featurestore.registry.aggregations import AggregateFunction, feature_name
from featurestore.registry.definitions import Aggregation, Column, Feature
from featurestore.registry.value_types import UNRESOLVED, BooleanType, UnresolvedType
from featurestore.timestamps import format_duration, parse_duration

from .columns import ModelColumn, ModelColumns
from .problems import Report

PATH = "meta.feature_view.aggregations"
AGGREGATION_KEYS = ("column", "functions", "windows", "filter", "name")
_NAME = re.compile(r"[^\W\d]\w*")
_FORM = "Write it like `{column: amount, functions: [sum, count], windows: [1 hour, 7 days]}`"
_WORDS = {
    AggregateFunction.SUM: "Sum of {column}",
    AggregateFunction.COUNT: "Number of values of {column}",
    AggregateFunction.AVG: "Mean of {column}",
    AggregateFunction.MIN: "Least {column}",
    AggregateFunction.MAX: "Greatest {column}",
    AggregateFunction.STDDEV: "Sample standard deviation of {column}",
    AggregateFunction.COUNT_DISTINCT: "Number of different values of {column}",
    AggregateFunction.LAST: "Newest {column}",
}


@dataclass(frozen=True, slots=True)
class AggregationDeclaration:
    """One entry of the list."""

    functions: tuple[AggregateFunction, ...]
    windows: tuple[timedelta, ...]
    column: str | None = None
    filter: str | None = None
    name: str | None = None


def read_aggregations(said: object, report: Report) -> tuple[AggregationDeclaration, ...] | None:
    """The entries that a model's `aggregations` lists; None where it has none."""
    if said is None:
        return None
    if not isinstance(said, list) or not said or not all(isinstance(entry, Mapping) for entry in said):
        report(PATH, f"must be a list of mappings. {_FORM}, not {said!r}.")
        return None
    return tuple(entry for entry in (_entry(each, report) for each in said) if entry is not None)


def _entry(said: Mapping[str, Any], report: Report) -> AggregationDeclaration | None:
    for key in said:
        if key not in AGGREGATION_KEYS:
            report(f"{PATH}.{key}", f"there is no such key.{did_you_mean(str(key), AGGREGATION_KEYS)}")
    column, condition, name = (_text(said, key, report) for key in ("column", "filter", "name"))
    functions = tuple(_functions(said.get("functions"), report))
    windows = tuple(_windows(said.get("windows"), report))
    if name is not None and not _NAME.fullmatch(name):
        report(f"{PATH}.name", f"{name!r} cannot begin the name of a feature. Use letters, digits and underscores.")
    if column is None:
        for function in functions:
            if function is not AggregateFunction.COUNT:
                report(f"{PATH}.functions", f"{function.value} needs a `column`: without one, events are counted and nothing else.")
        functions = tuple(function for function in functions if function is AggregateFunction.COUNT)
    if not functions or not windows:
        return None
    return AggregationDeclaration(functions, windows, column, condition, name)


def aggregated_features(
    entries: Sequence[AggregationDeclaration],
    columns: ModelColumns,
    keys: set[str],
    available_after: timedelta,
    dialect: str,
    model: str,
    report: Report,
) -> tuple[Feature, ...]:
    """The features that those entries become, in their order."""
    features: dict[str, Feature] = {}
    for entry in entries:
        column = _column(entry, columns, keys, model, report) if entry.column is not None else None
        if entry.column is not None and column is None:
            continue
        if entry.filter is not None and not _is_filter(entry.filter, columns, dialect, model, report):
            continue
        for window in entry.windows:
            if window <= available_after:
                report(
                    f"{PATH}.windows",
                    f"{format_duration(window)} is over before an event in it counts, {format_duration(available_after)} after its "
                    "timestamp. Make it longer than `available_after`.",
                )
        for feature in _features(entry, column, report):
            if features.setdefault(feature.name, feature) is not feature:
                report(PATH, f"two features are called {feature.name!r}. Give one of the aggregations a `name`.")
    return tuple(features.values())


def _features(entry: AggregationDeclaration, column: ModelColumn | None, report: Report) -> Iterator[Feature]:
    value_type = column.value_type if column is not None else UNRESOLVED
    for function in entry.functions:
        answered = function.result_type(value_type if column is not None else None)
        if answered is None:
            assert column is not None
            report(f"{PATH}.functions", f"there is no {function.value} of {column.name!r}, which is {value_type}.{_instead(value_type)}")
            continue
        for window in entry.windows:
            name = feature_name(entry.name or (column.name if column is not None else None), function, window)
            of = Column(column.name, value_type, column.stored_as) if column is not None else None
            aggregation = Aggregation(function, window, of, entry.filter)
            if ":" in name:
                report(PATH, f"{name!r}: a feature's name cannot hold a colon. Give the aggregation a `name`.")
            tags = column.declared.tags if column is not None and column.declared is not None else None
            yield Feature(name, answered, _description(aggregation), tuple(sorted(set(tags))) if tags else (), aggregation=aggregation)


def _description(aggregation: Aggregation) -> str:
    """What the feature is, in words."""
    what = _WORDS[aggregation.function].format(column=aggregation.column.name) if aggregation.column else "Number of events"
    where = f", where {aggregation.filter}" if aggregation.filter else ""
    return f"{what} in the {format_duration(aggregation.window)} before{where}."


def _instead(value_type: object) -> str:
    return " Count its rows with a `filter`." if isinstance(value_type, BooleanType) else " Cast it in the model."


def _column(entry: AggregationDeclaration, columns: ModelColumns, keys: set[str], model: str, report: Report) -> ModelColumn | None:
    assert entry.column is not None
    found = columns.find(entry.column)
    if found is None:
        known = [column.name for column in columns]
        report(f"{PATH}.column", f"{model} has no column {entry.column!r}.{did_you_mean(entry.column, known)}")
        return None
    if found.name in keys:
        report(f"{PATH}.column", f"{found.name!r} is a join key, so it is the same in every event of a window. Leave the column out.")
        return None
    if found.trouble:
        report(f"columns.{found.name}", found.trouble)
        return None
    return found


def _is_filter(text: str, columns: ModelColumns, dialect: str, model: str, report: Report) -> bool:
    # The SQL parser costs a listing half a second, so only a project with filters pays for it.
    from featurestore.sql.filters import EXAMPLE, FilterError, filter_columns, is_column, parse_filter

    path = f"{PATH}.filter"
    try:
        condition = parse_filter(text, dialect)
    except FilterError as error:
        report(path, str(error))
        return False
    named = filter_columns(condition)
    missing = [name for name in named if columns.find(name) is None]
    for name in missing:
        report(path, f"{model} has no column {name!r}.{did_you_mean(name, [column.name for column in columns])}")
    alone = columns.find(named[0]) if not missing and is_column(condition) else None
    if alone is not None and not isinstance(alone.value_type, BooleanType | UnresolvedType):
        report(path, f"{text!r} is {alone.value_type} and no condition. {EXAMPLE}")
        return False
    return not missing


def _text(said: Mapping[str, Any], key: str, report: Report) -> str | None:
    value = said.get(key)
    if value is None or (isinstance(value, str) and value.strip()):
        return value
    report(f"{PATH}.{key}", f"must be a text, not {value!r}.")
    return None


def _functions(said: object, report: Report) -> Iterator[AggregateFunction]:
    known = [function.value for function in AggregateFunction]
    for text in _listed("functions", said, report):
        if text in known:
            yield AggregateFunction(text)
        else:
            report(f"{PATH}.functions", f"there is no function {text!r}.{did_you_mean(text, known)}")


def _windows(said: object, report: Report) -> Iterator[timedelta]:
    seen: set[timedelta] = set()
    for text in _listed("windows", said, report):
        try:
            window = parse_duration(text)
        except ValueError as error:
            report(f"{PATH}.windows", str(error))
            continue
        if not window:
            report(f"{PATH}.windows", "must be longer than nothing.")
        elif window in seen:
            report(f"{PATH}.windows", f"lists {format_duration(window)} twice.")
        else:
            seen.add(window)
            yield window


def _listed(key: str, said: object, report: Report) -> Iterator[str]:
    """The texts of a list, each once."""
    if not isinstance(said, list) or not said or not all(isinstance(item, str | int) and not isinstance(item, bool) for item in said):
        what = "is missing" if said is None else f"must be a list of texts, not {said!r}"
        report(f"{PATH}.{key}", f"{what}. {_FORM}.")
        return
    texts = [str(item) for item in said]
    for text in sorted({text for text in texts if texts.count(text) > 1}):
        report(f"{PATH}.{key}", f"lists {text!r} twice.")
    yield from dict.fromkeys(texts)
