"""Takes dbt's own semantic annotations as defaults, so that `feature_view: true` is enough where a model carries them.

They stand on the model itself (`columns[].entity`, `agg_time_dimension`) or in an entry under `semantic_models`. A view describes the
entity that identifies its rows: the primary one, else the natural one (the key of rows with a validity), else the unique one, else
the only foreign one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .nodes import ColumnNode, Node, SemanticModel

_RANKS = ("primary", "natural", "unique", "foreign")


class AmbiguousEntityError(ValueError):
    """Several entities could be the one that a row is about."""


def semantic_entities(columns: Mapping[str, ColumnNode], semantic: SemanticModel | None) -> Mapping[str, tuple[str, ...]] | None:
    """The entity that the annotations say a row is about, with its join key; None where they say nothing.

    Raises AmbiguousEntityError where they name several.
    """
    found = [*_annotated(columns.values()), *_listed(semantic)]
    for rank in _RANKS:
        entities = {name: column for kind, name, column in found if kind == rank}
        if len(entities) == 1:
            return {name: (column,) for name, column in entities.items()}
        if entities:
            raise AmbiguousEntityError(f"dbt's annotations name several {rank} entities: {', '.join(sorted(entities))}")
    return None


def semantic_timestamp(node: Node, columns: Mapping[str, ColumnNode], semantic: SemanticModel | None) -> str | None:
    """The column of the aggregation time dimension, or None."""
    dimension = node.agg_time_dimension or (semantic.defaults.agg_time_dimension if semantic and semantic.defaults else None)
    if dimension is None:
        return None
    for column in columns.values():
        if isinstance(column.dimension, Mapping) and column.dimension.get("name") == dimension:
            return column.name
    for each in (semantic.dimensions if semantic else None) or ():
        if each.name == dimension:
            return each.expr or each.name
    return dimension


def _annotated(columns: Iterable[ColumnNode]) -> Iterable[tuple[str, str, str]]:
    for column in columns:
        if isinstance(column.entity, Mapping):
            yield str(column.entity.get("type") or ""), str(column.entity.get("name") or column.name), column.name


def _listed(semantic: SemanticModel | None) -> Iterable[tuple[str, str, str]]:
    for entity in (semantic.entities if semantic else None) or ():
        yield entity.type, entity.name, entity.expr or entity.name
