"""Carry out a materialization plan, one feature view at a time.

A run holds the lease of the view that it publishes, from before it reads until its watermark is written.

The order of writes is what keeps readers right, wherever a run stops: the schema before the rows that name it; after them, of a view
that is built beside what is served, the definition and the watermark at once; of one whose rows are replaced where they are, what left
it is removed, and the watermark is last. A view that fails leaves the others to be published.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlglot import exp

from featurestore.codec.keys import key_space
from featurestore.codec.layout import RowSchema
from featurestore.codec.versions import watermark_document_name
from featurestore.errors import FeatureStoreError, LeaseError, MaterializeError, ServersReplacedError, WarehouseError
from featurestore.online_store.base import OnlineStore, WriteMode
from featurestore.registry.definitions import FeatureView
from featurestore.registry.registry import Registry
from featurestore.sql.latest import latest_rows, view_bounds
from featurestore.sql.steps import step_rows
from featurestore.timestamps import as_utc, duration_micros, to_micros
from featurestore.warehouse.base import Warehouse, WarehouseSession

from .lease import LEASE, HeldLease, leased
from .plan import MaterializationPlan, Mode, Skip, Task, after_replacement, only_appended
from .publish import Publication, instant, published
from .served import announce
from .shrink import EntityKeys, entity_keys, keys_of_last_full_run, refuse_shrunk
from .versions import abandon, begin_build, let_go, swap, take_over_pushed
from .watermarks import Watermark, decoded, fingerprint, read_watermarks, written_watermark

ATTEMPTS = 3
"""How often a view is written where servers of the online store are replaced meanwhile."""

UNFINISHED = "what left the project, or what was served before, could not be removed; the next run does it"

Progress = Callable[[str, int], None]
"""Told a view's name and how many more of its rows are online."""


@dataclass(frozen=True, slots=True)
class Published:
    """What was done for one feature view."""

    view: str
    mode: Mode
    reason: str
    rows: int
    removed: int
    """How many rows were removed of what is served."""

    seconds: float
    beside: bool = False
    """Whether it was built beside what was served before, and readers moved over when all of it was there."""

    version: int = 1
    """The version of its keys that is served now."""

    @property
    def rows_per_second(self) -> int:
        """Rows published per second, from the warehouse's first answer to the watermark."""
        return round(self.rows / self.seconds) if self.seconds else 0


@dataclass(frozen=True, slots=True)
class Failure:
    """A feature view that could not be published. What was online of it still is."""

    view: str
    error: FeatureStoreError


@dataclass(frozen=True, slots=True)
class MaterializationReport:
    """What a run did."""

    at: datetime
    """The instant it materialized: online answers are training's answers for it."""

    invocation_id: str | None
    published: tuple[Published, ...]
    skipped: tuple[Skip, ...]
    failed: tuple[Failure, ...]
    left: tuple[str, ...] = ()
    """Views that the project has no more, and that are served no more now."""

    unfinished: FeatureStoreError | None = None
    """Why readers could not be told of what left, or old versions not be removed. The next run does both."""


@dataclass(frozen=True, slots=True)
class _Run:
    """What all views of one run are published with."""

    invocation_id: str | None
    registry: Registry
    project: str
    warehouse: Warehouse
    store: OnlineStore
    at: datetime
    progress: Progress | None
    allow_shrink: bool
    lease: timedelta


@dataclass(frozen=True, slots=True)
class _Bounds:
    """What a view holds in the warehouse, as one run sees it."""

    event_timestamp: datetime | None
    """The newest of a row that counts: what was pushed with a newer one is ahead of the warehouse."""

    created_timestamp: datetime | None
    digest: str | None
    next_change: datetime | None
    digest_then: str | None


@dataclass(frozen=True, slots=True)
class _Written:
    """What one run wrote of a view."""

    mode: Mode
    reason: str
    sequence: int
    rows: int
    newest: datetime | None
    """The newest event time that is online."""

    horizon: int | None
    """The newest event time that the view has in the warehouse, in microseconds."""

    bounds: _Bounds
    keys: EntityKeys


def run_materialization(
    plan: MaterializationPlan,
    *,
    registry: Registry,
    project: str,
    warehouse: Warehouse,
    store: OnlineStore,
    at: datetime,
    progress: Progress | None = None,
    allow_shrink: bool = False,
    lease: timedelta = LEASE,
) -> MaterializationReport:
    """Publish every task of the plan as of the instant `at`.

    Args:
        allow_shrink: publish a view also where its source lost more entity keys than its `max_shrink`.
        lease: how long nobody else can publish a view after a run of it was killed.

    Raises MaterializeError, which carries the report, where some view could not be published, or what is served no more not removed; the
    others are.
    """
    run = _Run(plan.invocation_id, registry, project, warehouse, store, at, progress, allow_shrink, lease)
    published: list[Published] = []
    failed: list[Failure] = []
    for task in plan.tasks:
        try:
            published.append(_publish_lastingly(run, task))
        except FeatureStoreError as error:
            failed.append(Failure(task.view.name, error))
    gone: tuple[str, ...] = ()
    unfinished = None
    try:
        gone = announce(store, project, registry, plan.leaving)
        let_go(store, project)
    except FeatureStoreError as error:
        unfinished = error
    report = MaterializationReport(at, plan.invocation_id, tuple(published), plan.skipped, tuple(failed), gone, unfinished)
    lines = [f"{len(failed)} of {len(plan.tasks)} feature views could not be published:"] if failed else []
    lines += [f"  {failure.view}: {failure.error}" for failure in failed]
    lines += [] if unfinished is None else [f"{UNFINISHED}: {unfinished}"]
    if lines:
        raise MaterializeError("\n".join(lines), report)
    return report


def _publish_lastingly(run: _Run, task: Task) -> Published:
    """Publish a view under its lease; and again where a server of the store was replaced meanwhile, which may have taken rows with it."""
    attempts = ATTEMPTS
    while True:
        try:
            above = task.online.sequence if task.online else 0
            with leased(run.store, run.project, task.view.name, above=above, lasts=run.lease) as held:
                return _publish(run, held, task)
        except ServersReplacedError:
            attempts -= 1
            if not attempts:
                raise
            task = after_replacement(task, read_watermarks(run.store, run.project, [task.view]).get(task.view.name))


def _publish(run: _Run, held: HeldLease, task: Task) -> Published:
    started = time.perf_counter()
    view = task.view
    if view.unresolved:
        unknown = ", ".join(view.unresolved)
        raise WarehouseError(f"{view.path}: {view.relation} is not in the warehouse; the types of {unknown} are unknown. Run `dbt build`.")
    stands = _stands(run, task)
    if not task.beside:
        assert task.online is not None
        view = replace(view, key_version=task.online.key_version)
        written = _write(run, held, task, view)
        held.renew(run.store)
        removed = _remove_gone(run, task, view, written) if written.mode is Mode.FULL else 0
        held.finish(run.store, written_watermark(_watermark(run, task, view, written)), stands)
    else:
        build = begin_build(run.store, run.project, view)
        view = build.view
        try:
            written = _write(run, held, task, view)
            held.renew(run.store)
            # A first run that was killed before versions were written down may have left some.
            removed = _remove_gone(run, task, view, written) if view.key_version == 1 else 0
            horizon, sequence = written.horizon, written.sequence
            take_over_pushed(run.store, run.project, build, horizon=horizon, sequence=sequence, expires_after=_expires_after(view))
            swap(held, run.store, run.registry, build, _watermark(run, task, view, written))
        except FeatureStoreError:
            with suppress(FeatureStoreError):  # What cannot be told now, the next run finds.
                abandon(run.store, run.project, build)
            raise
    return Published(
        view.name, written.mode, written.reason, written.rows, removed, time.perf_counter() - started, task.beside, view.key_version
    )


def _write(run: _Run, held: HeldLease, task: Task, view: FeatureView) -> _Written:
    """Write the rows to publish under the keys that the view's record says."""
    at, warehouse, store = run.at, run.warehouse, run.store
    schema, lifetime = RowSchema.of(view), view.kept_for
    store.write_documents(run.project, {schema.document_name: schema.to_document()})
    rows, newest = 0, None
    with warehouse.session() as session:
        bounds = _bounds(session, warehouse, task, at)
        mode, reason = _checked(task, bounds)
        since = task.online if mode is Mode.INCREMENTAL else None
        keys = entity_keys(session, warehouse.dialect, view, at, task.online) if since is None else keys_of_last_full_run(since)
        if not run.allow_shrink:
            refuse_shrunk(view, keys, task.online, run.project)
        not_before = at - lifetime if lifetime is not None else None
        statement = _published_rows(view, at, warehouse.dialect, since, not_before)
        write_mode = WriteMode.EXACT if mode is Mode.FULL else WriteMode.NEWEST_WINS
        horizon = None if bounds.event_timestamp is None else to_micros(bounds.event_timestamp)
        publication = Publication(run.project, view, at, held, write_mode, horizon, _expires_after(view))
        for part in published(session, statement, publication, store):
            rows += part.rows
            newest = max(filter(None, (newest, part.newest)), default=None)
            if run.progress is not None:
                run.progress(view.name, part.rows)
    if since is not None and since.event_timestamp is not None:
        newest = max(filter(None, (newest, as_utc(since.event_timestamp))))
    return _Written(mode, reason, held.sequence, rows, newest, horizon, bounds, keys)


def _watermark(run: _Run, task: Task, view: FeatureView, written: _Written) -> Watermark:
    return Watermark(
        view=view.name,
        at=as_utc(run.at),
        sequence=written.sequence,
        definition=fingerprint(view),
        rows=written.rows,
        mode=written.mode.value,
        key_prefix=key_space(run.project, view).prefix.decode(),
        key_version=view.key_version,
        event_timestamp=written.newest,
        created_timestamp=written.bounds.created_timestamp,
        digest=written.bounds.digest,
        next_change=written.bounds.next_change,
        entity_keys=written.keys.now,
        entity_keys_from=written.keys.counted_from,
        invocation_id=run.invocation_id,
        code=task.code,
    )


def _published_rows(view: FeatureView, at: datetime, dialect: str, since: Watermark | None, not_before: datetime | None) -> exp.Query:
    """What answers with the rows to publish."""
    if view.aggregated:
        return step_rows(view, at, dialect)
    return latest_rows(
        view,
        at,
        dialect,
        changed_since=since.created_timestamp if since else None,
        counted_at=since.at if since else None,
        not_before=not_before,
    )


def _bounds(session: WarehouseSession, warehouse: Warehouse, task: Task, at: datetime) -> _Bounds:
    if task.view.aggregated:
        return _Bounds(event_timestamp=at, created_timestamp=None, digest=None, next_change=at + task.view.exact_for / 2, digest_then=None)
    since = task.online.created_timestamp if task.mode is Mode.INCREMENTAL and task.online else None
    statement = view_bounds(task.view, at, warehouse.dialect, digested=only_appended(task.view), created_by=since)
    answer = session.query(statement).read_all()
    instants = {name: instant(answer[name][0]) for name in ("event_timestamp", "created_timestamp", "next_change")}
    return _Bounds(
        event_timestamp=instants["event_timestamp"],
        created_timestamp=instants["created_timestamp"],
        digest=answer["digest"][0].as_py(),
        next_change=instants["next_change"],
        digest_then=answer["digest_then"][0].as_py(),
    )


def _checked(task: Task, bounds: _Bounds) -> tuple[Mode, str]:
    """The task's mode, or a full read where the rows that the watermark had passed are not what they were."""
    if task.mode is Mode.INCREMENTAL and task.online is not None:
        if bounds.digest_then is None or task.online.digest is None:
            return Mode.FULL, "this warehouse cannot tell whether older rows changed"
        if bounds.digest_then != task.online.digest:
            return Mode.FULL, "rows behind the watermark changed"
    return task.mode, task.reason


def _stands(run: _Run, task: Task) -> dict[str, bytes | None]:
    """The view's watermark, which has to be there still when the next one is written.

    Raises LeaseError where it is not what was planned with. From here on no other run can publish the view; one may take leave of it.
    """
    name = watermark_document_name(task.view.name)
    (document,) = run.store.read_documents(run.project, [name])
    if (None if document is None else decoded(document)) != task.online:
        raise LeaseError("another run published it while this one was about to. Nothing was written; run this again.")
    return {name: document}


def _remove_gone(run: _Run, task: Task, view: FeatureView, written: _Written) -> int:
    """Remove what this run did not write: entity keys that left the view.

    A pushed row is removed only where the run before this one came after it, too: a push that had its number when this run began, and was
    written after this run had written that key, must not take this run's row with it.
    """
    before = task.online.sequence if task.online else 0
    return run.store.remove_older(key_space(run.project, view), written.sequence, pushed_before=before, horizon=written.horizon)


def _expires_after(view: FeatureView) -> int | None:
    return None if view.kept_for is None else duration_micros(view.kept_for)
