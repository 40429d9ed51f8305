"""dbt's microbatch models: what a backfill must know of one, and when a run of dbt leaves one with rows missing.

dbt builds such a model one batch of event time after another, and replaces what the table held of that batch. With
`--event-time-start` and `--event-time-end` it builds the batches between them and leaves all other rows as they are.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime

from featurestore.timestamps import as_utc, parse_instant

from .artifacts import Manifest
from .checksums import model_state
from .graph import ProjectGraph
from .nodes import Node
from .run_results import NodeResult, RunResults

_RENDERED = r"\b(?:ref|source)\([^()]*['\"]{name}['\"][^()]*\)\s*\.\s*render\s*\("


@dataclass(frozen=True, slots=True)
class BatchInput:
    """What a microbatch model selects from."""

    name: str
    event_time: str | None
    """The column by which dbt shows each batch only that batch's rows; None where every batch reads all of them."""


@dataclass(frozen=True, slots=True)
class MicrobatchModel:
    """One microbatch model."""

    unique_id: str
    name: str
    """As dbt's `--select` names it."""

    event_time: str
    batch_size: str
    """`hour`, `day`, `month` or `year`."""

    begin: datetime | None
    """Where a first or full build starts."""

    rebuilt_every_time: bool
    """Whether its config says `full_refresh: true`, so that every run starts a new table."""

    definition: str
    """Changes with the text of the model and of all that it is built from, models and macros, and with where its table is."""

    inputs: tuple[BatchInput, ...]


def microbatch_model(manifest: Manifest, graph: ProjectGraph, unique_id: str, variables: str | None = None) -> MicrobatchModel | None:
    """What a backfill must know of that model; None where dbt does not build it in batches.

    Args:
        variables: what dbt is told with `--vars`; part of the definition.
    """
    node = manifest.nodes[unique_id]
    if not node.is_microbatch:
        return None
    inputs = [manifest.nodes[parent] for parent in graph.parents(unique_id)]
    return MicrobatchModel(
        unique_id=unique_id,
        name=node.view_name,
        event_time=node.config.event_time or "",
        batch_size=node.config.batch_size or "",
        begin=_begin(node.config.begin),
        rebuilt_every_time=node.config.full_refresh is True,
        definition=_definition(manifest, node, variables),
        inputs=tuple(BatchInput(each.view_name, None if _is_rendered(node, each) else each.config.event_time) for each in inputs),
    )


def incomplete_models(manifest: Manifest, run: RunResults) -> dict[str, str]:
    """Why a microbatch model's table lacks rows after that run, by unique id.

    Only `--full-refresh` can do that: it starts a new table, which then holds the run's own batches and no others. In an ordinary run
    a batch that fails, or is not asked for, keeps the rows that it had.
    """
    if not run.full_refresh:
        return {}
    reasons = ((result.unique_id, _lacking(result, run)) for result in run.results if _starts_anew(manifest, result.unique_id))
    return {unique_id: reason for unique_id, reason in reasons if reason is not None}


def _starts_anew(manifest: Manifest, unique_id: str) -> bool:
    node = manifest.nodes.get(unique_id)
    return node is not None and node.is_microbatch and node.config.full_refresh is not False


def _lacking(result: NodeResult, run: RunResults) -> str | None:
    if not result.built:
        return None
    if result.batches is not None and result.batches.failed:
        count = len(result.batches.failed) + len(result.batches.successful)
        return f"dbt rebuilt it with --full-refresh, and {len(result.batches.failed)} of {count} batches failed, so their rows are missing"
    if run.event_time is not None:
        start, end = run.event_time
        return f"dbt rebuilt it with --full-refresh from {start} to {end} only, so all other rows are missing"
    return None


def _begin(value: object) -> datetime | None:
    try:
        return as_utc(value) if isinstance(value, datetime) else parse_instant(str(value)) if value else None
    except ValueError:
        return None


def _definition(manifest: Manifest, node: Node, variables: str | None) -> str:
    state, config = model_state(manifest, node.unique_id), node.config
    above = (f"{key} {checksum}" for key, checksum in state.upstream.items())
    parts = (str(state.checksum), *above, str(node.relation), str(config.event_time), str(config.batch_size), variables or "")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _is_rendered(node: Node, parent: Node) -> bool:
    """Whether the model asks for all of that input with `ref('…').render()`, which dbt does not filter."""
    return re.search(_RENDERED.format(name=re.escape(parent.name)), node.code()) is not None
