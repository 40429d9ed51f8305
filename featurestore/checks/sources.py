"""The files of models: which line a piece of compiled SQL came from, and what the file waives there."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sqlglot import exp

from featurestore.dbt.nodes import Node

from .ignores.comments import Ignore, ignores_in
from .lines import compiled_lines, file_lines

EPHEMERAL = "__dbt__cte__"
"""How dbt names the CTE that stands for an ephemeral model in the SQL of whoever selects from it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was found."""

    node: Node
    """The model whose file it is in."""

    line: int | None
    compiled: bool = False
    """Whether the line counts in the compiled SQL."""

    ignores: tuple[Ignore, ...] = ()
    """The comments that are about it, whichever rules they name."""


class SourceFile:
    """The file of one model.

    Args:
        folder: of the dbt project. None: the file is not there to be looked at, and lines count in what dbt read.
    """

    def __init__(self, node: Node, path: str, folder: Path | None) -> None:
        self.node, self.path = node, path
        self._file = None if folder is None else folder / path

    @cached_property
    def text(self) -> str:
        """What dbt read of it, with as many lines before it as there are in the file."""
        code = self.node.code()
        try:
            whole = self._file.read_text(encoding="utf-8") if self._file is not None else code
        except (OSError, UnicodeDecodeError):
            return code
        # dbt strips the text, and takes a snapshot out of its block. Where the file was edited since, what dbt read is what counts.
        at = whole.find(code)
        return code if at < 0 or not code else "\n" * whole.count("\n", 0, at) + code

    @cached_property
    def ignores(self) -> tuple[Ignore, ...]:
        return ignores_in(self.text)

    @property
    def whole_file(self) -> tuple[Ignore, ...]:
        return tuple(each for each in self.ignores if each.covers is None)

    def place(self, at: exp.Expr, compiled: str) -> Place:
        """Where a piece of that compiled SQL stands in the file."""
        first, last = compiled_lines(at, compiled)
        line_of = file_lines(compiled, self.text)
        lines = [line for line in line_of[first - 1 : last] if line is not None]
        here = [each for each in self.ignores if each.covers is not None and lines and lines[0] <= each.covers <= lines[-1]]
        for each in ignores_in(compiled):
            if each.covers is not None and first <= each.covers <= last:
                here += [own for own in self.ignores if own.line == line_of[each.line - 1] or own.text == each.text]
        ignores = tuple(dict.fromkeys((*here, *self.whole_file)))
        if line_of[first - 1] is not None:
            return Place(self.node, line_of[first - 1], ignores=ignores)
        return Place(self.node, first, compiled=True, ignores=ignores)


def ephemeral_around(at: exp.Expr) -> str | None:
    """The name of the ephemeral model whose SQL a piece of another model's compiled SQL is; None where it is that model's own."""
    above: exp.Expr | None = at
    while above is not None:
        if isinstance(above, exp.CTE) and above.alias.startswith(EPHEMERAL):
            return above.alias.removeprefix(EPHEMERAL)
        above = above.parent
    return None
