"""Reads `-- featurestore: ignore <rule> because …` in a model's file.

On a line of SQL it waives what is found there; on a line of its own, what is found on the next line of SQL; before the first line of SQL,
what is found in the whole file. dbt leaves SQL comments in the compiled SQL and takes Jinja's (`{# … #}`) out: both are read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_IGNORE = re.compile(
    r"(?:--|/\*|\{#-?|#)\s*featurestore:\s*ignore\b[ \t]*(?P<rules>\w+(?:[ \t]*,[ \t]*\w+)*)?"
    r"(?P<rest>[^\n]*?)\s*(?:\*/|-?#\})?[ \t]*(?=\n|$)",
    re.IGNORECASE,
)
_BECAUSE = re.compile(r"\s*\bbecause\b[\s:]*(?P<reason>.*)", re.IGNORECASE)
_BEFORE_SQL = re.compile(r"(?:\s+|--[^\n]*|/\*.*?\*/|\{\{-?\s*config\(.*?\)\s*-?\}\}|\{%.*?%\}|\{#.*?#\}|#[^\n]*)*", re.DOTALL)
_NO_SQL = re.compile(r"\s*(?:(?:--|#).*|/\*.*\*/\s*|\{#.*#\}\s*)?")


@dataclass(frozen=True, slots=True)
class Ignore:
    """One such comment."""

    rules: tuple[str, ...]
    reason: str
    """Empty where it gives none."""

    line: int
    """Where it stands, from 1 on."""

    covers: int | None
    """The line that it is about; None for the whole file."""

    text: str
    """As it is written."""


def ignores_in(code: str) -> tuple[Ignore, ...]:
    """All such comments of a text."""
    lines = code.split("\n")
    before = _BEFORE_SQL.match(code)
    top = before.end() if before is not None else 0
    return tuple(
        _ignore(match, lines, code.count("\n", 0, match.start()), whole_file=match.start() < top) for match in _IGNORE.finditer(code)
    )


def _ignore(match: re.Match[str], lines: list[str], at: int, *, whole_file: bool) -> Ignore:
    rules = tuple(part.strip() for part in (match["rules"] or "").split(",") if part.strip())
    because = _BECAUSE.match(match["rest"])
    covers = at
    while _NO_SQL.fullmatch(lines[covers]) and covers + 1 < len(lines):
        covers += 1
    if rules == ("because",):
        rules = ()
    return Ignore(rules, because["reason"].strip() if because else "", at + 1, None if whole_file else covers + 1, match[0].strip())
