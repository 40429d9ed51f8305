"""How the last run of each view went: one small document a view in the online store, which the next run replaces.

It is written after the run, whoever started it, so that whoever asks on another machine is told the same. Nothing depends on it: a run
that was killed leaves the one before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from featurestore.errors import OnlineStoreError
from featurestore.online_store.base import OnlineStore
from featurestore.timestamps import as_utc

if TYPE_CHECKING:
    from featurestore.materialize.run import MaterializationReport

LONGEST_ERROR = 500
"""Characters of an error that are kept."""

ATTEMPTS = 5
"""How often a document is written that another run writes at the same time."""


class RunRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """How the last run of one view went."""

    at: datetime
    """The instant that it was to materialize."""

    outcome: str
    """`published`; `failed`; or `held back`, where dbt, or a test, failed."""

    reason: str
    """Why it was read as it was; or what went wrong."""

    mode: str | None = None
    rows: int = 0
    removed: int = 0
    seconds: float = 0.0
    invocation_id: str | None = None
    full_rows: int | None = None
    """How many rows the last full read left online. None: there was none since this is kept."""

    full_at: datetime | None = None
    rows_since: int = 0
    """How many rows incremental runs wrote after it: new ones, and newer ones of keys that were there."""


def document_name(view: str) -> str:
    """The name under which the online store keeps a view's last run."""
    return f"run/{view}"


def read_runs(store: OnlineStore, project: str, views: Iterable[str]) -> dict[str, RunRecord]:
    """The last runs of those views that had one."""
    names = list(views)
    documents = store.read_documents(project, [document_name(name) for name in names])
    return {name: _decoded(document) for name, document in zip(names, documents, strict=True) if document is not None}


def keep_runs(store: OnlineStore, project: str, report: MaterializationReport) -> None:
    """Write down how the views of a run fared, and forget those that left the project.

    The run is over: where the online store cannot be reached any more, that is not what becomes of it.
    """
    try:
        for _ in range(ATTEMPTS):
            if _exchanged(store, project, report):
                return
    except OnlineStoreError:
        return


def records(report: MaterializationReport, before: Mapping[str, RunRecord]) -> dict[str, RunRecord]:
    """What is to be kept of a run.

    Args:
        before: what was kept of the runs before it.
    """
    at, made = as_utc(report.at), {}
    for done in report.published:
        last = before.get(done.view)
        whole = done.mode.value == "full"
        made[done.view] = RunRecord(
            at,
            "published",
            done.reason,
            done.mode.value,
            done.rows,
            done.removed,
            round(done.seconds, 3),
            report.invocation_id,
            full_rows=done.rows if whole else last.full_rows if last else None,
            full_at=at if whole else last.full_at if last else None,
            rows_since=0 if whole else done.rows + (last.rows_since if last else 0),
        )
    for failure in report.failed:
        made[failure.view] = _without_rows(at, "failed", str(failure.error), report, before.get(failure.view))
    for skip in report.skipped:
        if skip.failed:
            made[skip.view.name] = _without_rows(at, "held back", skip.reason, report, before.get(skip.view.name))
    return made


def _without_rows(at: datetime, outcome: str, why: str, report: MaterializationReport, last: RunRecord | None) -> RunRecord:
    record = RunRecord(at, outcome, why[:LONGEST_ERROR], invocation_id=report.invocation_id)
    if last is None:
        return record
    return msgspec.structs.replace(record, full_rows=last.full_rows, full_at=last.full_at, rows_since=last.rows_since)


def _exchanged(store: OnlineStore, project: str, report: MaterializationReport) -> bool:
    """Whether it was written: another run may write at the same time."""
    touched = [*(done.view for done in report.published), *(failure.view for failure in report.failed)]
    touched += [skip.view.name for skip in report.skipped if skip.failed] + list(report.left)
    if not touched:
        return True
    names = [document_name(view) for view in touched]
    stand = dict(zip(names, store.read_documents(project, names), strict=True))
    before = {view: _decoded(document) for view in touched if (document := stand[document_name(view)]) is not None}
    documents: dict[str, bytes | None] = {document_name(view): None for view in report.left}
    documents |= {document_name(view): msgspec.json.encode(record) for view, record in records(report, before).items()}
    return store.exchange_documents(project, stand, documents)


def _decoded(document: bytes) -> RunRecord:
    return msgspec.json.decode(document, type=RunRecord)
