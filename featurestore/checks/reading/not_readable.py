"""A model that features depend on is written in Python.

What a Python model does to the rows cannot be told from its code, so nothing is known of leaks in it, nor in what it alone reads. Where it
was read over by a person, waive the rule before its first line of code: `# featurestore: ignore not_readable because …`.
"""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.subject import ModelInView

RULE = Rule("not_readable", "A model is no SQL", Severity.WARNING)


def find(model: ModelInView) -> Iterator[Spot]:
    """The model as a whole."""
    if model.model.unreadable and model.model.node.language == "python":
        yield Spot(
            None,
            model.features,
            "It is a Python model, so nothing is known of leaks in it, nor in what it alone reads.",
            "Write it in SQL, or read it over and waive this rule with that as the reason.",
        )
