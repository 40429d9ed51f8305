"""No test says that a feature view has one row for an entity key and an instant.

Where it has two, one of them wins by a tie-break that knows nothing of the data. Put one of these on the model: the package's own
`unique_entity_timestamp`, `dbt_utils.unique_combination_of_columns` or `dbt_expectations.expect_compound_columns_to_be_unique` over the
join keys and the timestamp (or fewer of them), or dbt's `unique` on one of those columns. Snapshots keep to it by themselves, and views
of aggregations count events, of which there may be two at an instant: neither is asked.
"""

from __future__ import annotations

from collections.abc import Iterator

from featurestore.checks.finding import Declared, Rule, Severity
from featurestore.checks.subject import Project
from featurestore.dbt.nodes import TestNode
from featurestore.registry.definitions import FeatureView

RULE = Rule("no_unique_test", "No test says that keys and timestamp are unique", Severity.ADVICE)
OWN = "unique_entity_timestamp"
_COMBINATIONS = {
    "unique_combination_of_columns": "combination_of_columns",
    "expect_compound_columns_to_be_unique": "column_list",
}


def find(project: Project) -> Iterator[Declared]:
    """Each view without such a test."""
    for view in project.registry.views:
        if view.valid_to is not None or view.aggregated:
            continue
        if not any(_says_so(test, view) for test in project.manifest.generic_tests(view.unique_id)):
            columns = ", ".join((*(key.name for key in view.join_keys), view.event_timestamp.name))
            yield Declared(
                view.unique_id,
                view.name,
                frozenset(),
                "",
                f"No test says that there is one row for each of {columns}; of two, one wins by chance.",
                f"Add the test featurestore.{OWN} to the model.",
            )


def _says_so(test: TestNode, view: FeatureView) -> bool:
    metadata = test.test_metadata
    if metadata is None:
        return False
    kwargs = metadata.kwargs or {}
    identifying = {name.casefold() for name in (*(key.name for key in view.join_keys), view.event_timestamp.name)}
    if metadata.name == "unique":
        return str(test.column_name or kwargs.get("column_name")).strip('"`').casefold() in identifying
    if metadata.name in _COMBINATIONS:
        columns = kwargs.get(_COMBINATIONS[metadata.name])
        return isinstance(columns, list) and bool(columns) and {str(each).strip('"`').casefold() for each in columns} <= identifying
    return metadata.name == OWN
