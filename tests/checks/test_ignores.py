"""What a project waives: by a comment in SQL, or in meta; with a reason, and only where there is something to waive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from check_cases import Case, open_case
from sqlglot import exp

from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.ignores.comments import ignores_in
from featurestore.checks.run import CheckReport, check
from featurestore.checks.subject import ModelInView

SOURCES = {"raw.orders": {"customer_id": "bigint", "ordered_at": "timestamp", "amount": "double"}}
VIEW = {"entities": {"customer": "customer_id"}, "timestamp": "ordered_at"}


def no_multiplication(model: ModelInView) -> Iterator[Spot]:
    for part in model.parts:
        for node in part.nodes():
            if isinstance(node, exp.Mul):
                yield Spot(node, part.features, "It multiplies.", "Add instead.")


RULE: Any = SimpleNamespace(RULE=Rule("sampled", "For these tests only", Severity.ERROR), find=no_multiplication, __doc__="A rule.")


def checked(folder: Path, sql: str, **view: Any) -> CheckReport:
    said = {"sources": SOURCES, "models": {"customer_orders": sql}, "view": {**VIEW, **view}}
    return check(open_case(Case("shop", said), folder), leakage=[RULE], declarations=[])


def rules(report: CheckReport) -> list[tuple[str, int | None]]:
    return [(each.rule, each.line) for each in report.findings]


SQL = """select customer_id, ordered_at,
  amount * 2 as doubled
from raw.orders"""
ABOVE, LINE = SQL.split("\n", 1)
WAIVER = "featurestore: ignore sampled because it is asked for"


@pytest.mark.parametrize(
    "sql",
    [
        SQL.replace("doubled", f"doubled -- {WAIVER}"),
        f"{ABOVE}\n  -- {WAIVER}\n{LINE}",
        f"-- {WAIVER}\n{SQL}",
        f"{{{{ config(a=1) }}}}\n{{# {WAIVER} #}}\n{SQL}",
    ],
    ids=["on the line", "above the line", "for the file", "in Jinja"],
)
def test_a_comment_with_a_reason_waives(sql: str, tmp_path: Path) -> None:
    compiled = sql[sql.index("select") :] if sql.startswith("{{") else sql
    case = Case(
        "shop", {"sources": SOURCES, "models": {"customer_orders": compiled}, "incremental": {"customer_orders": sql}, "view": VIEW}
    )
    report = check(open_case(case, tmp_path), leakage=[RULE], declarations=[])
    assert report.findings == ()
    assert [each.waived for each in report.waived] == ["it is asked for"]


def test_meta_with_a_reason_waives(tmp_path: Path) -> None:
    sql = "select customer_id, ordered_at, amount * 2 as doubled from raw.orders"
    report = checked(tmp_path, sql, ignore={"sampled": "it is asked for"})
    assert (report.findings, [each.waived for each in report.waived]) == ((), ["it is asked for"])


@pytest.mark.parametrize(
    ("comment", "said"),
    [
        ("ignore sampled", "gives no reason"),
        ("ignore sampled because", "gives no reason"),
        ("ignore because why not", "names no rule"),
        ("ignore sampeld because why not", "Did you mean 'sampled'?"),
    ],
)
def test_a_comment_without_reason_or_rule_waives_nothing_and_is_an_error(comment: str, said: str, tmp_path: Path) -> None:
    sql = f"select customer_id, ordered_at,\n  amount * 2 as doubled -- featurestore: {comment}\nfrom raw.orders"
    bad, found = sorted(checked(tmp_path, sql).findings, key=lambda each: each.rule)
    assert (bad.rule, bad.severity, bad.line, found.rule) == ("bad_ignore", Severity.ERROR, 2, "sampled")
    assert said in bad.why


def test_a_waiver_elsewhere_waives_nothing_and_is_warned_of(tmp_path: Path) -> None:
    sql = "select customer_id, ordered_at, -- featurestore: ignore sampled because it was once\n  amount * 2 as doubled\nfrom raw.orders"
    report = checked(tmp_path, sql)
    assert rules(report) == [("unused_ignore", 1), ("sampled", 2)]


def test_a_waiver_in_meta_that_waives_nothing_is_warned_of(tmp_path: Path) -> None:
    report = checked(tmp_path, "select customer_id, ordered_at, amount from raw.orders", ignore={"sampled": "once"})
    assert rules(report) == [("unused_ignore", None)]


def test_a_rule_that_is_switched_off_needs_no_waiver(tmp_path: Path) -> None:
    sql = SQL.replace("doubled", f"doubled -- {WAIVER}")
    case = Case("shop", {"sources": SOURCES, "models": {"customer_orders": sql}, "view": VIEW})
    report = check(open_case(case, tmp_path), {"sampled": None}, leakage=[RULE], declarations=[])
    assert (report.findings, report.waived) == ((), ())


def test_several_rules_share_a_reason() -> None:
    (ignore,) = ignores_in("select 1 -- featurestore: ignore reads_clock, looks_ahead because it is a test\n")
    assert (ignore.rules, ignore.reason, ignore.covers) == (("reads_clock", "looks_ahead"), "it is a test", 1)
