"""Read current feature values with nothing but the online store: no dbt, no manifest, no warehouse.

One request is one round trip. What exists is read from the store at first use, and again when a minute has passed, when a name is
unknown, or when a row was written under a schema that was not seen before: a service need not be restarted for a new feature.

That a row is not there is believed only of keys that were served a short while ago. What the snapshot names stays complete for longer
than that after another version of it is served (`featurestore.materialize.versions`), so a reader that was held up, or that is told to
keep a snapshot for long, reads it again before it says NOT_FOUND: a row that is served is found, whatever is published meanwhile.

The steps of a request are written once, as a generator that asks for what it needs; the sync and the async reader differ only in
how they fetch it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, TypeAlias, TypeVar

from featurestore.codec.decode import UnknownSchemas, learn_documents
from featurestore.codec.layout import schema_document_name
from featurestore.codec.versions import watermark_document_name
from featurestore.errors import NotMaterializedError, RequestError, UnknownNameError
from featurestore.online_store.base import AsyncOnlineStore
from featurestore.online_store.connect import open_async_store, open_store, without_secrets
from featurestore.registry.definitions import FeatureView
from featurestore.registry.registry import Registry
from featurestore.registry.snapshot import HELD_FOR, SNAPSHOT
from featurestore.served_log import ServedLog
from featurestore.timestamps import Clock, utc_now

from .lookup import EntityRows, Lookup, OnlineRequest, assemble, plan_lookup, refuse_offline
from .online_features import OnlineFeatures
from .published import Published, WantedFeatures
from .push import CheckedRows, Pushed, PushedRows, check_rows, refuse_unpushable, takes_the_rows_of
from .pushing import Pushing
from .served_values import AnswerLog, ServedBy
from .store_steps import ReadDocuments, ReadRows, StoreStep

REFRESH_AFTER = HELD_FOR
"""How old the snapshot may get before it is read again."""

SURE_FOR = HELD_FOR * 1.5
"""How old it may be for a missing row to be believed: the keys it names are complete for twice `HELD_FOR`, and clocks differ a little."""

UNKNOWN_NAME_AFTER = timedelta(seconds=1)
"""How old it must be for an unknown name to be looked for anew."""

Admit: TypeAlias = Callable[[OnlineRequest, EntityRows], EntityRows]
"""Called with what a choice of features means before anything is read for it. It may refuse, by raising, and gives the entity rows to
look up: a server puts its access rules here, and what turns the texts of a request into typed join keys."""


AdmitPush: TypeAlias = Callable[[FeatureView, PushedRows], PushedRows]
"""The same for a push: called with the view that is served and the rows; it may refuse, and gives the rows to check."""

_Result = TypeVar("_Result")
_Steps: TypeAlias = Generator[StoreStep, Any, _Result]


class _Asked(NamedTuple):
    """When the snapshot was asked for: as the how-manieth time, and by the clock."""

    number: int
    at: datetime


class _Reader:
    """The decisions that both readers share."""

    def __init__(
        self, url: str, project: str, clock: Clock, refresh_after: timedelta, public_only: bool, served_log: ServedLog | None
    ) -> None:
        self._place, self._project, self._public_only = without_secrets(url), project, public_only
        self._clock, self._refresh_after = clock, refresh_after
        self._published: Published | None = None
        self._asks, self._newest = count(), -1
        self._pushing = Pushing(project)
        self._served_log = served_log
        self._answers = None if served_log is None else AnswerLog(project, served_log)

    def _steps(
        self, entity_rows: EntityRows, features: WantedFeatures, full_feature_names: bool, admit: Admit | None
    ) -> _Steps[OnlineFeatures]:
        while True:
            published = yield from self._fresh(self._refresh_after)
            try:
                request = published.request(features, full_feature_names)
            except UnknownNameError:
                if (yield from self._fresh(UNKNOWN_NAME_AFTER)) is published:
                    raise
                continue
            lookup = plan_lookup(request, entity_rows if admit is None else admit(request, entity_rows))
            by = self._answers.served_by(published) if self._answers is not None and self._answers.chosen() else None
            rows: list[bytes | None] = (yield ReadRows(lookup.keys)) if lookup.keys else []
            if not self._recent(published, SURE_FOR) and None in rows and (yield from self._fresh(timedelta(0))) is not published:
                continue
            answer = yield from self._assembled(lookup, rows, published, by)
            if answer is not None:
                return answer

    def _assembled(
        self, lookup: Lookup, rows: list[bytes | None], published: Published, by: ServedBy | None
    ) -> _Steps[OnlineFeatures | None]:
        """The answer, logged where `by` says how; None where a newer snapshot has to be read for it."""
        while True:
            now = self._clock()
            try:
                answer = assemble(lookup, rows, now)
            except UnknownSchemas as unknown:
                schema_ids = sorted(unknown.schema_ids)
                names = [schema_document_name(unknown.view, schema_id) for schema_id in schema_ids]
                asked = self._ask()
                snapshot, *documents = yield ReadDocuments(self._project, (SNAPSHOT, *names))
                if snapshot != published.document:
                    self._keep(snapshot, asked)
                    return None
                part = next(part for part in lookup.request.parts if part.view == unknown.view)
                learn_documents(part.decoder, unknown.view, dict(zip(schema_ids, documents, strict=True)))
            else:
                if self._answers is not None and by is not None:
                    self._answers.add(by, lookup, answer, now)
                return answer

    def _push_steps(self, view: str, rows: PushedRows, admit: AdmitPush | None) -> _Steps[Pushed]:
        served = yield from self._served(view, self._refresh_after)
        while True:
            refuse_offline(served)
            checked = check_rows(served, rows if admit is None else admit(served, rows), self._clock())
            written = yield from self._pushing.steps(checked)
            if written is not None:
                return Pushed(served.name, len(checked.event_times), written)
            served = yield from self._served(view, timedelta(0))

    def _checked_steps(self, checked: CheckedRows) -> _Steps[Pushed]:
        refresh_after = self._refresh_after
        while True:
            served = yield from self._served(checked.view.name, refresh_after)
            refuse_offline(served)
            refuse_unpushable(served)
            if not takes_the_rows_of(served, checked.view):
                raise RequestError(f"{served.name!r} is served by another definition than the project has. Run: fsdbt materialize")
            written = yield from self._pushing.steps(replace(checked, view=served))
            if written is not None:
                return Pushed(served.name, len(checked.event_times), written)
            refresh_after = timedelta(0)

    def _served(self, view: str, refresh_after: timedelta) -> _Steps[FeatureView]:
        published = yield from self._fresh(refresh_after)
        try:
            return published.registry.view(view)
        except UnknownNameError:
            published = yield from self._fresh(UNKNOWN_NAME_AFTER)
            return published.registry.view(view)

    def _fresh(self, refresh_after: timedelta) -> _Steps[Published]:
        published = self._published
        if published is not None and self._recent(published, refresh_after):
            return published
        if self._answers is not None:
            return (yield from self._fresh_with_watermarks(self._answers))
        asked = self._ask()
        (snapshot,) = yield ReadDocuments(self._project, (SNAPSHOT,))
        return self._keep(snapshot, asked)

    def _fresh_with_watermarks(self, answers: AnswerLog) -> _Steps[Published]:
        """The same, and for the log when views were last materialized: before any row is read, so that rows are at least as new."""
        while True:
            known = self._published
            views = [view.name for view in known.registry.views] if known is not None else []
            asked = self._ask()
            snapshot, *watermarks = yield ReadDocuments(self._project, (SNAPSHOT, *map(watermark_document_name, views)))
            published = self._keep(snapshot, asked)
            answers.learn(dict(zip(views, watermarks, strict=True)))
            if known is not None:
                return published

    def _recent(self, published: Published, age: timedelta) -> bool:
        """Whether it was read less than so long ago; not where the clock was set back since."""
        return timedelta(0) <= self._clock() - published.read_at < age

    def _ask(self) -> _Asked:
        return _Asked(next(self._asks), self._clock())

    def _keep(self, snapshot: bytes | None, asked: _Asked) -> Published:
        """What to go by from now on, given an answer. One that was asked for later may have come before it; then it is that."""
        if snapshot is None:
            raise NotMaterializedError(
                f"The online store {self._place} holds nothing of project {self._project!r}. Publish it first: fsdbt materialize"
            )
        if self._published is None or asked.number > self._newest:
            self._newest = asked.number
            if self._published is None or self._published.document != snapshot:
                self._published = Published(self._project, snapshot, asked.at, public_only=self._public_only)
            self._published.read_at = asked.at
        return self._published


class OnlineFeatureStore(_Reader):
    """The current feature values of one project. May be shared by threads.

    Args:
        url: of the online store: `redis://…`, `redis+cluster://…`, `redis+sentinel://…`, `unix://…` or `sqlite:///file`.
        project: the project whose features are read.
        base_dir: the folder that a relative `sqlite:///file` starts from.
        clock: says what time it is; for tests.
        refresh_after: how old the snapshot of what exists may get.
        public_only: leave out feature views of private models, and feature services with features of them.
        served_log: where a part of the answers is logged, for `fsdbt audit --served`. None: nowhere.
    """

    def __init__(
        self,
        url: str,
        project: str,
        *,
        base_dir: Path | str = ".",
        clock: Clock = utc_now,
        refresh_after: timedelta = REFRESH_AFTER,
        public_only: bool = False,
        served_log: ServedLog | None = None,
    ) -> None:
        super().__init__(url, project, clock, refresh_after, public_only, served_log)
        self._store = open_store(url, base_dir)

    @property
    def registry(self) -> Registry:
        """What is published: views, features and services."""
        published: Published = self._run(self._fresh(self._refresh_after))
        return published.registry

    def get_online_features(self, entity_rows: EntityRows, features: WantedFeatures, *, full_feature_names: bool = False) -> OnlineFeatures:
        """The current values for some entity rows.

        Args:
            entity_rows: a list of dicts, or a dict of lists. Columns that are no join keys pass through.
            features: a feature service or its name, one reference, or a list of references (`view:feature`, `view:*`).
            full_feature_names: name each output column `view__feature`.

        Raises NotMaterializedError, UnknownNameError, EntityKeyError, RequestError, OnlineStoreUnavailableError.
        """
        answer: OnlineFeatures = self._run(self._steps(entity_rows, features, full_feature_names, None))
        return answer

    def push(self, view: str, rows: PushedRows) -> Pushed:
        """Write the newest values of some entities, ahead of the next materialization. Whoever reads after this returned sees them.

        Args:
            view: the feature view.
            rows: a list of dicts or a dict of lists: all join keys, the event timestamp and all features, each under its column's name.
                Instants without a zone are UTC.

        A row with an older event time than what is online leaves it as it is. Raises PushError, which names everything that is wrong with
        the rows, before anything is written; RequestError for a view that takes no rows; NotMaterializedError, UnknownNameError,
        OnlineStoreUnavailableError.
        """
        pushed: Pushed = self._run(self._push_steps(view, rows, None))
        return pushed

    def push_checked(self, checked: CheckedRows) -> Pushed:
        """As `push`, of rows that `featurestore.serving.push.check_rows` has taken, for what writes the same rows elsewhere, too.

        Raises RequestError where the view is served by a definition of which they are no rows.
        """
        pushed: Pushed = self._run(self._checked_steps(checked))
        return pushed

    def close(self) -> None:
        """Give up the connections, and write what waits to be logged."""
        self._store.close()
        if self._served_log is not None:
            self._served_log.close()

    def __enter__(self) -> OnlineFeatureStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _run(self, steps: _Steps[Any]) -> Any:
        try:
            step = next(steps)
            while True:
                step = steps.send(step.on(self._store))
        except StopIteration as end:
            return end.value


class AsyncOnlineFeatureStore(_Reader):
    """As `OnlineFeatureStore`, for asyncio: the same arguments, answers and errors.

    Args:
        store: an open online store to read through, instead of opening the one at `url`.
    """

    def __init__(
        self,
        url: str,
        project: str,
        *,
        base_dir: Path | str = ".",
        clock: Clock = utc_now,
        refresh_after: timedelta = REFRESH_AFTER,
        public_only: bool = False,
        served_log: ServedLog | None = None,
        store: AsyncOnlineStore | None = None,
    ) -> None:
        super().__init__(url, project, clock, refresh_after, public_only, served_log)
        self._store = store or open_async_store(url, base_dir)

    async def read_registry(self) -> Registry:
        """What is published: views, features and services."""
        published: Published = await self._run(self._fresh(self._refresh_after))
        return published.registry

    async def check(self) -> Registry:
        """What is published, as the store says it now. Raises NotMaterializedError and OnlineStoreUnavailableError."""
        published: Published = await self._run(self._fresh(timedelta(0)))
        return published.registry

    async def get_online_features(
        self, entity_rows: EntityRows, features: WantedFeatures, *, full_feature_names: bool = False, admit: Admit | None = None
    ) -> OnlineFeatures:
        """As `OnlineFeatureStore.get_online_features`.

        Args:
            admit: called with what the features mean and the entity rows before anything is read; gives the rows to look up.
        """
        answer: OnlineFeatures = await self._run(self._steps(entity_rows, features, full_feature_names, admit))
        return answer

    async def push(self, view: str, rows: PushedRows, *, admit: AdmitPush | None = None) -> Pushed:
        """As `OnlineFeatureStore.push`.

        Args:
            admit: called with the view that is served and the rows before they are checked; gives the rows to push.
        """
        pushed: Pushed = await self._run(self._push_steps(view, rows, admit))
        return pushed

    async def close(self) -> None:
        """Give up the connections, and write what waits to be logged."""
        await self._store.close()
        if self._served_log is not None:
            await asyncio.to_thread(self._served_log.close)

    async def __aenter__(self) -> AsyncOnlineFeatureStore:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def _run(self, steps: _Steps[Any]) -> Any:
        try:
            step = next(steps)
            while True:
                step = steps.send(await step.on(self._store))
        except StopIteration as end:
            return end.value
