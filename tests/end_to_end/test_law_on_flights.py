"""The law on real flights: whatever instant it is materialized at, every online answer is the training answer for (key, that instant)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from dbt_command import DbtRun
from redis_server import RedisServer

from featurestore import AsyncOnlineFeatureStore, FeatureStore, ref
from featurestore.arrow import arrow_type
from featurestore.registry.definitions import FeatureView

pytestmark = pytest.mark.xdist_group("reference_project")

INSTANTS = [
    datetime(2013, 1, 1, 4, tzinfo=timezone.utc),
    datetime(2013, 1, 20, tzinfo=timezone.utc),
    datetime(2013, 2, 14, 17, 30, tzinfo=timezone.utc),
    datetime(2013, 6, 1, tzinfo=timezone.utc),
]
"""Before anything had landed, at a midnight, in the afternoon, and long after the last flight."""


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


def feature_store(built: DbtRun, url: str, at: datetime) -> FeatureStore:
    return FeatureStore(built.project, profiles_dir=built.project / "profiles", online_store=url, clock=lambda: at)


def every_key(built: DbtRun, view: FeatureView) -> list[dict[str, Any]]:
    """Each key that the view ever had, and one that it never had."""
    columns = ", ".join(f'"{key.name}"' for key in view.join_keys)
    with duckdb.connect(built.project / "featurestore.duckdb", read_only=True) as connection:
        rows = connection.sql(f"select distinct {columns} from {view.relation.identifier} where ({columns}) is not null").fetchall()
    names = [key.name for key in view.join_keys]
    return [dict(zip(names, row, strict=True)) for row in sorted(rows)] + [{name: "never seen" for name in names}]


def training(store: FeatureStore, view: FeatureView, keys: list[dict[str, Any]], at: datetime) -> list[dict[str, Any]]:
    schema = pa.schema(
        [*((key.name, arrow_type(key.value_type)) for key in view.join_keys), ("event_timestamp", pa.timestamp("us", "UTC"))]
    )
    spine = pa.Table.from_pylist([{**key, "event_timestamp": at} for key in keys], schema=schema)
    return store.get_historical_features(spine, [f"{view.name}:*"]).to_arrow().drop_columns("event_timestamp").to_pylist()


def online(store: FeatureStore, view: FeatureView, keys: list[dict[str, Any]]) -> list[dict[str, Any]]:
    values = store.get_online_features(keys, [f"{view.name}:*"]).to_dict()
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


@pytest.mark.parametrize("kind", ["embedded", "redis"])
def test_every_online_answer_is_the_training_answer(kind: str, built: DbtRun, redis: RedisServer, tmp_path: Path) -> None:
    url = redis.url if kind == "redis" else f"sqlite:///{tmp_path / 'online.db'}"
    seen = 0
    for at in INSTANTS:
        with feature_store(built, url, at) as store:
            assert not store.materialize(everything=True).failed
            for view in store.registry.views:
                keys = every_key(built, view)
                for later in (timedelta(0), timedelta(hours=7)):
                    if later and view.name not in ("origin_weather", "plane_landings"):
                        continue
                    with feature_store(built, url, at + later) as reader:
                        answers = online(reader, view, keys)
                        if view.aggregated or not later:
                            assert answers == training(store, view, keys, at + later), (view.name, at + later)
                        else:
                            assert all(answer["temperature"] is None for answer in answers), "the weather of seven hours ago has expired"
                    seen += sum(
                        any(value is not None for name, value in answer.items() if name not in key)
                        for key, answer in zip(keys, answers, strict=True)
                    )
    assert seen > 5_000, "or nothing was compared"


@pytest.mark.parametrize(
    ("service", "asked"),
    [
        ("departure_delay_model", ["tailnum", "carrier", "origin"]),
        # One of its features is worked out on demand, from what the request says of the flight.
        ("arrival_delay_model", ["tailnum", "carrier", "distance_miles"]),
    ],
)
def test_sync_async_and_service_readers_answer_alike(built: DbtRun, redis: RedisServer, service: str, asked: list[str]) -> None:
    at = INSTANTS[2]
    with feature_store(built, redis.url, at) as store:
        store.materialize(everything=True)
        flights = store.get_historical_features(
            f"select distinct {', '.join(asked)}, timestamp '2013-02-14 17:30' as event_timestamp "
            "from departures where tailnum is not null order by all limit 200",
            features=service,
        ).to_arrow()
        rows = flights.select(asked).to_pylist()
        answer = store.get_online_features(rows, service).to_dict()
        project = store.settings.project

    async def read() -> dict[str, list[Any]]:
        async with AsyncOnlineFeatureStore(redis.url, project, clock=lambda: at) as reader:
            return (await reader.get_online_features(rows, service)).to_dict()

    assert asyncio.run(read()) == answer
    assert answer == flights.drop_columns("event_timestamp").to_pydict()
    assert all(any(value is not None for value in values) for values in answer.values()), "or nothing was compared"


def test_the_training_set_has_every_departure_once_and_in_order(built: DbtRun, tmp_path: Path) -> None:
    with feature_store(built, f"sqlite:///{tmp_path / 'unused.db'}", INSTANTS[0]) as store:
        trained = store.get_historical_features(ref("departures"), features="departure_delay_model").to_arrow()
    with duckdb.connect(built.project / "featurestore.duckdb", read_only=True) as connection:
        spine = connection.sql("select * from departures").to_arrow_table()
    assert trained.select(spine.column_names).equals(spine)
    assert not (tmp_path / "unused.db").exists(), "training touches no online store"
