"""Statistics of features, as aggregates that a warehouse works out of each row once.

The view is read once, into a temporary table of plain columns: numbers as DOUBLE, what has a text as text, and of anything else only
whether it is null. Everything is asked of that table, so all statistics of a run are of the same rows. What the profile of a column is
grows with the number of its bins, never with that of the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from sys import float_info

from sqlglot import exp

from featurestore.registry.definitions import Column, Feature, FeatureView
from featurestore.registry.value_types import (
    BOOLEAN,
    FLOAT64,
    UNRESOLVED,
    BooleanType,
    DateType,
    DecimalType,
    FloatType,
    IntegerType,
    StringType,
    TimestampType,
    TimeType,
    ValueType,
)

from .column_types import column_type
from .dialects import Dialect, Quantiles
from .expressions import comparable_text, count_where, identifier, named, not_null, ordered_text, table
from .history import History, history_names
from .instants import instant_literal
from .literals import literal

PROBABILITIES = (0.01, 0.05, 0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 0.99)
"""Of the quantiles that are asked for. Whole hundredths: some warehouses give no others."""

SQUARABLE = 1e150
"""A float up to which sums of squares are no infinity: past it there is neither mean nor standard deviation."""

COLUMNS_AT_ONCE = 600
"""Aggregates of one statement: well below what the narrowest warehouse takes."""


class Kind(Enum):
    """What can be said of a feature's values."""

    NUMBER = "number"
    CATEGORY = "category"
    OPAQUE = "opaque"
    """Only whether they are null."""


@dataclass(frozen=True, slots=True)
class Profiled:
    """A column of the temporary table."""

    name: str
    """What it is called there."""

    feature: str
    value_type: ValueType

    @property
    def kind(self) -> Kind:
        match self.value_type:
            case IntegerType() | FloatType() | DecimalType():
                return Kind.NUMBER
            case StringType() | BooleanType() | DateType() | TimestampType() | TimeType():
                return Kind.CATEGORY
        return Kind.OPAQUE


def profiled(features: Sequence[Feature]) -> tuple[Profiled, ...]:
    """The columns for those features."""
    return tuple(Profiled(f"f{place}", feature.name, feature.value_type) for place, feature in enumerate(features))


def rows_between(view: FeatureView, start: datetime | None, end: datetime | None, dialect: Dialect) -> exp.Select:
    """The plain columns of the view's rows whose event timestamp is at `start` or later, and before `end`. None: no bound."""
    history = History(view, history_names(view), dialect)
    rows = history.select(view.features).subquery(identifier("history"))
    at = exp.Column(this=identifier(history.names.event_timestamp))
    query = plain_rows(rows, {each: feature for each, feature in zip(profiled(view.features), view.features, strict=True)}, dialect)
    if start is not None:
        query = query.where(exp.GTE(this=at, expression=instant_literal(start, dialect)))
    if end is not None:
        query = query.where(exp.LT(this=at.copy(), expression=instant_literal(end, dialect)))
    return query


def plain_rows(rows: exp.Expression, columns: Mapping[Profiled, Column | Feature], dialect: Dialect) -> exp.Select:
    """The rows of a relation as plain columns.

    Args:
        columns: which column of the relation each is made of, called by its `name`; one of another type has to be `readable_as` it.
    """
    made = (named(_made(exp.Column(this=identifier(of.name)), each, of.value_type, dialect), each.name) for each, of in columns.items())
    return exp.select(*made).from_(rows)


def readable_as(there: ValueType, wanted: ValueType) -> bool:
    """Whether values of a type can be compared with those of another, as dataframes have them: numbers with each other, 0 and 1 with
    booleans, midnights with dates, instants with and without a zone.
    """
    if UNRESOLVED in (there, wanted) or there == wanted:
        return True
    kinds = {Profiled("", "", each).kind for each in (there, wanted)}
    if kinds in ({Kind.NUMBER}, {Kind.OPAQUE}):
        return True
    dated = DateType | TimestampType
    return (isinstance(wanted, dated) and isinstance(there, dated)) or (isinstance(wanted, BooleanType) and _is_number(there))


def _made(value: exp.Expression, each: Profiled, there: ValueType, dialect: Dialect) -> exp.Expression:
    """A value as the plain one of a feature. What has no like there (2 among booleans, noon among dates) is a value of its own."""
    wanted = each.value_type
    if isinstance(wanted, BooleanType) and _is_number(there):
        ifs = []
        for number in (0, 1):
            said = comparable_text(exp.cast(exp.Literal.number(number), column_type(BOOLEAN, dialect)), dialect)
            ifs.append(exp.If(this=exp.EQ(this=value.copy(), expression=exp.Literal.number(number)), true=said))
        return exp.Case(ifs=ifs, default=comparable_text(value.copy(), dialect))
    if isinstance(wanted, DateType) and isinstance(there, TimestampType):
        day = exp.cast(value.copy(), column_type(wanted, dialect))
        midnight = exp.EQ(this=exp.cast(day.copy(), column_type(there, dialect)), expression=value.copy())
        return exp.Case(ifs=[exp.If(this=midnight, true=comparable_text(day, dialect))], default=comparable_text(value.copy(), dialect))
    if isinstance(wanted, TimestampType) and isinstance(there, DateType | TimestampType) and there != wanted:
        value = exp.cast(value, column_type(wanted, dialect))
    return _plain(value, each.kind, dialect)


def _is_number(value_type: ValueType) -> bool:
    return isinstance(value_type, IntegerType | FloatType | DecimalType)


def _plain(value: exp.Expression, kind: Kind, dialect: Dialect) -> exp.Expression:
    double = column_type(FLOAT64, dialect)
    match kind:
        case Kind.NUMBER:
            return exp.cast(value, double)
        case Kind.CATEGORY:
            return comparable_text(value, dialect)
        case Kind.OPAQUE:
            return exp.Case(ifs=[exp.If(this=not_null(value), true=exp.cast(exp.Literal.number(1), double))])


def statements(columns: Sequence[Profiled], each: int, dialect: Dialect) -> list[Sequence[Profiled]]:
    """The columns in groups, so that one statement is not too wide.

    Args:
        each: how many aggregates there are of one column.
    """
    most = 1 if dialect.quantiles is Quantiles.PERCENTILE_CONT else max(1, COLUMNS_AT_ONCE // max(each, 1))
    return [columns[first : first + most] for first in range(0, len(columns), most)] or [columns]


def summary(of: str, columns: Sequence[Profiled], dialect: Dialect) -> exp.Select:
    """One row: `rows`, and of each column its statistics as `<column>_<statistic>`; see `_aggregates`."""
    chosen = [named(exp.Count(this=exp.Star()), "rows")]
    for each in columns:
        chosen += [named(value, f"{each.name}_{what}") for what, value in _aggregates(each, dialect).items()]
    return exp.select(*chosen).from_(table(of))


def _aggregates(each: Profiled, dialect: Dialect) -> dict[str, exp.Expression]:
    value = _column(each)
    found: dict[str, exp.Expression] = {"present": exp.Count(this=value)}
    if each.kind is Kind.CATEGORY:
        text = ordered_text(_column(each), dialect)
        found |= {"distinct": _distinct(_column(each), dialect), "minimum": exp.Min(this=text), "maximum": exp.Max(this=text.copy())}
    if each.kind is Kind.NUMBER:
        finite = _only(_finite(each, dialect), each)
        moderate = _only(_within(each, SQUARABLE, dialect), each)
        found |= {
            "finite": count_where(_finite(each, dialect)),
            "distinct": _distinct(finite, dialect),
            "minimum": exp.Min(this=finite.copy()),
            "maximum": exp.Max(this=finite.copy()),
            "mean": exp.Avg(this=moderate),
            "stddev": exp.Anonymous(this=dialect.deviation, expressions=[moderate.copy()]),
        }
        found |= _quantiles(finite, dialect)
    return found


def quantile_values(row: Mapping[str, object], each: Profiled) -> dict[float, float]:
    """The quantiles of a column in the row that `summary` answers with, by their probability; empty where there is no value."""
    said = row.get(f"{each.name}_quantiles")
    if said is None:
        values = [row.get(f"{each.name}_p{round(100 * p):02}") for p in PROBABILITIES]
    else:
        assert isinstance(said, list)
        # All hundredths, or those that were asked for.
        values = [said[round(100 * p)] for p in PROBABILITIES] if len(said) > len(PROBABILITIES) else said
    return {p: float(value) for p, value in zip(PROBABILITIES, values, strict=False) if isinstance(value, (int, float))}


def _quantiles(value: exp.Expression, dialect: Dialect) -> dict[str, exp.Expression]:
    asked = [exp.Literal.number(p) for p in PROBABILITIES]
    array = exp.Array(expressions=asked)
    # Nulls take no part. T-SQL takes one expression here, and would be given a second to put them last.
    nulls_first = dialect.quantiles is Quantiles.APPROX_PERCENTILE_DISC
    by_value = exp.Order(expressions=[exp.Ordered(this=value.copy(), nulls_first=nulls_first)])
    match dialect.quantiles:
        case Quantiles.APPROX_QUANTILE:
            return {"quantiles": exp.Anonymous(this="APPROX_QUANTILE", expressions=[value.copy(), array])}
        case Quantiles.PERCENTILE_APPROX:
            return {"quantiles": exp.Anonymous(this="PERCENTILE_APPROX", expressions=[value.copy(), array, exp.Literal.number(10_000)])}
        case Quantiles.QUANTILES_GK:
            sketch = exp.ParameterizedAgg(this="quantilesGK", expressions=[exp.Literal.number(1000), *asked], params=[value.copy()])
            return {"quantiles": sketch}
        case Quantiles.PERCENTILE_DISC:
            return {"quantiles": exp.WithinGroup(this=exp.Anonymous(this="PERCENTILE_DISC", expressions=[array]), expression=by_value)}
        case Quantiles.APPROX_PERCENTILE_ARRAY:
            return {"quantiles": exp.Anonymous(this="APPROX_PERCENTILE", expressions=[value.copy(), array])}
        case Quantiles.APPROX_QUANTILES:
            return {"quantiles": exp.Anonymous(this="APPROX_QUANTILES", expressions=[value.copy(), exp.Literal.number(100)])}
    return {f"p{round(100 * p):02}": _one_quantile(value, p, by_value, dialect) for p in PROBABILITIES}


def _one_quantile(value: exp.Expression, p: float, by_value: exp.Order, dialect: Dialect) -> exp.Expression:
    probability = exp.Literal.number(p)
    if dialect.quantiles is Quantiles.APPROX_PERCENTILE:
        return exp.Anonymous(this="APPROX_PERCENTILE", expressions=[value.copy(), probability])
    function = "PERCENTILE_CONT" if dialect.quantiles is Quantiles.PERCENTILE_CONT else "APPROX_PERCENTILE_DISC"
    return exp.WithinGroup(this=exp.Anonymous(this=function, expressions=[probability]), expression=by_value.copy())


def counts_up_to(of: str, edges: Mapping[Profiled, Sequence[float]], dialect: Dialect) -> exp.Select:
    """One row: of each number, `<column>_<place>`: how many of its finite values are at most the edge of that place."""
    chosen = []
    for each, limits in edges.items():
        for place, edge in enumerate(limits):
            at_most = exp.LTE(this=_column(each), expression=literal(float(edge), FLOAT64, dialect))
            chosen.append(named(count_where(exp.And(this=_finite(each, dialect), expression=at_most)), f"{each.name}_{place}"))
    return exp.select(*chosen).from_(table(of))


def counts_of(of: str, values: Mapping[Profiled, Sequence[str]], dialect: Dialect) -> exp.Select:
    """One row: of each category, `<column>_<place>`: how many of its values are the one of that place."""
    chosen = []
    for each, texts in values.items():
        for place, text in enumerate(texts):
            same = exp.EQ(this=_column(each), expression=literal(text, StringType(), dialect))
            chosen.append(named(count_where(same), f"{each.name}_{place}"))
    return exp.select(*chosen).from_(table(of))


def top_values(of: str, each: Profiled, most: int, dialect: Dialect) -> exp.Select:
    """The most frequent values of a column, most frequent first, then in their order: `value` and `times`."""
    counted = exp.select(named(_column(each), "value"), named(exp.Count(this=exp.Star()), "times")).from_(table(of))
    counted = counted.where(_finite(each, dialect) if each.kind is Kind.NUMBER else not_null(_column(each))).group_by(_column(each))
    value = exp.Column(this=identifier("value"))
    order = ordered_text(value, dialect) if each.kind is Kind.CATEGORY else value
    query = exp.select(value.copy(), exp.Column(this=identifier("times"))).from_(counted.subquery(identifier("counted")))
    times = exp.Ordered(this=exp.Column(this=identifier("times")), desc=True, nulls_first=False)
    return query.order_by(times, exp.Ordered(this=order, desc=False, nulls_first=True)).limit(most)


def _column(each: Profiled) -> exp.Column:
    return exp.Column(this=identifier(each.name))


def _distinct(value: exp.Expression, dialect: Dialect) -> exp.Expression:
    if dialect.approximate_distinct is None:
        return exp.Count(this=exp.Distinct(expressions=[value.copy()]))
    return exp.Anonymous(this=dialect.approximate_distinct, expressions=[value.copy()])


def _only(condition: exp.Expression, each: Profiled) -> exp.Expression:
    return exp.Case(ifs=[exp.If(this=condition, true=_column(each))])


def _finite(each: Profiled, dialect: Dialect) -> exp.Expression:
    """No infinity, and not not-a-number, which is either greater than every number or compares with none."""
    return _within(each, float_info.max, dialect)


def _within(each: Profiled, limit: float, dialect: Dialect) -> exp.Expression:
    return exp.LTE(this=exp.Abs(this=_column(each)), expression=literal(limit, FLOAT64, dialect))
