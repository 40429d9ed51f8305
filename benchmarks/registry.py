"""How long a manifest takes to become a registry, beside the bare decoding of the same file.

    python benchmarks/registry.py [--models 5000] [--columns 20] [--tagged 5000] [--json FILE]

The manifest is made from a real one: each of its models, with its SQL and all the keys that dbt writes, is repeated under other names.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.load import load_registry
from featurestore.registry.snapshot import from_json, to_json

REAL = Path(__file__).resolve().parents[1] / "tests" / "dbt" / "manifests" / "1.11" / "manifest.json"
TYPES = ("bigint", "double", "varchar", "decimal(18, 2)", "timestamp", "boolean", "float[]", "integer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=5000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--tagged", type=int, default=5000, help="how many of the models are feature views")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write the figures there too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "manifest.json"
        path.write_bytes(msgspec.json.encode(large_manifest(arguments.models, arguments.columns, arguments.tagged)))
        data = path.read_bytes()
        registry = load_registry(read_manifest(path))
        snapshot = to_json(registry)
        steps: dict[str, Callable[[], object]] = {
            "json.loads": lambda: json.loads(data),
            "msgspec.json.decode": lambda: msgspec.json.decode(data),
            "read_manifest": lambda: read_manifest(path),
            "read_manifest + load_registry": lambda: load_registry(read_manifest(path)),
            "to_json (snapshot)": lambda: to_json(registry),
            "from_json (snapshot)": lambda: from_json(snapshot),
        }
        taken = {name: min(seconds(step) for _ in range(arguments.runs)) for name, step in steps.items()}
    size = f"manifest of {len(data) / 1e6:.0f} MB"
    print(f"{arguments.models:,} models of {arguments.columns} columns, {arguments.tagged:,} of them feature views; {size}\n")
    print(f"{'':32}{'best of ' + str(arguments.runs):>12}{'to json.loads':>16}")
    for name, best in taken.items():
        print(f"{name:32}{best:>10.3f} s{best / taken['json.loads']:>15.2f}x")
    if arguments.json:
        arguments.json.write_text(json.dumps({"models": arguments.models, "tagged": arguments.tagged, "seconds": taken}, indent=2) + "\n")


def large_manifest(models: int, columns: int, tagged: int) -> dict[str, Any]:
    """A manifest with that many models."""
    manifest: dict[str, Any] = json.loads(REAL.read_text())
    pattern = json.dumps(next(node for node in manifest["nodes"].values() if node["name"] == "customer_orders"))
    column = json.dumps(json.loads(pattern)["columns"]["orders_7d"])
    manifest["nodes"], manifest["exposures"], manifest["disabled"] = {}, {}, {}
    for number in range(models):
        name = f"customer_orders_{number}"
        node = json.loads(pattern.replace("customer_orders", name))
        keys = {key: node["columns"][key] for key in ("customer_id", "ordered_at", "loaded_at")}
        others = {f"feature_{index}": json.loads(column) for index in range(columns - len(keys))}
        for index, (own, declared) in enumerate(others.items()):
            declared.update(name=own, data_type=TYPES[index % len(TYPES)])
        node["columns"] = keys | others
        meta = {"feature_view": {"entities": {"customer": "customer_id"}, "created_timestamp": "loaded_at", "ttl": "7 days"}}
        node["meta"] = node["config"]["meta"] = meta if number < tagged else {}
        manifest["nodes"][f"model.shop.{name}"] = node
    return manifest


def seconds(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
