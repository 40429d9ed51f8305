"""Findings as SARIF 2.1.0, the form in which code hosts take them, and as annotations of a GitHub workflow."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

from .finding import Finding, Severity
from .rules import EVERY, DocumentedRule
from .run import CheckReport

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.ADVICE: "note"}
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.ADVICE: "notice"}
_ROOT = "%SRCROOT%"


def to_sarif(report: CheckReport, folder: str = "") -> dict[str, Any]:
    """One run of the check. What is waived is in it too, with the reason, as SARIF's suppressions are.

    Args:
        folder: of the dbt project, seen from the repository's root, where it is not that.
    """
    driver = {
        "name": "fsdbt check",
        "semanticVersion": version("featurestore"),
        "rules": [_rule(each) for each in EVERY],
    }
    positions = {each.RULE.id: position for position, each in enumerate(EVERY)}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": driver},
                "originalUriBaseIds": {_ROOT: {"description": {"text": "The root of the repository."}}},
                "columnKind": "unicodeCodePoints",
                "results": [_result(each, positions[each.rule], folder) for each in (*report.findings, *report.waived)],
            }
        ],
    }


def to_annotations(report: CheckReport, folder: str = "") -> Iterator[str]:
    """The lines that GitHub shows beside the code of a pull request.

    Args:
        folder: of the dbt project, seen from the repository's root, where it is not that.
    """
    for each in report.findings:
        place = {"file": _in_repository(each.file, folder), "title": f"{each.rule}: {each.model}"}
        if each.line is not None and not each.compiled:
            place["line"] = str(each.line)
        properties = ",".join(f"{name}={_escaped(value, ':,')}" for name, value in place.items())
        yield f"::{_COMMANDS[each.severity]} {properties}::{_escaped(message(each))}"


def message(each: Finding) -> str:
    """What a finding says, in one paragraph."""
    about = ", ".join(map(str, each.features or each.views))
    where = f" (line {each.line} of the compiled SQL)" if each.compiled else ""
    said = f"{each.expression}{where}: " if each.expression else ""
    return f"{said}{each.why} {each.mend} [{about}]"


def _rule(each: DocumentedRule) -> dict[str, Any]:
    return {
        "id": each.RULE.id,
        "shortDescription": {"text": each.RULE.title},
        "fullDescription": {"text": inspect.cleandoc(each.__doc__ or each.RULE.title)},
        "defaultConfiguration": {"level": _LEVELS[each.RULE.severity]},
    }


def _in_repository(file: str, folder: str) -> str:
    return f"{folder}/{file}" if folder else file


def _result(each: Finding, position: int, folder: str) -> dict[str, Any]:
    location: dict[str, Any] = {"artifactLocation": {"uri": _in_repository(each.file, folder), "uriBaseId": _ROOT}}
    if each.line is not None and not each.compiled:
        location["region"] = {"startLine": each.line}
    result: dict[str, Any] = {
        "ruleId": each.rule,
        "ruleIndex": position,
        "level": _LEVELS[each.severity],
        "message": {"text": message(each)},
        "locations": [
            {
                "physicalLocation": location,
                "logicalLocations": [{"name": each.model, "kind": "resource"}],
            }
        ],
        # The same finding on another line, after an edit above it, is still the same.
        "partialFingerprints": {"spot/v1": " ".join((each.rule, each.model, each.expression))},
        "properties": {"features": [str(feature) for feature in each.features], "featureViews": list(each.views), "mend": each.mend},
    }
    if each.waived is not None:
        result["suppressions"] = [{"kind": "inSource", "justification": each.waived}]
    return result


def _escaped(text: str, also: str = "") -> str:
    """As a workflow command has it: percent, line ends, and in a property what ends one."""
    for mark in ("%", "\r", "\n", *also):
        text = text.replace(mark, f"%{ord(mark):02X}")
    return text
