"""Feast's part of the contest, run by the Python of its own environment.

Configured as Feast's documentation advises for production and bulk loads: Redis and DuckDB, the registry cached in memory and
refreshed by a thread, only the latest rows pulled, writes in batches, `skip_dedup` for the first load. Materializing with its default
settings and reading precomputed vectors are measured beside that.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import contestant
import pyarrow as pa
import pyarrow.parquet as pq
import redis
from contestant import ENTITY_KEY, SERVICE, TIMESTAMP, Figures
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64, Int64, String

FEAST_TYPES = {"double": Float64, "int64": Int64, "string": String}
PRECOMPUTED = "precomputed"
SINCE, UNTIL = datetime(2000, 1, 1, tzinfo=timezone.utc), datetime(2030, 1, 1, tzinfo=timezone.utc)


class Feast:
    """Feast 0.67 over Parquet files."""

    def __init__(self, views: Sequence[Path]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="feast"))
        customer = Entity(name="customer", join_keys=[ENTITY_KEY], value_type=ValueType.INT64)
        self._declared: list[Any] = [customer]
        for path in views:
            source = FileSource(name=f"{path.stem}_source", path=str(path.resolve()), timestamp_field=TIMESTAMP)
            fields = [Field(name=name, dtype=FEAST_TYPES[kind]) for name, kind in contestant.feature_columns(path)]
            schema = [Field(name=ENTITY_KEY, dtype=Int64), *fields]
            self._declared += [source, FeatureView(name=path.stem, entities=[customer], ttl=None, source=source, schema=schema)]
        self._views = [declared for declared in self._declared if isinstance(declared, FeatureView)]

    def training(self, spine: Path, answers: Path, repeats: int) -> Figures:
        store = self._open({"type": "sqlite", "path": str(self._folder / "online.db")})
        service, entity_df = store.get_feature_service(SERVICE), pq.read_table(spine).to_pandas()
        taken, table = contestant.fastest(lambda: store.get_historical_features(entity_df, service).to_arrow(), repeats)
        pq.write_table(table, answers)
        return taken

    def online(self, redis_url: str, answers: Path, keys: int, seconds: float) -> Figures:
        with redis.Redis.from_url(redis_url) as server:
            place = server.connection_pool.connection_kwargs
            online_store = {"type": "redis", "connection_string": f"{place['host']}:{place['port']}"}
            cautious = self._open(online_store)
            by_default, _ = contestant.timed(lambda: cautious.materialize(SINCE, UNTIL))
            server.flushall()
        empty = contestant.redis_bytes(redis_url)
        store = self._open({**online_store, "skip_dedup": True})
        materialize, _ = contestant.timed(lambda: store.materialize(SINCE, UNTIL))
        held = contestant.redis_bytes(redis_url) - empty
        service = store.get_feature_service(SERVICE)
        pq.write_table(pa.table(_read(store, service, contestant.sampled_rows(keys))), answers)
        read = contestant.online_latencies(lambda rows: _read(store, service, rows), keys, seconds)
        store.apply([FeatureService(name=PRECOMPUTED, features=self._views, precompute_online=True)])
        precompute, _ = contestant.timed(lambda: store.precompute_feature_service(PRECOMPUTED))
        vectors = store.get_feature_service(PRECOMPUTED)
        return {
            "materialize": materialize,
            "redis_bytes": held,
            "read": read,
            "materialize_by_default": by_default,
            "precompute": precompute,
            "read_precomputed": contestant.online_latencies(lambda rows: _read(store, vectors, rows, full_names=True), keys, seconds),
        }

    def _open(self, online_store: dict[str, Any]) -> FeatureStore:
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        store = FeatureStore(
            config=RepoConfig(
                project="contest",
                provider="local",
                registry={"path": str(folder / "registry.db"), "cache_mode": "thread", "cache_ttl_seconds": 300},
                offline_store={"type": "duckdb"},
                online_store=online_store,
                materialization={"pull_latest_features": True, "online_write_batch_size": 10_000},
                entity_key_serialization_version=3,
            )
        )
        store.apply([*self._declared, FeatureService(name=SERVICE, features=self._views)])
        return store


def _read(store: FeatureStore, service: FeatureService, rows: list[dict[str, int]], full_names: bool = False) -> dict[str, list[Any]]:
    """One online read. Feast finds precomputed vectors only where full names are asked for."""
    return store.get_online_features(features=service, entity_rows=rows, full_feature_names=full_names).to_dict()


if __name__ == "__main__":
    contestant.main(Feast)
