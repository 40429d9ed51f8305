"""What a materialization will do, decided before anything is done: `fsdbt plan` prints the list that the run walks.

Without being told otherwise, the last dbt run decides: each feature view whose model it built is published, once.

- A view is read *in full* unless something proves that less is enough: dbt rebuilds tables, views and snapshots as a whole, so any
  of their rows may have changed, gone or moved.
- It is read *incrementally* when dbt can only have added rows (an append) and the created timestamp tells which: then only entity
  keys with a row written since the last watermark, or with one that has come to count since, are read. The run first compares a
  digest of all rows from before the watermark; where they are not what they were (late rows under an old created timestamp, a
  rebuild, an update by hand), or the warehouse cannot tell, it reads in full after all.

- It is *built beside* what is served, under the next version of its keys, when what its features mean may have changed: its definition,
  or the code of the models that it was rebuilt by; and when a full refresh is asked for. Readers then move over all at once. Otherwise
  its rows are replaced where they are, one by one.

A view of aggregations is due again, without another dbt run, when half of the time is over for which what is online is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum

from featurestore.dbt.run_results import RunResults
from featurestore.registry.definitions import FeatureView, LateData
from featurestore.timestamps import as_utc

from .watermarks import Watermark, fingerprint


class Mode(str, Enum):
    """How much of a view is read."""

    FULL = "full"
    """Every entity key's newest row. The store is left with exactly those."""

    INCREMENTAL = "incremental"
    """The newest row of every entity key that may have changed since the last watermark. A newer event time wins."""


@dataclass(frozen=True, slots=True)
class Task:
    """One feature view to publish."""

    view: FeatureView
    mode: Mode
    reason: str
    online: Watermark | None = None
    """What is online already."""

    beside: bool = False
    """Whether its rows go under the next version of its keys, to be served when all of them are there."""

    code: str | None = None
    """Digest of the code that all of its rows were built by, as far as is known."""


@dataclass(frozen=True, slots=True)
class Skip:
    """One feature view that is left as it is, and why."""

    view: FeatureView
    reason: str
    failed: bool = False
    """Whether it is left alone because dbt failed to build it, or a test of it failed."""


@dataclass(frozen=True, slots=True)
class MaterializationPlan:
    """What to publish, in the order of the views' names, and what is left alone."""

    tasks: tuple[Task, ...]
    skipped: tuple[Skip, ...]
    invocation_id: str | None = None
    """The dbt invocation whose result is published."""

    leaving: tuple[str, ...] = ()
    """Views that are served and that the project has no more: readers will be told so, and their rows removed."""


def plan_materialization(
    views: Sequence[FeatureView],
    run: RunResults | None,
    watermarks: Mapping[str, Watermark],
    now: datetime,
    *,
    everything: bool = False,
    full_refresh: bool = False,
    failed_tests: Mapping[str, str] | None = None,
    incomplete: Mapping[str, str] | None = None,
    code_of: Callable[[str], str | None] = lambda _: None,
    next_versions: Mapping[str, int] | None = None,
    leaving: Sequence[str] = (),
) -> MaterializationPlan:
    """Decide what to publish.

    Args:
        views: those that were selected; the ones that are not `online` are left out of the plan.
        run: the last dbt run, if one counts. None publishes nothing unless `everything`.
        watermarks: what is online, by view name.
        everything: publish every view, whatever the last dbt run built and whether it was published before.
        full_refresh: read every view to be published in full, and republish what was published before.
        failed_tests: by the dbt id of a model, the name of a test of it that failed in that run.
        incomplete: by the dbt id of a model, why that run left its table without rows that belong there.
        code_of: of the dbt id of a model, a digest of the code that it is built by.
        next_versions: by view name, the version of its keys that it would be built under beside what is served.
        leaving: the views that are served and that the project has no more. Empty where `views` are only some of it.
    """
    tasks: list[Task] = []
    skipped: list[Skip] = []
    for view in sorted(views, key=lambda view: view.name):
        if not view.online:
            continue
        watermark = watermarks.get(view.name)
        doubtful = _doubtful(view, failed_tests or {}, incomplete or {})
        why_not = None if everything else _why_not(view, run, watermark, now, full_refresh, doubtful)
        if why_not is not None:
            skipped.append(why_not)
        else:
            tasks.append(_task(view, run, watermark, full_refresh, code_of(view.unique_id), (next_versions or {}).get(view.name)))
    return MaterializationPlan(tuple(tasks), tuple(skipped), run.invocation_id if run else None, tuple(leaving))


def after_replacement(task: Task, online: Watermark | None) -> Task:
    """The same view again, after a server of the store was replaced that may have taken rows with it: of earlier runs, too.

    Args:
        online: its watermark now. An earlier one, or none, is there where the store lost the last that it was told.
    """
    if online is not None and task.online is not None and online.sequence > task.online.sequence:
        return task  # Another run published it meanwhile, and this one will be told.
    replaced = "a server of the online store was replaced, and may have taken rows with it"
    reason = replaced if task.mode is Mode.INCREMENTAL or online is None else task.reason
    return replace(task, mode=Mode.FULL, reason=reason, online=online, beside=task.beside or online is None)


def _why_not(
    view: FeatureView,
    run: RunResults | None,
    watermark: Watermark | None,
    now: datetime,
    full_refresh: bool,
    doubtful: str | None,
) -> Skip | None:
    """Why a view is left alone, or None when it is to be published."""
    status = run.status(view.unique_id) if run else None
    if status is not None and not status.built:
        return Skip(view, f"dbt did not build it: {status.status}", failed=True)
    if doubtful is not None:
        return Skip(view, f"{doubtful}; --all publishes it all the same", failed=True)
    if _due(watermark, now):
        return None
    if run is None or status is None:
        return Skip(view, "the last dbt run did not build it; --all publishes it all the same")
    published = watermark is not None and watermark.invocation_id == run.invocation_id and watermark.definition == fingerprint(view)
    if published and not full_refresh:
        return Skip(view, "already published")
    return None


def _doubtful(view: FeatureView, failed_tests: Mapping[str, str], incomplete: Mapping[str, str]) -> str | None:
    """Why what dbt built is not fit to be served, or None."""
    if view.unique_id in incomplete:
        return incomplete[view.unique_id]
    return f"its test {failed_tests[view.unique_id]} failed" if view.unique_id in failed_tests else None


def _due(watermark: Watermark | None, now: datetime) -> bool:
    """Whether rows that did not count at the last publication count now, or windows of what is online will soon not be known."""
    return watermark is not None and watermark.next_change is not None and as_utc(watermark.next_change) <= as_utc(now)


def _task(
    view: FeatureView, run: RunResults | None, watermark: Watermark | None, full_refresh: bool, code: str | None, version: int | None
) -> Task:
    if watermark is not None and not _rebuilt(view, run):
        code = watermark.code  # Rows that were there before are still what older code made of them.
    changed = _why_beside(view, watermark, full_refresh, code)
    if changed is not None:
        served = f": version {version} is built beside version {watermark.key_version}" if watermark and version else ""
        return Task(view, Mode.FULL, changed + served + _unbuilt_batches(view, run), watermark, beside=True, code=code)
    doubt = _doubt(view, run, watermark)
    if doubt is not None:
        return Task(view, Mode.FULL, doubt + _unbuilt_batches(view, run), watermark, code=code)
    return Task(view, Mode.INCREMENTAL, "dbt only appends to it", watermark, code=code)


def _rebuilt(view: FeatureView, run: RunResults | None) -> bool:
    """Whether that run of dbt made all rows of the view anew."""
    if view.materialized == "snapshot":
        return False
    return view.materialized != "incremental" or (run is not None and run.full_refresh)


def _why_beside(view: FeatureView, watermark: Watermark | None, full_refresh: bool, code: str | None) -> str | None:
    """What makes the rows to publish others than those that are served, as a whole, or None."""
    if full_refresh:
        return "full refresh asked for"
    if watermark is None:
        return "not online yet"
    if watermark.definition != fingerprint(view):
        return "its definition changed"
    if watermark.code is not None and code != watermark.code:
        return "the code that it is built by changed"
    return None


def _unbuilt_batches(view: FeatureView, run: RunResults | None) -> str:
    """What to add where only some batches of a microbatch model were built: the table has the old rows of the others."""
    result = run.status(view.unique_id) if run else None
    if result is None or result.batches is None or not result.batches.failed:
        return ""
    count = len(result.batches.failed) + len(result.batches.successful)
    return f"; {len(result.batches.failed)} of {count} batches failed and are as they were"


def only_appended(view: FeatureView) -> bool:
    """Whether dbt, in an ordinary run, only adds rows to the view's table."""
    return view.materialized == "incremental" and _strategy(view) == "append"


def _strategy(view: FeatureView) -> str:
    return view.incremental_strategy or ("merge" if view.incremental_key else "append")


def _doubt(view: FeatureView, run: RunResults | None, watermark: Watermark | None) -> str | None:
    """What keeps an incremental read from being provably enough, or None."""
    if view.aggregated:
        return "windows change as time goes by"
    if view.materialized != "incremental":
        return f"a {view.materialized} is rebuilt as a whole"
    if run is not None and run.full_refresh:
        return "dbt rebuilt it with --full-refresh"
    if not only_appended(view):
        return f"{_strategy(view)} can replace or remove rows"
    if view.late_data is LateData.AS_KNOWN:
        return "late_data: as_known can change which row is newest"
    if view.created_timestamp is None:
        return "without a created timestamp, late rows cannot be told"
    if watermark is None or watermark.created_timestamp is None:
        return "no created timestamp is online yet"
    return None
