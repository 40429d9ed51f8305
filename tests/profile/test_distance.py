"""Measures of how far distributions are apart, against their definitions written the slow obvious way."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference import jensen_shannon, stability_index

from featurestore.profile.distance import Bin, edges, jensen_shannon_distance, population_stability_index

COUNTS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), min_size=1, max_size=15)


def bins(pairs: list[tuple[int, int]]) -> list[Bin]:
    return [Bin(str(place), *pair) for place, pair in enumerate(pairs)]


@given(COUNTS)
def test_both_measures_are_what_they_are_defined_as(pairs: list[tuple[int, int]]) -> None:
    baseline, current = ([pair[side] for pair in pairs] for side in (0, 1))
    psi, distance = population_stability_index(bins(pairs)), jensen_shannon_distance(bins(pairs))
    if not sum(baseline) or not sum(current):
        assert (psi, distance) == (None, None)
        return
    assert psi == pytest.approx(stability_index(baseline, current), abs=1e-12)
    assert distance == pytest.approx(jensen_shannon(baseline, current), abs=1e-7)
    assert psi >= 0
    assert 0 <= distance <= 1 + 1e-12


def test_known_values() -> None:
    same, apart = bins([(5, 50), (5, 50)]), bins([(10, 0), (0, 10)])
    assert jensen_shannon_distance(same) == 0
    assert population_stability_index(bins([(5, 5), (5, 5)])) == 0
    assert jensen_shannon_distance(apart) == 1
    # b = 10.5/11 and 0.5/11, c the other way round.
    assert population_stability_index(apart) == pytest.approx(2 * (10 / 11) * np.log(21))
    # scipy.spatial.distance.jensenshannon([0.5, 0.3, 0.2], [0.1, 0.4, 0.5], base=2)
    assert jensen_shannon_distance(bins([(50, 10), (30, 40), (20, 50)])) == pytest.approx(0.39758172354270127)


def test_bins_end_at_deciles_that_are_different() -> None:
    assert edges({0.1: 1.0, 0.2: 1.0, 0.25: 9.0, 0.3: 2.0, 0.9: 5.0}) == (1.0, 2.0, 5.0)
    assert edges({}) == ()
