"""The experiment: build, build again, change every source row that is later than a cut, build, remove them, build, and compare what is
before the cut.

It knows nothing of dbt: it is given tables in a DuckDB file, what builds the models from them, and the feature views. The file is written
to, so it is a copy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from sqlglot import exp

from featurestore.errors import RequestError
from featurestore.registry.definitions import Column, FeatureReference, Relation
from featurestore.sql.dialects import dialect_named
from featurestore.sql.expressions import column, descending, identifier, relation, render
from featurestore.sql.instants import instant, instant_literal, later
from featurestore.timestamps import as_utc

_DIALECT = dialect_named("duckdb")
_NUMBERS = ("INT", "DECIMAL", "DOUBLE", "FLOAT", "HUGEINT", "UBIGINT")
_WIDE_NUMBERS = ("INTEGER", "BIGINT", "HUGEINT")
_SHARE_BEFORE = 0.7
"""The part of the source rows that is before the cut."""


@dataclass(frozen=True, slots=True)
class ProvedSource:
    """A table that models read and no model makes."""

    name: str
    relation: Relation
    time: str
    """The column that says when a row happened."""

    ends: str | None = None
    """Of a snapshot: the column that says until when a row holds."""

    unique: tuple[frozenset[str], ...] = ()
    """The sets of columns that are declared to be unique, and may not be repeated."""


@dataclass(frozen=True, slots=True)
class ProvedView:
    """A feature view as far as it is compared."""

    name: str
    relation: Relation
    keys: tuple[str, ...]
    event_timestamp: Column
    features: Mapping[str, str]
    """The column that each feature is read from, by the feature's name."""

    available_after: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class ChangedValue:
    """A value that is another one now, with its row."""

    feature: FeatureReference
    keys: Mapping[str, Any]
    event_timestamp: datetime | None
    before: tuple[Any, ...]
    """The values of all rows of that key and time; empty where there was none."""

    after: tuple[Any, ...]
    rows: int
    """How many keys and times have another value."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What the experiment showed."""

    cut: datetime
    compared: Mapping[str, int]
    """Rows before the cut, by feature view. None would prove nothing."""

    leaks: tuple[ChangedValue, ...]
    """What later rows changed, one example of each feature."""

    by_chance: tuple[ChangedValue, ...]
    """What changed when nothing else did, one example of each feature."""

    multiplied: tuple[str, ...] = ()
    """The feature views of which rows came again with the same values: no leak, for nothing else is known by them."""


_Rows = Mapping[tuple[Any, ...], list[tuple[Any, ...]]]
"""The features of each row before the cut, by its keys and event timestamp."""


def experiment(database: Path, sources: Sequence[ProvedSource], views: Sequence[ProvedView], build: Callable[[], None]) -> Proof:
    """Carry it out.

    Args:
        database: a DuckDB file, which is written to. Nobody has it open while `build` runs.
        build: builds all models anew from the sources that the file holds then.

    Raises RequestError naming the source or view that DuckDB refuses to change or read.
    """
    build()
    with _opened(database) as connection:
        with _naming(" or ".join(source.name for source in sources), "read"):
            cut = _cut(connection, sources)
        first = {view.name: _read(connection, view, cut) for view in views}
    build()
    with _opened(database) as connection:
        again = {view.name: _read(connection, view, cut) for view in views}
        for source in sources:
            with _naming(source.name, "changed"):
                _change_the_future(connection, source, cut, {key for view in views for key in view.keys})
    build()
    with _opened(database) as connection:
        changed = {view.name: _read(connection, view, cut) for view in views}
        for source in sources:
            with _naming(source.name, "changed"):
                _remove_the_future(connection, source, cut)
    build()
    with _opened(database) as connection:
        removed = {view.name: _read(connection, view, cut) for view in views}
    by_chance = [found for view in views for found in _differences(view, first[view.name], again[view.name])]
    unsteady = {found.feature for found in by_chance}
    leaks: dict[FeatureReference, ChangedValue] = {}
    for other in (changed, removed):
        for found in (found for view in views for found in _differences(view, again[view.name], other[view.name])):
            leaks.setdefault(found.feature, found)
    compared = {view: sum(map(len, rows.values())) for view, rows in first.items()}
    steady = tuple(found for found in leaks.values() if found.feature not in unsteady)
    multiplied = tuple(view.name for view in views if any(_multiplied(again[view.name], other[view.name]) for other in (changed, removed)))
    return Proof(cut, compared, steady, tuple(by_chance), multiplied)


@contextmanager
def _naming(name: str, done: str) -> Iterator[None]:
    """Name what DuckDB refuses."""
    try:
        yield
    except duckdb.Error as error:
        raise RequestError(f"{name} cannot be {done} in the copy of the database: {error}. Nothing was proved.") from None


def _read(connection: Any, view: ProvedView, cut: datetime) -> _Rows:
    with _naming(view.name, "read"):
        return _before(connection, view, cut)


def _opened(database: Path) -> Any:
    connection = duckdb.connect(str(database))
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def _cut(connection: Any, sources: Sequence[ProvedSource]) -> datetime:
    """An instant with most rows before it, in the middle of what happens."""
    times = [exp.select(exp.alias_(_moment(source.time), "moment")).from_(relation(source.relation)) for source in sources]
    every = exp.union(*times, distinct=False) if len(times) > 1 else times[0]
    share = exp.Anonymous(this="QUANTILE_DISC", expressions=[column("moment"), exp.Literal.number(_SHARE_BEFORE)])
    found = _fetch(connection, exp.select(share).from_(every.subquery("moments")))[0][0]
    return as_utc(found)


def _before(connection: Any, view: ProvedView, cut: datetime) -> _Rows:
    """The view's rows that count by the cut."""
    moment = instant(column(view.event_timestamp.stored_name), view.event_timestamp.value_type, _DIALECT)
    counts = exp.LTE(this=later(moment.copy(), view.available_after, _DIALECT), expression=instant_literal(cut, _DIALECT))
    columns = [*map(column, view.keys), moment, *map(column, view.features.values())]
    found: dict[tuple[Any, ...], list[tuple[Any, ...]]] = defaultdict(list)
    key_count = len(view.keys) + 1
    for row in _fetch(connection, exp.select(*columns).from_(relation(view.relation)).where(counts)):
        # A key of a type that the check is there to find, such as a list, is told apart by what it reads like.
        key = tuple(each if isinstance(each, Hashable) else repr(each) for each in row[:key_count])
        found[key].append(row[key_count:])
    return found


def _differences(view: ProvedView, before: _Rows, after: _Rows) -> Iterator[ChangedValue]:
    """Each feature of which a row has another value, or of which there are other rows."""
    for place, name in enumerate(view.features):
        example: tuple[Any, ...] | None = None
        count = 0
        for key in dict.fromkeys((*before, *after)):
            values = [sorted((row[place] for row in rows.get(key, ())), key=repr) for rows in (before, after)]
            if _other(*values):
                count += 1
                example = example or (key, *values)
        if example is not None:
            key, then, now = example
            keys = dict(zip(view.keys, key, strict=False))
            at = None if key[-1] is None else as_utc(key[-1])
            yield ChangedValue(FeatureReference(view.name, name), keys, at, tuple(then), tuple(now), count)


def _other(before: Sequence[Any], after: Sequence[Any]) -> bool:
    """Whether there are other values than before: the same ones, repeated, tell nothing of what is later."""
    return set(map(repr, before)) != set(map(repr, after))


def _multiplied(before: _Rows, after: _Rows) -> bool:
    """Whether some key and time has the rows that it had, another number of times."""
    both = ((rows, after[key]) for key, rows in before.items() if key in after)
    return any(len(rows) != len(others) and not _other(rows, others) for rows, others in both)


# The future.


def _change_the_future(connection: Any, source: ProvedSource, cut: datetime, keys: set[str]) -> None:
    """Of the rows later than the cut: other values in some, others gone, and rows that were not there; nothing up to the cut is touched."""
    table = relation(source.relation)
    columns = {name: kind for name, kind, *_ in connection.execute("DESCRIBE " + render(table, _DIALECT)).fetchall()}
    is_later = _is_later(source.time, cut)
    third = exp.Mod(this=column("rowid"), expression=exp.Literal.number(3))
    unique = _unique(connection, table, columns, source, keys)
    rows = _more_rows(table, columns, source, cut, unique) if _may_be_added(connection, table, columns, source, keys, unique) else None
    kept = {*keys, *unique, *(name for names in source.unique for name in names), source.time}
    others = {name: _another(name, kind) for name, kind in columns.items() if name not in kept and not name.casefold().endswith("_id")}
    gone = exp.And(this=is_later.copy(), expression=exp.EQ(this=third, expression=exp.Literal.number(0)))
    _run(connection, exp.Delete(this=table.copy(), where=exp.Where(this=gone)))
    settings = [exp.EQ(this=exp.column(identifier(name)), expression=other) for name, other in others.items() if other is not None]
    if settings:
        _run(connection, exp.Update(this=table.copy(), expressions=settings, where=exp.Where(this=is_later.copy())))
    if rows is not None:
        _run(connection, rows)


def _remove_the_future(connection: Any, source: ProvedSource, cut: datetime) -> None:
    """Leave what was known by the cut; of a snapshot, rows that ended later have not ended then."""
    table = relation(source.relation)
    _run(connection, exp.Delete(this=table, where=exp.Where(this=_is_later(source.time, cut))))
    if source.ends is not None:
        ended = exp.EQ(this=exp.column(identifier(source.ends)), expression=_open_end(connection, table, source.ends))
        _run(connection, exp.Update(this=table.copy(), expressions=[ended], where=exp.Where(this=_is_later(source.ends, cut))))


def _open_end(connection: Any, table: exp.Table, ends: str) -> exp.Expression:
    """What stands where a row of a snapshot has not ended: null, or the instant that dbt_valid_to_current says, which is the last."""
    query = exp.select(exp.Count(this=exp.Star()), exp.Count(this=column(ends))).from_(table.copy())
    (rows, with_end), *_ = _fetch(connection, query)
    return exp.null() if with_end < rows else exp.select(exp.Max(this=column(ends))).from_(table.copy()).subquery()


def _more_rows(table: exp.Table, columns: Mapping[str, str], source: ProvedSource, cut: datetime, unique: Sequence[str]) -> exp.Expression:
    """New rows a minute or a day after the cut, of entities that have rows before it; of a key that is unique, with a new one."""
    row = exp.Window(this=exp.RowNumber(), order=exp.Order(expressions=[descending(column(source.time))]))
    chosen = exp.select("*", exp.alias_(row, "fsdbt_number")).from_(table.copy())
    projections: list[exp.Expression] = []
    for name, kind in columns.items():
        value: exp.Expression = column(name)
        if kind.startswith("TIMESTAMP"):
            value = exp.cast(
                later(instant_literal(cut, _DIALECT), timedelta(minutes=1), _DIALECT), exp.DataType.build(kind, dialect="duckdb")
            )
        elif kind == "DATE":
            value = exp.cast(later(instant_literal(cut, _DIALECT), timedelta(days=1), _DIALECT), exp.DataType.build("DATE"))
        elif name in unique:
            value = _of_its_own(table, name, kind)
        projections.append(value)
    rows = (
        exp.select(*projections)
        .from_(chosen.subquery("rows"))
        .where(exp.LTE(this=column("fsdbt_number"), expression=exp.Literal.number(500)))
    )
    return exp.Insert(this=table.copy(), expression=rows)


def _of_its_own(table: exp.Table, name: str, kind: str) -> exp.Expression:
    """A value of a unique column that no row has."""
    if kind == "UUID":
        return exp.Anonymous(this="GEN_RANDOM_UUID")
    if kind in _WIDE_NUMBERS:
        least = exp.select(exp.Least(this=exp.Min(this=column(name)), expressions=[exp.Literal.number(0)])).from_(table.copy())
        return exp.Sub(this=least.subquery(), expression=exp.cast(column("fsdbt_number"), exp.DataType.build(kind, dialect="duckdb")))
    return exp.DPipe(this=exp.Literal.string("added "), expression=exp.cast(column("fsdbt_number"), "VARCHAR"))


def _unique(connection: Any, table: exp.Table, columns: Mapping[str, str], source: ProvedSource, keys: set[str]) -> list[str]:
    """The columns each of which tells the rows of a table apart. An amount or a time that does so by chance does not count."""
    alone = {name for names in source.unique if len(names) == 1 for name in names}
    countable = {name for name, kind in columns.items() if kind in (*_WIDE_NUMBERS, "VARCHAR") or _names_a_key(name)}
    names = [name for name in columns if name in {*countable, *keys, *alone} and name != source.time]
    if not names:
        return []
    distinct = [exp.Count(this=exp.Distinct(expressions=[column(name)])) for name in names]
    (total, *counts), *_ = _fetch(connection, exp.select(exp.Count(this=exp.Star()), *distinct).from_(table.copy()))
    return [name for name, count in zip(names, counts, strict=True) if count == total or name in alone]


def _may_be_added(
    connection: Any, table: exp.Table, columns: Mapping[str, str], source: ProvedSource, keys: set[str], unique: Sequence[str]
) -> bool:
    """Whether rows can be added that repeat no key: each unique set of columns must have one that gets values of its own."""
    own = {name for name in unique if columns[name] in (*_WIDE_NUMBERS, "VARCHAR", "UUID")}
    if not all(own.intersection(names) for names in (*source.unique, *({name} for name in unique))):
        return False
    named = [name for name in columns if (name in keys or _names_a_key(name)) and name != source.time]
    if own or not named:
        return True
    pairs = exp.select(*map(column, named)).distinct().from_(table.copy())
    (total,), *_ = _fetch(connection, exp.select(exp.Count(this=exp.Star())).from_(table.copy()))
    (apart,), *_ = _fetch(connection, exp.select(exp.Count(this=exp.Star())).from_(pairs.subquery("pairs")))
    return bool(apart < total)


def _names_a_key(name: str) -> bool:
    return name.casefold().endswith(("id", "key", "uuid"))


def _another(name: str, kind: str) -> exp.Expression | None:
    """Another value of that type than a column has; None: leave it."""
    if kind == "BOOLEAN":
        return exp.Not(this=column(name))
    if kind == "VARCHAR":
        return exp.DPipe(this=column(name), expression=exp.Literal.string(" later"))
    if any(kind.startswith(word) or kind.endswith("INT") for word in _NUMBERS):
        more = exp.Add(this=exp.Mul(this=column(name), expression=exp.Literal.number(2)), expression=exp.Literal.number(1))
        of_its_type = exp.TryCast(this=more, to=exp.DataType.build(kind, dialect="duckdb"))
        return exp.Coalesce(this=of_its_type, expressions=[column(name)])
    return None


def _is_later(time: str, cut: datetime) -> exp.Expression:
    return exp.GT(this=_moment(time), expression=instant_literal(cut, _DIALECT))


def _moment(name: str) -> exp.Expression:
    return exp.cast(column(name), exp.DataType.build("TIMESTAMP", dialect="duckdb"))


def _fetch(connection: Any, query: exp.Expression) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = connection.execute(render(query, _DIALECT)).fetchall()
    return rows


def _run(connection: Any, statement: exp.Expression) -> None:
    connection.execute(render(statement, _DIALECT))
