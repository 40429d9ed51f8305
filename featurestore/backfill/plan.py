"""What a backfill will do, decided before anything is done: what `fsdbt backfill` shows is the list that it walks.

1. dbt runs the batches that are not done yet. dbt says nothing of the batches of a run that was killed, so a run of dbt holds a
   bounded number of them: what is lost by an interruption is at most one run.
2. dbt tests the models, and builds what depends on them where that was asked for.
3. The feature views that this changed are published, and no others.

Models of several batch sizes are run over whole batches of the coarsest, in dbt's own order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from featurestore.dbt.artifacts import Manifest
from featurestore.dbt.graph import ProjectGraph
from featurestore.dbt.microbatch import MicrobatchModel, microbatch_model
from featurestore.errors import RequestError
from featurestore.registry.definitions import FeatureView

from .batches import BatchSize, Span, aligned, batches, chunks, coarsest, joined, remaining
from .progress import ModelProgress
from .remedies import not_in_batches, remedy

_SIZES = {size.value: size for size in BatchSize}

BATCHES_PER_RUN = 30
"""Starting dbt costs some three seconds, a batch in a warehouse about as much: a tenth is lost to starting, and half an hour at most
to an interruption of batches that take a minute each."""


@dataclass(frozen=True, slots=True)
class ModelBatches:
    """The batches of one microbatch model in the range."""

    model: MicrobatchModel
    batch_size: BatchSize
    span: Span
    """The range, in whole batches of this model."""

    to_run: tuple[Span, ...]
    done: int
    """How many batches are done already."""

    note: str = ""
    """What a person should know of it."""


@dataclass(frozen=True, slots=True)
class BatchRun:
    """One run of dbt over some batches."""

    span: Span
    models: tuple[str, ...]
    """As dbt selects them: the microbatch models, and what stands between them."""

    batches: int


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A feature view that is left as it is, and why."""

    view: str
    reason: str


@dataclass(frozen=True, slots=True)
class BackfillPlan:
    """What to run, build and publish, in that order."""

    span: Span
    """The range as it was asked for; each model's is widened to whole batches."""

    models: tuple[ModelBatches, ...]
    """In the order in which dbt builds them."""

    runs: tuple[BatchRun, ...]
    built: tuple[str, ...]
    """The unique ids of all that the runs build: the models, and what stands between them."""

    tested: tuple[str, ...]
    """The models whose tests dbt runs after the batches."""

    rebuilt: tuple[str, ...]
    """The models and snapshots that depend on those, and are built after the batches."""

    published: tuple[str, ...]
    """The feature views that are published in the end."""

    left_alone: tuple[LeftAlone, ...]
    finished: Mapping[str, datetime]
    """When the same backfill of a model was finished before, by the model's unique id."""

    downstream: bool
    """Whether what depends on the models is built and published, too."""

    variables: str | None
    """What dbt is told with `--vars`."""

    @property
    def nothing_to_do(self) -> bool:
        """Whether this very backfill is finished."""
        return not self.runs and len(self.finished) == len(self.models)

    @property
    def batches(self) -> int:
        """How many batches are to be run."""
        return sum(len(each.to_run) for each in self.models)


def plan_backfill(
    manifest: Manifest,
    views: Sequence[FeatureView],
    every_view: Sequence[FeatureView],
    span: Span,
    progress: Mapping[str, ModelProgress],
    now: datetime,
    *,
    chosen: bool,
    downstream: bool = False,
    restart: bool = False,
    batches_per_run: int | None = BATCHES_PER_RUN,
    variables: str | None = None,
) -> BackfillPlan:
    """Decide what to do.

    Args:
        views: those that were selected.
        every_view: all that there are.
        span: the range asked for; it is widened to whole batches, as dbt does.
        progress: what is known of earlier backfills, by the model's unique id.
        chosen: whether the views were named. Then one that is not built in batches is an error, else it is left alone.
        downstream: build and publish what depends on the models, too.
        restart: run batches again that are done.
        batches_per_run: how many batches of the coarsest size one run of dbt holds at most; None: all.
        variables: what dbt is told with `--vars`. Batches that were built with others are not done.

    Raises RequestError, before anything has run, where what was asked for cannot be done.
    """
    graph = ProjectGraph(manifest)
    models, others = _microbatch_models(manifest, graph, views, variables)
    if others and (chosen or not models):
        raise RequestError(not_in_batches(others, bool(models)))
    by_id = {view.unique_id: view for view in every_view}
    below = _leading_to_views(graph, models, by_id)
    models |= _microbatch(manifest, graph, below if downstream else (), variables)
    models |= _microbatch(manifest, graph, _between(graph, models), variables)
    _check(models.values(), span, now)
    between = _between(graph, models)
    after = (below if downstream else frozenset()) - between - models.keys()
    planned = tuple(_model_batches(models[key], span, progress.get(key), restart) for key in graph.in_order(models))
    finished = _finished(planned, progress, downstream, restart)
    changed = (models.keys() - finished.keys()) | between | after if len(finished) < len(models) else frozenset()

    def names(unique_ids: Iterable[str]) -> tuple[str, ...]:
        return tuple(manifest.nodes[key].view_name for key in graph.in_order(unique_ids))

    return BackfillPlan(
        span=span,
        models=planned,
        runs=tuple(_runs(_pieces(planned, span, batches_per_run), lambda keys: names({*keys, *between}), batches_per_run)),
        built=graph.in_order({*models, *between}),
        tested=names(changed & manifest.tested() - after),
        rebuilt=names(changed & after),
        published=tuple(sorted(by_id[key].name for key in changed if key in by_id and by_id[key].online)),
        left_alone=(
            *(LeftAlone(view.name, remedy(view)) for view in others),
            *_stale(graph, below - after - between - models.keys(), models, by_id),
        ),
        finished=finished,
        downstream=downstream,
        variables=variables,
    )


def changed_since(plan: BackfillPlan, manifest: Manifest) -> tuple[str, ...]:
    """The models of the plan whose definition is another one by now: somebody changed the project while dbt ran."""
    graph = ProjectGraph(manifest)
    now = _microbatch(
        manifest, graph, [each.model.unique_id for each in plan.models if each.model.unique_id in manifest.nodes], plan.variables
    )
    return tuple(each.model.name for each in plan.models if now.get(each.model.unique_id) != each.model)


def _microbatch_models(
    manifest: Manifest, graph: ProjectGraph, views: Sequence[FeatureView], variables: str | None
) -> tuple[dict[str, MicrobatchModel], list[FeatureView]]:
    """The models of those views that dbt builds in batches, and the views that it does not."""
    models = _microbatch(manifest, graph, [view.unique_id for view in views], variables)
    return models, [view for view in views if view.unique_id not in models]


def _microbatch(manifest: Manifest, graph: ProjectGraph, unique_ids: Iterable[str], variables: str | None) -> dict[str, MicrobatchModel]:
    found = ((key, microbatch_model(manifest, graph, key, variables)) for key in unique_ids)
    return {key: model for key, model in found if model is not None}


def _leading_to_views(graph: ProjectGraph, models: Iterable[str], views: Iterable[str]) -> frozenset[str]:
    """What depends on the models and is a feature view, or is needed by one."""
    below = graph.descendants(models)
    wanted = below & set(views)
    return wanted | (graph.ancestors(wanted) & below)


def _between(graph: ProjectGraph, models: Iterable[str]) -> frozenset[str]:
    """What depends on one of the models and is selected from by another: dbt must build it between the two."""
    return (graph.descendants(models) & graph.ancestors(models)) - set(models)


def _check(models: Iterable[MicrobatchModel], span: Span, now: datetime) -> None:
    if span.start >= span.end:
        raise RequestError(f"The end, {_shown(span.end)}, is not after the start, {_shown(span.start)}. The end itself is not included.")
    for model in models:
        if model.batch_size not in _SIZES:
            raise RequestError(f"{model.name}: batch_size is {model.batch_size!r}, and must be one of {', '.join(_SIZES)}.")
        if model.rebuilt_every_time:
            raise RequestError(
                f"{model.name}: its config says full_refresh: true, so every run of dbt starts a new table and drops the rows outside "
                "the range. Remove that from the model's config."
            )
        latest = _SIZES[model.batch_size].ceiling(now)
        if span.end > latest:
            raise RequestError(f"The end, {_shown(span.end)}, is in the future: {model.name} has no batch after {_shown(latest)} yet.")


def _model_batches(model: MicrobatchModel, span: Span, progress: ModelProgress | None, restart: bool) -> ModelBatches:
    size = _SIZES[model.batch_size]
    own = aligned(span, size)
    wanted = tuple(batches(own, size))
    notes = []
    if model.begin is not None and own.start < size.floor(model.begin):
        notes.append(f"the range starts before the model's begin, {_shown(model.begin)}")
    to_run = wanted
    if progress is not None and not restart:
        if progress.span == own and progress.definition == model.definition:
            to_run = remaining(wanted, progress.spans_done)
        elif progress.done and progress.span == own:
            notes.append("its definition changed since batches of it were done, so all of them run again")
        elif progress.done and progress.finished_at is None:
            notes.append(f"its unfinished backfill from {_shown(progress.start)} to {_shown(progress.end)} is given up")
    return ModelBatches(model, size, own, to_run, len(wanted) - len(to_run), "; ".join(notes))


def _finished(
    planned: Iterable[ModelBatches], progress: Mapping[str, ModelProgress], downstream: bool, restart: bool
) -> dict[str, datetime]:
    found = {}
    for each in planned:
        known = progress.get(each.model.unique_id)
        if known is not None and known.finished_at is not None and not restart and not each.to_run and known.downstream >= downstream:
            found[each.model.unique_id] = known.finished_at
    return found


@dataclass(frozen=True, slots=True)
class _Piece:
    """The part of a run that lies in one window, which is a batch of the coarsest size."""

    span: Span
    models: tuple[str, ...]
    batches: int
    whole: bool
    """Whether nothing of the window is done for any of the models, so that dbt may run them together, and the next window with it."""


def _pieces(planned: Sequence[ModelBatches], span: Span, most: int | None) -> Iterator[_Piece]:
    size = coarsest(each.batch_size for each in planned)
    finest = aligned(span, min((each.batch_size for each in planned), key=list(BatchSize).index))
    to_run = [_by_window(each.to_run, size) for each in planned]
    wanted = [_by_window(batches(each.span, each.batch_size), size) for each in planned]
    for window in batches(aligned(span, size), size):
        active = [position for position, found in enumerate(to_run) if window.start in found]
        counts = [len(to_run[position][window.start]) for position in active]
        if counts == [len(wanted[position][window.start]) for position in active]:
            if active:
                clipped = Span(max(window.start, finest.start), min(window.end, finest.end))
                yield _Piece(clipped, tuple(planned[position].model.unique_id for position in active), sum(counts), True)
            continue
        for position in active:
            each = planned[position]
            for left in chunks(joined(to_run[position][window.start]), each.batch_size, most):
                yield _Piece(left, (each.model.unique_id,), sum(1 for _ in batches(left, each.batch_size)), False)


def _runs(pieces: Iterable[_Piece], names: Callable[[Iterable[str]], tuple[str, ...]], most: int | None) -> Iterator[BatchRun]:
    """The runs of dbt: neighbouring windows in which the same models have everything to do are run at once."""
    together: list[_Piece] = []

    def run() -> BatchRun:
        span = Span(together[0].span.start, together[-1].span.end)
        return BatchRun(span, names(together[0].models), sum(piece.batches for piece in together))

    for piece in pieces:
        last = together[-1] if together else None
        if last and not (
            last.whole and piece.whole and last.models == piece.models and last.span.end == piece.span.start and len(together) != most
        ):
            yield run()
            together = []
        together.append(piece)
    if together:
        yield run()


def _by_window(spans: Iterable[Span], size: BatchSize) -> dict[datetime, list[Span]]:
    found: dict[datetime, list[Span]] = {}
    for batch in spans:
        found.setdefault(size.floor(batch.start), []).append(batch)
    return found


def _stale(graph: ProjectGraph, unique_ids: frozenset[str], models: Iterable[str], views: Mapping[str, FeatureView]) -> Iterator[LeftAlone]:
    """The feature views that depend on the models and are not built again."""
    for key in sorted(unique_ids & views.keys()):
        causes = ", ".join(sorted(views[model].name for model in graph.ancestors([key]) & set(models) if model in views))
        yield LeftAlone(views[key].name, f"depends on {causes}, and --downstream would build and publish it too")


def _shown(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%d" if instant == BatchSize.DAY.floor(instant) else "%Y-%m-%dT%H:%M:%S")
