"""Reads `run_results.json`: what the last dbt command built, and how each node fared.

Every dbt command overwrites it, so it counts only when one that builds wrote it: `run`, `build`, `snapshot` or `retry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from featurestore.errors import ManifestError
from featurestore.timestamps import as_utc

from .json_files import decode, read

BUILDING_COMMANDS = frozenset({"run", "build", "snapshot", "retry"})
_BUILT = frozenset({"success", "partial success"})


@dataclass(frozen=True, slots=True)
class BatchResults:
    """The batches of one microbatch model, each as it begins and (exclusively) ends, in UTC."""

    successful: tuple[tuple[datetime, datetime], ...] = ()
    failed: tuple[tuple[datetime, datetime], ...] = ()
    """Those that failed, and those that were not begun."""


@dataclass(frozen=True, slots=True)
class NodeResult:
    """How dbt fared with one node."""

    unique_id: str
    status: str
    """dbt's word: `success`, `error`, `skipped`, `partial success` (some batches of a microbatch model), `pass`, `fail`, …"""

    message: str = ""
    batches: BatchResults | None = None
    """Of a microbatch model."""

    @property
    def built(self) -> bool:
        """Whether the node's table now holds what this run built."""
        return self.status in _BUILT


@dataclass(frozen=True)
class RunResults:
    """One dbt invocation."""

    invocation_id: str
    generated_at: str
    which: str
    """The dbt command, such as `build`."""

    full_refresh: bool
    results: tuple[NodeResult, ...]
    partial: str | None = None
    """The option, `--empty` or `--sample`, that kept rows out of what the run built."""

    event_time: tuple[str, str] | None = None
    """The `--event-time-start` and `--event-time-end` to which microbatch models were held; other rows of theirs stay as they are."""

    _by_id: Mapping[str, NodeResult] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_id", {result.unique_id: result for result in self.results})

    @property
    def publishable(self) -> bool:
        """Whether the command built, with all its rows, what it reports."""
        return self.which in BUILDING_COMMANDS and self.partial is None

    def status(self, unique_id: str) -> NodeResult | None:
        """How that node fared, or None where the run had nothing to do with it."""
        return self._by_id.get(unique_id)


def read_run_results(path: Path | str) -> RunResults | None:
    """Read `run_results.json`; None where dbt has not run yet. Raises ManifestError where it cannot be understood."""
    path = Path(path)
    data = read(path)
    if data is None:
        return None
    file = decode(path, data, _RunResultsFile)
    arguments = file.args or _Arguments()
    return RunResults(
        invocation_id=file.metadata.invocation_id or "",
        generated_at=file.metadata.generated_at or "",
        which=arguments.which or _command(arguments.invocation_command),
        full_refresh=bool(arguments.full_refresh),
        partial="--empty" if arguments.empty else "--sample" if arguments.sample else None,
        event_time=_event_time(arguments),
        results=tuple(NodeResult(each.unique_id, each.status, str(each.message or ""), _batches(each)) for each in file.results),
    )


def last_publishable_run(path: Path, everything: bool) -> RunResults | None:
    """The last dbt run; with `everything`, None where there is none that counts.

    Raises ManifestError where there was none, or another command has overwritten what it left: to publish nothing in silence would
    leave serving behind for good.
    """
    run = read_run_results(path)
    if run is not None and run.publishable:
        return run
    if everything:
        return None
    if run is None:
        what = f"There is no {path}"
    elif run.partial:
        what = f"{path} was written by a dbt run with {run.partial}, which leaves rows out"
    else:
        what = f"{path} was written by `dbt {run.which}`, which builds nothing"
    raise ManifestError(f"{what}. Materialize right after `dbt build`, or publish every feature view with --all (everything=True).")


class _Metadata(msgspec.Struct, frozen=True):
    invocation_id: str | None = None
    generated_at: str | None = None


class _BatchResults(msgspec.Struct, frozen=True):
    successful: list[tuple[datetime, datetime]] | None = None
    failed: list[tuple[datetime, datetime]] | None = None


class _Result(msgspec.Struct, frozen=True):
    unique_id: str
    status: str
    message: Any = None
    batch_results: _BatchResults | None = None


class _Arguments(msgspec.Struct, frozen=True):
    which: str | None = None
    full_refresh: bool | None = None
    invocation_command: str | None = None
    empty: bool | None = None
    sample: Any = None
    event_time_start: Any = None
    event_time_end: Any = None


class _RunResultsFile(msgspec.Struct, frozen=True):
    metadata: _Metadata
    results: list[_Result]
    args: _Arguments | None = None


def _event_time(arguments: _Arguments) -> tuple[str, str] | None:
    if not arguments.event_time_start or not arguments.event_time_end:
        return None
    return str(arguments.event_time_start), str(arguments.event_time_end)


def _batches(result: _Result) -> BatchResults | None:
    if result.batch_results is None:
        return None
    sides = (result.batch_results.successful, result.batch_results.failed)
    return BatchResults(*(tuple((as_utc(start), as_utc(end)) for start, end in side or ()) for side in sides))


def _command(invocation: str | None) -> str:
    """The command of `dbt --quiet build --select x`, for a dbt that records only the whole line."""
    words = (invocation or "").split()[1:]
    return next((word for word in words if not word.startswith("-")), "")
