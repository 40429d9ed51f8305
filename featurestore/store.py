"""The feature store of one dbt project: training data from its warehouse, current values from its online store.

It reads what dbt left in the target folder; only a backfill runs dbt. Every part is opened when it is first needed, so that a
listing touches no warehouse and an online read needs no manifest.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from featurestore.config import Settings, load_settings
from featurestore.dbt.artifacts import Manifest, read_manifest
from featurestore.dbt.freshness import ManifestFreshness
from featurestore.dbt.invoke import DbtRuns, project_options, refuse_options_from_environment
from featurestore.dbt.load import load_registry
from featurestore.dbt.microbatch import incomplete_models
from featurestore.dbt.profiles import Target, load_target
from featurestore.dbt.project import DbtProject, load_project
from featurestore.dbt.run_results import RunResults, last_publishable_run
from featurestore.errors import ManifestError, MaterializeError, OnlineStoreError, ProjectError, RequestError
from featurestore.registry.definitions import Column, FeatureReference, FeatureService, FeatureView, Relation
from featurestore.registry.registry import Registry, RequestedView
from featurestore.timestamps import Clock, as_utc, parse_duration, parse_instant, utc_now

if TYPE_CHECKING:
    from featurestore.audit.run import AuditReport
    from featurestore.backfill.plan import BackfillPlan
    from featurestore.backfill.progress import ProgressFile
    from featurestore.backfill.run import BackfillReport
    from featurestore.changes.compare import ProjectChanges
    from featurestore.checks.proof.project import ProjectProof
    from featurestore.checks.run import CheckReport
    from featurestore.landing import PushTo
    from featurestore.lineage.features import FeatureLineage, Impact
    from featurestore.lineage.project import ProjectLineage
    from featurestore.materialize.lease import Lease
    from featurestore.materialize.plan import MaterializationPlan
    from featurestore.materialize.run import MaterializationReport
    from featurestore.materialize.state import StoreState
    from featurestore.online_store.base import OnlineStore
    from featurestore.profile.sides import Side
    from featurestore.profile.statistics import ProfileReport
    from featurestore.serving.online_features import OnlineFeatures
    from featurestore.serving.push import Pushed
    from featurestore.serving.reader import OnlineFeatureStore
    from featurestore.status.run import StatusReport
    from featurestore.training.comparison import Comparison
    from featurestore.training.lock import LockedRequest, Origin
    from featurestore.training.retrieval import RetrievalJob
    from featurestore.warehouse.base import Warehouse

WantedFeatures = str | FeatureService | Sequence[str | FeatureReference]
"""A feature service or its name, one reference, or a list of references."""


class FeatureStore:
    """The feature store of one dbt project.

    Args:
        project_dir: the folder of dbt_project.yml.
        target: the target of the dbt profile; dbt's own default where it is not given.
        profile: the dbt profile, instead of the one that the project names.
        profiles_dir: the folder of profiles.yml, where it is not one that dbt would look into.
        online_store: URL of the online store, instead of the project's setting.
        clock: says what time it is; for tests.

    Raises ProjectError and its kinds when the project, its profile or its declarations cannot be used.
    """

    def __init__(
        self,
        project_dir: str | Path = ".",
        *,
        target: str | None = None,
        profile: str | None = None,
        profiles_dir: str | Path | None = None,
        online_store: str | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.project: DbtProject = load_project(Path(project_dir))
        self._target_name, self._profile_name = target, profile
        self._profiles_dir = Path(profiles_dir) if profiles_dir is not None else None
        self._flags = {"online_store": online_store} if online_store is not None else {}
        self._clock = clock

    def __enter__(self) -> FeatureStore:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give up the connections to the online store. The warehouse is opened for each job and closed after it."""
        for opened in ("_store", "_patient_store", "_reader"):
            if opened in self.__dict__:
                self.__dict__.pop(opened).close()

    @cached_property
    def target(self) -> Target:
        """The chosen target of the dbt profile."""
        return load_target(self.project, profiles_dir=self._profiles_dir, profile=self._profile_name, target=self._target_name)

    @cached_property
    def settings(self) -> Settings:
        """The settings in force, each with where it came from."""
        return load_settings(self.project, self.target.name, self._flags)

    @cached_property
    def registry(self) -> Registry:
        """All feature views and feature services that the project declares."""
        return load_registry(self._manifest, defaults=self.settings.defaults, describe=self._describe)

    def get_historical_features(
        self,
        entity_df: Any,
        features: WantedFeatures,
        *,
        event_timestamp: str = "event_timestamp",
        full_feature_names: bool = False,
    ) -> RetrievalJob:
        """Join features to a spine: every row sees only what was known at its own time.

        Args:
            entity_df: join keys and instants. Anything that speaks Arrow (pandas, polars, pyarrow, duckdb), SQL text, or
                `ref("a_model")`. Its other columns pass through.
            features: a feature service or its name, or references like `customer_orders:orders_7d` and `customer_orders:*`.
            event_timestamp: the spine's timestamp column. Naive values are read as UTC.
            full_feature_names: name feature columns `view__feature`.

        Nothing runs until the answer is asked for, by `to_arrow()`, `to_pandas()`, `to_parquet(path)` and so on.
        Raises UnknownNameError, EntityDataframeError, RequestError.
        """
        from featurestore.training.lock import request_of

        views = self.registry.resolve(features, full_feature_names=full_feature_names)
        return self._retrieve(views, entity_df, request_of(features, event_timestamp, full_feature_names))

    def rebuild_training_set(
        self, path: str | Path, *, entity_df: Any = None, output: str | Path | None = None, overwrite: bool = False
    ) -> Comparison:
        """Build a training set again from its lock, with what the project and the warehouse hold now, and say whether it is the same.

        Args:
            path: the Parquet file that `to_parquet` wrote, or its lock. The file itself may be gone.
            entity_df: the spine, where it was a dataframe and the file is gone. It has to have the same rows.
            output: write what was built now to this Parquet file, with a lock of its own.
            overwrite: let `output` replace the locked file.

        The comparison's `same` says it, its `features` which one moved and in how many rows, its `changes` what may explain it.
        Raises LockError, EntityDataframeError for another spine than the lock's, RequestError.
        """
        from featurestore.training.rebuild import open_locked, rebuild_training_set

        locked = open_locked(Path(path))
        target = locked.target(output, overwrite=overwrite) if output is not None else None
        request = locked.lock.request

        def retrieve(views: Sequence[RequestedView], spine: Any) -> RetrievalJob:
            return self._retrieve(views, spine, request)

        return rebuild_training_set(locked, self.registry, retrieve, entity_df=entity_df, output=target)

    def get_online_features(
        self,
        entity_rows: Sequence[Mapping[str, object]] | Mapping[str, Sequence[object]],
        features: WantedFeatures,
        *,
        full_feature_names: bool = False,
    ) -> OnlineFeatures:
        """The current values, from the online store.

        Args:
            entity_rows: join keys, as a list of rows or as columns.
            features: as for `get_historical_features`.
            full_feature_names: name features `view__feature`.

        Raises NotMaterializedError, EntityKeyError, UnknownNameError, OnlineStoreUnavailableError.
        """
        return self.online().get_online_features(entity_rows, features, full_feature_names=full_feature_names)

    def push(self, view: str, rows: Any, *, to: PushTo = "online") -> Pushed:
        """Write the newest values of some entities, ahead of the next materialization.

        Args:
            view: the feature view.
            rows: a list of dicts, a dict of lists, or anything that speaks Arrow: all join keys, the event timestamp and all features. A
                stream that can be read but once is checked and written batch by batch, everything else is checked before it is written.
            to: `online`, for serving; `offline`, to append to the table that the view's `landing` names, for training; or
                `online_and_offline`. What is appended offline is what a reader gets online.

        Raises PushError naming everything that is wrong with the rows, and as `OnlineFeatureStore.push`; RequestError where the view
        has no landing, or is served by another definition than the project has; WarehouseError.
        """
        from featurestore.landing import destinations, push_rows

        online, offline = destinations(to)
        return push_rows(
            rows,
            online=self.online().push_checked if online else None,
            declared=self.registry.view(view) if offline else None,
            served=self.online().registry.view(view) if online else None,
            warehouse=(lambda: self._warehouse),
            clock=self._clock,
        )

    def online(self) -> OnlineFeatureStore:
        """The reader of this project's online store, as a service without dbt would open it."""
        return self._reader

    def plan(
        self, select: Sequence[str] = (), exclude: Sequence[str] = (), *, everything: bool = False, full_refresh: bool = False
    ) -> MaterializationPlan:
        """What `materialize` with the same arguments would do now."""
        from featurestore.materialize.served import left
        from featurestore.materialize.state import StoreState

        run = last_publishable_run(self.project.run_results_path, everything)
        views = self.registry.select(select, exclude)
        state = StoreState.read(self._store, self.settings.project, [view.name for view in views])
        # What a selection leaves out has not left the project.
        leaving = () if select or exclude else left(self.registry, state.served)
        return self._planned(
            views,
            run,
            state,
            everything=everything,
            full_refresh=full_refresh,
            incomplete=incomplete_models(self._manifest, run) if run else {},
            leaving=leaving,
        )

    def publishing(self) -> Mapping[str, Lease]:
        """The views that some run publishes right now, each with who does and since when."""
        from featurestore.materialize.lease import running

        return running(self._store, self.settings.project, [view.name for view in self.registry.views])

    def materialize(
        self,
        select: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        everything: bool = False,
        full_refresh: bool = False,
        allow_shrink: bool = False,
        progress: Callable[[str, int], None] | None = None,
    ) -> MaterializationReport:
        """Publish the newest values to the online store: of the views that the last dbt run built, once.

        Args:
            select: only views that one of these selectors names: names, globs, `tag:`, `entity:`, `service:`.
            exclude: no views that one of these names.
            everything: all of them, whatever the last dbt run built and whether it was published before.
            full_refresh: read every view to be published in full, and publish again what was published before.
            allow_shrink: publish a view also where its source lost more entity keys since the last time than its `max_shrink`.
            progress: called with a view's name and how many more of its rows are online.

        Raises MaterializeError, which carries the report, where some view could not be published; the others are.
        """
        return self._publish(self.plan(select, exclude, everything=everything, full_refresh=full_refresh), progress, allow_shrink)

    def plan_backfill(
        self,
        select: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        start: datetime | date | str,
        end: datetime | date | str,
        downstream: bool = False,
        restart: bool = False,
        batches_per_run: int | None = 30,
        variables: str | None = None,
    ) -> BackfillPlan:
        """What it takes to build a range of history again, of feature views that dbt builds in batches (`microbatch`).

        Args:
            select: the views, as for `materialize`. Without any, all that are built in batches.
            exclude: no views that one of these names.
            start: where the range begins, in UTC; it is widened to whole batches.
            end: where it ends; the instant itself is not included.
            downstream: build and publish the feature views that depend on those, too.
            restart: run batches again that an earlier attempt at the same range has done.
            batches_per_run: how many batches one run of dbt holds at most; an interruption loses one run. None: all in one.
            variables: what dbt is told with `--vars`.

        The project is taken as its manifest has it: run `dbt parse` first where its files have changed since.
        Raises RequestError where a view is not built in batches or the range is none.
        """
        from featurestore.backfill.batches import Span
        from featurestore.backfill.plan import plan_backfill

        refuse_options_from_environment("FULL_REFRESH", "EMPTY", "SAMPLE")
        return plan_backfill(
            self._manifest,
            self.registry.select(select, exclude),
            self.registry.views,
            Span(_instant("start", start), _instant("end", end)),
            self._backfill_progress.read(),
            as_utc(self._clock()),
            chosen=bool(select),
            downstream=downstream,
            restart=restart,
            batches_per_run=batches_per_run,
            variables=variables,
        )

    def backfill(
        self,
        plan: BackfillPlan,
        *,
        threads: int | None = None,
        allow_shrink: bool = False,
        progress: Callable[[str, int], None] | None = None,
    ) -> BackfillReport:
        """Carry out what `plan_backfill` planned: run dbt, batch by batch, then publish the views that this changed.

        This runs dbt. Interrupted or failed, it publishes nothing, and the next plan of the same range continues where it stopped.

        Args:
            threads: how many threads dbt uses, instead of the profile's number.
            allow_shrink: as for `materialize`.
            progress: as for `materialize`.

        Raises BackfillError, which carries the report.
        """
        from featurestore.backfill.plan import changed_since
        from featurestore.backfill.run import run_backfill
        from featurestore.materialize.state import StoreState

        options = project_options(self.project.directory, self._profiles_dir, self._profile_name, self._target_name)
        options += ["--vars", plan.variables] if plan.variables else []
        options += ["--threads", str(threads)] if threads else []

        def publish(run: RunResults) -> MaterializationReport:
            # dbt has written the manifest anew.
            for read in ("_manifest", "registry"):
                self.__dict__.pop(read, None)
            if changed := changed_since(plan, self._manifest):
                raise ProjectError(
                    f"{', '.join(changed)}: the project changed while dbt ran, so some batches were built by an older definition. "
                    "Nothing is published; the same command runs all of them again."
                )
            views = [self.registry.view(name) for name in plan.published]
            state = StoreState.read(self._store, self.settings.project, [view.name for view in views])
            return self._publish(self._planned(views, run, state), progress, allow_shrink)

        return run_backfill(plan, DbtRuns(self.project, options), self._backfill_progress, publish, self._clock)

    def audit(
        self,
        select: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        at: datetime | date | str | None = None,
        sample: int | None = 10_000,
        examples: int = 3,
    ) -> AuditReport:
        """Compare what the online store answers with what training says, at one instant, without any tolerance.

        Args:
            select: the views, as for `materialize`. Without any, all that are online.
            exclude: no views that one of these names.
            at: the instant, in UTC. None: now.
            sample: how many entity keys of each view are asked about on each side: those with the newest and the oldest rows, others at
                random, and those that are online. None: all of them.
            examples: how many values of each kind are kept for each feature.

        The report's `agrees` says it; `featurestore.audit.report.to_arrow` makes a table of it.
        """
        from featurestore.audit.run import Audit
        from featurestore.serving.reader import OnlineFeatureStore

        instant = as_utc(self._clock()) if at is None else _instant("at", at)
        settings = self.settings

        def open_reader() -> OnlineFeatureStore:
            return OnlineFeatureStore(settings.online_store, settings.project, base_dir=self.project.directory, clock=lambda: instant)

        audit = Audit(settings.project, self._warehouse, self._store, open_reader, instant, sample, examples)
        return audit.run(self.registry.select(select, exclude))

    def status(
        self,
        select: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        max_lag: timedelta | str | None = None,
        count: bool = False,
    ) -> StatusReport:
        """How every feature view stands: in the warehouse, in the online store, and against dbt's freshness and its TTL.

        Args:
            select: the views, as for `materialize`. Without any, all that are online.
            exclude: no views that one of these names.
            max_lag: an error where now minus the newest event time that is online is longer, like `6 hours`. Beside dbt's freshness.
            count: count the rows of each view in the online store now, which goes over all its keys. Otherwise the last full run says.

        The report's `level` is the worst that was found. Raises RequestError, WarehouseError, OnlineStoreError.
        """
        from featurestore.status.run import Sides, status

        try:
            limit = parse_duration(max_lag) if isinstance(max_lag, str) else max_lag
        except ValueError as error:
            raise RequestError(f"max_lag: {error}") from None
        try:
            plan = self.plan(select, exclude)
        except ManifestError:
            plan = None  # What dbt ran last is no run that builds.
        sides = Sides(self.settings.project, self._store, self._warehouse, ManifestFreshness(self._manifest, self.project.target_path))
        return status(sides, self.registry, self.registry.select(select, exclude), plan, self._clock(), max_lag=limit, count=count)

    def profile(
        self,
        select: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        start: datetime | date | str | None = None,
        end: datetime | date | str | None = None,
        online: bool = False,
        against: str | Path | None = None,
        against_start: datetime | date | str | None = None,
        against_end: datetime | date | str | None = None,
        sample: int | None = 10_000,
        table: str | None = None,
    ) -> ProfileReport:
        """Statistics of each feature, and how far they are from others of the same feature: PSI and Jensen-Shannon distance.

        Args:
            select: the views, as for `materialize`. Without any, all of them.
            exclude: no views that one of these names.
            start: rows of the warehouse whose event timestamp is at this instant or later, in UTC. None: from the first.
            end: and before this one. None: to the last.
            online: instead of rows of the warehouse, what a service would be told now.
            against: what to compare with: a training set, as a Parquet file, `schema.table`, or `ref('a_model')`.
            against_start: instead, the rows of the warehouse from this instant on.
            against_end: and before this one.
            sample: of `online`, how many entity keys of each view. None: all of them.
            table: add a row for each feature to this table of the warehouse, which is made where there is none.

        The report's `drifted` are the features past a limit of `meta.feature_view.drift`; `featurestore.profile.report.to_arrow` makes a
        table of it. Raises RequestError, WarehouseError, OnlineStoreError, DeclarationError for limits that are none.
        """
        from featurestore.dbt.drift import drift_limits
        from featurestore.profile.report import append_to_table
        from featurestore.profile.run import profile_views
        from featurestore.profile.sides import Online, time_range, training_set
        from featurestore.training.retrieval import parse_table

        dialect = self._warehouse.dialect
        ranged = time_range(_maybe_instant("start", start), _maybe_instant("end", end))
        if online and (start is not None or end is not None):
            raise RequestError("What is online is of now: leave out start and end (--start, --end), or online (--online).")
        current: Side = Online(self.settings.project, self._store, self._reader, sample) if online else ranged
        baseline: Side | None = None
        if against_start is not None or against_end is not None:
            if against is not None:
                raise RequestError(
                    "Compare with a training set (against), or with a time range (against_start, against_end), not with both."
                )
            baseline = time_range(_maybe_instant("against_start", against_start), _maybe_instant("against_end", against_end))
        elif against is not None:
            baseline = training_set(str(against), self._manifest.relation, dialect, self.registry.views)
        target = parse_table(table, dialect) if table is not None else None
        views = [view for view in self.registry.select(select, exclude) if view.online or not online]
        report = profile_views(
            self._warehouse,
            views,
            current,
            baseline,
            lambda view: drift_limits(self._manifest, view),
            at=self._clock(),
            chosen=bool(select),
        )
        if target is not None:
            append_to_table(report, self._warehouse, target)
        return report

    def audit_served(
        self,
        log: str | Path,
        select: Sequence[str] = (),
        exclude: Sequence[str] = (),
        *,
        since: datetime | date | str | None = None,
        examples: int = 3,
    ) -> AuditReport:
        """Compare logged answers of readers and servers with what training says at the instants when they were given.

        Args:
            log: the folder that they were logged to, or one file of it.
            select: the views, as for `materialize`. Without any, all that were served.
            exclude: no views that one of these names.
            since: leave out what was asked before that instant, in UTC.
            examples: how many values of each kind are kept for each feature.

        Of each feature the report has how many values were `between` two materializations: stale, and as they should be. Raises
        RequestError where there is no log, or nothing of it is left to compare.
        """
        from featurestore.audit.served import ServedAudit
        from featurestore.audit.served_log import ServedLines

        lines = ServedLines(Path(log), self.settings.project, None if since is None else _instant("since", since))
        chosen = {view.name: view for view in self.registry.select(select, exclude)}
        left_out = [view.name for view in self.registry.views if view.name not in chosen]
        return ServedAudit(self._warehouse, chosen, examples).run(lines, at=self._clock(), left_out=left_out)

    def changes_since(self, artifacts: str | Path) -> ProjectChanges:
        """What the project as it is does to the features of another state of it, and to whoever uses them.

        Args:
            artifacts: dbt's artifacts of that state, such as production's: a folder, or its `manifest.json`. Both states have to be
                compiled, which `dbt compile` and `dbt build` do, for a change of SQL to be told from one beside it.

        Raises ManifestError, DeclarationError.
        """
        from featurestore.changes.compare import compare
        from featurestore.changes.state import State
        from featurestore.materialize.watermarks import read_watermarks

        path = Path(artifacts)
        manifest = read_manifest(path / "manifest.json" if path.is_dir() else path, project_name=self.project.name)
        before, after = (State.of(each, self.settings.defaults, self._describe) for each in (manifest, self._manifest))
        try:
            watermarks = read_watermarks(self._store, self.settings.project, self.registry.views)
        except OnlineStoreError:
            # Where a change is judged, the online store need not be in reach: only the number of rows is not known then.
            watermarks = {}
        return compare(before, after, {view: watermark.rows for view, watermark in watermarks.items()})

    def lineage(self, features: WantedFeatures) -> tuple[FeatureLineage, ...]:
        """Where features come from, column by column through the models, and who uses them.

        The project is taken as dbt compiled it. Raises UnknownNameError.
        """
        from featurestore.lineage.features import feature_lineage

        views = self.registry.resolve(features, full_feature_names=True)
        found = [feature_lineage(self._lineage, self.registry, part.view, feature) for part in views for feature in part.features]
        self._lineage.keep()
        return tuple(found)

    def check(self, select: Sequence[str] = (), exclude: Sequence[str] = ()) -> CheckReport:
        """What would make training see more than serving can, found in the SQL and in the declarations of feature views.

        Args:
            select, exclude: feature views, written like `fsdbt list --select`.

        The project is taken as dbt compiled it; where it only parsed it, `dbt compile` is run first. Raises SettingsError where the
        project's `checks` name a rule that there is not, and ProjectError where dbt cannot compile it.
        """
        from featurestore.checks.rules import known_rules
        from featurestore.checks.run import check
        from featurestore.checks.severities import read_severities
        from featurestore.checks.subject import Project

        severities = read_severities(self.settings.checks, known_rules(), self.project.vars_path)
        self._compile()
        registry = self._registry_of_any_keys
        views = [view.name for view in registry.select(select, exclude)]
        report = check(Project(self._manifest, registry, self._lineage, self.project.directory), severities, views=views)
        self._lineage.keep()
        return report

    def prove(self, select: Sequence[str] = (), exclude: Sequence[str] = ()) -> ProjectProof:
        """What later rows change of feature values before a cut, by experiment: dbt builds the models in a copy of the DuckDB file.

        Args:
            select, exclude: feature views, written like `fsdbt list --select`.

        This runs dbt four times. The project's database is only read. Raises RequestError where the target is no DuckDB file or no source
        row can be told to be later than another, and ProjectError where dbt cannot build the models.
        """
        from featurestore.checks.proof.project import ProofProject

        self._compile()
        proof = ProofProject(self.project.directory, self.target, self._lineage, self._describe)
        return proof.prove(self._registry_of_any_keys.select(select, exclude))

    def _compile(self) -> None:
        """Have dbt compile what a feature view depends on, where it has only parsed it, or not even that."""
        if self.project.manifest_path.exists() and self._is_compiled():
            return
        options = project_options(self.project.directory, self._profiles_dir, self._profile_name, self._target_name)
        sys.stderr.write("dbt has not compiled every model behind the feature views: running dbt compile.\n")
        code = DbtRuns(self.project, options).run(["compile"])
        for kept in ("_manifest", "registry", "_registry_of_any_keys", "_lineage"):
            self.__dict__.pop(kept, None)
        if code:
            raise ProjectError(f"dbt compile ended with exit code {code}; its output above says why. Nothing was checked.")

    @cached_property
    def _registry_of_any_keys(self) -> Registry:
        """The registry, also where join keys have types that the check is there to find."""
        return load_registry(self._manifest, defaults=self.settings.defaults, describe=self._describe, any_key=True)

    def _is_compiled(self) -> bool:
        views = [view.unique_id for view in self._registry_of_any_keys.views]
        behind = [self._manifest.nodes[each] for each in (*self._lineage.graph.ancestors(views), *views)]
        return all(each.compiled_code() is not None for each in behind if each.is_written_in_sql)

    def impact(self, column: str) -> Impact:
        """What a column reaches: the features that are made of it, or whose rows it decides, and the services that use them.

        Args:
            column: of a model, seed or source: `stg_orders.amount`, `shop.orders.amount`.

        The project is taken as dbt compiled it. Raises UnknownNameError.
        """
        from featurestore.lineage.features import find_column, impact

        reached = impact(self._lineage, self.registry, find_column(self._lineage, column))
        self._lineage.keep()
        return reached

    def latest_sql(self, features: WantedFeatures) -> dict[str, str]:
        """For each view that `features` names, the query that a full materialization would run now."""
        from featurestore.sql.latest import latest_rows
        from featurestore.sql.steps import step_rows

        return {
            part.view.name: (step_rows if part.view.aggregated else latest_rows)(part.view, self._clock(), self._warehouse.dialect).sql(
                self._warehouse.dialect, pretty=True
            )
            for part in self.registry.resolve(features, full_feature_names=True)
        }

    def _planned(
        self,
        views: Sequence[FeatureView],
        run: RunResults | None,
        state: StoreState,
        *,
        everything: bool = False,
        full_refresh: bool = False,
        incomplete: Mapping[str, str] | None = None,
        leaving: Sequence[str] = (),
    ) -> MaterializationPlan:
        from featurestore.dbt.checksums import code_digest
        from featurestore.materialize.plan import plan_materialization

        return plan_materialization(
            views,
            run,
            state.watermarks,
            self._clock(),
            everything=everything,
            full_refresh=full_refresh,
            failed_tests=self._manifest.failed_tests(run) if run else {},
            incomplete=incomplete,
            code_of=lambda unique_id: code_digest(self._manifest, unique_id),
            next_versions={view.name: state.next_version(view.name) for view in views},
            leaving=leaving,
        )

    def _publish(self, plan: MaterializationPlan, progress: Callable[[str, int], None] | None, allow_shrink: bool) -> MaterializationReport:
        from featurestore.materialize.run import run_materialization
        from featurestore.status.runs import keep_runs

        try:
            report = run_materialization(
                plan,
                registry=self.registry,
                project=self.settings.project,
                warehouse=self._warehouse,
                store=self._patient_store,
                at=self._clock(),
                progress=progress,
                allow_shrink=allow_shrink,
            )
        except MaterializeError as error:
            keep_runs(self._store, self.settings.project, error.report)
            raise
        keep_runs(self._store, self.settings.project, report)
        return report

    @cached_property
    def _lineage(self) -> ProjectLineage:
        from featurestore.lineage.project import ProjectLineage

        return ProjectLineage(self._manifest, describe=self._describe, folder=self.project.target_path)

    @cached_property
    def _manifest(self) -> Manifest:
        return read_manifest(self.project.manifest_path, project_name=self.project.name)

    @cached_property
    def _warehouse(self) -> Warehouse:
        from featurestore.warehouse.open import open_warehouse

        return open_warehouse(self.target)

    @cached_property
    def _store(self) -> OnlineStore:
        """For questions, and small notes: where it cannot be reached, that is said at once."""
        from featurestore.online_store.connect import open_store

        return open_store(self.settings.online_store, self.project.directory)

    @cached_property
    def _patient_store(self) -> OnlineStore:
        """For what takes long and would have to begin anew."""
        from featurestore.online_store.connect import PATIENCE_OF_A_RUN, open_store

        return open_store(self.settings.online_store, self.project.directory, patience=PATIENCE_OF_A_RUN)

    @property
    def _backfill_progress(self) -> ProgressFile:
        from featurestore.backfill.progress import FILE_NAME, ProgressFile

        return ProgressFile(self.project.target_path / FILE_NAME, self.target.name)

    @cached_property
    def _reader(self) -> OnlineFeatureStore:
        from featurestore.served_log import ServedLog
        from featurestore.serving.reader import OnlineFeatureStore

        settings, folder = self.settings, self.project.directory
        served_log = ServedLog(folder / settings.served_log, rate=settings.served_log_rate) if settings.served_log else None
        return OnlineFeatureStore(settings.online_store, settings.project, base_dir=folder, clock=self._clock, served_log=served_log)

    def _describe(self, relations: Sequence[Relation]) -> Mapping[Relation, tuple[Column, ...]]:
        return self._warehouse.describe(relations)

    def _retrieve(self, views: Sequence[RequestedView], entity_df: Any, request: LockedRequest) -> RetrievalJob:
        from featurestore.training.retrieval import historical_features

        return historical_features(
            self._warehouse,
            views,
            entity_df,
            event_timestamp=request.event_timestamp,
            relation_of=self._manifest.relation,
            origin=lambda: self._origin(views, request),
        )

    def _origin(self, views: Sequence[RequestedView], request: LockedRequest) -> Origin:
        """What a lock says of this project and of a request."""
        from featurestore.dbt.checksums import manifest_digest, model_state
        from featurestore.training.lock import LockedProject, Origin

        manifest = self._manifest
        return Origin(
            LockedProject(manifest.project_name, self.target.name, manifest_digest(manifest), manifest.dbt_version),
            request,
            {part.view.name: model_state(manifest, part.view.unique_id) for part in views},
            self._clock(),
        )


def _instant(name: str, said: datetime | date | str) -> datetime:
    try:
        return parse_instant(said) if isinstance(said, str) else as_utc(said)
    except ValueError as error:
        raise RequestError(f"{name}: {error}") from None


def _maybe_instant(name: str, said: datetime | date | str | None) -> datetime | None:
    return None if said is None else _instant(name, said)
