"""Carry out a backfill plan with dbt. What is done is written down after every run of dbt, so whatever stops it, the rest is known.

The first run in which something fails ends the backfill, since later batches may be built on the ones that are missing; then nothing
is published, and what is online stays as it is.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import msgspec

from featurestore.dbt.invoke import DbtRuns
from featurestore.dbt.run_results import NodeResult, RunResults
from featurestore.errors import BackfillError, MaterializeError
from featurestore.materialize.run import MaterializationReport
from featurestore.timestamps import Clock, as_utc

from .batches import Span, aligned, batches, remaining
from .plan import BackfillPlan, BatchRun, ModelBatches
from .progress import ModelProgress, ProgressFile

_FAILED = frozenset({"error", "fail", "skipped"})

Publish = Callable[[RunResults], MaterializationReport]
"""Publishes what that run built. May raise MaterializeError."""


@dataclass(frozen=True, slots=True)
class FailedBatch:
    """A batch that was to be run and is not done."""

    model: str
    batch: str
    """As dbt names it, such as `2013-01-31`."""


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What a backfill did."""

    batches: int
    """How many batches were run, and are done."""

    failed: tuple[FailedBatch, ...] = ()
    """Those of the run of dbt that ended the backfill."""

    publication: MaterializationReport | None = None
    """What was published; None where it did not come to that."""


def run_backfill(plan: BackfillPlan, dbt: DbtRuns, file: ProgressFile, publish: Publish, clock: Clock) -> BackfillReport:
    """Run the batches that are not done, then the tests and what depends on them, and publish.

    Raises BackfillError, which carries the report, where a batch, a test or a model failed, or a view could not be published.
    KeyboardInterrupt passes through; what was done until then is known to the next plan.
    """
    if plan.nothing_to_do:
        return BackfillReport(0)
    progress = {each.model.unique_id: _begun(each) for each in plan.models if each.model.unique_id not in plan.finished}
    file.write(progress)
    done, invocation = 0, uuid.uuid4().hex
    for run in plan.runs:
        results = None
        try:
            code = dbt.run(_arguments(run))
        finally:
            results = dbt.written()
            progress = _advanced(plan, progress, results)
            file.write(progress)
        failed = tuple(_failed(plan, run, progress))
        done += run.batches - len(failed)
        if code or failed or results is None:
            raise BackfillError(_what_failed(code, failed, results, plan), BackfillReport(done, failed))
        invocation = results.invocation_id
    after = _build_the_rest(plan, dbt, done)
    try:
        publication = publish(_as_one_run(plan, after, invocation))
    except MaterializeError as error:
        raise BackfillError(f"Every batch is done, but {error}", BackfillReport(done, (), error.report)) from None
    report = BackfillReport(done, (), publication)
    wrong = [f"{skip.view.name}: {skip.reason}" for skip in publication.skipped if skip.failed]
    if not wrong and after is not None:
        wrong = [f"{result.unique_id}: {result.status}" for result in after.results if result.status in _FAILED]
    if wrong:
        raise BackfillError("\n".join(["Every batch is done, but not all that follows:", *(f"  {line}" for line in wrong)]), report)
    finished = {
        key: msgspec.structs.replace(each, finished_at=as_utc(clock()), downstream=plan.downstream) for key, each in progress.items()
    }
    file.write(finished)
    return report


def _begun(each: ModelBatches) -> ModelProgress:
    """What is known of a model before anything runs: what is not to be run is done."""
    wanted = batches(each.span, each.batch_size)
    begun = ModelProgress(each.span.start, each.span.end, each.model.definition)
    return begun.with_done(remaining(wanted, each.to_run))


def _arguments(run: BatchRun) -> list[str]:
    start, end = (instant.strftime("%Y-%m-%dT%H:%M:%S") for instant in (run.span.start, run.span.end))
    return ["run", "--select", *run.models, "--event-time-start", start, "--event-time-end", end]


def _advanced(plan: BackfillPlan, progress: Mapping[str, ModelProgress], results: RunResults | None) -> dict[str, ModelProgress]:
    """The progress with the batches that dbt says it has built."""
    found = dict(progress)
    for each in plan.models:
        result = results.status(each.model.unique_id) if results else None
        if result is not None and result.batches is not None and each.model.unique_id in found:
            built = [Span(start, end) for start, end in result.batches.successful]
            found[each.model.unique_id] = found[each.model.unique_id].with_done(built)
    return found


def _failed(plan: BackfillPlan, run: BatchRun, progress: Mapping[str, ModelProgress]) -> Iterator[FailedBatch]:
    """The batches of that run that are not done."""
    for each in plan.models:
        if each.model.name in run.models:
            wanted = batches(aligned(run.span, each.batch_size), each.batch_size)
            for batch in remaining(wanted, progress[each.model.unique_id].spans_done):
                yield FailedBatch(each.model.name, each.batch_size.label(batch.start))


def _what_failed(code: int, failed: tuple[FailedBatch, ...], results: RunResults | None, plan: BackfillPlan) -> str:
    if results is None:
        return (
            f"dbt ended with exit code {code} and left no results, so none of that run's batches counts as done; see what it says above. "
            "Nothing is published; the same command continues."
        )
    unbatched = [each.model.name for each in plan.models if (result := results.status(each.model.unique_id)) and _is_unbatched(result)]
    if unbatched:
        return (
            f"dbt did not build {', '.join(unbatched)} in batches: the project has a microbatch macro of its own. Set the flag "
            "require_batched_execution_for_custom_microbatch_strategy in dbt_project.yml."
        )
    if not failed:
        return f"dbt ended with exit code {code}; see what it says above. Nothing is published; the same command continues."
    names = ", ".join(f"{each.model} {each.batch}" for each in failed[:5]) + (f" and {len(failed) - 5} more" if len(failed) > 5 else "")
    count = "1 batch is" if len(failed) == 1 else f"{len(failed)} batches are"
    return f"{count} not done: {names}. See what dbt says above. Nothing is published; the same command continues with what is not done."


def _is_unbatched(result: NodeResult) -> bool:
    return result.status == "success" and result.batches is None


def _build_the_rest(plan: BackfillPlan, dbt: DbtRuns, done: int) -> RunResults | None:
    """Test the models, and build and test what depends on them."""
    if not plan.tested and not plan.rebuilt:
        return None
    code = dbt.run(["build", "--select", *(f"{name},resource_type:test" for name in plan.tested), *plan.rebuilt])
    results = dbt.written()
    if results is None or code not in (0, 1):
        raise BackfillError(f"Every batch is done, but dbt could not run their tests (exit code {code}).", BackfillReport(done))
    return results


def _as_one_run(plan: BackfillPlan, after: RunResults | None, invocation: str) -> RunResults:
    """All that this and earlier attempts have built, as if one run of dbt had."""
    return RunResults(
        invocation_id=after.invocation_id if after else invocation,
        generated_at=after.generated_at if after else "",
        which="build",
        full_refresh=False,
        results=(*(NodeResult(key, "success") for key in plan.built), *(after.results if after else ())),
    )
