"""Each rule fires where its fixture file says, into the features that it says, and nowhere else.

A fixture file `rules/<rule>.yml` holds cases by name, in the form of the corpus; only that rule is asked about them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from check_cases import Case, open_case, read_cases

from featurestore.checks.rules import DECLARATIONS, LEAKAGE
from featurestore.checks.run import check

FIXTURES = Path(__file__).with_name("rules")
CASES = [
    pytest.param(rule.RULE.id, case, id=f"{rule.RULE.id}-{case.name}")
    for rule in (*LEAKAGE, *DECLARATIONS)
    for case in read_cases(FIXTURES / f"{rule.RULE.id}.yml")
]


@pytest.mark.parametrize(("rule", "case"), CASES)
def test_it_fires_where_it_should(rule: str, case: Case, tmp_path: Path) -> None:
    of_rule = ([each for each in LEAKAGE if each.RULE.id == rule], [each for each in DECLARATIONS if each.RULE.id == rule])
    findings = check(open_case(case, tmp_path), leakage=of_rule[0], declarations=of_rule[1]).findings
    findings = [each for each in findings if each.rule == rule]
    found = {rule: frozenset(feature.feature for each in findings for feature in each.features)} if findings else {}
    assert found == {name: features for name, features in case.expected.items() if name == rule}


@pytest.mark.parametrize("rule", [pytest.param(each, id=each.RULE.id) for each in (*LEAKAGE, *DECLARATIONS)])
def test_its_file_is_called_by_its_id_and_explains_it(rule: Any) -> None:
    assert rule.__name__.rpartition(".")[2] == rule.RULE.id
    assert rule.__doc__


def test_every_fixture_file_belongs_to_a_rule() -> None:
    assert {path.stem for path in FIXTURES.glob("*.yml")} == {each.RULE.id for each in (*LEAKAGE, *DECLARATIONS)}
