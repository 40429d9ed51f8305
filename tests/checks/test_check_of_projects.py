"""A check of whole projects: large ones of many dialects without a crash, and its answers in the forms that CI takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest
from check_cases import Case, open_case

from featurestore.checks.finding import Severity
from featurestore.checks.run import CheckReport, check
from featurestore.checks.sarif import to_annotations, to_sarif

MODELS = 300
SOURCES = {"raw.events": {"id": "bigint", "customer_id": "bigint", "happened_at": "timestamp", "amount": "double", "kind": "varchar"}}
SHAPES = (
    "select * from {above}",
    "with kept as (select * from {above} where kind <> 'test') select id, customer_id, happened_at, amount * 2 as amount, kind from kept",
    "select id, customer_id, happened_at, sum(amount) over (partition by customer_id order by happened_at) as amount, kind from {above}",
    "select a.id, a.customer_id, a.happened_at, b.amount, a.kind from {above} a left join {above} b on a.id = b.id",
    "select id, customer_id, happened_at, amount, kind from {above} union all select * from {above}",
    "select max(id) as id, customer_id, max(happened_at) as happened_at, sum(amount) as amount, max(kind) as kind from {above} group by 2",
    "select this is no sql at all from from {above} ((",
    "select id, customer_id, coalesce(happened_at, current_timestamp) as happened_at, amount, kind from {above}",
)
LAYERS = 10
RESULT = {
    "type": "object",
    "required": ["message", "ruleId", "ruleIndex", "level"],
    "properties": {
        "ruleId": {"type": "string"},
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": {"enum": ["none", "note", "warning", "error"]},
        "message": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}, "additionalProperties": False},
        "locations": {"type": "array", "items": {"type": "object"}},
        "partialFingerprints": {"type": "object", "additionalProperties": {"type": "string"}},
        "properties": {"type": "object"},
        "suppressions": {
            "type": "array",
            "items": {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["inSource", "external"]}}},
        },
    },
    "additionalProperties": False,
}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "properties": {
                    "results": {"type": "array", "items": RESULT},
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                },
            },
        },
    },
}
"""The part of the published schema of SARIF 2.1.0 that what is written here falls under."""


def large(dialect: str, folder: Path) -> CheckReport:
    models: dict[str, str] = {}
    for number in range(MODELS - 1):
        above = "raw.events" if number < LAYERS else f"analytics.m_{number - LAYERS:03}"
        models[f"m_{number:03}"] = SHAPES[number % len(SHAPES)].format(above=above)
    models["customer_events"] = " union all ".join(
        f"select customer_id, happened_at, amount from analytics.m_{number:03}" for number in range(MODELS - 1 - LAYERS, MODELS - 1)
    )
    said: dict[str, Any] = {
        "dialect": dialect,
        "sources": SOURCES,
        "models": models,
        "view": {"entities": {"customer": "customer_id"}, "timestamp": "happened_at"},
    }
    return check(open_case(Case("large", said), folder))


@pytest.mark.parametrize("dialect", ["duckdb", "snowflake", "bigquery", "tsql"])
def test_a_project_of_300_models_is_checked_and_what_cannot_be_read_is_said(dialect: str, tmp_path: Path) -> None:
    report = large(dialect, tmp_path)
    assert "not_parsed" in {each.rule for each in report.findings}
    assert report.models > LAYERS


def shop(folder: Path, sql: str) -> CheckReport:
    said = {
        "sources": SOURCES,
        "models": {"customer_events": sql},
        "view": {"entities": {"customer": "customer_id"}, "timestamp": "happened_at"},
    }
    return check(open_case(Case("shop", said), folder))


LEAKY = """select
    customer_id,
    happened_at,
    lead(amount) over (partition by customer_id order by happened_at) as next_amount,
    current_date as today -- featurestore: ignore reads_clock because it is a test: 100%
from raw.events"""


def test_a_finding_says_rule_line_expression_and_feature(tmp_path: Path) -> None:
    report = shop(tmp_path, LEAKY)
    (found,) = (each for each in report.findings if each.rule == "looks_ahead")
    assert (found.file, found.line, found.compiled) == ("models/customer_events.sql", 4, False)
    assert "LEAD(amount)" in found.expression
    assert [str(feature) for feature in found.features] == ["customer_events:next_amount"]
    assert report.fails()
    assert [each.rule for each in report.waived] == ["reads_clock"]


def test_sarif_has_the_published_form_and_says_what_is_waived(tmp_path: Path) -> None:
    report = shop(tmp_path, LEAKY)
    document = to_sarif(report)
    jsonschema.validate(document, SARIF)
    (below,) = to_sarif(report, "warehouse/dbt")["runs"]
    files = [each["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for each in below["results"]]
    assert files == [f"warehouse/dbt/{each.file}" for each in (*report.findings, *report.waived)], "seen from the repository's root"
    results = document["runs"][0]["results"]
    assert len(results) == len(report.findings) + len(report.waived)
    assert [each["ruleId"] for each in results if "suppressions" in each] == ["reads_clock"]
    rules = document["runs"][0]["tool"]["driver"]["rules"]
    assert all(rules[each["ruleIndex"]]["id"] == each["ruleId"] for each in results)


def test_annotations_name_file_and_line_on_one_line_each(tmp_path: Path) -> None:
    lines = list(to_annotations(shop(tmp_path, LEAKY), "dbt"))
    (ahead,) = (line for line in lines if "looks_ahead" in line)
    assert ahead.startswith("::error file=dbt/models/customer_events.sql,title=looks_ahead%3A customer_events,line=4::")
    assert all("\n" not in line for line in lines)


def test_the_severity_that_fails_is_the_callers(tmp_path: Path) -> None:
    report = shop(tmp_path, "select customer_id, happened_at, amount from raw.events")
    assert {each.severity for each in report.findings} == {Severity.ADVICE}
    assert (report.fails(), report.fails(Severity.WARNING), report.fails(Severity.ADVICE)) == (False, False, True)
