"""Compares a training set with its lock: is it the same, which feature moved, and what changed around it.

Pure: it is given the lock from then, the lock of what was built now, and what was counted row by row, and says what that means.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .lock import Lock, LockedFeature, LockedSpine, LockedView


class Verdict(str, Enum):
    """How a part of the training set fares."""

    SAME = "same"
    MOVED = "moved"
    """Its values, their type or their order changed."""

    REORDERED = "reordered"
    """Of the spine: its query answers with the same rows in another order."""

    GONE = "gone"
    """It no longer exists."""

    UNKNOWN = "unknown"
    """Of a feature: it cannot be told, since the spine's rows are others and those from then are not to be had."""


class DataFile(str, Enum):
    """What is beside the lock."""

    INTACT = "intact"
    """The file that the lock was written with."""

    REPLACED = "replaced"
    """A file with other contents."""

    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Example:
    """The first row in which a feature differs."""

    row: int
    """Its position in the file, from 0."""

    keys: dict[str, Any]
    event_timestamp: Any
    then: Any
    now: Any


@dataclass(frozen=True, slots=True)
class RowDifferences:
    """In how many rows a column differs from the locked file's. `rows` is None where the values cannot be compared."""

    rows: int | None = 0
    example: Example | None = None


@dataclass(frozen=True, slots=True)
class FeatureComparison:
    """How one feature fares."""

    feature: str
    column: str
    verdict: Verdict
    type_then: str
    type_now: str | None = None
    rows: int | None = None
    """In how many rows its values differ. None: nobody knows, since the locked file was not there to count in."""

    example: Example | None = None


@dataclass(frozen=True, slots=True)
class SpineComparison:
    """How the spine fares, as it was given anew."""

    verdict: Verdict
    rows_then: int
    rows_now: int | None
    rows_added: int | None = None
    rows_removed: int | None = None
    """Counted where the locked file was there to count in."""

    columns: tuple[str, ...] = ()
    """Those that are new, gone, of another type or, among the same number of rows, of other values."""


@dataclass(frozen=True, slots=True)
class Change:
    """Something that may explain it."""

    what: str
    then: Any
    now: Any


@dataclass(frozen=True, slots=True)
class Comparison:
    """A training set built again from its lock, and how it compares."""

    path: str
    """The locked file, whether it is there or not."""

    locked_at: str
    same: bool
    """Whether the data is the same: every feature, for the same rows. In another order they are the same rows."""

    file: DataFile
    rows: int
    """Of what was built now; of the locked rows where those could be had."""

    spine: SpineComparison
    features: tuple[FeatureComparison, ...]
    changes: tuple[Change, ...]
    written: str | None = None
    """Where what was built now was written to."""

    time_travel: str | None = None
    """The point by which the warehouse can show its tables as they were then."""

    @property
    def moved(self) -> tuple[str, ...]:
        """The features that are not the same, or are gone."""
        return tuple(each.feature for each in self.features if each.verdict in (Verdict.MOVED, Verdict.GONE))


def compare_spines(then: LockedSpine, now: LockedSpine, added: int | None = None, removed: int | None = None) -> SpineComparison:
    """How the spine fares.

    Args:
        added: how many of its rows the locked file does not have. None: nobody counted.
        removed: how many of the locked file's rows it does not have.
    """
    if then.digest == now.digest and then.rows == now.rows:
        return SpineComparison(Verdict.SAME, then.rows, now.rows)
    verdict = Verdict.REORDERED if (added, removed) == (0, 0) else Verdict.MOVED
    columns = () if verdict is Verdict.REORDERED else tuple(_moved_columns(then, now))
    return SpineComparison(verdict, then.rows, now.rows, added, removed, columns)


def same_questions(then: Lock, now: Lock, join_keys: Iterable[str]) -> bool:
    """Whether both ask about the same keys and instants in the same order, whatever else the spine carries."""
    asked = {*join_keys, then.request.event_timestamp}
    old, new = ({column.name: column.digest for column in lock.spine.columns if column.name in asked} for lock in (then, now))
    return old == new


def compare_features(
    then: Sequence[LockedFeature], now: Sequence[LockedFeature], counted: Mapping[str, RowDifferences] | None, *, same_rows: bool
) -> tuple[FeatureComparison, ...]:
    """How each feature fares.

    Args:
        counted: by column, what was found against the locked file. None: it was not there, or not intact.
        same_rows: whether `now` is of the rows from then, in their order.
    """
    built = {feature.reference: feature for feature in now}
    return tuple(_feature(each, built.get(each.reference), counted, same_rows) for each in then)


def changes_between(then: Lock, now: Lock) -> tuple[Change, ...]:
    """What changed in the project around the training set: that of each view, then what concerns all."""
    found: list[Change] = []
    before, after = ({view.view: view for view in lock.views} for lock in (then, now))
    for name in [name for name in before if name in after]:
        found += _different(f"{name}:", _said_of(before[name]), _said_of(after[name]))
    old, new = ({each.reference: each for each in lock.features} for lock in (then, now))
    for name in [name for name in old if name in new]:
        found += _different(f"{name}:", old[name].definition, _in_words_of(old[name].definition, new[name].definition))
    for part in ("warehouse.dialect", "project.name", "project.target", "project.dbt_version", "project.manifest", "featurestore"):
        found += _change(part.removeprefix("warehouse."), _at(then, part), _at(now, part))
    asked_alike = (then.spine.given, then.spine.text) == (now.spine.given, now.spine.text)
    if asked_alike and list(old) == list(new):
        found += _change("sql", then.sql.digest, now.sql.digest)
    return tuple(found)


def _feature(
    then: LockedFeature, now: LockedFeature | None, counted: Mapping[str, RowDifferences] | None, same_rows: bool
) -> FeatureComparison:
    if now is None:
        return FeatureComparison(then.reference, then.column, Verdict.GONE, then.type)
    if not same_rows:
        return FeatureComparison(then.reference, then.column, Verdict.UNKNOWN, then.type, now.type)
    if then.digest == now.digest:
        return FeatureComparison(then.reference, then.column, Verdict.SAME, then.type, now.type, rows=0)
    rows = counted[then.column] if counted is not None else RowDifferences(None)
    return FeatureComparison(then.reference, then.column, Verdict.MOVED, then.type, now.type, rows.rows, rows.example)


def _moved_columns(then: LockedSpine, now: LockedSpine) -> Iterator[str]:
    before, after = ({column.name: column for column in spine.columns} for spine in (then, now))
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old is None or new is None or old.type != new.type or (then.rows == now.rows and old.digest != new.digest):
            yield name


def _said_of(view: LockedView) -> dict[str, Any]:
    return {"checksum": view.model.checksum, "upstream": view.model.upstream, **view.definition}


def _in_words_of(then: Mapping[str, Any], now: Mapping[str, Any]) -> Mapping[str, Any]:
    """A feature's definition now, its expression in the words of then where it is the same tree: a space changes no value."""
    old, new = (definition.get("on_demand") for definition in (then, now))
    if not isinstance(new, Mapping):
        return now
    # The first locks had the expression alone.
    alike = old.get("tree") == new["tree"] if isinstance(old, Mapping) else old == new["expression"]
    return {**now, "on_demand": old} if alike else now


def _different(where: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[Change]:
    """What differs between two records, by the path of its keys. A list counts as a whole."""
    for key in dict.fromkeys((*then, *now)):
        old, new = then.get(key), now.get(key)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from _different(f"{where} {key}", old, new)
        else:
            yield from _change(f"{where} {key}", old, new)


def _change(what: str, then: Any, now: Any) -> Iterable[Change]:
    return () if then == now else (Change(what, then, now),)


def _at(lock: Lock, path: str) -> Any:
    value: Any = lock
    for name in path.split("."):
        value = getattr(value, name)
    return value
