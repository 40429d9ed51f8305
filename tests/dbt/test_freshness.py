"""What dbt's own words promise of models, through the graph of a project."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.freshness import Promise, promises, read_source_freshness
from featurestore.dbt.graph import ProjectGraph
from featurestore.errors import ManifestError

HOUR = timedelta(hours=1)


def source(name: str, **freshness: Any) -> tuple[str, dict[str, Any]]:
    key = f"source.shop.app.{name}"
    return key, {"unique_id": key, "name": name, "source_name": "app", "resource_type": "source", "freshness": freshness or None}


def model(name: str, *parents: str, **config: Any) -> tuple[str, dict[str, Any]]:
    key = f"model.shop.{name}"
    return key, {"unique_id": key, "name": name, "resource_type": "model", "depends_on": {"nodes": list(parents)}, "config": config}


def hours(count: int | None) -> dict[str, Any]:
    return {"count": count, "period": "hour" if count else None}


def write(directory: Path) -> Path:
    orders, slow, silent = "source.shop.app.orders", "source.shop.app.slow", "source.shop.app.silent"
    nodes = dict(
        [
            model("staged", orders, slow, silent),
            model("built_seldom", "model.shop.staged", freshness={"build_after": {"count": 1, "period": "day", "updates_on": "any"}}),
            model("slow_only", slow),
            model("nothing_said", silent),
        ]
    )
    sources = dict(
        [
            source("orders", warn_after=hours(6), error_after={"count": 30, "period": "minute"}),
            source("slow", warn_after=hours(None), error_after=hours(48)),
            source("silent"),
        ]
    )
    path = directory / "manifest.json"
    path.write_text(json.dumps({"metadata": {"project_name": "shop"}, "nodes": nodes, "sources": sources}))
    return path


def test_a_model_is_as_fresh_as_the_freshest_of_its_sources_and_its_build_after(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path))
    found = promises(manifest, ProjectGraph(manifest))
    assert found["model.shop.staged"] == Promise(6 * HOUR, HOUR / 2, "app.orders")
    assert found["model.shop.built_seldom"] == Promise(30 * HOUR, 24.5 * HOUR, "app.orders")
    assert found["model.shop.slow_only"] == Promise(None, 48 * HOUR, "app.slow")
    assert not found["model.shop.nothing_said"].said


def test_what_source_freshness_left_is_read(tmp_path: Path) -> None:
    manifest = read_manifest(write(tmp_path))
    path = tmp_path / "sources.json"
    assert read_source_freshness(path, manifest) == {}
    results = [
        {"unique_id": "source.shop.app.orders", "status": "warn", "max_loaded_at": "2024-01-01T00:00:00Z", "snapshotted_at": None},
        {"unique_id": "source.shop.app.slow", "status": "runtime error", "error": "no such table"},
        {"unique_id": "source.shop.app.gone", "status": "pass"},
    ]
    path.write_text(json.dumps({"results": results}))
    read = read_source_freshness(path, manifest)
    assert {each.source: each.status for each in read.values()} == {"app.orders": "warn", "app.slow": "runtime error"}
    path.write_text("{")
    with pytest.raises(ManifestError, match=r"sources\.json cannot be understood.*`dbt source freshness`"):
        read_source_freshness(path, manifest)
