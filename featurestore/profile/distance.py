"""How far two distributions are apart, and which bins they are compared in. Pure arithmetic over counts.

Bins come from the baseline alone: of a number they end at its deciles (those that are different), so that each holds about a tenth of it;
of a category they are its most frequent values, and one for all others. Null is a bin of its own, and so are not-a-number and the
infinities together. A bin that is empty on both sides is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
HALF = 0.5


@dataclass(frozen=True, slots=True)
class Bin:
    """How many rows of each side are in one bin."""

    name: str
    baseline: int
    current: int


def edges(quantiles: Mapping[float, float]) -> tuple[float, ...]:
    """The upper ends of all bins of a number but the last, which has none; each is part of the bin below it."""
    return tuple(sorted({quantiles[p] for p in DECILES if p in quantiles}))


def population_stability_index(bins: Sequence[Bin]) -> float | None:
    """PSI = sum over bins of (c - b) * ln(c / b), where b and c are the parts of baseline and current in a bin; natural logarithm.

    It is the symmetrised Kullback-Leibler divergence (Jeffreys' J, 1946); as an index of stability of scores: Siddiqi, Credit Risk
    Scorecards, 2006. By custom, below 0.1 nothing happened, above 0.25 much did. So that an empty bin is no infinity, half a row is added
    to every bin of both sides before they are divided: b = (n + 0.5) / (N + 0.5 k), for k bins. 0 and up. None where a side has no rows.
    """
    shares = _shares(bins, HALF)
    return None if shares is None else sum((c - b) * math.log(c / b) for b, c in shares)


def jensen_shannon_distance(bins: Sequence[Bin]) -> float | None:
    """sqrt((D(b || m) + D(c || m)) / 2), where m = (b + c) / 2, and D is the Kullback-Leibler divergence with logarithms of base 2.

    Lin, 1991; that its root is a metric: Endres and Schindelin, 2003. From 0, the same, to 1, no bin in common; nothing is added to the
    counts. The same as scipy.spatial.distance.jensenshannon(b, c, base=2). None where a side has no rows.
    """
    shares = _shares(bins, 0.0)
    if shares is None:
        return None
    total = sum(_divergence(b, (b + c) / 2) + _divergence(c, (b + c) / 2) for b, c in shares)
    return math.sqrt(max(total, 0.0) / 2)


def _divergence(part: float, of: float) -> float:
    return part * math.log2(part / of) if part else 0.0


def _shares(bins: Sequence[Bin], added: float) -> list[tuple[float, float]] | None:
    there = [each for each in bins if each.baseline or each.current]
    totals = [sum(each.baseline for each in there), sum(each.current for each in there)]
    if not all(totals):
        return None
    baseline, current = (total + added * len(there) for total in totals)
    return [((each.baseline + added) / baseline, (each.current + added) / current) for each in there]
