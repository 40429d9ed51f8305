"""The SQL of a model that features depend on cannot be read.

Its dialect has a word there that the parser does not know, or dbt has not compiled it. Nothing in the model is checked, nor what it alone
reads: whether it leaks is not known. Where it was read over by a person, waive the rule before the first line of its SQL, with who and when
as the reason.
"""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.subject import ModelInView

RULE = Rule("not_parsed", "A model's SQL cannot be read", Severity.WARNING)


def find(model: ModelInView) -> Iterator[Spot]:
    """The model as a whole."""
    if model.model.unreadable and model.model.node.language != "python":
        yield Spot(
            None,
            model.features,
            f"{model.model.unreadable[0].upper()}{model.model.unreadable[1:]}. Whether it leaks is not known, nor what it alone reads.",
            "Write it in words that sqlglot reads in this dialect, or read it over and waive this rule with that as the reason.",
        )
