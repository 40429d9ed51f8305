"""A dbt project of many random worlds: for each a feature view, a spine, and a training set that the macro makes of them.

dbt takes seconds to start, so all worlds share one run. What stands in the view and in the spine is put into the warehouse beside dbt,
which runs the training sets alone: a random history is nothing that a model of its own could select.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml
from dbt_command import DbtRun, copy_project, run_dbt
from event_histories import EventWorld, event_worlds
from histories import World, worlds
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from warehouses import RunningWarehouse

from featurestore.registry.aggregations import feature_name
from featurestore.registry.definitions import Feature
from featurestore.timestamps import format_duration

ASKED_AT, NUMBER = "asked when", "n"
"""The spine's timestamp, and the column that tells its rows apart."""


@dataclass(frozen=True)
class AskedWorld:
    """A world in the project, and what its training set asks for."""

    number: int
    world: World | EventWorld
    full_feature_names: bool

    @property
    def view(self) -> str:
        return f"view_{self.number}"

    @property
    def spine(self) -> str:
        return f"spine_{self.number}"

    @property
    def training_set(self) -> str:
        return f"training_{self.number}"

    @property
    def features(self) -> list[str]:
        """Every other time some of the view's features only, not in their order: all take part in breaking ties even so."""
        if self.number % 2:
            return [f"{self.view}:*"]
        return [f"{self.view}:{feature.name}" for feature in self.world.view.features[::-2]]

    def spine_table(self) -> pa.Table:
        numbers = pa.array(range(len(self.world.spine)), pa.int64())
        return pa.table({NUMBER: numbers, **self.world.spine_columns(ASKED_AT)})


def some_worlds(count: int, adapter: str) -> list[AskedWorld]:
    """So many random worlds of each kind: without validity ranges, with disjoint ones, with any, and of windowed aggregations."""
    drawn: list[World | EventWorld] = []

    def draw(world: World | EventWorld) -> None:
        drawn.append(world)

    kinds: list[st.SearchStrategy[Any]] = [*map(worlds, ("none", "disjoint", "overlapping")), event_worlds()]
    for kind in kinds:
        strategy = kind.filter(lambda world: _can_be_built(world, adapter))
        once = settings(max_examples=count, phases=[Phase.generate], database=None, deadline=None, suppress_health_check=list(HealthCheck))
        once(given(world=strategy)(draw))()
    return [AskedWorld(number, world, full_feature_names=number % 3 == 0) for number, world in enumerate(drawn)]


def _can_be_built(world: World | EventWorld, adapter: str) -> bool:
    """A view whose values expire at once is a slip, and is refused; dbt-clickhouse lists a table's columns without escaping quotes."""
    if world.rules.ttl is not None and not world.rules.ttl:
        return False
    return adapter != "clickhouse" or not any('"' in name for name in world.table().column_names)


def run_worlds(directory: Path, running: RunningWarehouse, asked: Sequence[AskedWorld]) -> DbtRun:
    """Write the project, fill the warehouse, and have dbt build every training set."""
    write = _Project(directory)
    write.file(
        "dbt_project.yml", {"name": "worlds", "version": "1.0.0", "profile": "worlds", "flags": {"send_anonymous_usage_stats": False}}
    )
    write.file("profiles.yml", {"worlds": {"target": "dev", "outputs": {"dev": _reached_from_anywhere(running)}}})
    for each in asked:
        schema = running.relation(each.view).schema
        running.load(running.relation(each.view), each.world.table())
        running.load(running.relation(each.spine), each.spine_table())
        if each.world.view.valid_to is None:
            write.model(each.view, "select 1 as placeholder", {"meta": {"feature_view": _declared(each)}})
        else:
            write.snapshot(each.view, {"target_schema": schema, **_snapshot(each.world), "meta": {"feature_view": _declared(each)}})
        write.model(each.spine, "select 1 as placeholder", {})
        write.model(each.training_set, _training_set(each), {"materialized": "table", "tags": ["training"]})
    run_dbt(copy_project(directory / "written", directory / "worlds"), "deps")
    return run_dbt(directory / "worlds", "run", "--select", "tag:training")


def _reached_from_anywhere(running: RunningWarehouse) -> dict[str, Any]:
    """The profile's output, its path seen from another folder than the one it starts in."""
    output = dict(running.output)
    return {**output, "path": str(running.directory / output["path"])} if "path" in output else output


@dataclass(frozen=True)
class _Project:
    directory: Path

    def file(self, name: str, content: Any) -> None:
        path = self.directory / "written" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def model(self, name: str, sql: str, config: dict[str, Any]) -> None:
        self.file(f"models/{name}.sql", sql + "\n")
        self.file(f"models/{name}.yml", {"models": [{"name": name, "config": config}]})

    def snapshot(self, name: str, config: dict[str, Any]) -> None:
        body = "{% snapshot " + name + " %}\n{{ config(**" + repr(config) + ") }}\nselect 1 as placeholder\n{% endsnapshot %}\n"
        self.file(f"snapshots/{name}.sql", body)


def _declared(each: AskedWorld) -> dict[str, Any]:
    view = each.world.view
    said: dict[str, Any] = {"entities": {f"entity_{each.number}": [key.name for key in view.join_keys]}}
    if view.valid_to is None:
        said["timestamp"] = view.event_timestamp.name
    if view.created_timestamp:
        said.update(created_timestamp=view.created_timestamp.name, late_data=view.late_data.value)
    if view.ttl is not None:
        said["ttl"] = format_duration(view.ttl)
    if view.available_after:
        said["available_after"] = format_duration(view.available_after)
    if isinstance(each.world, EventWorld):
        said["aggregations"] = [_aggregation(feature) for feature in view.features]
    else:
        said["features"] = [feature.name for feature in view.features]
    return said


def _aggregation(feature: Feature) -> dict[str, Any]:
    of = feature.aggregation
    assert of is not None
    name = feature.name.removesuffix(feature_name(None, of.function, of.window)).rstrip("_")
    said = {"column": of.column.name if of.column else None, "filter": of.filter, "name": name}
    return {
        **{key: value for key, value in said.items() if value},
        "functions": [of.function.value],
        "windows": [format_duration(of.window)],
    }


def _snapshot(world: World | EventWorld) -> dict[str, Any]:
    view = world.view
    assert view.valid_to is not None
    renamed = {"dbt_valid_from": view.event_timestamp.name, "dbt_valid_to": view.valid_to.name}
    config: dict[str, Any] = {"strategy": "check", "check_cols": "all", "unique_key": [key.name for key in view.join_keys]}
    if not view.disjoint_validity:
        config["unique_key"] = ["finer"]
    if view.is_deleted:
        renamed["dbt_is_deleted"] = view.is_deleted.name
        config["hard_deletes"] = "new_record"
    return {**config, "snapshot_meta_column_names": renamed}


def _training_set(each: AskedWorld) -> str:
    arguments = (
        f"spine=ref({each.spine!r}), features={each.features!r}, event_timestamp={ASKED_AT!r}, "
        f"full_feature_names={'true' if each.full_feature_names else 'false'}"
    )
    return "{{ featurestore.point_in_time_join(" + arguments + ") }}"
