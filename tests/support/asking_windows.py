"""Asks a warehouse for what a random world of events holds, by the product, and for the same by the reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from asking import Asked, comparable
from event_histories import EventWorld
from reference import windows_at
from sqlglot import exp

from featurestore.arrow import arrow_type, conformed
from featurestore.registry.definitions import Column, Feature
from featurestore.registry.registry import RequestedView
from featurestore.sql.expressions import table
from featurestore.sql.point_in_time.join import PointInTimeJoin, Spine, Strategy, ViewPlan, point_in_time_query, point_in_time_stages
from featurestore.sql.point_in_time.range_frame import frame_cannot


def plans_of(asked: Asked, world: EventWorld) -> list[ViewPlan]:
    """Every way to read a view of aggregations."""
    strategies = [Strategy.RANGE_JOIN, *([] if frame_cannot(requested(world), asked.dialect) else [Strategy.RANGE_FRAME])]
    return [ViewPlan(strategy, prune) for strategy in strategies for prune in (False, True)]


def requested(world: EventWorld) -> RequestedView:
    return RequestedView(world.view, world.view.features, tuple(f"out {feature.name}" for feature in world.view.features))


def load(asked: Asked, world: EventWorld) -> None:
    asked.session.upload(world.view.relation.identifier, world.table().to_reader())


def trained(asked: Asked, world: EventWorld, plan: ViewPlan) -> list[tuple[Any, ...]]:
    """The spine's rows with their features, by the product."""
    timestamp = "asked when"
    columns = world.spine_columns(timestamp)
    numbers = pa.array(range(1, len(world.spine) + 1), pa.int64())
    asked.session.upload("entity_df", pa.table({"n": numbers, **columns}).to_reader())
    spine = Spine(table("entity_df"), (*world.view.join_keys, Column(timestamp, world.spine_type)), timestamp, "n")
    join = PointInTimeJoin(spine, (requested(world),))
    answer = asked.session.query(in_one_or_in_steps(asked, join, plan)).read_all()
    wanted = requested(world)
    return [tuple(map(comparable, row.values())) for row in as_declared(answer, wanted.features, wanted.output_names).to_pylist()]


def as_declared(answer: pa.Table, features: Sequence[Feature], names: Sequence[str]) -> pa.Table:
    """The answer with its features in their declared types: PostgreSQL forgets the scale of the greatest of some decimals."""
    for feature, name in zip(features, names, strict=True):
        place, column = answer.column_names.index(name), answer.column(name).combine_chunks()
        answer = answer.set_column(place, name, conformed(column, arrow_type(feature.value_type)))
    return answer


def in_one_or_in_steps(asked: Asked, join: PointInTimeJoin, plan: ViewPlan) -> exp.Select:
    """As one statement for some plans and in steps for others, so that each strategy runs both ways."""
    plans = {join.views[0].view.name: plan}
    if plan.prune is (plan.strategy is Strategy.RANGE_JOIN):
        return point_in_time_query(join, plans, asked.dialect)
    stages = point_in_time_stages(join, plans, asked.dialect)
    for name, rows in stages.tables:
        asked.session.keep(name, rows)
    return stages.answer


def expected(world: EventWorld) -> list[tuple[Any, ...]]:
    """The same, by the reference."""
    rows = []
    for keys, moment in world.spine:
        features = windows_at(world.events, world.rules, world.windowed, world.longest, keys, moment)
        rows.append(tuple(map(comparable, (*keys, moment, *(features or (None,) * len(world.windowed))))))
    return rows


def near(found: list[tuple[Any, ...]], wanted: list[tuple[Any, ...]]) -> bool:
    """Equality, but for what floats cannot say: a quotient or a root is rounded once more here than there."""
    return len(found) == len(wanted) and all(
        len(one) == len(other) and all(map(_near, one, other)) for one, other in zip(found, wanted, strict=True)
    )


def _near(found: Any, wanted: Any) -> bool:
    if isinstance(found, float) and isinstance(wanted, float):
        return math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-12) or found == wanted
    return bool(found == wanted) and type(found) is type(wanted)
