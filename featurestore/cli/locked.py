"""Shows how a training set that was built again compares with its lock."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .output import cell, note, write_json, write_table

if TYPE_CHECKING:
    from featurestore.training.comparison import Change, Comparison, FeatureComparison

DIFFERENT = 6
"""The exit code where a locked training set is not the same any more."""

_FILES = {
    "replaced": "The file beside the lock is not the one that was locked, so its rows were not compared.",
    "missing": "The locked file is gone, so its rows were not compared.",
}
_LONGEST = 60


def show_comparison(comparison: Comparison, *, as_json: bool) -> int:
    """Write it to stdout, and return the exit code that it means."""
    if as_json:
        write_json(dataclasses.asdict(comparison))
    else:
        note(_headline(comparison))
        features = ((each.feature, each.verdict, _feature(each)) for each in comparison.features)
        write_table(("what", "verdict", "how"), [("spine", comparison.spine.verdict, _spine(comparison)), *features])
        for line in _around(comparison):
            note(line)
    return 0 if comparison.same else DIFFERENT


def _headline(comparison: Comparison) -> str:
    where = f"{comparison.path}, locked {comparison.locked_at}"
    if comparison.same:
        return f"{where}: the same, {comparison.rows:,} rows."
    moved = len(comparison.moved)
    features = f"{moved} of {len(comparison.features)} features moved" if moved else "other rows"
    return f"{where}: different, {features}."


def _spine(comparison: Comparison) -> str:
    spine = comparison.spine
    if spine.verdict == "same":
        return f"{spine.rows_then:,} rows"
    if spine.verdict == "reordered":
        return "the same rows in another order; the features are compared in that of the locked file"
    if spine.rows_now is None:
        return "its model no longer exists; the features are compared for the locked rows" if comparison.rows else ""
    parts = [f"{spine.rows_then:,} rows then, {spine.rows_now:,} now"]
    if spine.rows_added is not None:
        parts.append(f"{spine.rows_added:,} added, {spine.rows_removed:,} gone")
    if spine.columns:
        parts.append(f"columns {', '.join(spine.columns)}")
    if comparison.file == "intact":
        parts.append("the features are compared for the locked rows")
    return "; ".join(parts)


def _feature(each: FeatureComparison) -> str:
    parts = []
    if each.type_now is not None and each.type_now != each.type_then:
        parts.append(f"{each.type_then} then, {each.type_now} now")
    if each.rows is not None and each.verdict != "same":
        parts.append("1 row differs" if each.rows == 1 else f"{each.rows:,} rows differ")
    if each.example is not None:
        example = each.example
        keys = ", ".join(f"{name}={cell(value)}" for name, value in example.keys.items())
        place = f"first row {example.row} ({keys} at {cell(example.event_timestamp)})"
        parts.append(f"{place}: {_value(example.then)} then, {_value(example.now)} now")
    if each.verdict == "unknown":
        parts.append("the spine's rows are others")
    return "; ".join(parts)


def _around(comparison: Comparison) -> Iterator[str]:
    if comparison.changes:
        yield "\nChanged since:"
        yield from (f"  {change.what}{_turn(change)}" for change in comparison.changes)
    if comparison.file in _FILES:
        yield _FILES[comparison.file]
    if not comparison.same and comparison.time_travel is not None:
        yield f"The warehouse can show its tables as they were: {comparison.time_travel}"
    if comparison.written is not None:
        yield f"{comparison.rows:,} rows written to {comparison.written}"


def _turn(change: Change) -> str:
    """What it was and is, where a person can read it: a digest says no more than that it changed."""
    sides = [_value(side) for side in (change.then, change.now)]
    if any(side.startswith("sha256:") for side in sides):
        return " is new" if change.then is None else " is gone" if change.now is None else ""
    return f": {sides[0]} then, {sides[1]} now"


def _value(value: object) -> str:
    text = "null" if value is None else cell(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
