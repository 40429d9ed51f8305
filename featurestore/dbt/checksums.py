"""What a model is made of, as checksums: its own, and those of all models, snapshots, seeds and macros that it is built from.

The checksum of a model is dbt's own, of the text of its file. What dbt brings along itself (its macros and its adapter's) is left out: it
changes with dbt's version, which is written down beside. A seed that is too large for dbt to read has its path for a checksum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from .artifacts import Manifest
from .nodes import DependsOn, MacroNode, Node

_ADAPTERS_BELOW = ("postgres", "spark")
"""Adapters that others are built on: redshift, databricks."""


@dataclass(frozen=True, slots=True)
class ModelState:
    """A model's checksum, and those of what it is built from by their unique ids."""

    checksum: str | None = None
    upstream: dict[str, str] = field(default_factory=dict)


def model_state(manifest: Manifest, unique_id: str) -> ModelState:
    """The state of the model or snapshot of that id."""
    upstream: dict[str, str] = {}
    seen, waiting = {unique_id}, [unique_id]
    while waiting:
        each = waiting.pop()
        checksum, below = _looked_up(manifest, each)
        if each != unique_id and checksum is not None:
            upstream[each] = checksum
        fresh = [one for one in below if one not in seen]
        seen.update(fresh)
        waiting.extend(fresh)
    return ModelState(_looked_up(manifest, unique_id)[0], dict(sorted(upstream.items())))


def code_digest(manifest: Manifest, unique_id: str) -> str | None:
    """A digest that changes when the code of a model, or of the models and macros it is built from, does. None where dbt has none for it.

    The content of seeds is data, as that of sources is.
    """
    state = model_state(manifest, unique_id)
    lines = [f"{each} {checksum}" for each, checksum in state.upstream.items() if not each.startswith("seed.")]
    return None if state.checksum is None else _sha256("\n".join((state.checksum, *lines)).encode())


def compiled_from(manifest: Manifest, unique_id: str) -> str | None:
    """A digest of what dbt compiles a model's SQL from: its text, the macros that it calls, and the ephemeral models that it puts in.

    None where dbt has no checksum of its text.
    """
    seen, waiting, lines = {unique_id}, [unique_id], []
    while waiting:
        each = waiting.pop()
        checksum, below = _looked_up(manifest, each)
        lines.append(f"{each} {checksum}")
        fresh = [one for one in below if one not in seen and not _is_stored(manifest, one)]
        seen.update(fresh)
        waiting.extend(fresh)
    return None if _looked_up(manifest, unique_id)[0] is None else _sha256("\n".join(sorted(lines)).encode())


def calls_macros(manifest: Manifest, unique_id: str) -> bool:
    """Whether a model's text calls macros that are not dbt's own."""
    return any(_looked_up(manifest, each)[0] is not None for each in manifest.nodes[unique_id].depends_on().macros or ())


def manifest_digest(manifest: Manifest) -> str:
    """The digest of all that the project and its packages are made of. It is the same after a dbt command that found nothing changed."""
    checksums = ((each, _looked_up(manifest, each)[0]) for each in (*manifest.nodes, *manifest.raw_macros))
    lines = sorted(f"{each} {checksum}" for each, checksum in checksums if checksum is not None)
    return _sha256("\n".join(lines).encode())


def _looked_up(manifest: Manifest, unique_id: str) -> tuple[str | None, Iterable[str]]:
    """The checksum of a node or macro, and what it depends on directly."""
    if unique_id in manifest.nodes:
        return _node(manifest.nodes[unique_id])
    if unique_id in manifest.raw_macros and not _is_dbts_own(unique_id, manifest.adapter_type):
        macro = msgspec.json.decode(manifest.raw_macros[unique_id], type=MacroNode)
        return _sha256(macro.macro_sql.encode()), _all(macro.depends_on)
    return None, ()


def _node(node: Node) -> tuple[str | None, Iterable[str]]:
    checksum = node.checksum()
    return f"{checksum.name}:{checksum.checksum}" if checksum.checksum else None, _all(node.depends_on())


def _all(depends_on: DependsOn | None) -> Iterable[str]:
    return (*(depends_on.nodes or ()), *(depends_on.macros or ())) if depends_on is not None else ()


def _is_stored(manifest: Manifest, unique_id: str) -> bool:
    return unique_id in manifest.nodes and manifest.nodes[unique_id].config.materialized != "ephemeral"


def _is_dbts_own(macro: str, adapter_type: str) -> bool:
    package = macro.split(".")[1]
    return package == "dbt" or package in {f"dbt_{adapter}" for adapter in (adapter_type, *_ADAPTERS_BELOW)}


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
