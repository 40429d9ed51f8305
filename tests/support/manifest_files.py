"""Small manifests for tests, in the shape that dbt writes, with what does not matter left out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CUSTOMER = {"entities": {"customer": "customer_id"}, "timestamp": "ordered_at"}
COLUMNS = {"customer_id": "bigint", "ordered_at": "timestamp", "orders_7d": "bigint"}


def model(
    name: str,
    feature_view: object = None,
    columns: Mapping[str, str | Mapping[str, Any] | None] | None = None,
    *,
    kind: str = "model",
    package: str = "shop",
    contract: bool = True,
    config: Mapping[str, Any] | None = None,
    **keys: Any,
) -> dict[str, Any]:
    """A node. `columns` maps each column to its `data_type`, or to all that is declared of it."""
    declared = COLUMNS if columns is None else columns
    meta = {} if feature_view is None else {"feature_view": feature_view}
    return {
        "unique_id": f"{kind}.{package}.{name}" + (f".v{keys['version']}" if "version" in keys else ""),
        "name": name,
        "resource_type": kind,
        "package_name": package,
        "original_file_path": f"models/{name}.sql",
        "patch_path": f"{package}://models/features.yml",
        "database": "warehouse",
        "schema": "main",
        "alias": name,
        "raw_code": "select 1",
        "config": {"enabled": True, "materialized": "snapshot" if kind == "snapshot" else "table", "meta": meta, **(config or {})},
        "columns": {
            column: {"name": column, **(said if isinstance(said, Mapping) else {"data_type": said})} for column, said in declared.items()
        },
        "contract": {"enabled": contract, "enforced": contract},
        **keys,
    }


def exposure(name: str, features: object, *, package: str = "shop", kind: str = "ml", **keys: Any) -> dict[str, Any]:
    """An exposure whose meta declares a feature service with those features."""
    return {
        "unique_id": f"exposure.{package}.{name}",
        "name": name,
        "type": kind,
        "package_name": package,
        "original_file_path": "models/services.yml",
        "owner": {"name": "Growth", "email": "growth@example.com"},
        "config": {"enabled": True, "meta": {"feature_service": {"features": features}}},
        **keys,
    }


def manifest(
    *nodes: Mapping[str, Any],
    exposures: Sequence[Mapping[str, Any]] = (),
    disabled: Sequence[Mapping[str, Any]] = (),
    adapter_type: str = "duckdb",
    **keys: Any,
) -> dict[str, Any]:
    """A manifest of the project `shop`."""
    return {
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json",
            "dbt_version": "1.11.16",
            "project_name": "shop",
            "adapter_type": adapter_type,
        },
        "nodes": {node["unique_id"]: node for node in nodes if node["resource_type"] != "source"},
        "sources": {node["unique_id"]: node for node in nodes if node["resource_type"] == "source"},
        "exposures": {each["unique_id"]: each for each in exposures},
        "disabled": {node["unique_id"]: [node] for node in disabled},
        **keys,
    }


def write_manifest(path: Path, content: Mapping[str, Any]) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
