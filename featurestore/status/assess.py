"""Whether a feature view is as it should be, decided from what is known of it, without asking anything.

What is promised: dbt's freshness of the sources (`warn_after`, `error_after`), the view's TTL, and a limit that the caller sets. The *lag*
is now minus the newest event time that is online. Of a view of aggregations, whose rows say what windows hold from an instant on, it is
now minus the instant it was materialized at, and what counts is `exact_for`, after which there is no answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING

from featurestore.dbt.freshness import Promise, SourceFreshness
from featurestore.materialize.lease import Lease
from featurestore.materialize.plan import Skip, Task
from featurestore.materialize.watermarks import Watermark
from featurestore.registry.definitions import FeatureView
from featurestore.timestamps import as_utc, format_duration

if TYPE_CHECKING:
    from .runs import RunRecord


class Level(str, Enum):
    """How bad it is, in dbt's words."""

    PASS = "pass"
    WARN = "warn"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Concern:
    """One thing that is not as it should be."""

    level: Level
    message: str


@dataclass(frozen=True, slots=True)
class RowsOnline:
    """How many rows are online, and how that is known."""

    least: int
    most: int
    """More than `least` where incremental runs wrote rows since, of which nobody counted which were new."""

    known_by: str
    """`count`: the online store was asked now. `full run`, `run`: what was written then, without what was pushed or has expired since."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one view."""

    view: FeatureView
    watermark: Watermark | None
    in_warehouse: bool
    """Whether its table exists."""

    offline_event_timestamp: datetime | None
    """The newest event time in the warehouse of a row that counts now."""

    drift: tuple[Concern, ...]
    promise: Promise
    sources: tuple[SourceFreshness, ...]
    """Those upstream that `dbt source freshness` looked at."""

    last_run: RunRecord | None
    planned: Task | Skip | None
    """What `materialize` would do with it now. None: no dbt run counts."""

    publishing: Lease | None
    counted: int | None
    """Rows that the online store counted, where it was asked."""


@dataclass(frozen=True, slots=True)
class ViewStatus:
    """How one feature view stands."""

    known: Known
    lag: timedelta | None
    """Now minus the newest event time that is online. None: nothing is online."""

    behind: timedelta | None
    """By how much the newest event time in the warehouse is ahead of what is online. None: nothing is online, or it is aggregated."""

    warn_after: timedelta | None
    error_after: timedelta | None
    rows: RowsOnline | None
    concerns: tuple[Concern, ...]

    @property
    def view(self) -> str:
        """The view's name."""
        return self.known.view.name

    @property
    def level(self) -> Level:
        """The worst of its concerns."""
        levels = {concern.level for concern in self.concerns}
        return Level.ERROR if Level.ERROR in levels else Level.WARN if Level.WARN in levels else Level.PASS


def assess(known: Known, now: datetime, max_lag: timedelta | None = None) -> ViewStatus:
    """How a view stands now.

    Args:
        max_lag: an error where the lag is longer, whatever else is said. None: no such limit.
    """
    view, watermark = known.view, known.watermark
    lag = _lag(view, watermark, now)
    early = view.available_after
    warn_after, error_after = (None if limit is None else limit + early for limit in (known.promise.warn_after, known.promise.error_after))
    status = ViewStatus(known, lag, _behind(known), warn_after, error_after, _rows(known, now), ())
    concerns = tuple(_concerns(status, max_lag))
    return ViewStatus(known, lag, status.behind, warn_after, error_after, status.rows, concerns)


def newest_online(known: Known) -> datetime | None:
    """The newest event time that is online. None: there is none, or the view's features are aggregations."""
    watermark = known.watermark
    if watermark is None or watermark.event_timestamp is None or known.view.aggregated:
        return None
    return as_utc(watermark.event_timestamp)


def _lag(view: FeatureView, watermark: Watermark | None, now: datetime) -> timedelta | None:
    if watermark is None:
        return None
    newest = watermark.at if view.aggregated else watermark.event_timestamp
    return None if newest is None else as_utc(now) - as_utc(newest)


def _behind(known: Known) -> timedelta | None:
    online, offline = newest_online(known), known.offline_event_timestamp
    return max(as_utc(offline) - online, timedelta(0)) if online is not None and offline is not None else None


def _rows(known: Known, now: datetime) -> RowsOnline | None:
    watermark, last = known.watermark, known.last_run
    if watermark is None:
        return None
    if known.counted is not None:
        return RowsOnline(known.counted, known.counted, "count", as_utc(now))
    if watermark.mode == "full":
        return RowsOnline(watermark.rows, watermark.rows, "full run", as_utc(watermark.at))
    if last is not None and last.full_rows is not None and last.full_at is not None:
        return RowsOnline(last.full_rows, last.full_rows + last.rows_since, "full run", as_utc(last.full_at))
    return RowsOnline(watermark.rows, max(watermark.rows, watermark.entity_keys or 0), "run", as_utc(watermark.at))


def _concerns(status: ViewStatus, max_lag: timedelta | None) -> Iterator[Concern]:
    known = status.known
    if known.watermark is None:
        remedy = "; run `fsdbt materialize`" if known.in_warehouse else ""
        yield Concern(Level.ERROR, f"it was never published{remedy}")
    if not known.in_warehouse:
        yield Concern(Level.ERROR, f"{known.view.relation} is not in the warehouse; run `dbt build`")
    yield from _of_runs(known)
    yield from known.drift
    yield from _of_lag(status, max_lag)
    if status.behind and known.publishing is None:
        yield Concern(Level.WARN, f"the warehouse is ahead of what is online by {shown(status.behind)}")
    for source in known.sources:
        if source.status != "pass":
            level = Level.WARN if source.status == "warn" else Level.ERROR
            checked = f" at {as_utc(source.checked_at):%Y-%m-%d %H:%M} UTC" if source.checked_at else ""
            yield Concern(level, f"`dbt source freshness` said {source.status} of {source.source}{checked}")


def _of_runs(known: Known) -> Iterator[Concern]:
    last, planned = known.last_run, known.planned
    if last is not None and last.outcome == "failed":
        yield Concern(Level.ERROR, f"the last run failed: {last.reason}")
    if isinstance(planned, Skip) and planned.failed:
        yield Concern(Level.WARN, f"the last dbt run is not published: {planned.reason}")
    elif last is not None and last.outcome == "held back" and planned is None:
        yield Concern(Level.WARN, f"the last run published nothing of it: {last.reason}")
    if isinstance(planned, Task) and known.watermark is not None and known.publishing is None and known.in_warehouse:
        yield Concern(Level.WARN, f"what dbt built is not online yet ({planned.reason}); run `fsdbt materialize`")


def _of_lag(status: ViewStatus, max_lag: timedelta | None) -> Iterator[Concern]:
    lag, view = status.lag, status.known.view
    if lag is None:
        if status.known.watermark is not None:
            yield Concern(Level.WARN, "nothing of it is online: no row counts yet, or all of them have long expired")
        return
    counts_for, what = (view.exact_for, "exact_for") if view.aggregated else (view.ttl, "TTL")
    if counts_for is not None and lag > counts_for:
        yield Concern(Level.ERROR, f"nothing online counts any more: its lag of {shown(lag)} is past the {what} of {shown(counts_for)}")
    if max_lag is not None and lag > max_lag:
        yield Concern(Level.ERROR, f"its lag of {shown(lag)} is past the limit of {shown(max_lag)}")
    for level, limit, word in ((Level.ERROR, status.error_after, "error_after"), (Level.WARN, status.warn_after, "warn_after")):
        if limit is not None and lag > limit:
            yield Concern(
                level, f"its lag of {shown(lag)} is past {word} {shown(limit)}, by the freshness of {status.known.promise.source}"
            )
            return


def shown(duration: timedelta) -> str:
    """A duration as people say it: its two greatest units."""
    whole = timedelta(seconds=round(duration.total_seconds()))
    sign = "-" if whole < timedelta(0) else ""
    return sign + " ".join(format_duration(abs(whole)).split()[:4])
