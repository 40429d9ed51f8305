from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from manifest_files import COLUMNS, CUSTOMER, manifest, model, write_manifest

from featurestore.backfill.batches import BatchSize, Span, aligned, batches
from featurestore.backfill.plan import BackfillPlan, plan_backfill
from featurestore.backfill.progress import ModelProgress
from featurestore.dbt.artifacts import Manifest, read_manifest
from featurestore.dbt.load import load_registry
from featurestore.errors import RequestError
from featurestore.registry.registry import Registry

NOW = datetime(2024, 6, 1, 12, tzinfo=timezone.utc)
JANUARY = Span(datetime(2024, 1, 1, tzinfo=timezone.utc), datetime(2024, 2, 1, tzinfo=timezone.utc))


SNAPSHOT = {**COLUMNS, "dbt_valid_from": "timestamp", "dbt_valid_to": "timestamp"}


def node(name: str, *parents: str, size: str | None = "day", view: bool = True, **config: Any) -> dict[str, Any]:
    """A model that dbt builds in batches of that size; with None, a table."""
    said = {"materialized": "incremental", "incremental_strategy": "microbatch", "batch_size": size, "begin": "2023-01-01"} if size else {}
    return model(
        name,
        CUSTOMER if view else None,
        COLUMNS,
        config={**said, "event_time": "ordered_at", **config},
        depends_on={"nodes": [parent if "." in parent else f"model.shop.{parent}" for parent in parents], "macros": []},
        checksum={"name": "sha256", "checksum": f"text of {name}"},
        raw_code=config.pop("raw_code", "select 1"),
    )


class Project:
    def __init__(self, folder: Path, *nodes: Mapping[str, Any], **keys: Any) -> None:
        content = manifest(*nodes, **keys)
        self.manifest: Manifest = read_manifest(write_manifest(folder / "manifest.json", content))
        self.registry: Registry = load_registry(self.manifest)

    def plan(
        self, *select: str, span: Span = JANUARY, progress: Mapping[str, ModelProgress] | None = None, now: datetime = NOW, **options: Any
    ) -> BackfillPlan:
        views = self.registry.select(select)
        return plan_backfill(self.manifest, views, self.registry.views, span, progress or {}, now, chosen=bool(select), **options)


def progress_of(plan: BackfillPlan, *done: Span, **keys: Any) -> dict[str, ModelProgress]:
    return {
        each.model.unique_id: ModelProgress(each.span.start, each.span.end, each.model.definition, **keys).with_done(done)
        for each in plan.models
    }


def days(first: int, last: int) -> Span:
    """From the first to the last day of January, both included."""
    return Span(JANUARY.start + timedelta(days=first - 1), JANUARY.start + timedelta(days=last))


def shown(plan: BackfillPlan) -> list[tuple[str, str, str]]:
    return [(" ".join(run.models), run.span.start.isoformat()[5:10], run.span.end.isoformat()[5:10]) for run in plan.runs]


def test_a_run_of_dbt_holds_thirty_batches_unless_told_otherwise(tmp_path: Path) -> None:
    project = Project(tmp_path, node("orders"))
    assert shown(project.plan("orders")) == [("orders", "01-01", "01-31"), ("orders", "01-31", "02-01")]
    assert shown(project.plan("orders", batches_per_run=None)) == [("orders", "01-01", "02-01")]
    assert [run.batches for run in project.plan("orders", batches_per_run=12).runs] == [12, 12, 7]


def test_the_range_is_widened_to_whole_batches(tmp_path: Path) -> None:
    project = Project(tmp_path, node("orders", size="month"))
    (planned,) = project.plan("orders", span=Span(days(9, 9).start, days(20, 20).end)).models
    assert planned.span == JANUARY


def test_what_is_done_is_not_run_again(tmp_path: Path) -> None:
    project = Project(tmp_path, node("orders"))
    done = progress_of(project.plan(), days(1, 10), days(12, 20))
    again = project.plan(progress=done)
    assert shown(again) == [("orders", "01-11", "01-12"), ("orders", "01-21", "02-01")]
    assert (again.models[0].done, again.batches) == (19, 12)
    assert len(project.plan(progress=done, restart=True).models[0].to_run) == 31


def test_a_finished_backfill_has_nothing_to_do_until_it_is_restarted(tmp_path: Path) -> None:
    project = Project(tmp_path, node("orders"), node("totals", "orders", size=None))
    done = progress_of(project.plan("orders"), JANUARY, finished_at=NOW)
    plan = project.plan("orders", progress=done)
    assert plan.nothing_to_do
    assert (plan.published, plan.finished) == ((), {"model.shop.orders": NOW})
    assert not project.plan("orders", progress=done, restart=True).nothing_to_do
    assert not project.plan("orders", progress=done, downstream=True).nothing_to_do, "what depends on it was never built"


def test_with_every_batch_done_the_tests_and_the_publication_remain(tmp_path: Path) -> None:
    project = Project(tmp_path, node("orders"))
    plan = project.plan("orders", progress=progress_of(project.plan(), JANUARY))
    assert (plan.runs, plan.published, plan.nothing_to_do) == ((), ("orders",), False)


def test_batches_of_another_definition_are_not_done(tmp_path: Path) -> None:
    project = Project(tmp_path, node("orders", "staging"), node("staging", size=None, view=False))
    done = progress_of(project.plan("orders"), days(1, 10))
    for changed in (
        [{**node("orders", "staging"), "checksum": {"checksum": "edited"}}, node("staging", size=None, view=False)],
        [node("orders", "staging"), {**node("staging", size=None, view=False), "checksum": {"checksum": "edited"}}],
        [{**node("orders", "staging"), "schema": "elsewhere"}, node("staging", size=None, view=False)],
    ):
        (planned,) = Project(tmp_path, *changed).plan("orders", progress=done).models
        assert (len(planned.to_run), planned.done) == (31, 0)
        assert "its definition changed" in planned.note
    assert project.plan("orders", progress=done, variables="{rate: 2}").models[0].done == 0


def test_giving_up_an_unfinished_backfill_of_another_range_is_said(tmp_path: Path) -> None:
    project = Project(tmp_path, node("orders"))
    (planned,) = project.plan("orders", span=days(1, 20), progress=progress_of(project.plan(), days(1, 10))).models
    assert planned.note == "its unfinished backfill from 2024-01-01 to 2024-02-01 is given up"
    assert len(planned.to_run) == 20


def test_a_range_before_the_models_begin_is_pointed_out(tmp_path: Path) -> None:
    (planned,) = Project(tmp_path, node("orders", begin="2024-01-15")).plan("orders").models
    assert planned.note == "the range starts before the model's begin, 2024-01-15"


def test_only_what_changed_is_published(tmp_path: Path) -> None:
    nodes = [node("orders"), node("visits"), node("totals", "orders", size=None), node("ranks", "totals", size=None), node("other")]
    quiet = {**node("quiet", "orders", size=None)}
    quiet["config"]["meta"]["feature_view"] = {**CUSTOMER, "online": False}
    project = Project(tmp_path, *nodes, quiet, node("report", "totals", size=None, view=False))
    alone = project.plan("orders")
    assert (alone.published, alone.rebuilt) == (("orders",), ())
    assert {left.view: left.reason for left in alone.left_alone} == dict.fromkeys(
        ("totals", "ranks", "quiet"), "depends on orders, and --downstream would build and publish it too"
    )
    below = project.plan("orders", downstream=True)
    assert below.published == ("orders", "ranks", "totals")
    assert set(below.rebuilt) == {"totals", "ranks", "quiet"}
    assert below.rebuilt.index("totals") < below.rebuilt.index("ranks")
    assert below.left_alone == ()


def test_what_stands_between_two_models_is_built_with_them(tmp_path: Path) -> None:
    nodes = [node("late", "middle"), node("middle", "early", size=None, view=False), node("early")]
    project = Project(tmp_path, *nodes)
    assert project.plan("early", "late", batches_per_run=None).runs[0].models == ("early", "middle", "late")
    assert project.plan("late", batches_per_run=None).runs[0].models == ("late",)
    assert project.plan("early", downstream=True, batches_per_run=None).runs[0].models == ("early", "middle", "late")


def test_tests_are_run_where_there_are_any(tmp_path: Path) -> None:
    content = {"test.shop.unique.1": {"unique_id": "test.shop.unique.1", "depends_on": {"nodes": ["model.shop.orders"]}}}
    path = write_manifest(tmp_path / "manifest.json", manifest(node("orders"), node("visits")))
    bare = Project(tmp_path, node("orders"), node("visits"))
    assert bare.plan().tested == ()
    with_tests = manifest(node("orders"), node("visits"))
    with_tests["nodes"].update(content)
    bare.manifest = read_manifest(write_manifest(path, with_tests))
    assert bare.plan().tested == ("orders",)


def test_what_each_batch_reads_is_known(tmp_path: Path) -> None:
    code = "select * from {{ ref('staged') }} join {{ ref('history').render() }} using (customer_id) join {{ ref('names') }}"
    parents = [node(name, size=None, view=False) for name in ("staged", "history")] + [
        {**model("names", kind="seed"), "depends_on": {"nodes": []}}
    ]
    orders = node("orders", "staged", "history", "seed.shop.names", raw_code=code)
    (planned,) = Project(tmp_path, *parents, orders).plan("orders").models
    assert [(read.name, read.event_time) for read in planned.model.inputs] == [("staged", "ordered_at"), ("history", None), ("names", None)]


@pytest.mark.parametrize(
    ("config", "advice"),
    [
        ({"materialized": "table"}, r"orders: a table is built anew as a whole: run `fsdbt build -- --select orders`"),
        ({"materialized": "view"}, r"orders: a view has no rows of its own.*fsdbt materialize --all --select orders"),
        (
            {"materialized": "incremental", "incremental_strategy": "merge"},
            r"orders: it is incremental and not built in batches: run `fsdbt build --full-refresh -- --select orders`",
        ),
    ],
)
def test_a_view_without_batches_is_refused_with_what_to_do_instead(tmp_path: Path, config: dict[str, Any], advice: str) -> None:
    project = Project(tmp_path, node("orders", size=None, **config), node("visits"))
    with pytest.raises(RequestError, match=advice) as caught:
        project.plan("orders", "visits")
    assert "add --exclude 'orders'" in str(caught.value)
    assert [left.view for left in project.plan().left_alone] == ["orders"], "what was not named is only left alone"
    with pytest.raises(RequestError, match="not built in batches") as alone:
        Project(tmp_path, node("orders", size=None, **config)).plan()
    assert "--exclude" not in str(alone.value)
    if config["materialized"] != "view":
        assert "incremental_strategy: microbatch, event_time: ordered_at" in str(alone.value)


def test_a_snapshot_has_no_history_to_build(tmp_path: Path) -> None:
    snapshot = model("tiers", {"entities": {"customer": "customer_id"}}, SNAPSHOT, kind="snapshot")
    with pytest.raises(RequestError, match="tiers: a snapshot has recorded what it saw"):
        Project(tmp_path, snapshot).plan("tiers")


@pytest.mark.parametrize(
    ("config", "span", "message"),
    [
        ({"full_refresh": True}, JANUARY, "orders: its config says full_refresh: true"),
        ({}, Span(JANUARY.end, JANUARY.start), "2024-01-01, is not after the start, 2024-02-01"),
        ({}, Span(JANUARY.start, JANUARY.start), "is not after the start"),
        ({}, Span(NOW, NOW + timedelta(days=3)), "is in the future: orders has no batch after 2024-06-02 yet"),
        ({"batch_size": "week"}, JANUARY, "batch_size is 'week', and must be one of hour, day, month, year"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_runs(tmp_path: Path, config: dict[str, Any], span: Span, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Project(tmp_path, node("orders", **config)).plan("orders", span=span)


def test_the_batch_that_is_going_on_can_be_run(tmp_path: Path) -> None:
    today = Span(NOW - timedelta(days=1), BatchSize.DAY.ceiling(NOW))
    assert Project(tmp_path, node("orders")).plan("orders", span=today).batches == 2


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[str], Span, list[list[int]], int | None]:
    """Sizes of two or three models one on another, a range, the numbers of each one's batches that are done, and a bound."""
    sizes = draw(st.lists(st.sampled_from(["hour", "day", "month"]), min_size=1, max_size=3))
    start = datetime(2024, 1, draw(st.integers(1, 28)), draw(st.integers(0, 23)), tzinfo=timezone.utc)
    span = Span(start, start + timedelta(hours=draw(st.integers(1, 24 * 50))))
    done = [draw(st.lists(st.integers(0, 80), max_size=12)) for _ in sizes]
    return sizes, span, done, draw(st.one_of(st.none(), st.integers(1, 5)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(histories())
def test_dbt_runs_every_batch_that_is_not_done_once_and_no_other(
    tmp_path: Path, case: tuple[list[str], Span, list[list[int]], int | None]
) -> None:
    sizes, span, done, most = case
    names = [f"m{position}" for position in range(len(sizes))]
    nodes = [node(name, *names[:position], size=size) for position, (name, size) in enumerate(zip(names, sizes, strict=True))]
    project = Project(tmp_path, *nodes)
    fresh = project.plan(span=span)
    wanted = {each.model.name: list(batches(each.span, each.batch_size)) for each in fresh.models}
    finished = {name: {wanted[name][number % len(wanted[name])] for number in numbers} for name, numbers in zip(names, done, strict=True)}
    progress = {
        each.model.unique_id: ModelProgress(each.span.start, each.span.end, each.model.definition).with_done(finished[each.model.name])
        for each in fresh.models
    }
    plan = project.plan(span=span, progress=progress, batches_per_run=most)
    ran: list[tuple[str, Span]] = []
    for run in plan.runs:
        before = len(ran)
        for name in run.models:
            size = BatchSize(sizes[names.index(name)])
            ran += [(name, batch) for batch in batches(aligned(run.span, size), size)]
        assert len(ran) - before == run.batches
    assert sorted(ran) == sorted((name, batch) for name in names for batch in wanted[name] if batch not in finished[name])
    for above, name in itertools.pairwise(names):
        for when, (ran_name, batch) in enumerate(ran):
            later = [each for other, each in ran[when:] if other == above and each.start < batch.end and each.end > batch.start]
            assert ran_name != name or not later, "a batch is run after those that it is built on"
