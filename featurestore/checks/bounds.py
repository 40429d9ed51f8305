"""Which conditions keep one source of a select to what had happened by the time of another: what makes a join one as of a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum

from sqlglot import exp

from featurestore.lineage.query import Select
from featurestore.registry.value_types import DateType

from .origins import Origins, aliases_in
from .spans import Moved, moved, number, unit_length

_NO_TIME = timedelta(0)
_LESS = (exp.LT, exp.LTE)
_MORE = (exp.GT, exp.GTE)


class Sight(str, Enum):
    """What a select sees of a source, seen from the time of the rows that it is joined to."""

    PAST = "past"
    """Only what had happened."""

    AHEAD = "ahead"
    """What happens later too, though times are compared."""

    SAME = "same"
    """What has the same time, whatever that is the time of."""

    ALL = "all"
    """Everything: no times are compared."""


_BEST = (Sight.PAST, Sight.AHEAD, Sight.SAME, Sight.ALL)


@dataclass(frozen=True)
class Comparison:
    """`smaller <= larger`, or `=`, or `<`."""

    smaller: exp.Expr
    larger: exp.Expr
    equal: bool = False
    strict: bool = False
    at: exp.Expr | None = None


@dataclass(frozen=True)
class Seen:
    """What is seen of a source."""

    sight: Sight
    at: exp.Expr | None = None
    """The condition that says so."""

    reach: timedelta = _NO_TIME
    """How far ahead it sees."""


def conjuncts(select: Select) -> Iterator[exp.Expr]:
    """The conditions that all of its rows meet."""
    clauses = [select.expression.args.get(name) for name in ("where", "prewhere", "qualify")]
    found = [clause.this for clause in clauses if isinstance(clause, exp.Expr)]
    for join in select.expression.args.get("joins") or ():
        found += [join.args[name] for name in ("on", "match_condition") if isinstance(join.args.get(name), exp.Expr)]
    for each in found:
        yield from each.unnest().flatten() if isinstance(each.unnest(), exp.And) else (each,)


def comparisons(condition: exp.Expr) -> Iterator[Comparison]:
    """What a condition says of which side comes first."""
    condition = condition.unnest()
    if isinstance(condition, exp.And):
        for each in condition.flatten():
            yield from comparisons(each)
    elif isinstance(condition, exp.Or):
        # `valid_to is null or o.ts < valid_to`: the part that compares times says what the other leaves open.
        yield from (each for part in condition.flatten() for each in comparisons(part) if not each.equal)
    elif isinstance(condition, exp.Between):
        yield Comparison(condition.args["low"], condition.this, at=condition)
        yield Comparison(condition.this, condition.args["high"], at=condition)
    elif isinstance(condition, _LESS):
        yield from _compared(condition.this, condition.expression, isinstance(condition, exp.LT), condition)
    elif isinstance(condition, _MORE):
        yield from _compared(condition.expression, condition.this, isinstance(condition, exp.GT), condition)
    elif isinstance(condition, exp.EQ):
        yield Comparison(condition.this, condition.expression, equal=True, at=condition)


def _compared(smaller: exp.Expr, larger: exp.Expr, strict: bool, at: exp.Expr) -> Iterator[Comparison]:
    yield Comparison(smaller, larger, strict=strict, at=at)
    for difference, bound, upper in ((larger.unnest(), smaller, False), (smaller.unnest(), larger, True)):
        count = number(bound)
        if isinstance(difference, exp.DateDiff | exp.TimestampDiff | exp.DatetimeDiff | exp.TsOrDsDiff) and count is not None:
            length = unit_length(difference.args.get("unit") or "day") or timedelta(days=1)
            start, end = _cut(difference.expression, length), _cut(difference.this, length)
            # end - start >= count, or <= count.
            if not upper:
                yield Comparison(start, _later(end, -count * length), strict=strict, at=at)
            else:
                yield Comparison(end, _later(start, count * length), strict=strict, at=at)


def _cut(node: exp.Expr, length: timedelta) -> exp.Expr:
    """The start of the day, where days are counted: those of the calendar are, not spans of 24 hours."""
    return exp.cast(node.copy(), "date") if length >= timedelta(days=1) else node


def _later(node: exp.Expr, by: timedelta) -> exp.Expr:
    if not by:
        return node
    return exp.Add(this=node.copy(), expression=exp.Interval(this=exp.Literal.string(str(by.total_seconds())), unit=exp.var("SECOND")))


def seen(origins: Origins, model: str, select: Select, alias: str, slack: timedelta = _NO_TIME) -> Seen:
    """What a select sees of one of its sources, as its conditions say.

    Args:
        slack: by how much later than the time it is joined on a row counts.
    """
    source = select.sources.get(alias)
    # A correlated source says in its own clauses what it sees.
    inside = source if isinstance(source, Select) and source.around is not None else None
    found = [_seen_in(origins, model, select, alias, slack)]
    if inside is not None:
        found += [_seen_in(origins, model, inside, each, slack, around=True) for each in inside.sources]
    best = min(found, key=lambda each: _BEST.index(each.sight))
    # ASOF JOIN … USING (key, time) takes the newest row up to that time.
    return Seen(Sight.PAST) if best.sight is not Sight.AHEAD and _is_asof(select, alias) else best


def correlated_sight(origins: Origins, model: str, inner: Select, slack: timedelta = _NO_TIME) -> Seen:
    """What a correlated subquery sees of its sources, seen from the select around it."""
    found = [_seen_in(origins, model, inner, each, slack, around=True) for each in inner.sources]
    found = found or [Seen(Sight.ALL)]
    return min(found, key=lambda each: _BEST.index(each.sight))


def _seen_in(origins: Origins, model: str, select: Select, alias: str, slack: timedelta, *, around: bool = False) -> Seen:
    ahead: Seen | None = None
    same: Seen | None = None
    past = False
    for condition in conjuncts(select):
        for each in comparisons(condition):
            sides = aliases_in(select, each.smaller), aliases_in(select, each.larger)
            if not all(sides) or alias not in sides[0] | sides[1] or (around and "" not in sides[0] | sides[1]) or sides[0] & sides[1]:
                continue
            if not all(_is_time(origins, model, select, side) for side in (each.smaller, each.larger)):
                continue
            smaller, larger = moved(each.smaller), moved(each.larger)
            own = alias in sides[0]
            if each.equal:
                theirs, others = (smaller, larger) if own else (larger, smaller)
                same = Seen(Sight.SAME, each.at, others.shift - theirs.shift)
            elif own:
                reach = _reach(origins, model, select, each, smaller, larger)
                if reach > slack:
                    ahead = Seen(Sight.AHEAD, each.at, reach)
                else:
                    past = True
            elif ahead is None:
                # A lower bound alone: all that comes after.
                ahead = Seen(Sight.AHEAD, each.at, timedelta.max)
    if past:
        return Seen(Sight.PAST)
    if same is not None:
        return same
    return ahead or Seen(Sight.ALL)


def keeps_to_past(origins: Origins, model: str, select: Select, alias: str, condition: exp.Expr, slack: timedelta) -> bool:
    """Whether a condition, wherever it stands, is met only by rows of a source that came before those that they are joined to."""
    for each in comparisons(condition):
        own, other = aliases_in(select, each.smaller), aliases_in(select, each.larger)
        if each.equal or alias not in own or not other or alias in other:
            continue
        if all(_is_time(origins, model, select, side) for side in (each.smaller, each.larger)):
            return _reach(origins, model, select, each, moved(each.smaller), moved(each.larger)) <= slack
    return False


def _reach(origins: Origins, model: str, select: Select, each: Comparison, smaller: Moved, larger: Moved) -> timedelta:
    """How much later than the larger side the last event can be that the smaller side still lets in."""
    # A source cut to days is known as of the end of the day only.
    length = max(smaller.bucket, _bucket_of(origins, model, select, smaller))
    grid = max(larger.bucket, _grid_of(origins, model, select, larger))
    reach = larger.shift - smaller.shift + length
    if each.strict and length and grid >= length:
        reach -= length
    return reach


def _bucket_of(origins: Origins, model: str, select: Select, side: Moved) -> timedelta:
    """How long the bucket is that a column was cut to before."""
    return max((each.bucket - each.shift for each in origins.instants(model, select, side.base) if each.bucket), default=_NO_TIME)


def _grid_of(origins: Origins, model: str, select: Select, side: Moved) -> timedelta:
    """How far apart the instants are that a side can be: days of a calendar, starts of a bucket."""
    found = origins.instants(model, select, side.base)
    dates = [each for each in found if each.leaf is not None and isinstance(origins.type_of(each.leaf), DateType)]
    if found and (all(each.is_series for each in found) or len(dates) == len(found)):
        return timedelta(days=1)
    return max((each.bucket for each in found), default=_NO_TIME)


def _is_time(origins: Origins, model: str, select: Select, side: exp.Expr) -> bool:
    if origins.is_time(model, select, side):
        return True
    return select.around is not None and origins.is_time(model, select.around, side)


def _is_asof(select: Select, alias: str) -> bool:
    for join in select.expression.args.get("joins") or ():
        words = {str(join.args.get(name) or "").upper() for name in ("method", "kind", "side")}
        if join.this.alias_or_name.casefold() == alias and any("ASOF" in word for word in words):
            return True
    return False
