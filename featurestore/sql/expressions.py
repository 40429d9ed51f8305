"""The pieces that every query is made of: quoted names, joins, conditions, orders and rankings.

Identifiers are always quoted and null order is always written out, so that a query means the same wherever it runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TypeVar

from sqlglot import exp
from sqlglot.errors import ErrorLevel

from featurestore.registry.definitions import Column, Feature, Relation
from featurestore.registry.value_types import (
    FloatType,
    ListType,
    MapType,
    StringType,
    StructType,
    ValueType,
)

from .dialects import Dialect, HashedRow

QueryT = TypeVar("QueryT", bound=exp.Query)
BIGINT = exp.DataType.Type.BIGINT
_LONGEST_NUMBER = len("_99999")


def render(query: exp.Expr, dialect: Dialect, *, pretty: bool = True) -> str:
    """The query as text, as a person reads it or all in a line. What the dialect cannot say is an error, never something similar."""
    if not dialect.plain_names:
        query = _with_plain_names(query)
    return query.sql(dialect=dialect.name, pretty=pretty, unsupported_level=ErrorLevel.RAISE, max_text_width=100)


def _with_plain_names(query: exp.Expr) -> exp.Expr:
    query = query.copy()
    for select in query.find_all(exp.Select):
        for each in select.expressions:
            if isinstance(each, exp.Column) and each.table:
                each.replace(exp.Alias(this=each.copy(), alias=identifier(each.name)))
    return query


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


def appended(to: Relation, names: Sequence[str], from_: exp.Table) -> exp.Insert:
    """INSERT of the columns of those names."""
    into = exp.Schema(this=relation(to), expressions=[identifier(name) for name in names])
    return exp.Insert(this=into, expression=exp.select(*map(column, names)).from_(from_))


def named(expression: exp.Expression, name: str) -> exp.Expression:
    """`expression AS "name"`, or the bare column where it has that name already."""
    if isinstance(expression, exp.Column) and expression.name == name:
        return expression
    return exp.Alias(this=expression, alias=identifier(name))


@lru_cache(maxsize=64)
def text_type(dialect: Dialect) -> exp.DataType:
    """The type of text of any length."""
    return exp.DataType.build(dialect.text, dialect=dialect.name)


def key_value(value: exp.Expression, value_type: ValueType, dialect: Dialect) -> exp.Expression:
    """A join key as it is compared: what counts as text (a UUID, an enumeration) as text, and text by its code points."""
    return comparable_text(value, dialect) if isinstance(value_type, StringType) else value


def comparable_text(value: exp.Expression, dialect: Dialect) -> exp.Expression:
    """Text, or what has a text, told apart and ordered by code points."""
    text = exp.cast(value, text_type(dialect))
    return exp.Collate(this=text, expression=exp.var(dialect.text_collation)) if dialect.text_collation else text


def feature_value(value: exp.Expression, value_type: ValueType, dialect: Dialect) -> exp.Expression:
    """A feature as it is read: what counts as text, alone or in a list, as text."""
    if not dialect.kinds_of_text:
        return value
    if isinstance(value_type, StringType):
        return exp.cast(value, text_type(dialect))
    if isinstance(value_type, ListType) and isinstance(value_type.item, StringType):
        return exp.cast(value, exp.DataType(this=exp.DType.ARRAY, expressions=[text_type(dialect)], nested=True))
    return value


def not_null(value: exp.Expression) -> exp.Expression:
    """`value IS NOT NULL`."""
    return exp.Not(this=exp.Is(this=value, expression=exp.null()))


def null_of(data_type: exp.DType | exp.DataType) -> exp.Expression:
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


def greatest_where(condition: exp.Expression, value: exp.Expression) -> exp.Expression:
    """The greatest value among the rows of which the condition holds, or null."""
    return exp.Max(this=exp.Case(ifs=[exp.If(this=condition, true=value.copy())]))


def count_where(condition: exp.Expression) -> exp.Expression:
    """How many rows there are of which the condition holds."""
    return exp.Count(this=exp.Case(ifs=[exp.If(this=condition, true=exp.Literal.number(1))]))


def same_or_both_null(left: exp.Expression, right: exp.Expression, dialect: Dialect) -> exp.Expression:
    """`left IS NOT DISTINCT FROM right`."""
    if dialect.not_distinct:
        return exp.NullSafeEQ(this=left, expression=right)
    both_null = exp.And(this=is_null(left.copy()), expression=is_null(right.copy()))
    return any_of(exp.EQ(this=left, expression=right), both_null)


def digest_where(condition: exp.Expression, values: Sequence[exp.Expression], row_hash: str, dialect: Dialect) -> exp.Expression:
    """What the rows of which the condition holds are, in any order, as text: the sum of the 64-bit hashes of their values."""
    # A sum of 64-bit integers is itself of 64 bits in some warehouses, and would overflow.
    wide = exp.DataType.build(dialect.wide_integer, dialect=dialect.name)
    hashed = exp.cast(exp.Anonymous(this=row_hash, expressions=_hashed_row(values, dialect)), wide)
    total = exp.Sum(this=exp.Case(ifs=[exp.If(this=condition, true=hashed)]))
    return exp.cast(exp.Coalesce(this=total, expressions=[exp.Literal.number(0)]), text_type(dialect))


def _hashed_row(values: Sequence[exp.Expression], dialect: Dialect) -> list[exp.Expression]:
    match dialect.hashed_as:
        case HashedRow.VALUES:
            return list(values)
        case HashedRow.VALUES_AND_NULLS:
            return [part for value in values for part in (value, is_null(value.copy()))]
        case HashedRow.TEXT:
            row = exp.Anonymous(this="ROW", expressions=list(values))
            return [exp.cast(row, text_type(dialect)), exp.Literal.number(0)]
        case HashedRow.TUPLE:
            return [exp.Anonymous(this="tuple", expressions=list(values))]


def ascending(value: exp.Expression) -> exp.Ordered:
    """Smallest first, and null before everything."""
    return exp.Ordered(this=value, desc=False, nulls_first=True)


def descending(value: exp.Expression) -> exp.Ordered:
    """Greatest first, and null after everything."""
    return exp.Ordered(this=value, desc=True, nulls_first=False)


def greatest_first(feature: Column | Feature, value: exp.Expression, dialect: Dialect) -> list[exp.Ordered]:
    """The order in which the greatest value of a feature comes first, null after everything, not-a-number before every number.

    What counts as text (an enumeration, JSON) is ordered as text, by code points; what has no order there, by its JSON.
    """
    match feature.value_type:
        case StringType():
            return [descending(ordered_text(value, dialect))]
        case ListType() | StructType() | MapType() if not dialect.orders_nested:
            return [descending(_json(value, dialect))]
        case FloatType() if not dialect.nan_is_greatest:
            return [descending(_one_if(exp.IsNan(this=value.copy()))), descending(value)]
        case ListType(StringType()):
            return [descending(_by_bytes(value, dialect))]
    return [descending(value)]


def hashable(feature: Column | Feature, value: exp.Expression, dialect: Dialect) -> exp.Expression:
    """A value that the dialect has a hash of: of what has no order there, its JSON."""
    nested = isinstance(feature.value_type, ListType | StructType | MapType)
    return _json(value, dialect) if nested and not dialect.orders_nested else value


def _json(value: exp.Expression, dialect: Dialect) -> exp.Expression:
    return exp.JSONFormat(this=exp.cast(value, dialect.json_of) if dialect.json_of else value)


def ordered_text(value: exp.Expression, dialect: Dialect) -> exp.Expression:
    """Text in the order of its code points."""
    return _by_bytes(comparable_text(value, dialect), dialect)


def _by_bytes(text: exp.Expression, dialect: Dialect) -> exp.Expression:
    return exp.Collate(this=text, expression=identifier(dialect.byte_order)) if dialect.byte_order else text


def endless_first(end: exp.Expression) -> list[exp.Ordered]:
    """The order in which what never ends comes first, then what ends last. Not every warehouse can be told where null stands."""
    return [descending(_one_if(is_null(end))), descending(end.copy())]


def reversed_order(order: Iterable[exp.Ordered]) -> list[exp.Ordered]:
    """The same order, the other way round."""
    return [ascending(ordered.this) if ordered.args["desc"] else descending(ordered.this) for ordered in order]


def _one_if(condition: exp.Expression) -> exp.Expression:
    return exp.Case(ifs=[exp.If(this=condition, true=exp.Literal.number(1))], default=exp.Literal.number(0))


def whole_number(value: exp.Expression, dialect: Dialect) -> exp.Expression:
    """A float without a fraction as a BIGINT. Whether it is one of that size is for a CASE around it to ask."""
    if dialect.lazy_case:
        return exp.cast(value, BIGINT)
    return exp.Anonymous(this="accurateCastOrNull", expressions=[value, exp.Literal.string("Int64")])


def numbered(dialect: Dialect) -> exp.Expression:
    """Numbers that grow in the order in which rows are read."""
    if dialect.numbering:
        return exp.Anonymous(this=dialect.numbering)
    order = [ascending(exp.select(exp.null()).subquery())] if dialect.numbering_order else []
    return row_number((), order, dialect)


def row_number(partition_by: Iterable[exp.Expression], order_by: Sequence[exp.Ordered], dialect: Dialect) -> exp.Expression:
    """The place of a row among those that are alike in `partition_by`, as a BIGINT."""
    order = exp.Order(expressions=list(order_by)) if order_by else None
    place = exp.Window(this=exp.RowNumber(), partition_by=list(partition_by), order=order)
    return place if dialect.signed_row_number else exp.cast(place, BIGINT)


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


def fitting(name: str, dialect: Dialect, room: int = 0) -> str:
    """A name cut to the bytes of it that count, less those that something of that length needs after it."""
    if dialect.longest_name is None:
        return name
    return name.encode()[: dialect.longest_name - room].decode(errors="ignore")


def distinct_names(names: Sequence[str], dialect: Dialect) -> list[str]:
    """The same names, those cut of which not every byte counts, and still told apart."""
    found: list[str] = []
    for name in names:
        whole = fitting(name, dialect) == name
        found.append(name if whole else unused(fitting(name, dialect, _LONGEST_NUMBER), [*names, *found]))
    return found
