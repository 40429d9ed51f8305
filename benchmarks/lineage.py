"""How long the lineage of a project of 300 models takes: all features of its 60 views, to their source columns.

The floor is parsing the same SQL with sqlglot, once each; beside it stands sqlglot's own lineage, asked for all columns of a few of the
models.

    python benchmarks/lineage.py [--models 300]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import sqlglot
from sqlglot.lineage import lineage as sqlglot_lineage

from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.load import load_registry
from featurestore.lineage.features import feature_lineage
from featurestore.lineage.project import ProjectLineage

COLUMNS, LAYERS = 30, 5
"""Columns of a model, and how many models lie on the way from a view to its source."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=300)
    models = parser.parse_args().models
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "manifest.json")
        path.write_text(json.dumps(project(models)), encoding="utf-8")
        manifest = read_manifest(path)
        registry = load_registry(manifest)
        codes = [code for node in manifest.nodes.values() if (code := node.compiled_code())]
        parsing = processor(lambda: [sqlglot.parse_one(code, dialect="duckdb") for code in codes])
        first = processor(lambda: all_features(manifest, registry, Path(folder)))
        again = processor(lambda: all_features(manifest, registry, Path(folder)))
        columns = dict.fromkeys(("id", "ts", *(f"c{at}" for at in range(COLUMNS))), "bigint")
        schema = {"db": {"main": {f"m{number}": columns for number in range(models)}, "raw": {"events": columns}}}
        theirs = processor(lambda: [sqlglot_lineage(None, code, schema=schema, dialect="duckdb") for code in codes[1:4]]) * len(codes) / 3
    print(f"{len(codes)} models of {COLUMNS} columns, {sum(len(view.features) for view in registry.views)} features; processor seconds")
    print(f"  parsing alone               {parsing:6.2f}")
    print(f"  lineage of every feature    {first:6.2f}   {first / parsing:5.2f} of parsing")
    print(f"  again, with what was kept   {again:6.2f}")
    print(f"  sqlglot's, by model, scaled {theirs:6.2f}")


def all_features(manifest: object, registry: object, folder: Path) -> None:
    lineage = ProjectLineage(manifest, folder=folder)  # type: ignore[arg-type]
    for view in registry.views:  # type: ignore[attr-defined]
        for feature in view.features:
            feature_lineage(lineage, registry, view, feature)  # type: ignore[arg-type]
    lineage.keep()


def processor(act: object) -> float:
    started = time.process_time()
    act()  # type: ignore[operator]
    return time.process_time() - started


def project(models: int) -> dict[str, object]:
    """Chains of models, each with two steps and a window, that end in a feature view."""
    nodes, source = {}, {"unique_id": "source.shop.raw.events", "name": "events", "resource_type": "source", "schema": "raw"}
    for number in range(models):
        layer = number % LAYERS
        above = "source.shop.raw.events" if layer == 0 else f"model.shop.m{number - 1}"
        table = '"db"."raw"."events"' if layer == 0 else f'"db"."main"."m{number - 1}"'
        names = [f"c{at}" for at in range(COLUMNS)]
        inner = ", ".join(f"{name} + {names[at - 1]} as {name}" for at, name in enumerate(names))
        outer = ", ".join(f"sum({name}) over (partition by id order by ts) as {name}" for name in names)
        code = f"with a as (select id, ts, {inner} from {table}), b as (select * from a where c1 > {number}) select id, ts, {outer} from b"
        view = layer == LAYERS - 1
        nodes[f"model.shop.m{number}"] = {
            "unique_id": f"model.shop.m{number}",
            "name": f"m{number}",
            "resource_type": "model",
            "package_name": "shop",
            "original_file_path": f"models/m{number}.sql",
            "database": "db",
            "schema": "main",
            "alias": f"m{number}",
            "compiled_code": code,
            "depends_on": {"nodes": [above]},
            "config": {"materialized": "table", "meta": {"feature_view": {"entity": "id", "timestamp": "ts"}} if view else {}},
            "contract": {"enforced": True},
            "columns": {
                name: {"name": name, "data_type": "timestamp" if name == "ts" else "bigint"} for name in ("id", "ts", *names) if view
            },
        }
    metadata = {"dbt_schema_version": "https://schemas.getdbt.com/dbt/manifest/v12.json", "project_name": "shop", "adapter_type": "duckdb"}
    return {"metadata": metadata, "nodes": nodes, "sources": {source["unique_id"]: source}}


if __name__ == "__main__":
    main()
