"""What a profile says of one feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from featurestore.dbt.drift import DriftLimits
from featurestore.registry.definitions import FeatureReference
from featurestore.registry.value_types import ValueType

from .distance import Bin

Value = float | int | str
"""Of a number, a number; of anything else that has a text, its text in the warehouse."""


@dataclass(frozen=True, slots=True)
class HistogramBin:
    """A tenth or so of the range of a number; the first has its lower end, too."""

    above: float
    up_to: float
    rows: int


@dataclass(frozen=True, slots=True)
class FeatureStatistics:
    """One side's values of one feature. None where there is nothing to say: of text no mean, of an embedding only nulls."""

    rows: int
    nulls: int
    not_finite: int | None = None
    """Not-a-number and infinities. They take no part in what follows."""

    distinct: int | None = None
    minimum: Value | None = None
    maximum: Value | None = None
    mean: float | None = None
    stddev: float | None = None
    """Of the sample: divided by n - 1."""

    quantiles: Mapping[float, float] | None = None
    """By their probability."""

    histogram: tuple[HistogramBin, ...] | None = None
    """Bins of equal width from the minimum to the maximum."""

    top_values: tuple[tuple[Value, int], ...] | None = None
    """The most frequent values, and how many rows have each. None of floats."""


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """How far the values are from those of the baseline."""

    psi: float | None
    jensen_shannon: float | None
    """Both None where a side has no rows."""

    bins: tuple[Bin, ...]
    limits: DriftLimits

    @property
    def unmeasured(self) -> bool:
        """Whether there are limits, and nothing to hold to them."""
        return self.psi is None and self.limits != DriftLimits()

    @property
    def past(self) -> tuple[str, ...]:
        """The limits that are exceeded, in words."""
        measured = (("psi", self.psi, self.limits.psi), ("jensen_shannon", self.jensen_shannon, self.limits.jensen_shannon))
        return tuple(
            f"{name} of {found:.3f} is past {limit:g}"
            for name, found, limit in measured
            if found is not None and limit is not None and found > limit
        )


@dataclass(frozen=True, slots=True)
class FeatureProfile:
    """What was found of one feature."""

    reference: FeatureReference
    value_type: ValueType
    current: FeatureStatistics
    baseline: FeatureStatistics | None = None
    drift: FeatureDrift | None = None


@dataclass(frozen=True, slots=True)
class ProfileReport:
    """What was found of some feature views."""

    at: datetime
    """When it was asked."""

    of: str
    """What was profiled, in words: the rows of a time range, or what is online."""

    against: str | None
    """What it was compared with. None: with nothing."""

    features: tuple[FeatureProfile, ...]
    distinct_by: str
    """The function that counted distinct values; `COUNT(DISTINCT)` is exact."""

    quantiles_by: str
    left_out: tuple[str, ...] = ()
    """What could not be compared, in words."""

    @property
    def drifted(self) -> tuple[FeatureProfile, ...]:
        """The features that are past a limit."""
        return tuple(each for each in self.features if each.drift is not None and each.drift.past)

    @property
    def unmeasured(self) -> tuple[FeatureProfile, ...]:
        """The features that have limits which could not be told from any rows: a side has none."""
        return tuple(each for each in self.features if each.drift is not None and each.drift.unmeasured)

    @property
    def within_limits(self) -> bool:
        """Whether nothing drifted, and nothing that has limits lost all its rows."""
        return not self.drifted and all(each.current.rows for each in self.unmeasured)
