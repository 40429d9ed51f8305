"""The labelled corpus is what it says: every case can be read, and what the labels claim of DuckDB's cases is what an experiment finds."""

from __future__ import annotations

import pytest
from leakage_corpus import DECLARATIONS, DIALECTS, HALVES, LEAKS, Case, cases, tables_read
from leakage_experiment import changed_features, rows_before

CASES = cases()
ABOUT_NO_FEATURE = {*DECLARATIONS, "load_time_as_timestamp", "aggregate_without_timestamp", "incremental_loses_late_rows"}
# What a row after the cut changes before it. The other rules are about when, or by what chance, a model was built.
SHOWN_BY_LATER_ROWS = {
    "looks_ahead",
    "whole_partition",
    "aggregate_joined_back",
    "bucket_start",
    "one_row_per_entity",
    "aggregate_without_timestamp",
    "mutable_join",
    "sampled",
}
NEVER_TWICE_THE_SAME = {"reads_clock", "load_time_as_timestamp", "nondeterministic"}

each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])


def repeatable(case: Case) -> bool:
    """Whether two builds from the same rows are the same, so that a difference means something."""
    return case.dialect == "duckdb" and not NEVER_TWICE_THE_SAME & set(case.expected) and (case.provable or "sampled" not in case.expected)


BUILT = [case for case in CASES if repeatable(case)]


@each_case
def test_a_case_names_what_there_is(case: Case) -> None:
    assert case.dialect in DIALECTS
    assert case.about.endswith(".")
    assert case.why.endswith(".")
    assert set(case.expected) <= {*LEAKS, *DECLARATIONS}
    for rule, features in case.expected.items():
        assert set(features) <= set(case.features), rule
        assert len(features) == len(set(features)), rule
        assert not features or rule not in ABOUT_NO_FEATURE, rule
    assert set(case.looks_like) <= {*LEAKS, *DECLARATIONS}
    assert bool(case.looks_like) != bool(case.expected)
    assert not case.provable or SHOWN_BY_LATER_ROWS & set(case.expected)
    declared = {*case.models, *case.sources}
    assert {*case.snapshots, *case.immutable, *case.incremental} <= declared
    assert set(case.history) <= set(case.sources)
    columns = {*case.view.keys, case.view.timestamp, *case.features, *case.types}
    assert columns <= set(case.columns)
    for service in case.services.values():
        assert set(service.features) <= set(case.features)


@each_case
def test_a_case_reads_only_what_stands_before_it(case: Case) -> None:
    known = set(case.sources)
    for name, sql in case.models.items():
        assert tables_read(sql, case.dialect) <= known
        known.add(f"analytics.{name}")
    read = {table for sql in case.models.values() for table in tables_read(sql, case.dialect)}
    assert known - read == {f"analytics.{case.view_name}"}


@each_case
def test_every_label_is_a_column(case: Case) -> None:
    for service in case.services.values():
        relation, _, column = service.label.rpartition(".")
        if relation in case.sources:
            assert column in case.sources[relation]
        else:
            assert case.queries[relation].root.projection(column) is not None


@each_case
def test_lineage_resolves_every_column(case: Case) -> None:
    for column in (*case.view.keys, case.view.timestamp, *case.features):
        for model, found in case.reached(column):
            assert not found.unknown, (model, column)


def test_there_are_enough_cases_and_no_name_is_in_both_halves() -> None:
    names = [case.name for case in CASES]
    assert len(names) >= 160
    assert len(set(names)) == len(names)
    sizes = [sum(case.half == half for case in CASES) for half in HALVES]
    assert max(sizes) - min(sizes) <= 5
    assert {case.dialect for case in CASES} == set(DIALECTS)
    assert len([case for case in CASES if case.dialect == "duckdb"]) >= 60


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("rule", [*LEAKS, *DECLARATIONS])
def test_each_half_breaks_every_rule_and_has_what_only_looks_like_it(rule: str, half: str) -> None:
    cases_of_half = [case for case in CASES if case.half == half]
    assert len([case for case in cases_of_half if rule in case.expected]) >= 4
    assert [case for case in cases_of_half if rule in case.looks_like]


@pytest.mark.parametrize("case", BUILT, ids=[case.name for case in BUILT])
def test_later_rows_change_what_the_labels_say(case: Case) -> None:
    """Other rows after the cut change exactly the features that leak by what later rows show, and none of a clean case."""
    leaking = {feature for rule, named in case.expected.items() if rule in SHOWN_BY_LATER_ROWS for feature in (named or case.features)}
    assert rows_before(case) > 0
    assert changed_features(case, range(3)) == (leaking if case.provable else set())
