"""A waiver has no reason, or names no rule that there is.

Findings are waived by `-- featurestore: ignore <rule> because <reason>` in a model's SQL, or by `ignore: {<rule>: <reason>}` in its
`meta.feature_view`. Whoever reads it next must be able to tell whether the reason still holds, so a waiver without one waives nothing.
A misspelt rule would waive nothing either, and nobody would notice. This rule itself cannot be waived.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from featurestore.checks.finding import Rule, Severity
from featurestore.errors import did_you_mean

RULE = Rule("bad_ignore", "A waiver has no reason, or names no rule", Severity.ERROR)
FORM = "Write `featurestore: ignore <rule> because <reason>`, or `ignore: {<rule>: <reason>}` in meta.feature_view."


def problems(rules: Collection[str], reason: str, known: Collection[str]) -> Iterator[str]:
    """What is wrong with a waiver."""
    if not rules:
        yield "It names no rule."
    if not reason:
        yield "It gives no reason, so nobody can tell whether it still holds."
    for rule in rules:
        if rule not in known:
            yield f"There is no rule {rule!r}.{did_you_mean(rule, known)}"
