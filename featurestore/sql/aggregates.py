"""What has to be worked out over a window of events so that every feature asked for can be said, exactly and in any order.

An *input* is a column of the events: a value, or null where the event takes no part. A *measure* is an aggregate of one input over one
window. A feature is said from measures. Two plans bring measures forth (`point_in_time.range_frame`, `point_in_time.range_join`),
and what they answer may not depend on which of them did, nor on the order in which a warehouse adds:

- Floats are added as whole numbers of 2^-64: exactly, so in any order (a number is rounded down to one of them; from 2^-12 on there is
  nothing to round). A window that holds one that is not finite, or not smaller than 2^42, has no sum: it is NaN.
- One sum of integers, the *tally*, says both how many floats there are and how many of them have no such whole number.
- A standard deviation is told from deviations from the window's own mean: their squares are added in 2^60 parts of the square of
  how far the window's values lie apart.
- The last value is that of the greatest version: the number of an event in its key's order by timestamp, created timestamp and value.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TypeAlias

from sqlglot import exp

from featurestore.registry.aggregations import WIDEST_DECIMAL, AggregateFunction, feature_name, window_name
from featurestore.registry.definitions import Aggregation, Column, Feature
from featurestore.registry.value_types import DecimalType, StringType

from .dialects import Dialect
from .event_inputs import DOUBLE, UNITS, UNSUMMED, Kind, double, input_expression, is_float, taken_where, type_of
from .expressions import BIGINT, column, not_null, ordered_text, unused
from .history import History

PARTS = 2.0**60
"""In how many parts the square of how far the values of a window lie apart is counted."""


class Total(str, Enum):
    """How a measure is made of an input."""

    SUM = "sum"
    COUNT = "count"
    COUNT_DISTINCT = "count_distinct"
    MIN = "min"
    MAX = "max"

    def of(self, value: exp.Expression) -> exp.Expression:
        """The aggregate over a value."""
        match self:
            case Total.SUM:
                return exp.Sum(this=value)
            case Total.COUNT:
                return exp.Count(this=value)
            case Total.COUNT_DISTINCT:
                return exp.Count(this=exp.Distinct(expressions=[value]))
            case Total.MIN:
                return exp.Min(this=value)
            case Total.MAX:
                return exp.Max(this=value)


Source: TypeAlias = tuple[Column | None, str | None]
"""A column and a filter: whose values, of which events."""


@dataclass(frozen=True, slots=True)
class Input:
    """A column of the events."""

    name: str
    expression: exp.Expression


@dataclass(frozen=True, slots=True)
class Measure:
    """An aggregate of an input over a window."""

    name: str
    total: Total
    input: str
    window: timedelta
    text: bool = False
    """Whether it is the least or the greatest text, whose order is by code points."""

    def of(self, value: exp.Expression, dialect: Dialect) -> exp.Expression:
        """The aggregate over values of the input."""
        return self.total.of(ordered_text(value, dialect) if self.text else value)


@dataclass(frozen=True, slots=True)
class LastValue:
    """A value that is fetched from the event whose version was found."""

    name: str
    """Under which its source stands in the query."""

    version: Measure
    value: str
    """The input that holds it."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """A sum over a window of squared deviations from its mean, each in parts of the square of how far its values lie apart."""

    mean_name: str
    extent_name: str
    name: str
    value: str
    """The input that holds the values."""

    window: timedelta
    mean: exp.Expression
    extent: exp.Expression
    """Of measures: what the greatest value is more than the least. Null where the window has no sum."""


@dataclass(frozen=True, slots=True)
class Aggregates:
    """All that the features of one request need of a view's events."""

    inputs: tuple[Input, ...]
    measures: tuple[Measure, ...]
    lasts: tuple[LastValue, ...]
    deviations: tuple[Deviation, ...]
    answers: tuple[exp.Expression, ...]
    """The value of each feature, in their order, said by columns of measures, last values and deviations."""


def aggregates_of(history: History, features: Iterable[Feature], taken: Iterable[str]) -> Aggregates:
    """What those features need. Args: taken: names that no input and no measure may have."""
    chosen = [(feature.aggregation, feature) for feature in features if feature.aggregation is not None]
    collector = _Collector(history, list(taken), frozenset(aggregation.function for aggregation, _ in chosen))
    answers = tuple(collector.answer(aggregation, feature.name) for aggregation, feature in chosen)
    return Aggregates(
        tuple(collector.inputs.values()), tuple(collector.measures.values()), tuple(collector.lasts), tuple(collector.deviations), answers
    )


@dataclass
class _Collector:
    """Gives every input and measure one name, however many features need it."""

    history: History
    taken: list[str]
    functions: frozenset[AggregateFunction]
    labels: dict[Source, str] = field(default_factory=dict)
    """What people call the values of filtered events."""

    inputs: dict[tuple[Kind, Source], Input] = field(default_factory=dict)
    measures: dict[tuple[Total, str, timedelta], Measure] = field(default_factory=dict)
    lasts: list[LastValue] = field(default_factory=list)
    deviations: list[Deviation] = field(default_factory=list)

    def answer(self, aggregation: Aggregation, name: str) -> exp.Expression:
        """The value of the feature of that name."""
        if aggregation.filter is not None:
            own = name.removesuffix(feature_name(None, aggregation.function, aggregation.window)).rstrip("_")
            self.labels.setdefault((aggregation.column, aggregation.filter), own)
        match aggregation.function:
            case AggregateFunction.COUNT:
                return exp.cast(self._count(aggregation), BIGINT)
            case AggregateFunction.COUNT_DISTINCT:
                return exp.cast(self._measure(Total.COUNT_DISTINCT, Kind.VALUE, aggregation), BIGINT)
            case AggregateFunction.MIN:
                return self._extreme(Total.MIN, aggregation)
            case AggregateFunction.MAX:
                return self._extreme(Total.MAX, aggregation)
            case AggregateFunction.SUM:
                return self._sum(aggregation)
            case AggregateFunction.AVG:
                return self._mean(aggregation)
            case AggregateFunction.STDDEV:
                return self._deviation(aggregation)
            case AggregateFunction.LAST:
                return self._last(aggregation)

    def _extreme(self, total: Total, aggregation: Aggregation) -> exp.Expression:
        """The least or the greatest value, where not-a-number is greater than every number, whatever the warehouse makes of it."""
        if not is_float(aggregation) or self.history.dialect.nan_is_greatest:
            return self._measure(total, Kind.VALUE, aggregation)
        number = self._measure(total, Kind.NUMBER, aggregation)
        any_other = not_null(self._measure(Total.MAX, Kind.NOT_A_NUMBER, aggregation))
        nan = exp.cast(exp.Literal.string("NaN"), DOUBLE)
        if total is Total.MAX:
            return exp.Case(ifs=[exp.If(this=any_other, true=nan)], default=number)
        return exp.Coalesce(this=number, expressions=[taken_where(any_other, nan)])

    def _count(self, aggregation: Aggregation) -> exp.Expression:
        if aggregation.column is None:
            return self._measure(Total.COUNT, Kind.EVENT, aggregation)
        sums = {AggregateFunction.SUM, AggregateFunction.AVG, AggregateFunction.STDDEV}
        if is_float(aggregation) and self.functions & sums:
            # It has to be there anyway.
            return exp.Coalesce(this=self._tallied(aggregation), expressions=[exp.Literal.number(0)])
        return self._measure(Total.COUNT, Kind.VALUE, aggregation)

    def _sum(self, aggregation: Aggregation) -> exp.Expression:
        if is_float(aggregation):
            return self._unless_unsummed(aggregation, self._units_summed(aggregation))
        total = self._measure(Total.SUM, Kind.VALUE, aggregation)
        if isinstance(column_type := type_of(aggregation), DecimalType):
            dialect = self.history.dialect
            widest = dialect.widest_decimal.format(precision=WIDEST_DECIMAL, scale=column_type.scale)
            return exp.cast(total, exp.DataType.build(widest, dialect=dialect.name))
        return exp.cast(total, BIGINT)

    def _mean(self, aggregation: Aggregation) -> exp.Expression:
        if is_float(aggregation):
            mean = _quotient(self._units_summed(aggregation), exp.cast(self._tallied(aggregation), DOUBLE))
            return self._unless_unsummed(aggregation, mean)
        total = exp.cast(self._measure(Total.SUM, Kind.VALUE, aggregation), DOUBLE)
        count = exp.cast(self._measure(Total.COUNT, Kind.VALUE, aggregation), DOUBLE)
        return _quotient(total, exp.Nullif(this=count, expression=double(0)))

    def _deviation(self, aggregation: Aggregation) -> exp.Expression:
        value, mean = self._input(Kind.VALUE, aggregation), self._mean(aggregation)
        least, most = (exp.cast(self._measure(total, Kind.VALUE, aggregation), DOUBLE) for total in (Total.MIN, Total.MAX))
        extent: exp.Expression = exp.Sub(this=most, expression=least)
        if is_float(aggregation):
            summed = exp.LT(this=self._measure(Total.SUM, Kind.TALLY, aggregation), expression=exp.Literal.number(UNSUMMED))
            extent = taken_where(summed, extent)
        whose = f"{value.name}_{{}}_{window_name(aggregation.window)}"
        mean_name, extent_name, name = (self._name(whose.format(part)) for part in ("mean", "extent", "deviation"))
        self.deviations.append(Deviation(mean_name, extent_name, name, value.name, aggregation.window, mean, extent.copy()))
        parts = exp.Coalesce(this=exp.cast(column(name), DOUBLE), expressions=[double(0)])
        fewer = exp.paren(exp.Sub(this=exp.cast(self._count(aggregation), DOUBLE), expression=double(1)))
        spread = exp.Mul(this=exp.paren(extent), expression=exp.Sqrt(this=_quotient(_quotient(parts, double(PARTS)), fewer)))
        several = exp.GT(this=self._count(aggregation), expression=exp.Literal.number(1))
        return taken_where(several, self._unless_unsummed(aggregation, spread) if is_float(aggregation) else spread)

    def _last(self, aggregation: Aggregation) -> exp.Expression:
        value, version = self._input(Kind.VALUE, aggregation), self._input(Kind.VERSION, aggregation)
        self._measure(Total.MAX, Kind.VERSION, aggregation)
        measure = self.measures[Total.MAX, version.name, aggregation.window]
        source = self._name(f"last_{value.name}_{window_name(aggregation.window)}")
        self.lasts.append(LastValue(source, measure, value.name))
        return column(value.name, source)

    def _units_summed(self, aggregation: Aggregation) -> exp.Expression:
        return _quotient(exp.cast(self._measure(Total.SUM, Kind.UNITS, aggregation), DOUBLE), double(UNITS))

    def _tallied(self, aggregation: Aggregation) -> exp.Expression:
        """How many floats there are; null where there are none."""
        return exp.Mod(this=self._measure(Total.SUM, Kind.TALLY, aggregation), expression=exp.Literal.number(UNSUMMED))

    def _unless_unsummed(self, aggregation: Aggregation, value: exp.Expression) -> exp.Expression:
        tally = self._measure(Total.SUM, Kind.TALLY, aggregation)
        unsummed = exp.GTE(this=tally, expression=exp.Literal.number(UNSUMMED))
        nothing = exp.cast(exp.Literal.string("NaN") if self.history.dialect.has_nan else exp.null(), DOUBLE)
        return exp.Case(ifs=[exp.If(this=unsummed, true=nothing)], default=value)

    def _measure(self, total: Total, kind: Kind, aggregation: Aggregation) -> exp.Expression:
        of = self._input(kind, aggregation)
        key = (total, of.name, aggregation.window)
        if key not in self.measures:
            name = self._name(f"{of.name}_{total.value}_{window_name(aggregation.window)}")
            text = total in (Total.MIN, Total.MAX) and kind is Kind.VALUE and isinstance(type_of(aggregation), StringType)
            self.measures[key] = Measure(name, total, of.name, aggregation.window, text)
        return column(self.measures[key].name)

    def _input(self, kind: Kind, aggregation: Aggregation) -> Input:
        key = (kind, (aggregation.column, aggregation.filter))
        if key not in self.inputs:
            whose = self.labels.get(key[1]) or (aggregation.column.name if aggregation.column else "event")
            name = self._name(whose if kind in (Kind.VALUE, Kind.EVENT) else f"{whose}_{kind.value}")
            self.inputs[key] = Input(name, input_expression(kind, aggregation, self.history))
        return self.inputs[key]

    def _name(self, wanted: str) -> str:
        name = unused(wanted, self.taken)
        self.taken.append(name)
        return name


def _quotient(dividend: exp.Expression, divisor: exp.Expression) -> exp.Expression:
    """A division of doubles, as the warehouse divides them."""
    return exp.Div(this=dividend, expression=divisor, typed=True, safe=False)
