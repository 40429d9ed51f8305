"""The SQL by which two states of an incremental model are compared: in both, that of the same kind of run.

What dbt compiled of one depends on whether its table was there: a state that was built first and one that was built again differ in their
SQL where nothing was changed. Where what it is compiled from (its text, its macros, ephemeral models) is the same, both states are read by
one SQL; where it changed, both are rendered as of a run that adds to the table. Where that cannot be, they are read as dbt compiled them.
"""

from __future__ import annotations

from collections.abc import Mapping

from featurestore.dbt.checksums import calls_macros, compiled_from
from featurestore.dbt.incremental_code import Rendered, incremental_code
from featurestore.lineage.definition import Reading
from featurestore.lineage.project import ProjectLineage
from featurestore.lineage.query import Query
from featurestore.lineage.tables import ByTable, Table


def readings(before: ProjectLineage, after: ProjectLineage) -> tuple[dict[str, Reading], dict[str, Reading]]:
    """For each of two states: how its incremental models are read, by unique id."""
    found: tuple[dict[str, Reading], dict[str, Reading]] = {}, {}
    for unique_id in before.manifest.nodes.keys() & after.manifest.nodes.keys():
        states = [each.manifest.nodes[unique_id] for each in (before, after)]
        if not all(node.is_written_in_sql for node in states) or all(node.config.materialized != "incremental" for node in states):
            continue
        pair = _of_one_sql(before, after, unique_id)
        if pair is None and any("is_incremental" in node.code() or node.is_microbatch for node in states):
            pair = _rendered(before, unique_id), _rendered(after, unique_id)
        if pair is not None and pair[0] is not None and pair[1] is not None:
            found[0][unique_id], found[1][unique_id] = pair[0], pair[1]
    return found


def _of_one_sql(before: ProjectLineage, after: ProjectLineage, unique_id: str) -> tuple[Reading | None, Reading | None] | None:
    """Both states by the SQL of the earlier one; None where what it is compiled from changed."""
    made = compiled_from(before.manifest, unique_id)
    code = before.manifest.nodes[unique_id].compiled_code()
    if made is None or code is None or made != compiled_from(after.manifest, unique_id):
        return None
    tables = before.tables_of(unique_id)
    return _reading(before, code, tables), _reading(after, code, tables)


def _rendered(lineage: ProjectLineage, unique_id: str) -> Reading | None:
    """The model as of a run that adds to its table; None where that is not known for sure."""
    node = lineage.manifest.nodes[unique_id]
    parents = [lineage.manifest.nodes[each] for each in lineage.graph.parents(unique_id)]
    tables = {Table(Rendered.THIS): unique_id, **{Table(parent.name): parent.unique_id for parent in parents}}
    rendered = incremental_code(node.code())
    if rendered is None or calls_macros(lineage.manifest, unique_id) or len(tables) <= len(parents):
        return None
    reading = _reading(lineage, rendered.sql, tables)
    if reading is None:
        return None
    there = {column.name.casefold() for column in reading.query.root.projections}
    # A column that only the project's own Jinja knows is not there.
    return reading if {name.casefold() for name in lineage.columns_of(unique_id) or ()} <= there else None


def _reading(lineage: ProjectLineage, code: str, tables: Mapping[Table, str]) -> Reading | None:
    query = lineage.read(code, tables)
    return Reading(query, ByTable(tables.items())) if isinstance(query, Query) else None
