"""`fsdbt check`: what would make training see more than serving can, found without building anything."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featurestore.errors import FeatureStoreError, RequestError, UnknownNameError

from .options import PROJECT_DIR, AsJson, Exclude, Profile, ProfilesDir, ProjectDir, Select, Target, open_feature_store
from .output import cell, note, write_json

if TYPE_CHECKING:
    from featurestore.checks.finding import Finding
    from featurestore.checks.proof.project import ProjectProof
    from featurestore.checks.run import CheckReport
    from featurestore.store import FeatureStore

FOUND = 9
"""The exit code where something is found that is as bad as `--fail-on`, or worse."""


class Format(str, Enum):
    """How findings are written to stdout."""

    text = "text"
    json = "json"
    sarif = "sarif"
    github = "github"


class FailOn(str, Enum):
    """What makes the command fail."""

    error = "error"
    warning = "warning"
    advice = "advice"
    never = "never"


def check(
    select: Select = None,
    exclude: Exclude = None,
    format_: Annotated[
        Format | None,
        typer.Option("--format", help="For people, as JSON, as SARIF, or as annotations of a GitHub workflow.  [default: text]"),
    ] = None,
    fail_on: Annotated[FailOn, typer.Option("--fail-on", help="The least severity that makes the exit code 9.")] = FailOn.error,
    explain: Annotated[str | None, typer.Option("--explain", metavar="RULE", help="Show what a rule looks for, and nothing else.")] = None,
    prove: Annotated[
        bool, typer.Option("--prove", help="Show leaks by experiment, too: have dbt build the models in a copy of the DuckDB file.")
    ] = False,
    as_json: AsJson = False,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Find leaks in the SQL behind feature views, and declarations that let one pass; exit code 9 where an error is found."""
    if explain is not None:
        print(_explained(explain))
        return
    if as_json and format_ not in (None, Format.json):
        raise RequestError(f"--json and --format {format_.value if format_ else ''} ask for two forms. Keep one of them.")
    with open_feature_store(project_dir, profiles_dir, profile, target) as store:
        report = store.check(select or (), exclude or ())
        proof, failed = _proved(store, select or (), exclude or ()) if prove else (None, None)
        folder = store.project.directory
    if proof is not None:
        report = replace(report, findings=(*report.findings, *proof.findings))
    _write(report, Format.json if as_json else format_ or Format.text, folder)
    _summarize(report)
    if failed is not None:
        raise failed
    if proof is not None:
        _tell(proof)
    sys.exit(_exit_code(report, fail_on))


def _proved(
    store: FeatureStore, select: Sequence[str], exclude: Sequence[str]
) -> tuple[ProjectProof, None] | tuple[None, FeatureStoreError]:
    """The proof, or why there is none: what was found without it is to be told all the same."""
    try:
        return store.prove(select, exclude), None
    except FeatureStoreError as error:
        return None, error


def _exit_code(report: CheckReport, fail_on: FailOn) -> int:
    from featurestore.checks.finding import Severity

    return FOUND if fail_on is not FailOn.never and report.fails(Severity(fail_on.value)) else 0


def _explained(rule: str) -> str:
    """What a rule looks for, as its documentation says."""
    from featurestore.checks.rules import known_rules

    rules = known_rules()
    if rule not in rules:
        raise UnknownNameError("rule", rule, rules)
    of = rules[rule]
    return f"{of.RULE.id} ({of.RULE.severity.value}): {of.RULE.title}\n\n{inspect.cleandoc(of.__doc__ or '')}"


def _write(report: CheckReport, form: Format, folder: Path) -> None:
    from featurestore.checks.sarif import to_annotations, to_sarif

    if form is Format.json:
        write_json(_document(report))
    elif form is Format.sarif:
        write_json(to_sarif(report, _in_repository(folder)))
    elif form is Format.github:
        for line in to_annotations(report, _in_repository(folder)):
            print(line)
    else:
        for position, each in enumerate(report.findings):
            print(("\n" if position else "") + _text(each))


def _in_repository(folder: Path) -> str:
    """The folder, seen from the root of the repository that it is in; empty where it is that, or is in none."""
    try:
        found = subprocess.run(["git", "rev-parse", "--show-prefix"], cwd=folder, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return found.stdout.strip().strip("/")


def _text(each: Finding) -> str:
    place = each.file if each.line is None or each.compiled else f"{each.file}:{each.line}"
    lines = [f"{place}: {each.severity.value} {each.rule}"]
    if each.expression:
        lines.append(f"  {each.expression}{f'  (line {each.line} of the compiled SQL)' if each.compiled else ''}")
    lines += [f"  {each.why}", f"  {each.mend}", f"  in {', '.join(map(str, each.features or each.views))}"]
    return "\n".join(lines)


def _summarize(report: CheckReport) -> None:
    from featurestore.checks.finding import Severity

    counts = ", ".join(f"{report.count(severity)} {_plural(severity.value, report.count(severity))}" for severity in Severity)
    waived = f"; {len(report.waived)} waived" if report.waived else ""
    note(f"{counts} in {report.views} feature views and {report.models} models behind them{waived}")


def _tell(proof: ProjectProof) -> None:
    """What was tried, and where nothing could be."""
    rows = sum(proof.proof.compared.values())
    note(f"proved on {rows:,} rows before {cell(proof.proof.cut)}; rows later than that were changed in {', '.join(proof.changed)}")
    for each in proof.left:
        note(f"left as it is: {each}")
    for view in proof.proof.multiplied:
        note(f"{view}: rows came more than once with the same values when later rows changed, which is no leak; see what it joins")
    shown = {view for each in proof.findings for view in each.views}
    for view, compared in proof.proof.compared.items():
        if not compared and view not in shown:
            note(f"{view} has no row before that, so nothing of it is proved")


def _plural(word: str, count: int) -> str:
    return word if count == 1 or word == "advice" else f"{word}s"


def _document(report: CheckReport) -> dict[str, object]:
    return {
        "findings": [_finding(each) for each in report.findings],
        "waived": [{**_finding(each), "reason": each.waived} for each in report.waived],
        "feature_views": report.views,
        "models": report.models,
    }


def _finding(each: Finding) -> dict[str, object]:
    return {
        "rule": each.rule,
        "severity": each.severity,
        "feature_views": list(each.views),
        "features": [str(feature) for feature in each.features],
        "model": each.model,
        "file": each.file,
        "line": each.line,
        "line_of_compiled_sql": each.compiled,
        "expression": each.expression,
        "why": each.why,
        "mend": each.mend,
    }
