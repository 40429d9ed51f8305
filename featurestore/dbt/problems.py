"""Gathers everything that is wrong in the declared metadata, so that one run names it all."""

from __future__ import annotations

from collections.abc import Callable

from featurestore.errors import DeclarationError, Problem

Report = Callable[[str, str], None]
"""Takes the path of a key, and what is wrong with it."""


class Problems:
    """What was found so far."""

    def __init__(self) -> None:
        self._found: dict[Problem, None] = {}

    def about(self, file: Callable[[], str], resource: str) -> Report:
        """A way to report on one resource. Its file is asked for only when there is something to report."""

        def report(key: str, message: str) -> None:
            self._found.setdefault(Problem(file(), resource, key, message))

        return report

    def raise_any(self) -> None:
        """Raise DeclarationError where there is a problem."""
        if self._found:
            raise DeclarationError(sorted(self._found, key=lambda problem: (problem.file, problem.resource)))
