"""Feast's own server over features materialized into Redis: run by the Python of Feast's environment, which it becomes.

    python benchmarks/feast/serve.py REDIS_URL PORT VIEW.parquet…

Configured as `contest.py` is. Without an access log, and one worker.
"""

from __future__ import annotations

import os
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

import pyarrow.parquet as pq
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64, String

FEAST_TYPES = {"double": Float64, "int64": Int64, "string": String}
KEY, TIMESTAMP = "customer_id", "event_timestamp"

CONFIG = """\
project: bench
provider: local
registry: {{path: registry.db, cache_mode: thread, cache_ttl_seconds: 300}}
offline_store: {{type: duckdb}}
online_store: {{type: redis, connection_string: "{place}", skip_dedup: true}}
materialization: {{pull_latest_features: true, online_write_batch_size: 10000}}
entity_key_serialization_version: 3
"""


def main(redis_url: str, port: str, *views: str) -> None:
    folder = tempfile.mkdtemp(prefix="feast-serve")
    Path(folder, "feature_store.yaml").write_text(CONFIG.format(place=redis_url.split("//")[1].split("/")[0]), encoding="utf-8")
    customer = Entity(name="customer", join_keys=[KEY], value_type=ValueType.INT64)
    declared = []
    for path in map(Path, views):
        source = FileSource(name=f"{path.stem}_source", path=str(path.resolve()), timestamp_field=TIMESTAMP)
        schema = [Field(name=name, dtype=FEAST_TYPES[str(kind)]) for name, kind in columns(path) if name != TIMESTAMP]
        declared.append(FeatureView(name=path.stem, entities=[customer], ttl=None, source=source, schema=schema))
    store = FeatureStore(folder)
    store.apply([customer, *declared, FeatureService(name="bench", features=declared)])
    store.materialize(datetime(2000, 1, 1, tzinfo=timezone.utc), datetime(2030, 1, 1, tzinfo=timezone.utc))
    feast = Path(sys.executable).with_name("feast")
    os.execv(feast, [str(feast), "-c", folder, "serve", "-p", port, "--no-access-log"])


def columns(path: Path) -> list[tuple[str, object]]:
    schema = pq.read_schema(path)
    return list(zip(schema.names, schema.types, strict=True))


if __name__ == "__main__":
    main(*sys.argv[1:])
