"""Features have no description.

Whoever picks features for a model reads names and descriptions, and takes `orders_7d` for what they think it is. Describe the columns in
the model's YAML: what is counted, over which time, in which unit.
"""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.checks.finding import Declared, Rule, Severity
from featurestore.checks.subject import Project

RULE = Rule("no_description", "Features have no description", Severity.ADVICE)


def find(project: Project) -> Iterator[Declared]:
    """Each view that has such features, once."""
    for view in project.registry.views:
        bare = [feature.name for feature in view.all_features if not feature.description]
        if bare:
            yield Declared(
                view.unique_id,
                view.name,
                frozenset(bare),
                "",
                f"{len(bare)} of {len(view.all_features)} features say nothing but their name.",
                "Describe the columns in the model's YAML: what is counted, over which time, in which unit.",
            )
