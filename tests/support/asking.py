"""Asks a warehouse for what a random world holds, by the product, and for the same by the reference."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa
from histories import World
from reference import Row, features_at, instant, winner
from sqlglot import exp

from featurestore.registry.definitions import Column
from featurestore.registry.registry import RequestedView
from featurestore.sql.dialects import Dialect
from featurestore.sql.expressions import table
from featurestore.sql.latest import latest_rows
from featurestore.sql.point_in_time.join import PointInTimeJoin, Spine, Strategy, ViewPlan, point_in_time_query, point_in_time_stages
from featurestore.warehouse.base import WarehouseSession


@dataclass(frozen=True)
class Asked:
    """A session that stays open, and what is to be asked in it."""

    session: WarehouseSession
    dialect: Dialect
    examples: int

    @property
    def any_rows(self) -> list[ViewPlan]:
        """Every way to read a view without overlapping validity."""
        strategies = (Strategy.ASOF, Strategy.THIN_UNION) if self.dialect.asof_join else (Strategy.THIN_UNION,)
        return [*self.lookups, *(ViewPlan(strategy, prune) for strategy, prune in itertools.product(strategies, (False, True)))]

    @property
    def lookups(self) -> list[ViewPlan]:
        """The one that reads any view, where the warehouse has it."""
        return [ViewPlan(Strategy.LATERAL)] if self.dialect.indexed_lookup else []

    @property
    def overlapping(self) -> list[ViewPlan]:
        """Every way to read one with it."""
        return [*self.lookups, *(ViewPlan(Strategy.VALIDITY_RANGES, prune) for prune in (False, True))]


def assert_trained(asked: Asked, world: World, plans: list[ViewPlan]) -> None:
    load(asked, world)
    for plan in plans:
        assert trained(asked, world, plan) == expected(world), plan


def load(asked: Asked, world: World) -> None:
    asked.session.upload(world.view.relation.identifier, world.table().to_reader())


def trained(asked: Asked, world: World, plan: ViewPlan) -> list[tuple[Any, ...]]:
    """The spine's rows with their features, by the product."""
    timestamp = "asked when"
    columns = world.spine_columns(timestamp)
    numbers = pa.array(range(1, len(world.spine) + 1), pa.int64())
    asked.session.upload("entity_df", pa.table({"n": numbers, **columns}).to_reader())
    spine_columns = (*world.view.join_keys, Column(timestamp, world.spine_type))
    spine = Spine(table("entity_df"), spine_columns, timestamp, "n")
    outputs = tuple(f"out {feature.name}" for feature in world.view.features)
    join = PointInTimeJoin(spine, (RequestedView(world.view, world.view.features, outputs),))
    answer = asked.session.query(_in_one_or_in_steps(asked, join, plan)).read_all()
    assert answer.column_names == [*columns, *outputs]
    return [tuple(map(comparable, row.values())) for row in answer.to_pylist()]


def _in_one_or_in_steps(asked: Asked, join: PointInTimeJoin, plan: ViewPlan) -> exp.Select:
    """As one statement for some plans and in steps for others, so that each strategy runs both ways."""
    plans = {join.views[0].view.name: plan}
    if plan.prune is (plan.strategy is Strategy.ASOF):
        return point_in_time_query(join, plans, asked.dialect)
    stages = point_in_time_stages(join, plans, asked.dialect)
    for name, rows in stages.tables:
        asked.session.keep(name, rows)
    return stages.answer


def expected(world: World) -> list[tuple[Any, ...]]:
    """The same, by the reference."""
    rows = []
    for keys, moment in world.spine:
        features = features_at(world.rows, world.rules, keys, moment) or (None,) * len(world.view.features)
        rows.append(tuple(map(comparable, (*keys, moment, *features))))
    return rows


def published(asked: Asked, world: World, at: datetime, **restricted: datetime) -> dict[tuple[Any, ...], Row]:
    """What materialize would read, by key."""
    load(asked, world)
    answer = asked.session.query(latest_rows(world.view, at, asked.dialect.name, **restricted)).read_all()
    width = len(world.view.join_keys)
    found = {}
    for row in zip(*(answer.column(index).to_pylist() for index in range(answer.num_columns)), strict=True):
        keys, timestamp, valid_to, *features = row[:width], row[width], row[width + 1], *row[width + 2 :]
        assert shown(keys) not in found
        values = tuple(map(comparable, features))
        found[shown(keys)] = Row(shown(keys), instant(timestamp), values, valid_to=instant(valid_to))
    return found


def winners(world: World, at: datetime) -> dict[tuple[Any, ...], Row]:
    """The same, by the reference."""
    found = {}
    for keys in {row.keys for row in world.rows}:
        row = winner(world.rows, world.rules, keys, at)
        if row is not None:
            features = tuple(map(comparable, row.features))
            found[shown(keys)] = Row(shown(keys), instant(row.event_timestamp), features, valid_to=instant(row.valid_to))
    return found


def shown(keys: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(map(comparable, keys))


def comparable(value: Any) -> Any:
    """A value that equals itself, instants by their UTC."""
    if isinstance(value, float) and math.isnan(value):
        return "not a number"
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return datetime.combine(value, time())
    return value
