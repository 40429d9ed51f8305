"""The pieces that every query is made of: quoted names, instants as naive UTC, durations, rankings.

Identifiers are always quoted and null order is always written out, so that a query means the same wherever it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from sqlglot import exp
from sqlglot.errors import ErrorLevel

from featurestore.registry.definitions import Column, Feature, Relation
from featurestore.registry.value_types import (
    ListType,
    MapType,
    StringType,
    StructType,
    TimestampType,
    ValueType,
)
from featurestore.timestamps import as_utc, duration_micros

from .dialects import Dialect, ZonedToUtc

QueryT = TypeVar("QueryT", bound=exp.Query)
TIMESTAMP, BIGINT, TEXT = exp.DataType.Type.TIMESTAMP, exp.DataType.Type.BIGINT, exp.DataType.Type.TEXT
_UNITS = (("DAY", 86_400_000_000), ("HOUR", 3_600_000_000), ("MINUTE", 60_000_000), ("SECOND", 1_000_000), ("MICROSECOND", 1))


def render(query: exp.Expr, dialect: Dialect, *, pretty: bool = True) -> str:
    """The query as text, as a person reads it or all in a line. What the dialect cannot say is an error, never something similar."""
    return query.sql(dialect=dialect.name, pretty=pretty, unsupported_level=ErrorLevel.RAISE, max_text_width=100)


def with_ctes(query: QueryT, ctes: Iterable[tuple[str, exp.Query]]) -> QueryT:
    """The query, reading from those CTEs, in that order."""
    for name, cte in ctes:
        query = query.with_(identifier(name), as_=cte, copy=False)
    return query


def joined(query: exp.Select, to: exp.Expression, on: Sequence[exp.Expression], side: str | None = None) -> exp.Select:
    """The query, joined to a relation where all the conditions hold: an inner join, or one of that side."""
    join = exp.Join(this=to, side=side, kind=None if side else "INNER", on=exp.and_(*on))
    query.append("joins", join)
    return query


def identifier(name: str) -> exp.Identifier:
    """A quoted identifier."""
    return exp.to_identifier(name, quoted=True)


def column(name: str, of: str | None = None) -> exp.Column:
    """A quoted column, of the table or CTE called `of`."""
    return exp.Column(this=identifier(name), table=identifier(of) if of else None)


def table(name: str, alias: str | None = None) -> exp.Table:
    """A CTE, or a temporary table, by its plain name."""
    return exp.Table(this=identifier(name), alias=exp.TableAlias(this=identifier(alias)) if alias else None)


def relation(of: Relation, alias: str | None = None) -> exp.Table:
    """A model's rows where the warehouse keeps them."""
    return exp.Table(
        this=identifier(of.identifier),
        db=identifier(of.schema) if of.schema else None,
        catalog=identifier(of.database) if of.database else None,
        alias=exp.TableAlias(this=identifier(alias)) if alias else None,
    )


def named(expression: exp.Expression, name: str) -> exp.Expression:
    """`expression AS "name"`, or the bare column where it has that name already."""
    if isinstance(expression, exp.Column) and expression.name == name:
        return expression
    return exp.Alias(this=expression, alias=identifier(name))


def instant(value: exp.Expression, value_type: ValueType, dialect: Dialect) -> exp.Expression:
    """A timestamp or date as naive UTC with microseconds; a type nobody declared is cast, and the warehouse says if it cannot be."""
    if isinstance(value_type, TimestampType) and value_type.utc:
        if dialect.zoned_to_utc is ZonedToUtc.MICROSECONDS:
            return exp.Anonymous(this="MAKE_TIMESTAMP", expressions=[exp.Anonymous(this="EPOCH_US", expressions=[value])])
        if dialect.zoned_to_utc is ZonedToUtc.AT_TIME_ZONE:
            return exp.AtTimeZone(this=value, zone=exp.Literal.string("UTC"))
    return exp.cast(value, TIMESTAMP)


def key_value(value: exp.Expression, value_type: ValueType) -> exp.Expression:
    """A join key as it is compared: what counts as text (a UUID, an enumeration) as text."""
    return exp.cast(value, TEXT) if isinstance(value_type, StringType) else value


def instant_literal(at: datetime) -> exp.Expression:
    """That instant, as naive UTC."""
    text = as_utc(at).replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
    return exp.cast(exp.Literal.string(text), TIMESTAMP)


def interval(duration: timedelta) -> exp.Interval:
    """A duration in the greatest unit that says it exactly."""
    micros = duration_micros(duration)
    unit, size = next((unit, size) for unit, size in _UNITS if micros % size == 0)
    return exp.Interval(this=exp.Literal.string(str(micros // size)), unit=exp.var(unit))


def later(moment: exp.Expression, duration: timedelta) -> exp.Expression:
    """`moment + duration`, or the moment itself when there is nothing to add."""
    return exp.Add(this=moment, expression=interval(duration)) if duration else moment


def earlier(moment: exp.Expression, duration: timedelta) -> exp.Expression:
    """`moment - duration`, or the moment itself when there is nothing to take away."""
    return exp.Sub(this=moment, expression=interval(duration)) if duration else moment


def not_null(value: exp.Expression) -> exp.Expression:
    """`value IS NOT NULL`."""
    return exp.Not(this=exp.Is(this=value, expression=exp.null()))


def null_of(data_type: exp.DType) -> exp.Expression:
    """A null of that type."""
    return exp.cast(exp.null(), data_type)


def is_null(value: exp.Expression) -> exp.Expression:
    """`value IS NULL`."""
    return exp.Is(this=value, expression=exp.null())


def any_of(*conditions: exp.Expression) -> exp.Expression:
    """The conditions joined by OR, in parentheses where there are several."""
    return exp.paren(exp.or_(*conditions)) if len(conditions) > 1 else conditions[0]


def smallest_where(condition: exp.Expression, value: exp.Expression) -> exp.Expression:
    """The smallest value among the rows of which the condition holds, or null."""
    return exp.Min(this=exp.Case(ifs=[exp.If(this=condition, true=value.copy())]))


def digest_where(condition: exp.Expression, values: Sequence[exp.Expression], row_hash: str) -> exp.Expression:
    """What the rows of which the condition holds are, in any order, as text: the sum of the 64-bit hashes of their values."""
    hashed = exp.cast(exp.Anonymous(this=row_hash, expressions=list(values)), exp.DType.INT128)
    total = exp.Sum(this=exp.Case(ifs=[exp.If(this=condition, true=hashed)]))
    return exp.cast(exp.Coalesce(this=total, expressions=[exp.Literal.number(0)]), TEXT)


def ascending(value: exp.Expression) -> exp.Ordered:
    """Smallest first, and null before everything."""
    return exp.Ordered(this=value, desc=False, nulls_first=True)


def descending(value: exp.Expression) -> exp.Ordered:
    """Greatest first, and null after everything."""
    return exp.Ordered(this=value, desc=True, nulls_first=False)


def tie_value(feature: Column | Feature, value: exp.Expression, dialect: Dialect) -> exp.Expression:
    """A value in an order that the dialect has for its type."""
    if isinstance(feature.value_type, ListType | StructType | MapType) and not dialect.orders_nested:
        return exp.JSONFormat(this=value)
    return value


def numbered(dialect: Dialect) -> exp.Expression:
    """Numbers that grow in the order in which rows are read."""
    return exp.Anonymous(this=dialect.numbering) if dialect.numbering else exp.Window(this=exp.RowNumber())


def window(
    function: exp.Expression, partition_by: Iterable[exp.Expression], order_by: Sequence[exp.Ordered], frame: str | None = None
) -> exp.Window:
    """A window function; `frame` is ROWS or RANGE, from the first row to the current one."""
    spec = exp.WindowSpec(kind=frame, start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW") if frame else None
    return exp.Window(this=function, partition_by=list(partition_by), order=exp.Order(expressions=list(order_by)), spec=spec)


def unused(name: str, taken: Iterable[str]) -> str:
    """`name`, or `name_2`, `name_3`, … where that is taken. Warehouses that fold case make `A` and `a` the same name."""
    folded = {other.casefold() for other in taken}
    candidate, number = name, 1
    while candidate.casefold() in folded:
        number += 1
        candidate = f"{name}_{number}"
    return candidate
