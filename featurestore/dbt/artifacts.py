"""Reads the manifest that dbt leaves in its target folder as plain JSON, whichever dbt wrote it: 1.8 to 1.12 or v2.

dbt itself is never imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from featurestore.errors import ManifestError, UnknownNameError
from featurestore.registry.definitions import Owner, Relation
from featurestore.sql.dialects import dialect_of

from .collector import rare_collections
from .json_files import decode, read, unreadable
from .nodes import ExposureNode, GroupNode, Node, SemanticModel, TestNode, owner_of
from .run_results import RunResults
from .stored_names import with_stored_names

_REFERABLE = frozenset({"model", "snapshot", "seed"})
_KINDS = _REFERABLE | {"source"}
_FAILED_TEST = frozenset({"fail", "error"})


@dataclass(frozen=True)
class Manifest:
    """What dbt knows about a project: the part that the feature store reads."""

    path: Path
    project_name: str
    adapter_type: str
    dbt_version: str
    nodes: Mapping[str, Node]
    """Models, snapshots, seeds and sources by unique id."""

    exposures: Mapping[str, ExposureNode] = field(default_factory=dict)
    groups: Mapping[str, Owner] = field(default_factory=dict)
    """The owner of each group, by the group's name."""

    semantic_models: Mapping[str, SemanticModel] = field(default_factory=dict)
    """By the unique id of the model that each stands on."""

    disabled: tuple[Node, ...] = ()
    hooks: tuple[str, ...] = ()
    """The names of what dbt runs at the start and the end of each run, by `on-run-start` and `on-run-end`."""

    raw_tests: Mapping[str, msgspec.Raw] = field(default_factory=dict, repr=False)
    raw_macros: Mapping[str, msgspec.Raw] = field(default_factory=dict, repr=False)

    def relation(self, model: str) -> Relation:
        """Where the model, snapshot or seed of that name has its rows. Raises UnknownNameError.

        A versioned model answers to `name.v2`, and its latest version to its plain name.
        """
        known: dict[str, Relation] = {}
        for node in self.nodes.values():
            if node.resource_type in _REFERABLE and node.config.materialized != "ephemeral":
                known[node.view_name] = node.relation
                if node.version is not None and node.is_latest_version:
                    known.setdefault(node.name, node.relation)
        if model not in known:
            raise UnknownNameError("model", model, known)
        return known[model]

    def located(self, path: str, package: str) -> str:
        """Where a file of a package is, seen from the project's folder."""
        return path if package in ("", self.project_name) else f"dbt_packages/{package}/{path}"

    def failed_tests(self, run: RunResults) -> dict[str, str]:
        """The name of a data test that failed in that run, by the unique id of each model it is about. A warning is no failure."""
        failed = [result.unique_id for result in run.results if result.status in _FAILED_TEST]
        return {model: _test_name(test) for test in failed for model in self._tested_models(test)}

    def generic_tests(self, unique_id: str) -> tuple[TestNode, ...]:
        """The generic tests that are declared on a model, snapshot or source."""
        tests = (msgspec.json.decode(raw, type=TestNode) for raw in self._tests_naming(unique_id))
        return tuple(each for each in tests if each.attached_node == unique_id and each.test_metadata is not None)

    def _tests_naming(self, unique_id: str) -> Iterator[msgspec.Raw]:
        name = msgspec.json.encode(unique_id)
        return (raw for raw in self.raw_tests.values() if name in bytes(raw))

    def tested(self) -> frozenset[str]:
        """The unique ids of what some data test reads."""
        tests = (msgspec.json.decode(raw, type=TestNode) for raw in self.raw_tests.values())
        return frozenset(model for test in tests if test.depends_on for model in test.depends_on.nodes or ())

    def _tested_models(self, test: str) -> tuple[str, ...]:
        if test not in self.raw_tests:
            return ()
        node = msgspec.json.decode(self.raw_tests[test], type=TestNode)
        return (node.attached_node,) if node.attached_node else tuple((node.depends_on.nodes if node.depends_on else None) or ())


def read_manifest(path: Path | str, *, project_name: str | None = None) -> Manifest:
    """Read `manifest.json`.

    Args:
        project_name: the dbt project it must belong to. None: any.

    Raises ManifestError naming the file and the dbt command that writes it anew.
    """
    path = Path(path)
    data = read(path)
    if data is None:
        raise ManifestError(f"There is no {path}. Run `dbt parse` or `dbt build` in the project to write it.")
    file = decode(path, data, _ManifestFile)
    metadata = file.metadata
    if metadata is None or file.nodes is None or "/manifest/" not in (metadata.dbt_schema_version or "/manifest/"):
        raise ManifestError(f"{path} is no dbt manifest. Run `dbt parse` in the project to write one.")
    if project_name is not None and metadata.project_name not in (None, project_name):
        raise ManifestError(
            f"{path} belongs to the dbt project {metadata.project_name!r}, not to {project_name!r}. "
            "Run `dbt parse` in the project, or name the right folder with --project-dir."
        )
    try:
        with rare_collections():
            return _manifest(path, file, metadata, project_name or "")
    except msgspec.MsgspecError as error:
        raise unreadable(path, error) from None


class _Metadata(msgspec.Struct, frozen=True):
    dbt_schema_version: str | None = None
    dbt_version: str | None = None
    project_name: str | None = None
    adapter_type: str | None = None


class _ManifestFile(msgspec.Struct, frozen=True):
    metadata: _Metadata | None = None
    nodes: dict[str, msgspec.Raw] | None = None
    sources: dict[str, msgspec.Raw] | None = None
    exposures: dict[str, msgspec.Raw] | None = None
    groups: dict[str, GroupNode] | None = None
    semantic_models: dict[str, msgspec.Raw] | None = None
    macros: dict[str, msgspec.Raw] | None = None
    disabled: dict[str, list[msgspec.Raw]] | None = None


def _manifest(path: Path, file: _ManifestFile, metadata: _Metadata, project_name: str) -> Manifest:
    nodes, dialect = file.nodes or {}, dialect_of(metadata.adapter_type or "")
    disabled = ((key, raw) for key, raws in (file.disabled or {}).items() for raw in raws)
    return Manifest(
        path=path,
        project_name=metadata.project_name or project_name,
        adapter_type=metadata.adapter_type or "",
        dbt_version=metadata.dbt_version or "",
        nodes={key: with_stored_names(node, dialect) for key, node in _decoded_nodes((*nodes.items(), *(file.sources or {}).items()))},
        exposures={key: msgspec.json.decode(raw, type=ExposureNode) for key, raw in (file.exposures or {}).items()},
        groups={group.name: owner_of(group.owner) for group in (file.groups or {}).values()},
        semantic_models=_by_model(file.semantic_models or {}),
        disabled=tuple(node for _, node in _decoded_nodes(disabled)),
        hooks=tuple(key.rpartition(".")[2] for key in nodes if key.startswith("operation.")),
        raw_tests={key: raw for key, raw in nodes.items() if key.startswith("test.")},
        raw_macros=file.macros or {},
    )


def _decoded_nodes(raw_nodes: Iterable[tuple[str, msgspec.Raw]]) -> Iterator[tuple[str, Node]]:
    decoder = msgspec.json.Decoder(Node)
    for key, raw in raw_nodes:
        # An id begins with the resource type; tests and operations, most of a manifest, need no decoding.
        if key.partition(".")[0] in _KINDS:
            yield key, decoder.decode(raw)


def _by_model(raw_models: Mapping[str, msgspec.Raw]) -> dict[str, SemanticModel]:
    found: dict[str, SemanticModel] = {}
    for raw in raw_models.values():
        semantic = msgspec.json.decode(raw, type=SemanticModel)
        for model in (semantic.depends_on.nodes if semantic.depends_on else None) or ():
            found.setdefault(model, semantic)
    return found


def _test_name(unique_id: str) -> str:
    """The readable part of `test.shop.not_null_orders_id.8af3…`."""
    parts = unique_id.split(".")
    return parts[2] if len(parts) > 2 else unique_id
