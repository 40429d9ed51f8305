"""The experiment behind a case's `provable`: change source rows later than a cut, rebuild, and see which values before the cut changed.

Each source says in the case's `history` what can happen to it after the cut; where it says nothing, it is told from its columns.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import zip_longest
from typing import Any

import duckdb
import msgspec
import pyarrow
from leakage_corpus import Case

START = datetime(2024, 1, 1)
DAYS = 60
ROWS = 90
KEYS = 12
Row = dict[str, Any]
Tables = Mapping[str, list[Row]]


def changed_features(case: Case, seeds: Sequence[int]) -> set[str]:
    """The features of which some value before the cut is another one after later source rows changed.

    Args:
        seeds: one experiment each, with other rows and another cut.
    """
    return {feature for seed in seeds for feature in _changed(case, random.Random(seed))}


def rows_before(case: Case) -> int:
    """How many rows the view has before the cut of the first experiment: none would prove nothing."""
    chance = random.Random(0)
    cut = _cut(chance)
    return sum(sum(each.values()) for each in list(_values(case, _random_tables(case, chance, cut), cut).values())[:1])


def _changed(case: Case, chance: random.Random) -> Iterator[str]:
    cut = _cut(chance)
    tables = _random_tables(case, chance, cut)
    later = _with_another_future(case, tables, chance, cut)
    before, after = _values(case, tables, cut), _values(case, later, cut)
    return (feature for feature in before if before[feature] != after[feature])


def _cut(chance: random.Random) -> datetime:
    """Late, so that some keys have nothing more after it."""
    return START + timedelta(days=DAYS - chance.randint(4, 10), seconds=chance.randint(30_000, 60_000))


# Rows.


def _random_tables(case: Case, chance: random.Random, cut: datetime) -> Tables:
    made: dict[str, list[Row]] = {}
    for source in sorted(case.sources, key=lambda name: _history(case, name)[0] == "with"):
        kind, column, _ = _history(case, source)
        columns = case.sources[source]
        if kind == "versions":
            made[source] = [row for key in range(1, KEYS + 1) for row in _versions(case, source, key, chance)]
        elif kind in ("updated", "fixed") and not _is_time(columns[next(iter(columns))]):
            made[source] = [_row(case, source, chance, key) for key in range(1, KEYS + 1)]
        elif kind == "fixed":
            first = next(iter(columns))
            days = [START + timedelta(days=day) for day in range(DAYS)]
            made[source] = [{**_row(case, source, chance, at), first: _as(columns[first], day)} for at, day in enumerate(days)]
        else:
            made[source] = [_row(case, source, chance, key) for key in range(1, ROWS + 1)]
            if kind == "with":
                made[source] = [{**row, column: chance.randint(1, ROWS)} for row in made[source]]
    return made


def _with_another_future(case: Case, tables: Tables, chance: random.Random, cut: datetime) -> Tables:
    """The same rows up to the cut; what comes later is other rows, other values and less of them."""
    changed: dict[str, list[Row]] = {}
    for source, rows in tables.items():
        kind, column, parent = _history(case, source)
        first = next(iter(case.sources[source]))
        if kind == "fixed":
            changed[source] = rows
        elif kind == "updated":
            kept = {first, *(name for name in case.sources[source] if name.startswith(("created", "signed_up", "opened")))}
            changed[source] = [{**_row(case, source, chance, 0), **{name: row[name] for name in kept}} for row in rows]
            changed[source] = [row if chance.random() < 0.3 else other for row, other in zip(rows, changed[source], strict=True)]
        elif kind == "versions":
            changed[source] = list(_other_versions(case, source, rows, chance, cut))
        elif kind == "with":
            future = {row[column] for row in changed[parent] if _moment(row[_history(case, parent)[1]]) > cut}
            past = {row[column] for row in changed[parent]} - future
            kept_rows = [row for row in rows if row[column] in past]
            changed[source] = [
                *kept_rows,
                *({**_row(case, source, chance, ROWS + at), column: key} for at, key in enumerate(sorted(future))),
            ]
        else:
            kept_rows = [row for row in rows if _moment(row[column]) <= cut]
            later = [row for row in rows if _moment(row[column]) > cut and chance.random() < 0.6]
            others = [{**_row(case, source, chance, row[first]), column: row[column], first: row[first]} for row in later]
            added = [_row(case, source, chance, 1000 + at, not_before=cut) for at in range(ROWS // 3)]
            changed[source] = [*kept_rows, *others, *added]
    return changed


def _history(case: Case, source: str) -> tuple[str, str, str]:
    """What can happen to a source, the column that tells when, and the source it comes with."""
    said = case.history.get(source)
    if said is None:
        columns = case.sources[source]
        time = next((name for name, kind in columns.items() if _is_time(kind)), None)
        if source in case.immutable or source.partition(".")[2] in case.immutable:
            said = "fixed"
        elif "dbt_valid_from" in columns:
            said = "versions"
        else:
            said = "updated in place" if time is None else f"appended by {time}"
    words = said.split()
    if words[0] == "appended" and words[1] == "with":
        return "with", words[4], words[2]
    return words[0], words[-1] if words[0] == "appended" else "", ""


def _versions(case: Case, source: str, key: int, chance: random.Random) -> Iterator[Row]:
    moments = sorted([START - timedelta(days=1), *(_random_moment(chance) for _ in range(chance.randint(0, 4)))])
    first = next(iter(case.sources[source]))
    for since, until in zip_longest(moments, moments[1:]):
        yield {**_row(case, source, chance, key), first: key, "dbt_valid_from": since, "dbt_valid_to": until}


def _other_versions(case: Case, source: str, rows: list[Row], chance: random.Random, cut: datetime) -> Iterator[Row]:
    first = next(iter(case.sources[source]))
    for key in sorted({row[first] for row in rows}):
        known = [row for row in rows if row[first] == key and row["dbt_valid_from"] <= cut]
        moments = sorted(cut + timedelta(days=chance.uniform(0.01, 20)) for _ in range(chance.randint(0, 2)))
        yield from known[:-1]
        yield {**known[-1], "dbt_valid_to": moments[0] if moments else None}
        for since, until in zip_longest(moments, moments[1:]):
            yield {**_row(case, source, chance, key), first: key, "dbt_valid_from": since, "dbt_valid_to": until}


def _row(case: Case, source: str, chance: random.Random, key: object, *, not_before: datetime | None = None) -> Row:
    columns = case.sources[source]
    first = next(iter(columns))
    row = {name: _value(case, name, kind, chance) for name, kind in columns.items()}
    if not _is_time(columns[first]):
        row[first] = str(key) if _is_text(columns[first]) else key
    moment = _random_moment(chance)
    if not_before is not None:
        # Many on the same day: what belongs to a bucket that the cut divides is there.
        moment = not_before + timedelta(hours=chance.choice([1, 2, 3, 24, 96]), seconds=chance.randint(0, 3000))
    # What is written of an event comes after it.
    for name in (name for name, kind in columns.items() if _is_time(kind)):
        row[name] = _as(columns[name], moment)
        moment += timedelta(hours=chance.choice([1, 2, 30, 200]))
    return row


def _value(case: Case, name: str, kind: str, chance: random.Random) -> object:
    kind = kind.lower()
    if kind.endswith("[]"):
        return [_value(case, name, kind[:-2], chance) for _ in range(chance.randint(0, 3))]
    if name.endswith("_id") or name == "id":
        number = chance.randint(1, KEYS)
        return str(number) if _is_text(kind) else number
    if _is_time(kind):
        return None
    if chance.random() < 0.08:
        return None
    if kind.startswith("json"):
        return msgspec.json.encode({each: chance.randint(1, 9) for each in case.json_fields}).decode()
    if _is_text(kind):
        return chance.choice([*case.texts, "other", "another"])
    if kind == "boolean":
        return chance.random() < 0.5
    if kind.startswith("decimal"):
        return Decimal(chance.randint(100, 99_999)) / 100
    if kind in ("double", "float"):
        return chance.randint(-400, 400) / 4
    return chance.randint(1, 50)


def _random_moment(chance: random.Random) -> datetime:
    return START + timedelta(seconds=chance.randint(0, DAYS * 86_400 - 1))


def _moment(value: object) -> datetime:
    """A time as the experiment compares it; a day is its midnight."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None)
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    raise TypeError(f"{value!r} is no time")


def _as(kind: str, moment: datetime) -> object:
    kind = kind.lower()
    if kind == "date":
        return moment.date()
    return moment.replace(tzinfo=timezone.utc) if kind in ("timestamptz", "timestamp with time zone") else moment


def _is_time(kind: str) -> bool:
    return kind.lower().startswith(("timestamp", "date"))


def _is_text(kind: str) -> bool:
    return kind.lower().startswith(("varchar", "text"))


# Models.


def _values(case: Case, tables: Tables, cut: datetime) -> Mapping[str, Counter[object]]:
    """Each feature's values in the rows that count before the cut."""
    with duckdb.connect(":memory:", config={"threads": "1", "autoinstall_known_extensions": "false"}) as connection:
        connection.execute("select setseed(0.5)")
        schemas = {"analytics", *(name.partition(".")[0] for name in case.sources)}
        for schema in schemas:
            connection.execute(f'create schema if not exists "{schema}"')
        for name, rows in tables.items():
            columns = case.sources[name]
            connection.execute(f"create table {name} ({', '.join(f'{column} {kind}' for column, kind in columns.items())})")
            if rows:
                connection.register("rows_of_source", pyarrow.Table.from_pylist(rows))
                connection.execute(f"insert into {name} select {', '.join(columns)} from rows_of_source")
        for name, sql in case.models.items():
            connection.execute(f"create table analytics.{name} as {sql}")
        view = case.view
        delay = f"interval '{view.available_after}'" if view.available_after else "interval 0 second"
        found: dict[str, Counter[object]] = {}
        for feature in case.features:
            columns = {*view.keys}
            listed = ", ".join(f'"{column}"' for column in (*sorted(columns), view.timestamp, feature))
            query = f'select {listed} from analytics.{case.view_name} where "{view.timestamp}"::timestamp + {delay} <= ?'
            found[feature] = Counter(repr(row) for row in connection.execute(query, [cut]).fetchall())
        return found
