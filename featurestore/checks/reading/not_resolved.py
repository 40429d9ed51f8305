"""A name in the SQL of a model cannot be told, so that it is not known what a feature depends on.

A star over a table whose columns neither dbt nor the warehouse says, a pivot, a column that is in none of the tables. What the other rules
find is right all the same; a leak behind that name is not seen. Write the columns out, or build the table so that the warehouse can tell
its columns.
"""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.checks.finding import Rule, Severity, Spot
from featurestore.checks.subject import ModelInView

RULE = Rule("not_resolved", "A name in the SQL cannot be told", Severity.ADVICE)


def find(model: ModelInView) -> Iterator[Spot]:
    """Each name that cannot be told, once."""
    for reason, (at, features) in model.unknown.items():
        yield Spot(
            at,
            features,
            f"{reason[0].upper()}{reason[1:]}. What is behind it is not checked.",
            "Write the columns out, or qualify the name with the alias of its table.",
        )
