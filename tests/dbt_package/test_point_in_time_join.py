"""The macro, `get_historical_features` and the reference give the same training sets, on every warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from asking import comparable
from asking_windows import as_declared, near
from event_histories import EventWorld
from histories import World
from reference import features_at, windows_at
from sqlglot import exp
from warehouses import WAREHOUSES, RunningWarehouse, of_its_own, opened
from world_project import ASKED_AT, AskedWorld, run_worlds, some_worlds

from featurestore import FeatureStore, ref
from featurestore.sql.expressions import relation


@pytest.mark.parametrize("warehouse_name", of_its_own(), indirect=True)
def test_macro_python_and_reference_agree_on_random_histories(warehouse_name: str, running: RunningWarehouse, tmp_path: Path) -> None:
    asked = some_worlds(max(3, WAREHOUSES[warehouse_name].examples // 5), str(running.output["type"]))
    project = run_worlds(tmp_path, running, asked).project
    with FeatureStore(project, profiles_dir=project) as store:
        for each in asked:
            expected = list(referred(each))
            assert near(modelled(running, each), expected), each
            assert answered(store, each) == modelled(running, each), each


Rows = list[tuple[Any, ...]]


def modelled(running: RunningWarehouse, each: AskedWorld) -> Rows:
    """What stands in the training set's table."""
    with opened(running).session() as session:
        rows = session.query(exp.select("*").from_(relation(running.relation(each.training_set)))).read_all()
    assert rows.column_names == [*each.spine_table().column_names, *outputs(each)]
    features = {feature.name: feature for feature in each.world.view.features}
    declared = as_declared(rows, [features[name] for name in wanted(each)], outputs(each))
    return sorted(tuple(map(comparable, row.values())) for row in declared.to_pylist())


def answered(store: FeatureStore, each: AskedWorld) -> Rows:
    """What Python answers."""
    job = store.get_historical_features(
        ref(each.spine), each.features, event_timestamp=ASKED_AT, full_feature_names=each.full_feature_names
    )
    return sorted(tuple(map(comparable, row.values())) for row in job.to_arrow().to_pylist())


def referred(each: AskedWorld) -> Iterator[tuple[Any, ...]]:
    """What the reference says."""
    names = [feature.name for feature in each.world.view.features]
    for number, (keys, moment) in enumerate(each.world.spine):
        values = dict(zip(names, seen(each.world, keys, moment) or (None,) * len(names), strict=True))
        yield tuple(map(comparable, (number, *keys, moment, *(values[name] for name in wanted(each)))))


def seen(world: World | EventWorld, keys: tuple[object, ...], moment: datetime | date | None) -> tuple[object, ...] | None:
    if isinstance(world, EventWorld):
        return windows_at(world.events, world.rules, world.windowed, world.longest, keys, moment)
    return features_at(world.rows, world.rules, keys, moment)


def wanted(each: AskedWorld) -> list[str]:
    """The features asked for, in their order."""
    names = [feature.name for feature in each.world.view.features]
    return names if each.features == [f"{each.view}:*"] else names[::-2]


def outputs(each: AskedWorld) -> list[str]:
    return [f"{each.view}__{name}" if each.full_feature_names else name for name in wanted(each)]
