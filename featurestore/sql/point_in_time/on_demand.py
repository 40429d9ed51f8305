"""Features on demand in the answer of a point-in-time join: over the values that an asked row sees, after TTL and ends of validity, or over
nulls where it sees none, and over the inputs and the instant of the spine's own row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from featurestore.registry.expressions import Expression, OnDemand, Operation
from featurestore.registry.value_types import ValueType
from featurestore.sql.dialects import Dialect
from featurestore.sql.expressions import column
from featurestore.sql.instants import instant
from featurestore.sql.on_demand.build import cast_sql, expression_sql


@dataclass(frozen=True, slots=True)
class Places:
    """Where in the answer's SELECT the expressions of one view find what they need."""

    spine: Mapping[str, ValueType]
    """The types of the spine's columns, by name."""

    event_timestamp: str
    spine_cte: str
    outputs: Mapping[str, str]
    """What each feature that is read is called in `values_cte`, by its name."""

    values_cte: str


def worked_out(on_demand: OnDemand, places: Places, dialect: Dialect) -> exp.Expression:
    """A feature on demand: over the values that the asked row sees, or nulls where it sees none, and over columns of the spine."""

    def leaf(node: Expression) -> exp.Expression:
        if node.operation is Operation.FEATURE:
            return column(places.outputs[node.text or ""], places.values_cte)
        name = places.event_timestamp if node.operation is Operation.REQUESTED_AT else node.text or ""
        given, place = places.spine[name], column(name, places.spine_cte)
        if node.operation is Operation.REQUESTED_AT:
            return instant(place, given, dialect)
        return cast_sql(place, given, node.value_type, dialect)

    return expression_sql(on_demand.tree, leaf, dialect)
