"""The macro, `get_historical_features` and the reference give the same training sets, on every warehouse."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from reference import features_at, instant
from sqlglot import exp
from warehouses import WAREHOUSES, RunningWarehouse, opened
from world_project import ASKED_AT, AskedWorld, run_worlds, some_worlds

from featurestore import FeatureStore, ref
from featurestore.sql.expressions import relation


def test_macro_python_and_reference_agree_on_random_histories(warehouse_name: str, running: RunningWarehouse, tmp_path: Path) -> None:
    asked = some_worlds(WAREHOUSES[warehouse_name].examples // 4, str(running.output["type"]))
    project = run_worlds(tmp_path, running, asked).project
    with FeatureStore(project, profiles_dir=project) as store:
        for each in asked:
            expected = list(referred(each))
            assert modelled(running, each) == expected, each
            assert answered(store, each) == expected, each


Rows = list[tuple[Any, ...]]


def modelled(running: RunningWarehouse, each: AskedWorld) -> Rows:
    """What stands in the training set's table."""
    with opened(running).session() as session:
        rows = session.query(exp.select("*").from_(relation(running.relation(each.training_set)))).read_all()
    assert rows.column_names == [*each.spine_table().column_names, *outputs(each)]
    return sorted(tuple(map(comparable, row.values())) for row in rows.to_pylist())


def answered(store: FeatureStore, each: AskedWorld) -> Rows:
    """What Python answers."""
    job = store.get_historical_features(
        ref(each.spine), each.features, event_timestamp=ASKED_AT, full_feature_names=each.full_feature_names
    )
    return sorted(tuple(map(comparable, row.values())) for row in job.to_arrow().to_pylist())


def referred(each: AskedWorld) -> Iterator[tuple[Any, ...]]:
    """What the reference says."""
    world = each.world
    names = [feature.name for feature in world.view.features]
    for number, (keys, moment) in enumerate(world.spine):
        features = features_at(world.rows, world.rules, keys, moment) or (None,) * len(names)
        values = dict(zip(names, features, strict=True))
        wanted = names if each.features == [f"{each.view}:*"] else names[::-2]
        yield tuple(map(comparable, (number, *keys, moment, *(values[name] for name in wanted))))


def outputs(each: AskedWorld) -> list[str]:
    names = [feature.name for feature in each.world.view.features]
    wanted = names if each.features == [f"{each.view}:*"] else names[::-2]
    return [f"{each.view}__{name}" if each.full_feature_names else name for name in wanted]


def comparable(value: Any) -> Any:
    """A value that equals itself, instants by their UTC."""
    if isinstance(value, float) and math.isnan(value):
        return "not a number"
    if isinstance(value, datetime):
        return instant(value)
    if isinstance(value, date):
        return datetime.combine(value, time())
    return value
