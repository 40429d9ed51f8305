"""`fsdbt backfill`: build a range of history again with dbt, batch by batch, and publish what that changed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from featurestore.dbt.invoke import project_options, refuse_options_from_environment, run_dbt
from featurestore.errors import BackfillError, ProjectError, RequestError

from .backfill_plan import plan_document, plan_lines
from .materialize import report_document, tell
from .options import (
    PROJECT_DIR,
    AsJson,
    Exclude,
    OnlineStoreUrl,
    Profile,
    ProfilesDir,
    ProjectDir,
    Select,
    Target,
    open_feature_store,
)
from .output import note, write_json
from .plan import AllowShrink

if TYPE_CHECKING:
    from featurestore.backfill.plan import BackfillPlan
    from featurestore.backfill.run import BackfillReport
    from featurestore.store import FeatureStore

Start = Annotated[str, typer.Option("--start", help="Where the range begins, like 2013-01-01 or 2013-01-01T06:00:00, in UTC.")]
End = Annotated[str, typer.Option("--end", help="Where it ends, in UTC; the instant itself is not included.")]
Downstream = Annotated[bool, typer.Option("--downstream", help="Build and publish the feature views that depend on those, too.")]
Restart = Annotated[bool, typer.Option("--restart", help="Run batches again that an earlier attempt has done.")]
BatchesPerRun = Annotated[
    int,
    typer.Option(
        "--batches-per-run",
        min=0,
        help="How many batches one run of dbt holds at most; 0: all. An interruption loses at most one such run.",
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show the plan.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Needed where there is no terminal.")]
Variables = Annotated[str | None, typer.Option("--vars", help="dbt's variables, as dbt takes them.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="dbt's threads, instead of the profile's number.")]


def backfill(
    start: Start,
    end: End,
    select: Select = None,
    exclude: Exclude = None,
    downstream: Downstream = False,
    batches_per_run: BatchesPerRun = 30,
    restart: Restart = False,
    dry_run: DryRun = False,
    yes: Yes = False,
    variables: Variables = None,
    threads: Threads = None,
    allow_shrink: AllowShrink = False,
    as_json: AsJson = False,
    online_store: OnlineStoreUrl = None,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Build a range of history again, of feature views that dbt builds in batches, then publish what that changed.

    The plan is shown first. Interrupted or failed, the same command continues with the batches that are not done.
    """
    refuse_options_from_environment("FULL_REFRESH", "EMPTY", "SAMPLE")
    _parse([*project_options(project_dir, profiles_dir, profile, target), *(["--vars", variables] if variables else [])], project_dir)
    with open_feature_store(project_dir, profiles_dir, profile, target, online_store) as store:
        plan = store.plan_backfill(
            select or (),
            exclude or (),
            start=start,
            end=end,
            downstream=downstream,
            restart=restart,
            batches_per_run=batches_per_run or None,
            variables=variables,
        )
        if dry_run:
            _show(plan, as_json)
            return
        for line in plan_lines(plan):
            note(line)
        if plan.nothing_to_do:
            if as_json:
                write_json(plan_document(plan))
            return
        _ask(yes)
        _run(store, plan, threads, allow_shrink, as_json)


def _parse(options: list[str], project_dir: object) -> None:
    """Bring the manifest up to date: what is planned is the project as its files are now."""
    code = run_dbt(["parse", "--quiet", *options], str(project_dir))
    if code:
        raise ProjectError(f"dbt could not read the project (exit code {code}); see what it says above. Nothing was run.")


def _show(plan: BackfillPlan, as_json: bool) -> None:
    if as_json:
        write_json(plan_document(plan))
    else:
        print("\n".join(plan_lines(plan)))


def _ask(yes: bool) -> None:
    """Go on, or leave with code 1 where the answer is no. Raises RequestError where nobody can be asked."""
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise RequestError("Nothing was run: there is no terminal to ask on. Add --yes to run this plan, or --dry-run to only see it.")
    if not typer.confirm("Run this?", err=True):
        note("Nothing was run.")
        sys.exit(1)


def _run(store: FeatureStore, plan: BackfillPlan, threads: int | None, allow_shrink: bool, as_json: bool) -> None:
    from .progress import shown_progress

    try:
        with shown_progress() as progress:
            report = store.backfill(plan, threads=threads, allow_shrink=allow_shrink, progress=progress)
    except BackfillError as failed:
        _finish(plan, failed.report, as_json)
        raise
    except KeyboardInterrupt:
        note("The same command continues with the batches that are not done.")
        raise
    _finish(plan, report, as_json)


def _finish(plan: BackfillPlan, report: BackfillReport, as_json: bool) -> None:
    """Say what was done."""
    if as_json:
        write_json(
            {
                "plan": plan_document(plan),
                "batches": report.batches,
                "failed": [{"model": each.model, "batch": each.batch} for each in report.failed],
                "publication": report.publication and report_document(report.publication),
            }
        )
    elif report.publication:
        tell(report.publication, as_json=False)
    note(f"{report.batches} of {plan.batches} batches were run.")
