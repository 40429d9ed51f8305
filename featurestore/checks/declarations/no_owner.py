"""Nobody is named whom to ask about a feature view.

Give the model a dbt `group`, whose owner dbt knows, or say `meta: {owner: …}`. When the view is late or wrong, `fsdbt show` and the lists
say whom to ask.
"""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.checks.finding import Declared, Rule, Severity
from featurestore.checks.subject import Project

RULE = Rule("no_owner", "The feature view has no owner", Severity.ADVICE)


def find(project: Project) -> Iterator[Declared]:
    """Each view without one."""
    for view in project.registry.views:
        if view.group is None and not project.manifest.nodes[view.unique_id].meta.get("owner"):
            yield Declared(
                view.unique_id,
                view.name,
                frozenset(),
                "",
                "Nobody is named whom to ask about it.",
                "Give the model a dbt group, or `meta: {owner: …}`.",
            )
