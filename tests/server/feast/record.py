"""What Feast's own server answers, written down: run by a Python that has `feast==0.67.*`, such as the one that the test of the real client
leaves in ~/.cache/fsdbt-tests/feast-0.67.

    <feast's python> tests/server/feast/record.py > tests/server/feast/recorded.json

A small repository with Feast's default (SQLite) online store is filled with the rows of `shop.json`, which the tests publish to ours as
well; each request below is then sent to a real `feast serve`, and its answer kept as it came over the wire.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import requests
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, PushSource, RepoConfig, ValueType
from feast.types import Array, Bool, Bytes, Float32, Float64, Int32, Int64, Map, String, UnixTimestamp

HERE = Path(__file__).resolve().parent
SHOP = json.loads((HERE / "shop.json").read_text(encoding="utf-8"))
TYPES = {
    "boolean": Bool,
    "int32": Int32,
    "int64": Int64,
    "float32": Float32,
    "float64": Float64,
    "string": String,
    "bytes": Bytes,
    "timestamp_utc": UnixTimestamp,
    "list<int64>": Array(Int64),
    "list<float64>": Array(Float64),
    "list<string>": Array(String),
    "list<bytes>": Array(Bytes),
    "map<string, int64>": Map,
}
KEYS = {"int64": (ValueType.INT64, Int64), "string": (ValueType.STRING, String)}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        make_repository(Path(folder))
        port = free_port()
        with (Path(folder) / "serve.log").open("w") as log:
            command = [str(Path(sys.executable).parent / "feast"), "serve", "--host", "127.0.0.1", "--port", str(port)]
            # Feast answers the features of a view in the order of a set.
            environment = {**os.environ, "PYTHONHASHSEED": "0"}
            server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, env=environment)
            try:
                wait_for(port, server)
                recorded = [answer(f"http://127.0.0.1:{port}", asked) for asked in SHOP["requests"]]
            finally:
                server.terminate()
                server.wait()
    json.dump(recorded, sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")


def make_repository(folder: Path) -> None:
    config: dict[str, Any] = {
        "project": "shop",
        "provider": "local",
        "registry": str(folder / "registry.db"),
        "online_store": {"type": "sqlite", "path": str(folder / "online.db")},
        "offline_store": {"type": "file"},
        "entity_key_serialization_version": 3,
    }
    (folder / "feature_store.yaml").write_text(json.dumps(config), encoding="utf-8")
    store = FeatureStore(config=RepoConfig(**config))
    views = {view["name"]: declared(folder, view) for view in SHOP["views"]}
    services = [FeatureService(name=name, features=projections(views, references)) for name, references in SHOP["services"].items()]
    entities = {entity.name: entity for view in SHOP["views"] for entity in entities_of(view)}
    store.apply([*entities.values(), *views.values(), *services])
    for view in SHOP["views"]:
        rows = pd.DataFrame([{name: value(view, name, given) for name, given in row.items()} for row in view["rows"]])
        whole = {name: "Int64" for name, kind in view["features"].items() if kind in ("int32", "int64")}
        store.write_to_online_store(view["name"], rows.astype(whole))


def entities_of(view: dict[str, Any]) -> list[Entity]:
    return [Entity(name=name, join_keys=[name], value_type=KEYS[kind][0]) for name, kind in view["join_keys"].items()]


def declared(folder: Path, view: dict[str, Any]) -> FeatureView:
    path = folder / f"{view['name']}.parquet"
    keys = [Field(name=name, dtype=KEYS[kind][1]) for name, kind in view["join_keys"].items()]
    features = [Field(name=name, dtype=TYPES[kind]) for name, kind in view["features"].items()]
    batch = FileSource(name=f"{view['name']}_file", path=str(path), timestamp_field="event_timestamp")
    source = PushSource(name=view["name"], batch_source=batch)
    return FeatureView(name=view["name"], entities=entities_of(view), schema=[*keys, *features], source=source, ttl=None)


def projections(views: dict[str, FeatureView], references: list[str]) -> list[Any]:
    wanted: dict[str, list[str]] = {}
    for reference in references:
        view, _, feature = reference.partition(":")
        wanted.setdefault(view, []).append(feature)
    return [views[view] if names == ["*"] else views[view][names] for view, names in wanted.items()]


def value(view: dict[str, Any], name: str, given: Any) -> Any:
    """A value of shop.json as a data frame has it."""
    kind = view["features"].get(name, "timestamp_utc" if name == "event_timestamp" else "string")
    if given is None:
        return None
    match kind:
        case "timestamp_utc":
            return pd.Timestamp(datetime.fromisoformat(given))
        case "bytes":
            return b64decode(given)
        case "list<bytes>":
            return [b64decode(item) for item in given]
        case "float64":
            return float(given)
    return given


def answer(url: str, asked: dict[str, Any]) -> dict[str, Any]:
    body = asked["text"] if "text" in asked else json.dumps(asked["body"]) if asked.get("body") is not None else None
    headers = {"content-type": "application/json"}
    response = requests.request(asked["method"], url + asked["path"], data=body, headers=headers, timeout=60)
    return {
        "name": asked["name"],
        "status": response.status_code,
        "content_type": response.headers.get("content-type"),
        "answer": response.text,
    }


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        if server.poll() is not None:
            raise SystemExit("feast serve ended; see serve.log")
        try:
            if requests.get(f"http://127.0.0.1:{port}/health", timeout=1).status_code == 200:
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    raise SystemExit("feast serve did not answer within two minutes")


if __name__ == "__main__":
    main()
