"""The model of a feature view has no enforced contract.

Without one, a column that is renamed or retyped upstream becomes another feature on the next build, and the first to notice is the ML
model. dbt then refuses the build instead. Add `contract: {enforced: true}` to the model's config, with a `data_type` for each column.
Snapshots can have none.
"""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.checks.finding import Declared, Rule, Severity
from featurestore.checks.subject import Project

RULE = Rule("no_contract", "The model has no enforced contract", Severity.ADVICE)


def find(project: Project) -> Iterator[Declared]:
    """Each view without one."""
    for view in project.registry.views:
        node = project.manifest.nodes[view.unique_id]
        if node.resource_type == "model" and not (node.contract is not None and node.contract.enforced):
            yield Declared(
                view.unique_id,
                view.name,
                frozenset(),
                "",
                "Nothing refuses a build in which a feature has another type, or is gone.",
                "Add `contract: {enforced: true}` to the model's config, with a data_type for each column.",
            )
