"""Where a piece of compiled SQL stands in the file that a person edits.

sqlglot remembers where most names stood in the compiled SQL. Its lines are laid beside those of the file: where they read alike, or where
as many lines of Jinja stand between two that do, the file's line is known; elsewhere it is not, and the compiled one is told.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache

from sqlglot import exp

_CLOCKS = ("now", "getdate", "sysdate", "systimestamp", "today", "curdate", "current_date", "current_timestamp", "localtimestamp")
_MANY_LINES = 3000


def compiled_lines(node: exp.Expr, code: str) -> tuple[int, int]:
    """The first and the last line of a node in the code that it was parsed from, from 1 on."""
    first, last = _span(node, code)
    return code.count("\n", 0, first) + 1, code.count("\n", 0, last) + 1


@lru_cache(maxsize=64)
def file_lines(compiled: str, raw: str) -> tuple[int | None, ...]:
    """For each line of compiled SQL: the line of the file that it came from, from 1 on; None where that cannot be told."""
    below, above = ([" ".join(line.split()) for line in code.split("\n")] for code in (compiled, raw))
    found: list[int | None] = [None] * len(below)
    # Long SQL is mostly what a macro repeats: lines that stand there again and again are no marks to go by.
    matcher = SequenceMatcher(None, below, above, autojunk=len(below) > _MANY_LINES)
    for kind, start, end, at, until in matcher.get_opcodes():
        if kind == "equal" or (kind == "replace" and end - start == until - at):
            found[start:end] = range(at + 1, until + 1)
        elif kind == "replace":
            found[start:end] = [_only_jinja(above, at, until)] * (end - start)
    return tuple(found)


def _only_jinja(lines: Sequence[str], at: int, until: int) -> int | None:
    """The one line among them that Jinja writes SQL into."""
    written = [number for number in range(at, until) if "{{" in lines[number]]
    return written[0] + 1 if len(written) == 1 and not any(lines[number] for number in range(at, until) if number != written[0]) else None


def _span(node: exp.Expr, code: str) -> tuple[int, int]:
    """The offsets of the first and the last character that are known of a node."""
    own = _known(node)
    if own is not None:
        return own
    around, above = None, node.parent
    while above is not None and around is None:
        around, above = _known(above), above.parent
    first, last = around or (0, len(code) - 1)
    # A function without arguments, such as current_date, is not remembered: it is the nearest of those words.
    names = {*_CLOCKS, node.sql().partition("(")[0].casefold(), node.key}
    words = re.finditer("|".join(rf"\b{re.escape(name)}\b" for name in names if name), code, re.IGNORECASE)
    nearest = min(words, key=lambda word: max(first - word.start(), word.start() - last, 0), default=None)
    return (first, last) if nearest is None else (nearest.start(), nearest.end())


def _known(node: exp.Expr) -> tuple[int, int] | None:
    spans = [(each.meta["start"], each.meta["end"]) for each in node.walk() if "start" in each.meta]
    return (min(start for start, _ in spans), max(end for _, end in spans)) if spans else None
