"""Cases for `fsdbt check`: a small project each, written down as YAML, with what is to be found in it.

A case says its dialect, its sources, the compiled SQL of its models (the last one is the feature view), its meta, and under `expected`
which rules must fire, each with the features that it leaks into. `read_case` makes a manifest of it as dbt would have written it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from manifest_files import exposure, manifest, model

from featurestore.checks.subject import Project
from featurestore.dbt.artifacts import read_manifest
from featurestore.dbt.load import load_registry
from featurestore.errors import UnsupportedTypeError
from featurestore.lineage.project import ProjectLineage
from featurestore.registry.definitions import Column, Relation
from featurestore.registry.value_types import STRING, UNRESOLVED, TimestampType, ValueType
from featurestore.sql.dialects import dialect_of
from featurestore.sql.types import parse_data_type

ADAPTERS = {"tsql": "sqlserver"}
"""The adapter of a dialect, where it has another name."""


@dataclass(frozen=True)
class Case:
    """One project, and what is wrong with it."""

    name: str
    said: Mapping[str, Any]

    @property
    def expected(self) -> Mapping[str, frozenset[str]]:
        """For each rule that must fire: the features that it leaks into, none where it is about the view as a whole."""
        return {rule: frozenset(features or ()) for rule, features in (self.said.get("expected") or {}).items()}


def read_case(path: Path) -> Case:
    """The case in a file of its own."""
    return Case(path.stem, yaml.safe_load(path.read_text(encoding="utf-8")))


def read_cases(path: Path) -> list[Case]:
    """The cases of a file that holds several, by their names."""
    return [Case(name, said) for name, said in yaml.safe_load(path.read_text(encoding="utf-8")).items()]


def open_case(case: Case, folder: Path) -> Project:
    """The project of a case, with its manifest in that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "manifest.json"
    path.write_text(json.dumps(case_manifest(case)), encoding="utf-8")
    read = read_manifest(path)
    columns = _source_columns(case.said)
    of_sources = {node.relation: columns[key] for key, node in read.nodes.items() if key in columns}

    def describe_sources(relations: Iterable[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
        named = {each: of_sources[each].items() for each in relations if each in of_sources}
        return {each: tuple(Column(name, _type(written, read.adapter_type)) for name, written in said) for each, said in named.items()}

    lineage = ProjectLineage(read, describe=describe_sources)

    def describe_models(relations: Iterable[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
        named = {node.relation: lineage.columns_of(key) or () for key, node in read.nodes.items() if node.resource_type != "source"}
        return {each: tuple(_column(case.said, name, read.adapter_type) for name in named[each]) for each in relations}

    return Project(read, load_registry(read, describe=describe_models, any_key=True), lineage)


def case_manifest(case: Case) -> dict[str, Any]:
    """What dbt would have written for it."""
    said = case.said
    sources = [_source(name, said) for name in said.get("sources") or {}]
    models = said["models"]
    known = {**{each["name"]: each["unique_id"] for each in sources}}
    nodes: list[dict[str, Any]] = list(sources)
    names = list(models)
    for name in names:
        node = _model(case, name, is_view=name == names[-1], known=known)
        known[name] = node["unique_id"]
        nodes.append(node)
    nodes += [_other_view(name, each) for name, each in (said.get("other_views") or {}).items()]
    nodes += [_test(position, known[names[-1]], each) for position, each in enumerate(said.get("tests") or ())]
    services = [_service(name, each, names[-1]) for name, each in (said.get("services") or {}).items()]
    dialect = said.get("dialect", "duckdb")
    return manifest(*nodes, exposures=services, adapter_type=ADAPTERS.get(dialect, dialect))


def _model(case: Case, name: str, *, is_view: bool, known: Mapping[str, str]) -> dict[str, Any]:
    said, sql = case.said, case.said["models"][name]
    snapshot = name in (said.get("snapshots") or ())
    raw = (said.get("incremental") or {}).get(name)
    view = {key: value for key, value in (said.get("view") or {}).items() if value is not None} if is_view else None
    described = said.get("described") or {} if is_view else {}
    columns = {column: {"description": text} for column, text in described.items()}
    node = model(name, view, columns, kind="snapshot" if snapshot else "model", contract=is_view and bool(said.get("contract")))
    if is_view:
        node["config"].update(said.get("config") or {})
        node["group"] = said.get("group")
    node["database"], node["schema"] = None, "analytics"
    node["compiled_code"], node["raw_code"] = sql, raw or sql
    node["depends_on"] = {"nodes": [unique_id for table, unique_id in known.items() if table in sql]}
    if raw is not None:
        node["config"]["materialized"] = "incremental"
    if name in (said.get("immutable") or ()):
        node["config"]["meta"] = {**node["config"]["meta"], "immutable": True}
    return node


def _source(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """What no model makes: a source, or a snapshot whose own SQL does not matter."""
    schema, _, table = name.rpartition(".")
    kind = "snapshot" if name in (said.get("snapshots") or ()) else "source"
    return {
        "unique_id": f"{kind}.shop.{schema}.{table}",
        "name": table,
        "resource_type": kind,
        "package_name": "shop",
        "schema": schema,
        "identifier": table,
        "columns": {},
        "source_name": schema,
        "freshness": (said.get("freshness") or {}).get(name),
        "config": {"meta": {"immutable": True} if name in (said.get("immutable") or ()) else {}},
    }


def _source_columns(said: Mapping[str, Any]) -> dict[str, Mapping[str, str]]:
    return {_source(name, said)["unique_id"]: columns for name, columns in (said.get("sources") or {}).items()}


def _type(written: str, adapter: str) -> ValueType:
    try:
        return parse_data_type(written, dialect_of(adapter))
    except UnsupportedTypeError:
        return UNRESOLVED


def _other_view(name: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """Another feature view of the project, as far as it is declared."""
    timestamp = said.get("timestamp", "at")
    columns = {**said["types"], timestamp: "timestamp", "value": "integer"}
    return model(name, {"entities": said["entities"], "timestamp": timestamp}, columns, compiled_code=f"select * from raw.{name}")


def _test(position: int, unique_id: str, said: Mapping[str, Any]) -> dict[str, Any]:
    """A generic test on the feature view: its name, and its arguments."""
    (name, kwargs), *_ = said.items()
    return {
        "unique_id": f"test.shop.{name}_{position}",
        "name": f"{name}_{position}",
        "resource_type": "test",
        "attached_node": unique_id,
        "column_name": (kwargs or {}).get("column_name"),
        "test_metadata": {"name": name, "kwargs": kwargs or {}},
        "depends_on": {"nodes": [unique_id]},
    }


def _service(name: str, said: Mapping[str, Any], view: str) -> dict[str, Any]:
    node = exposure(name, [feature if ":" in feature else f"{view}:{feature}" for feature in said["features"]])
    if said.get("label"):
        node["config"]["meta"]["feature_service"]["label"] = said["label"]
    return node


def _column(said: Mapping[str, Any], name: str, adapter: str) -> Column:
    """A column of the feature view, as the warehouse has it; where the case does not say a type, only instants need one."""
    view = said.get("view") or {}
    if name in (said.get("types") or {}):
        return Column(name, _type(said["types"][name], adapter))
    instants = {str(view.get(key)).casefold() for key in ("timestamp", "created_timestamp")}
    return Column(name, TimestampType() if name.casefold() in instants else STRING)
