"""What an unmodified Feast client sees of a server: run by a Python that has Feast and none of our code.

    <feast's python> client_program.py <server's URL> <an empty folder> <URL of a guarded server> <its key>

Prints one JSON object: for each case, the answer's `to_dict()` and statuses, or the class and message of the exception raised.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.protos.feast.serving.ServingService_pb2 import FieldStatus
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.types import Int64, String


def main() -> None:
    url, folder, guarded, key = sys.argv[1], Path(sys.argv[2]), sys.argv[3], sys.argv[4]
    store = open_store(url, folder / "empty.db")
    seen = {name: shown(ask) for name, ask in {**reads(store), **mistakes(store)}.items()}
    declared = open_store(url, folder / "declared.db")
    seen |= {name: shown(ask) for name, ask in writes(declared, folder).items()}
    seen |= {name: shown(ask) for name, ask in guarded_reads(guarded, key, folder).items()}
    json.dump(seen, sys.stdout)


def open_store(url: str, registry: Path, **auth: str) -> FeatureStore:
    """As docs/guides/from-feast.md says it: only `path` is ours, and the key where there is one."""
    return FeatureStore(
        config=RepoConfig(
            project="shop",
            provider="local",
            registry=str(registry),
            online_store={"type": "remote", "path": url},
            entity_key_serialization_version=3,
            auth=auth or {"type": "no_auth"},
        )
    )


def reads(store: FeatureStore) -> dict[str, Callable[[], Any]]:
    read = store.get_online_features
    every = [f"driver_stats:{name}" for name in ("trips", "small", "conv_rate", "acc_rate", "name", "active", "photo", "seen", "counts")]
    lists = [f"driver_stats:{name}" for name in ("ratings", "tags", "scores", "icons")]
    rows = [{"driver_id": 1}, {"driver_id": 2}, {"driver_id": 99}]
    return {
        "rows": lambda: read(entity_rows=rows, features=["driver_stats:trips", "driver_extra:level"]),
        "columns": lambda: read(entity_rows={"driver_id": [1, 2, 99]}, features=["driver_stats:trips", "driver_extra:level"]),
        "every type": lambda: read(entity_rows=[{"driver_id": 1}], features=every),
        "lists": lambda: read(entity_rows=[{"driver_id": 1}], features=lists),
        "not a number": lambda: read(entity_rows=[{"driver_id": 2}, {"driver_id": 3}], features=["driver_stats:conv_rate"]),
        "composite": lambda: read(
            entity_rows=[
                {"driver_id": 1, "customer_id": "ann"},
                {"driver_id": 2, "customer_id": "bob, jr"},
                {"driver_id": 1, "customer_id": "?"},
            ],
            features=["rides:fare", "rides:rides_7d"],
        ),
        "service": lambda: read(entity_rows=rows, features=FeatureService(name="driver_model", features=[])),
        "full names": lambda: read(
            entity_rows=[{"driver_id": 1}], features=["driver_stats:trips", "driver_extra:trips"], full_feature_names=True
        ),
        "versions": lambda: read(
            entity_rows=[{"driver_id": 1}], features=["driver_stats:trips"], include_feature_view_version_metadata=True
        ),
        "data frame": lambda: read(entity_rows=rows, features=["driver_stats:trips", "driver_stats:name", "driver_extra:level"]).to_df(),
    }


def mistakes(store: FeatureStore) -> dict[str, Callable[[], Any]]:
    read = store.get_online_features
    row = [{"driver_id": 1}]
    return {
        "unknown view": lambda: read(entity_rows=row, features=["nope:trips"]),
        "unknown feature": lambda: read(entity_rows=row, features=["driver_stats:nope"]),
        "unknown service": lambda: read(entity_rows=row, features=FeatureService(name="nope", features=[])),
        "collision": lambda: read(entity_rows=row, features=["driver_stats:trips", "driver_extra:trips"]),
        "wrong key": lambda: read(entity_rows=[{"driver_id": "one"}], features=["driver_stats:trips"]),
        "missing key": lambda: read(entity_rows=[{"customer_id": "ann"}], features=["driver_stats:trips"]),
        "wrong shape": lambda: read(entity_rows=row, features=[7]),
    }


def writes(store: FeatureStore, folder: Path) -> dict[str, Callable[[], Any]]:
    """With the view declared at the client too, as whoever writes has it."""
    driver = Entity(name="driver_id", join_keys=["driver_id"], value_type=ValueType.INT64)
    source = FileSource(name="extra", path=str(folder / "extra.parquet"), timestamp_field="event_timestamp")
    schema = [Field(name="driver_id", dtype=Int64), Field(name="trips", dtype=Int64), Field(name="level", dtype=String)]
    view = FeatureView(name="driver_extra", entities=[driver], schema=schema, source=source, ttl=None)
    store.apply([driver, source, view])
    written_at = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
    rows = pd.DataFrame({"driver_id": [20, 21], "event_timestamp": [written_at] * 2, "trips": [200, 210], "level": ["a", None]})
    key = EntityKey(join_keys=["driver_id"], entity_values=[Value(int64_val=1)])

    def low_level() -> Any:
        found = store._get_provider().online_read(store.config, view, [key], ["trips", "level"])
        return [
            [instant.isoformat() if instant else None, {name: str(value) for name, value in (values or {}).items()}]
            for instant, values in found
        ]

    return {
        "write": lambda: store.write_to_online_store("driver_extra", rows),
        "what was written": lambda: store.get_online_features(
            entity_rows=[{"driver_id": 20}, {"driver_id": 21}], features=["driver_extra:trips", "driver_extra:level"]
        ),
        "low level": low_level,
    }


def guarded_reads(url: str, key: str, folder: Path) -> dict[str, Callable[[], Any]]:
    def read(features: list[str], **auth: str) -> Any:
        return open_store(url, folder / "empty.db", **auth).get_online_features(entity_rows=[{"driver_id": 1}], features=features)

    return {
        "with a key": lambda: read(["driver_stats:trips"], type="oidc", token=key),
        "beyond the key": lambda: read(["driver_extra:level"], type="oidc", token=key),
        "without a key": lambda: read(["driver_stats:trips"]),
    }


def shown(ask: Callable[[], Any]) -> Any:
    try:
        answer = ask()
    except Exception as error:
        return {"error": f"{type(error).__module__}.{type(error).__qualname__}", "message": str(error)}
    if isinstance(answer, pd.DataFrame):
        return {
            "columns": {name: str(dtype) for name, dtype in answer.dtypes.items()},
            "rows": json.loads(answer.to_json(orient="records")),
        }
    if hasattr(answer, "proto"):
        statuses = {
            name: [FieldStatus.Name(status) for status in result.statuses]
            for name, result in zip(answer.proto.metadata.feature_names.val, answer.proto.results, strict=True)
        }
        views = [each.name for each in answer.proto.metadata.feature_view_metadata]
        return {"values": answer.to_dict(), "statuses": statuses, "views": views}
    return answer


if __name__ == "__main__":
    main()
