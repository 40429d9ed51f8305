"""How the plan of a backfill is shown, to people and as `--json`."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featurestore.backfill.plan import BackfillPlan, BatchRun, ModelBatches
    from featurestore.dbt.microbatch import BatchInput


def plan_lines(plan: BackfillPlan) -> list[str]:
    """The plan as people read it."""
    return [
        f"Backfill from {_shown(plan.span.start)} up to {_shown(plan.span.end)} (UTC)",
        "",
        *(line for each in plan.models for line in _model_lines(each, plan)),
        "",
        *_steps(plan),
        *(f"Left alone: {left.view}: {left.reason}" for left in plan.left_alone),
    ]


def plan_document(plan: BackfillPlan) -> dict[str, object]:
    """The plan as `--json` writes it."""
    return {
        "start": plan.span.start,
        "end": plan.span.end,
        "models": [
            {
                "model": each.model.name,
                "batch_size": each.batch_size,
                "begin": each.model.begin,
                "start": each.span.start,
                "end": each.span.end,
                "batches": [each.batch_size.label(batch.start) for batch in each.to_run],
                "done": each.done,
                "finished_at": plan.finished.get(each.model.unique_id),
                "reads": [{"name": read.name, "by": read.event_time} for read in each.model.inputs],
                "note": each.note,
            }
            for each in plan.models
        ],
        "runs": [{"start": run.span.start, "end": run.span.end, "models": run.models, "batches": run.batches} for run in plan.runs],
        "test": plan.tested,
        "build": plan.rebuilt,
        "publish": plan.published,
        "left_alone": [{"view": left.view, "why": left.reason} for left in plan.left_alone],
    }


def _model_lines(each: ModelBatches, plan: BackfillPlan) -> Iterator[str]:
    count = f"{len(each.to_run)} batches of a{'n' if each.batch_size.value == 'hour' else ''} {each.batch_size.value}"
    if len(each.to_run) == 1:
        count = count.replace("batches", "batch")
    labels = [each.batch_size.label(batch.start) for batch in each.to_run]
    which = f": {_abridged(labels)}" if labels else ""
    yield f"{each.model.name}: {count}{which}"
    if each.model.unique_id in plan.finished:
        yield f"  finished at {_shown(plan.finished[each.model.unique_id])}; --restart runs its batches again"
    elif each.done:
        yield f"  {each.done} done already; --restart runs them again"
    if each.model.begin is not None:
        yield f"  begin {_shown(each.model.begin)}"
    yield f"  reads {', '.join(map(_input, each.model.inputs)) or 'nothing else'}"
    if each.note:
        yield f"  note: {each.note}"


def _input(read: BatchInput) -> str:
    return f"{read.name} (its batch, by {read.event_time})" if read.event_time else f"{read.name} (all of it, for every batch)"


def _abridged(labels: list[str]) -> str:
    return ", ".join(labels) if len(labels) <= 4 else f"{labels[0]}, {labels[1]}, …, {labels[-1]}"


def _steps(plan: BackfillPlan) -> Iterator[str]:
    if plan.nothing_to_do:
        yield "Nothing to do: this backfill is finished."
        return
    steps = [*map(_run, plan.runs)]
    if plan.rebuilt:
        steps.append(f"dbt build: {', '.join(plan.rebuilt)}")
    if plan.tested:
        steps.append(f"dbt tests: those of {', '.join(plan.tested)}")
    steps.append(f"publish: {', '.join(plan.published)}" if plan.published else "publish nothing: no view that this changes is online")
    width = len(str(len(steps)))
    yield from (f"{number:>{width}}. {step}" for number, step in enumerate(steps, 1))


def _run(run: BatchRun) -> str:
    count = "1 batch" if run.batches == 1 else f"{run.batches} batches"
    return f"dbt run: {', '.join(run.models)}, {count} from {_shown(run.span.start)} up to {_shown(run.span.end)}"


def _shown(instant: datetime) -> str:
    text = instant.strftime("%Y-%m-%dT%H:%M:%S")
    return text.removesuffix("T00:00:00")
