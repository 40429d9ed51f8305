"""Builds a locked training set again and compares: with the lock, and row by row with the locked file where that is still there.

The spine is taken as the lock has it: its model or SQL is asked again, a dataframe's rows are read back from the locked file. Where a
model or query answers with other rows than then (labels arrive every day), that is said, and the features are compared for the
rows from then, out of the locked file: whether a feature moved is another question than whether there are new labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from featurestore.errors import EntityDataframeError, LockError, RequestError, UnknownNameError
from featurestore.registry.registry import Registry, RequestedView

from .comparison import (
    Comparison,
    DataFile,
    SpineComparison,
    Verdict,
    changes_between,
    compare_features,
    compare_spines,
    same_questions,
)
from .lock import DATAFRAME, MODEL, SQL, Lock, read_lock, to_json
from .moved_spine import moved_rows
from .parquet_files import ParquetRows, checked_target, data_path, lock_path, write_parquet
from .retrieval import RetrievalJob
from .row_differences import ComparedColumn, LockedRows
from .spine import Ref

Retrieve = Callable[[Sequence[RequestedView], Any], RetrievalJob]
"""Makes the job for some views and a spine, with the timestamp column that the lock names."""


@dataclass(frozen=True, slots=True)
class LockedFile:
    """A training set's file and its lock."""

    path: Path
    lock: Lock

    def target(self, output: str | Path, *, overwrite: bool) -> Path:
        """Where to write what is built now. Raises RequestError for the locked file itself, unless it is to be overwritten."""
        target = checked_target(output)
        if not overwrite and target.resolve() == self.path.resolve():
            raise RequestError(
                f"{target} is the locked training set. Write to another file, or ask for it to be replaced: overwrite=True (--overwrite)."
            )
        return target


def open_locked(path: Path) -> LockedFile:
    """What lies at a path, which is the file's or its lock's. Raises LockError."""
    data = data_path(path)
    return LockedFile(data, read_lock(lock_path(data)))


def still_there(lock: Lock, registry: Registry) -> tuple[RequestedView, ...]:
    """What is left in the registry of the features that a lock names."""
    found: dict[str, list[str]] = {}
    for each in lock.features:
        try:
            view = registry.view(each.view)
        except UnknownNameError:
            continue
        # A plain name may mean another version by now, and another spelling another feature.
        if view.name == each.view and any(feature.name == each.feature for feature in view.all_features):
            found.setdefault(view.name, []).append(each.reference)
    references = [reference for of_view in found.values() for reference in of_view]
    return registry.resolve(references, full_feature_names=lock.request.full_feature_names) if references else ()


def rebuild_training_set(
    locked: LockedFile, registry: Registry, retrieve: Retrieve, *, entity_df: Any = None, output: Path | None = None
) -> Comparison:
    """Build a locked training set again, from what the project and the warehouse hold now, and compare.

    Args:
        locked: the file and its lock.
        registry: what exists now.
        retrieve: makes the job for some views and a spine.
        entity_df: the spine, instead of the lock's own; it has to have the same rows.
        output: where to write what was built, with a lock of its own. None: nowhere.

    Raises LockError where the spine is not to be had, EntityDataframeError where another one is given.
    """
    views = still_there(locked.lock, registry)
    if not views:
        return _nothing_left(locked)
    rebuilding = _Rebuilding(locked, views, partial(retrieve, views), output)
    if entity_df is not None:
        return rebuilding.given(entity_df)
    asked = _asked_again(locked.lock)
    return rebuilding.from_file() if asked is None else rebuilding.asked(asked)


class _OtherRows(Exception):
    """The spine's rows are not those from then."""

    def __init__(self, built: _Built) -> None:
        self.built = built


@dataclass(frozen=True, slots=True)
class _Built:
    """What came out, with what it was found to be beside the locked file."""

    lock: Lock
    beside: LockedRows


@dataclass(frozen=True, slots=True)
class _Rebuilding:
    """The ways to build it again, which differ in where the spine's rows come from."""

    locked: LockedFile
    views: tuple[RequestedView, ...]
    job: Callable[[Any], RetrievalJob]
    output: Path | None

    @property
    def then(self) -> Lock:
        return self.locked.lock

    def given(self, entity_df: Any) -> Comparison:
        """From a spine that the caller says is the one."""
        if isinstance(entity_df, ParquetRows):
            # The training set itself is a spine too, then.
            entity_df = replace(entity_df, columns=tuple(column.name for column in self.then.spine.columns))
        try:
            built = self._build(self.job(entity_df))
        except _OtherRows as other:
            raise EntityDataframeError(_not_the_spine(self.locked.path, self.then, other.built.lock)) from None
        return self._compared(built, compare_spines(self.then.spine, built.lock.spine))

    def from_file(self, spine: SpineComparison | None = None) -> Comparison:
        """From the rows in the locked file, for want of another place where they are."""
        built = self._from_file()
        return self._compared(built, spine or compare_spines(self.then.spine, built.lock.spine))

    def asked(self, spine: Ref | str) -> Comparison:
        """From the model or query that the lock names; or, where that has other rows by now, from those in the locked file."""
        try:
            job = self.job(spine)
        except UnknownNameError:
            rows = self.then.spine.rows
            return self.from_file(SpineComparison(Verdict.GONE, rows, None))
        try:
            built = self._build(job, whatever=not self.locked.path.exists())
            return self._compared(built, compare_spines(self.then.spine, built.lock.spine))
        except _OtherRows as other:
            today = other.built
        if today.beside.state(self.then) is not DataFile.INTACT:
            built = self._build(job, whatever=True)
            return self._compared(built, compare_spines(self.then.spine, built.lock.spine))
        names = [column.name for column in self.then.spine.columns]
        counted = moved_rows(job, self.locked.path, names) if _same_columns(self.then, today.lock) else (None, None)
        built = self._from_file(today.lock)
        return self._compared(built, compare_spines(self.then.spine, today.lock.spine, *counted))

    def _from_file(self, like: Lock | None = None) -> _Built:
        """What comes out for the rows in the locked file. Its lock says of the spine what `like` does."""
        path = self.locked.path
        if not path.exists():
            raise LockError(_spine_needed(path, self.then, "is gone"))
        rows = ParquetRows(path, tuple(column.name for column in self.then.spine.columns))
        try:
            return self._build(self.job(rows), like=like)
        except _OtherRows:
            raise LockError(_spine_needed(path, self.then, "holds other rows by now")) from None

    def _build(self, job: RetrievalJob, *, like: Lock | None = None, whatever: bool = False) -> _Built:
        """Run a job to its end, and write what comes out. Raises _OtherRows, nothing being written, where the spine's are others.

        Args:
            like: the lock that says how the spine was given, where it was not given as the job says.
            whatever: take other rows too.
        """
        beside = LockedRows(self.locked.path, _columns(self.views, self.then.request.event_timestamp))
        with job.recorded() as answer:

            def checked() -> _Built:
                lock = answer.lock()
                if like is not None:
                    spine = replace(lock.spine, given=like.spine.given, text=like.spine.text)
                    lock = replace(lock, spine=spine, sql=like.sql)
                built = _Built(lock, beside)
                if not whatever and lock.spine.digest != self.then.spine.digest:
                    raise _OtherRows(built)
                return built

            batches = beside.beside(iter(answer))
            if self.output is None:
                for _ in batches:
                    pass
            else:
                write_parquet(self.output, answer.schema, batches, lambda: to_json(checked().lock))
            return checked()

    def _compared(self, built: _Built, spine: SpineComparison) -> Comparison:
        state = built.beside.state(self.then)
        counted = built.beside.differences if state is DataFile.INTACT else None
        comparable = same_questions(self.then, built.lock, {key.name for part in self.views for key in part.view.join_keys})
        features = compare_features(self.then.features, built.lock.features, counted, same_rows=comparable)
        unmoved = spine.verdict in (Verdict.SAME, Verdict.REORDERED)
        return Comparison(
            path=str(self.locked.path),
            locked_at=self.then.created_at,
            same=unmoved and all(feature.verdict is Verdict.SAME for feature in features),
            file=state,
            rows=built.lock.rows,
            spine=spine,
            features=features,
            changes=changes_between(self.then, built.lock),
            written=None if self.output is None else str(self.output),
            time_travel=self.then.warehouse.time_travel,
        )


def _asked_again(lock: Lock) -> Ref | str | None:
    """The model or SQL that has the spine's rows. None: only the locked file has them."""
    spine = lock.spine
    if spine.text is None:
        return None
    return Ref(spine.text) if spine.given == MODEL else spine.text


def _columns(views: Sequence[RequestedView], event_timestamp: str) -> list[ComparedColumn]:
    return [
        ComparedColumn(name, tuple(key.name for key in part.view.join_keys), event_timestamp)
        for part in views
        for name in part.output_names
    ]


def _same_columns(then: Lock, now: Lock) -> bool:
    return {column.name: column.type for column in then.spine.columns} == {column.name: column.type for column in now.spine.columns}


def _nothing_left(locked: LockedFile) -> Comparison:
    then, beside = locked.lock, LockedRows(locked.path, ())
    beside.read()
    return Comparison(
        path=str(locked.path),
        locked_at=then.created_at,
        same=False,
        file=beside.state(then),
        rows=0,
        spine=SpineComparison(Verdict.UNKNOWN, then.spine.rows, None),
        features=compare_features(then.features, (), None, same_rows=False),
        changes=(),
        time_travel=then.warehouse.time_travel,
    )


def _not_the_spine(path: Path, then: Lock, now: Lock) -> str:
    found = compare_spines(then.spine, now.spine)
    if found.rows_then != found.rows_now:
        what = f"it had {found.rows_then:,} rows, and this has {found.rows_now:,}"
    else:
        what = f"these of its columns are others, or in another order: {', '.join(found.columns)}"
    return f"The entity dataframe is not the spine that {path} was made for: {what}. Give the one from then."


def _spine_needed(path: Path, then: Lock, fate: str) -> str:
    given = _NOT_TO_BE_HAD[then.spine.given]
    return f"The spine of {path} was {given}, and the file that has its rows {fate}. Give the spine: --spine FILE (entity_df=…)."


_NOT_TO_BE_HAD = {
    DATAFRAME: "a dataframe",
    MODEL: "a model that no longer exists",
    SQL: "SQL that the lock withholds, since it seemed to hold a credential",
}
