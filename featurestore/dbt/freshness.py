"""How fresh dbt's own words say that a model is: what its sources promise, and what `dbt source freshness` found last.

A source promises rows no older than its `warn_after` and `error_after`. A model is as fresh as the freshest promise among what it selects
from, plus the time that its own `build_after` leaves it as it is: what joins hourly orders to a yearly list follows the orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path

import msgspec

from featurestore.errors import ManifestError
from featurestore.registry.definitions import FeatureView

from .artifacts import Manifest
from .graph import ProjectGraph
from .json_files import read
from .nodes import Node, Period


@dataclass(frozen=True, slots=True)
class Promise:
    """How old the newest rows of a model may be. None: nothing says."""

    warn_after: timedelta | None = None
    error_after: timedelta | None = None
    source: str = ""
    """Whose freshness it comes from, as `app.orders`."""

    @property
    def said(self) -> bool:
        """Whether there is any limit."""
        return self.warn_after is not None or self.error_after is not None


@dataclass(frozen=True, slots=True)
class SourceFreshness:
    """What `dbt source freshness` found of one source."""

    source: str
    status: str
    """dbt's word: `pass`, `warn`, `error`, `runtime error`."""

    max_loaded_at: datetime | None
    checked_at: datetime | None


@dataclass(frozen=True)
class ManifestFreshness:
    """What a project's artifacts say of the freshness of its models."""

    manifest: Manifest
    target_path: Path
    """Where `dbt source freshness` left what it found, if it ran."""

    def promise(self, view: FeatureView) -> Promise:
        """How old the newest rows of the view's model may be."""
        return self._promises[view.unique_id]

    def sources(self, view: FeatureView) -> tuple[SourceFreshness, ...]:
        """What was found last of the sources upstream, in the order of their names."""
        upstream = self._graph.ancestors([view.unique_id])
        return tuple(sorted((each for key, each in self._found.items() if key in upstream), key=lambda each: each.source))

    @cached_property
    def _graph(self) -> ProjectGraph:
        return ProjectGraph(self.manifest)

    @cached_property
    def _promises(self) -> dict[str, Promise]:
        return promises(self.manifest, self._graph)

    @cached_property
    def _found(self) -> dict[str, SourceFreshness]:
        return read_source_freshness(self.target_path / "sources.json", self.manifest)


def promises(manifest: Manifest, graph: ProjectGraph) -> dict[str, Promise]:
    """What holds of each model, snapshot and source, by unique id."""
    found: dict[str, Promise] = {}
    for unique_id in graph.in_order(manifest.nodes):
        node = manifest.nodes[unique_id]
        parents = [found[each] for each in graph.parents(unique_id)]
        found[unique_id] = _own(node) if node.resource_type == "source" else _inherited(node, parents)
    return found


def read_source_freshness(path: Path, manifest: Manifest) -> dict[str, SourceFreshness]:
    """What `dbt source freshness` left in the target folder, by the unique id of the source. Raises ManifestError."""
    data = read(path)
    try:
        results = [] if data is None else msgspec.json.decode(data, type=_SourcesFile).results
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path} cannot be understood: {error}. Run `dbt source freshness` to write it anew, or remove it.") from None
    return {
        each.unique_id: SourceFreshness(_name(manifest.nodes[each.unique_id]), each.status, each.max_loaded_at, each.snapshotted_at)
        for each in results
        if each.unique_id in manifest.nodes
    }


class _Result(msgspec.Struct, frozen=True):
    unique_id: str
    status: str
    max_loaded_at: datetime | None = None
    snapshotted_at: datetime | None = None


class _SourcesFile(msgspec.Struct, frozen=True):
    results: list[_Result]


def _own(node: Node) -> Promise:
    said = node.freshness
    return Promise(duration_of(said.warn_after), duration_of(said.error_after), _name(node))


def _inherited(node: Node, parents: list[Promise]) -> Promise:
    said = [promise for promise in parents if promise.said]
    if not said:
        return Promise()
    wait = duration_of(node.freshness.build_after) or timedelta(0)
    warns = [promise.warn_after for promise in said if promise.warn_after is not None]
    errors = [promise.error_after for promise in said if promise.error_after is not None]
    strictest = min(said, key=lambda promise: promise.warn_after or promise.error_after or timedelta.max)
    return Promise(min(warns) + wait if warns else None, min(errors) + wait if errors else None, strictest.source)


def duration_of(period: Period | None) -> timedelta | None:
    """How long a period is; None where it says nothing that can be told."""
    if period is None or not isinstance(period.count, int) or period.period not in ("minute", "hour", "day"):
        return None
    return period.count * timedelta(**{f"{period.period}s": 1})


def _name(node: Node) -> str:
    return f"{node.source_name}.{node.name}" if node.source_name else node.name
