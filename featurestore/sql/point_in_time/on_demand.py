"""Features on demand in the answer of a point-in-time join: over the values that an asked row sees, after TTL and ends of validity, or over
nulls where it sees none, and over the inputs and the instant of the spine's own row.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlglot import exp

from featurestore.registry.expressions import Expression, OnDemand, Operation
from featurestore.registry.registry import RequestedView
from featurestore.sql.dialects import Dialect
from featurestore.sql.expressions import column
from featurestore.sql.instants import instant
from featurestore.sql.on_demand.build import cast_sql, expression_sql

from .join import Spine


@dataclass(frozen=True, slots=True)
class Places:
    """Where in the answer's SELECT an expression finds what it needs."""

    spine: Spine
    spine_cte: str
    read: RequestedView
    values_cte: str


def worked_out(on_demand: OnDemand, places: Places, dialect: Dialect) -> exp.Expression:
    """A feature on demand: over the values that the asked row sees, or nulls where it sees none, and over columns of the spine."""
    kept = {feature.name: output for feature, output in zip(places.read.features, places.read.output_names, strict=True)}
    spine = places.spine

    def leaf(node: Expression) -> exp.Expression:
        if node.operation is Operation.FEATURE:
            return column(kept[node.text or ""], places.values_cte)
        name = spine.event_timestamp if node.operation is Operation.REQUESTED_AT else node.text or ""
        given, place = spine.column(name).value_type, column(name, places.spine_cte)
        if node.operation is Operation.REQUESTED_AT:
            return instant(place, given, dialect)
        return cast_sql(place, given, node.value_type, dialect)

    return expression_sql(on_demand.tree, leaf, dialect)
