"""Carry out a profile: each view is read once for each side, and all its statistics are asked of what was kept of it.

First what does not depend on anything (counts, extremes, moments, quantiles); then, since bins are known by it, how many values are in
each. The answers have a row each, however many rows there are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlglot import exp

from featurestore.dbt.drift import DriftLimits
from featurestore.errors import RequestError
from featurestore.registry.definitions import FeatureReference, FeatureView
from featurestore.registry.value_types import FloatType, IntegerType
from featurestore.sql.dialects import Dialect, dialect_named
from featurestore.sql.profile import (
    PROBABILITIES,
    SQUARABLE,
    Kind,
    Profiled,
    counts_of,
    counts_up_to,
    quantile_values,
    statements,
    summary,
    top_values,
)
from featurestore.timestamps import as_utc
from featurestore.warehouse.base import Warehouse, WarehouseSession

from .distance import Bin, edges, jensen_shannon_distance, population_stability_index
from .sides import Side
from .statistics import FeatureDrift, FeatureProfile, FeatureStatistics, HistogramBin, ProfileReport, Value

HISTOGRAM_BINS = 20
TOP_VALUES = 20
"""Also the bins that a category is compared in, beside that of all other values."""

Row = Mapping[str, Any]


def profile_views(
    warehouse: Warehouse,
    views: Sequence[FeatureView],
    current: Side,
    baseline: Side | None,
    limits: Callable[[FeatureView], Mapping[str, DriftLimits]],
    *,
    at: datetime,
    chosen: bool,
) -> ProfileReport:
    """What is said of all features of those views.

    Args:
        limits: of each feature of a view, how far it may drift.
        at: when that is.
        chosen: whether the views were asked for one by one. Otherwise those that a side knows nothing of are left out, and told of.

    Raises RequestError where a view that was asked for is not on a side, and where none is.
    """
    features: list[FeatureProfile] = []
    left_out: list[str] = []
    for view in views:
        try:
            found, not_compared = profile_view(warehouse, view, current, baseline, limits)
        except RequestError as error:
            if chosen:
                raise
            left_out.append(str(error))
        else:
            features += found
            left_out += not_compared
    if left_out and not features:
        raise RequestError("\n".join(left_out))
    facts = dialect_named(warehouse.dialect)
    compared = str(baseline) if baseline is not None else None
    distinct = facts.approximate_distinct or "COUNT(DISTINCT)"
    return ProfileReport(as_utc(at), str(current), compared, tuple(features), distinct, facts.quantiles.value, tuple(left_out))


def profile_view(
    warehouse: Warehouse,
    view: FeatureView,
    current: Side,
    baseline: Side | None,
    limits: Callable[[FeatureView], Mapping[str, DriftLimits]],
) -> tuple[tuple[FeatureProfile, ...], tuple[str, ...]]:
    """What is said of each feature of a view that a side has; and, in words, which could not be compared.

    Raises RequestError, WarehouseError.
    """
    dialect = dialect_named(warehouse.dialect)
    allowed = limits(view) if baseline is not None else {}
    with warehouse.session() as session:
        put = current.put(session, "profiled_current", view, dialect)
        reasons = dict(put.left_out)
        now = _Kept(session, dialect, "profiled_current", put.columns)
        before = None
        if baseline is not None:
            put = baseline.put(session, "profiled_baseline", view, dialect)
            reasons |= put.left_out
            before = _Kept(session, dialect, "profiled_baseline", put.columns)
        found = now.statistics()
        then = before.statistics() if before is not None else {}
        drifts = _drifts(now, before, found, then, allowed) if before is not None else {}
    profiles = tuple(
        FeatureProfile(FeatureReference(view.name, each.feature), each.value_type, found[each], then.get(each), drifts.get(each))
        for each in now.columns
    )
    compared = set(then) & set(found)
    alone = [each.feature for each in (*found, *then) if each not in compared] if then else []
    left_out = [f"{view.name}:{name}: {reasons[name]}" if name in reasons else f"{view.name}:{name} is not on both sides" for name in alone]
    return profiles, tuple(dict.fromkeys(left_out))


@dataclass(frozen=True)
class _Kept:
    """The values of one side."""

    session: WarehouseSession
    dialect: Dialect
    table: str
    columns: tuple[Profiled, ...]

    def statistics(self) -> dict[Profiled, FeatureStatistics]:
        """What is said of each column."""
        said: dict[Profiled, Row] = {}
        for some in statements(self.columns, 8 + len(PROBABILITIES), self.dialect):
            row = self.row(summary(self.table, some, self.dialect))
            said |= dict.fromkeys(some, row)
        ranges = {each: limits for each, row in said.items() if (limits := _inner_edges(row, each))}
        counted = self.up_to(ranges)
        return {each: self._statistics(each, row, ranges.get(each, ()), counted.get(each, [])) for each, row in said.items()}

    def up_to(self, limits: Mapping[Profiled, Sequence[float]]) -> dict[Profiled, list[int]]:
        """How many finite values of each column are at most each of its edges."""
        return self._counted(limits, counts_up_to)

    def equal_to(self, values: Mapping[Profiled, Sequence[str]]) -> dict[Profiled, list[int]]:
        """How many values of each column are each of those."""
        return self._counted(values, counts_of)

    def row(self, query: exp.Select) -> Row:
        """The one row that a query answers with."""
        rows: list[Row] = self.session.query(query).read_all().to_pylist()
        return rows[0]

    def _counted(self, asked: Mapping[Profiled, Sequence[Any]], query: Callable[..., exp.Select]) -> dict[Profiled, list[int]]:
        asked = {each: values for each, values in asked.items() if values}
        found: dict[Profiled, list[int]] = {}
        widest = max(map(len, asked.values()), default=1)
        for some in statements(list(asked), widest, self.dialect) if asked else ():
            row = self.row(query(self.table, {each: asked[each] for each in some}, self.dialect))
            found |= {each: [int(row[f"{each.name}_{place}"]) for place in range(len(asked[each]))] for each in some}
        return found

    def _statistics(self, each: Profiled, row: Row, inner: Sequence[float], counted: Sequence[int]) -> FeatureStatistics:
        rows, present = int(row["rows"]), int(row[f"{each.name}_present"])
        if each.kind is Kind.OPAQUE:
            return FeatureStatistics(rows, rows - present)
        least, most = row[f"{each.name}_minimum"], row[f"{each.name}_maximum"]
        distinct = int(row[f"{each.name}_distinct"])
        top = self._top(each) if _has_top_values(each) else None
        if each.kind is Kind.CATEGORY:
            return FeatureStatistics(rows, rows - present, None, distinct, least, most, top_values=top)
        finite = int(row[f"{each.name}_finite"])
        squarable = finite > 0 and max(abs(least), abs(most)) <= SQUARABLE
        return FeatureStatistics(
            rows,
            rows - present,
            present - finite,
            distinct,
            _number(each, least),
            _number(each, most),
            float(row[f"{each.name}_mean"]) if squarable else None,
            float(row[f"{each.name}_stddev"]) if squarable and finite > 1 else None,
            quantile_values(row, each) if finite else {},
            _histogram(least, most, inner, counted, finite),
            top,
        )

    def _top(self, each: Profiled) -> tuple[tuple[Value, int], ...]:
        answer = self.session.query(top_values(self.table, each, TOP_VALUES, self.dialect)).read_all().to_pylist()
        return tuple((_number(each, row["value"]) if each.kind is Kind.NUMBER else row["value"], int(row["times"])) for row in answer)


def _drifts(
    now: _Kept,
    before: _Kept,
    found: Mapping[Profiled, FeatureStatistics],
    then: Mapping[Profiled, FeatureStatistics],
    limits: Mapping[str, DriftLimits],
) -> dict[Profiled, FeatureDrift]:
    """How far apart both sides are, in the bins of the baseline."""
    common = [each for each in then if each in found and each.kind is not Kind.OPAQUE]
    numbers = {each: edges(then[each].quantiles or {}) for each in common if each.kind is Kind.NUMBER}
    texts = {each: [str(value) for value, _ in then[each].top_values or ()] for each in common if each.kind is Kind.CATEGORY}
    counted = [side.up_to(numbers) | side.equal_to(texts) for side in (before, now)]
    drifts = {}
    for each in common:
        sides = [_binned(each, of, counts.get(each, [])) for of, counts in zip((then[each], found[each]), counted, strict=True)]
        names = _bin_names(each, numbers.get(each, ()), texts.get(each, ()))
        bins = tuple(Bin(name, *both) for name, both in zip(names, zip(*sides, strict=True), strict=True))
        limit = limits.get(each.feature, DriftLimits())
        drifts[each] = FeatureDrift(population_stability_index(bins), jensen_shannon_distance(bins), bins, limit)
    return drifts


def _binned(each: Profiled, of: FeatureStatistics, counted: Sequence[int]) -> list[int]:
    """How many rows are in each bin, as `_bin_names` has them."""
    present = of.rows - of.nulls - (of.not_finite or 0)
    if each.kind is Kind.CATEGORY:
        return [*counted, present - sum(counted), of.nulls]
    return [*_differences(counted, present), of.nulls, of.not_finite or 0]


def _bin_names(each: Profiled, limits: Sequence[float], texts: Sequence[str]) -> list[str]:
    if each.kind is Kind.CATEGORY:
        return [*texts, "(other)", "(null)"]
    return [*(f"<= {limit:g}" for limit in limits), f"> {limits[-1]:g}" if limits else "(any)", "(null)", "(not finite)"]


def _differences(counted: Sequence[int], total: int) -> list[int]:
    """Of how many are at most each edge: how many are between two of them."""
    return [after - before for before, after in zip([0, *counted], [*counted, total], strict=True)]


def _inner_edges(row: Row, each: Profiled) -> tuple[float, ...]:
    """The ends of all bins of a histogram but the last; nothing where all values are the same, or there are none."""
    if each.kind is not Kind.NUMBER or not row[f"{each.name}_finite"]:
        return ()
    least, most = float(row[f"{each.name}_minimum"]), float(row[f"{each.name}_maximum"])
    # Halves first: the range of a float may be no float.
    ends = (2 * (least / 2 + (most / 2 - least / 2) * place / HISTOGRAM_BINS) for place in range(1, HISTOGRAM_BINS))
    return tuple(sorted({end for end in ends if least < end < most}))


def _histogram(least: Any, most: Any, inner: Sequence[float], counted: Sequence[int], finite: int) -> tuple[HistogramBin, ...]:
    if not finite:
        return ()
    ends = [float(least), *inner, float(most)]
    return tuple(HistogramBin(*part) for part in zip(ends, ends[1:], _differences(counted, finite), strict=False))


def _has_top_values(each: Profiled) -> bool:
    return each.kind is not Kind.OPAQUE and not isinstance(each.value_type, FloatType)


def _number(each: Profiled, value: Any) -> Any:
    return int(value) if value is not None and isinstance(each.value_type, IntegerType) else value
