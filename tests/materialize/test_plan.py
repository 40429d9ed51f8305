"""What a materialization publishes, decided from dbt's last run and from what is online."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from featurestore.dbt.run_results import BatchResults, NodeResult, RunResults
from featurestore.materialize.plan import MaterializationPlan, Mode, plan_materialization
from featurestore.materialize.watermarks import Watermark, fingerprint
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, LateData, Relation
from featurestore.registry.value_types import FLOAT64, INT64, TIMESTAMP

NOW = datetime(2013, 2, 1, 12, tzinfo=timezone.utc)
ORDERS = FeatureView(
    name="orders",
    unique_id="model.shop.orders",
    path="models/orders.sql",
    relation=Relation("orders", "main", "shop"),
    entities=(Entity("customer", (Column("customer_id", INT64),)),),
    event_timestamp=Column("ordered_at", TIMESTAMP),
    created_timestamp=Column("loaded_at", TIMESTAMP),
    features=(Feature("amount", FLOAT64),),
)
APPENDED = replace(ORDERS, materialized="incremental", incremental_strategy="append")


def run(*results: tuple[str, str], invocation_id: str = "run-2", full_refresh: bool = False) -> RunResults:
    return RunResults(
        invocation_id=invocation_id,
        generated_at=None,
        which="build",
        full_refresh=full_refresh,
        results=tuple(NodeResult(unique_id=unique_id, status=status) for unique_id, status in results),
    )


def online(view: FeatureView, **changes: object) -> dict[str, Watermark]:
    values: dict[str, object] = {
        "view": view.name,
        "at": NOW - timedelta(hours=1),
        "sequence": 1,
        "definition": fingerprint(view),
        "rows": 10,
        "mode": "full",
        "key_prefix": "shop:{customer/i:",
        "created_timestamp": NOW - timedelta(hours=2),
        "digest": "9",
        "invocation_id": "run-1",
    }
    return {view.name: Watermark(**{**values, **changes})}  # type: ignore[arg-type]


BUILT = run((ORDERS.unique_id, "success"))


def only_reason(plan: MaterializationPlan) -> str:
    (line,) = (*plan.tasks, *plan.skipped)
    return line.reason


def test_a_view_that_the_last_run_built_is_published_in_full_at_first() -> None:
    plan = plan_materialization([ORDERS], BUILT, {}, NOW)
    assert [(task.view.name, task.mode) for task in plan.tasks] == [("orders", Mode.FULL)]
    assert plan.invocation_id == "run-2"


def test_a_view_that_the_last_run_did_not_build_is_left_alone() -> None:
    plan = plan_materialization([ORDERS], run(("model.shop.other", "success")), {}, NOW)
    assert not plan.tasks
    assert "did not build it" in only_reason(plan)


def test_a_view_whose_model_failed_is_skipped_and_said_to_have_failed() -> None:
    for status in ("error", "skipped", "fail"):
        plan = plan_materialization([ORDERS], run((ORDERS.unique_id, status)), {}, NOW)
        assert not plan.tasks
        assert plan.skipped[0].failed
        assert status in only_reason(plan)


def test_a_view_whose_test_failed_is_skipped() -> None:
    plan = plan_materialization([ORDERS], BUILT, {}, NOW, failed_tests={ORDERS.unique_id: "unique_entity_timestamp_orders"})
    assert not plan.tasks
    assert plan.skipped[0].failed
    assert "unique_entity_timestamp_orders" in only_reason(plan)


def test_an_invocation_is_published_once() -> None:
    plan = plan_materialization([ORDERS], BUILT, online(ORDERS, invocation_id="run-2"), NOW)
    assert not plan.tasks
    assert only_reason(plan) == "already published"


def test_all_and_full_refresh_publish_again() -> None:
    published = online(APPENDED, invocation_id="run-2")
    again = plan_materialization([APPENDED], BUILT, published, NOW, everything=True)
    assert [task.mode for task in again.tasks] == [Mode.INCREMENTAL]
    refreshed = plan_materialization([APPENDED], BUILT, published, NOW, full_refresh=True)
    assert [task.mode for task in refreshed.tasks] == [Mode.FULL]


def test_all_publishes_without_any_run() -> None:
    assert plan_materialization([ORDERS], None, {}, NOW, everything=True).tasks
    assert not plan_materialization([ORDERS], None, {}, NOW).tasks


def test_a_changed_definition_is_published_though_its_invocation_was() -> None:
    before = online(replace(APPENDED, features=()), invocation_id="run-2")
    plan = plan_materialization([APPENDED], BUILT, before, NOW)
    assert [(task.mode, task.reason) for task in plan.tasks] == [(Mode.FULL, "its definition changed")]


def test_rows_that_start_to_count_are_published_without_a_new_run() -> None:
    waiting = online(ORDERS, invocation_id="run-2", next_change=NOW)
    assert plan_materialization([ORDERS], BUILT, waiting, NOW).tasks
    assert not plan_materialization([ORDERS], BUILT, waiting, NOW - timedelta(microseconds=1)).tasks


def test_rows_that_start_to_count_wait_while_the_model_is_broken() -> None:
    waiting = online(ORDERS, next_change=NOW)
    assert not plan_materialization([ORDERS], run((ORDERS.unique_id, "error")), waiting, NOW).tasks


def test_what_dbt_only_appends_to_is_read_incrementally() -> None:
    (task,) = plan_materialization([APPENDED], BUILT, online(APPENDED), NOW).tasks
    assert task.mode is Mode.INCREMENTAL
    assert task.online is not None


def test_whatever_could_change_or_lose_rows_is_read_in_full() -> None:
    doubtful = {
        "rebuilt": ORDERS,
        "merged": replace(APPENDED, incremental_strategy="merge", incremental_key=("order_id",)),
        "merged by default": replace(APPENDED, incremental_strategy=None, incremental_key=("order_id",)),
        "batches": replace(APPENDED, incremental_strategy="microbatch"),
        "no created": replace(APPENDED, created_timestamp=None),
        "as known": replace(APPENDED, late_data=LateData.AS_KNOWN),
    }
    for why, view in doubtful.items():
        (task,) = plan_materialization([view], BUILT, online(view), NOW).tasks
        assert task.mode is Mode.FULL, why
    (task,) = plan_materialization([APPENDED], run((APPENDED.unique_id, "success"), full_refresh=True), online(APPENDED), NOW).tasks
    assert task.mode is Mode.FULL


def test_what_a_run_left_incomplete_is_skipped_unless_everything_is_asked_for() -> None:
    lacking = {ORDERS.unique_id: "dbt rebuilt it from Monday only"}
    (skip,) = plan_materialization([ORDERS], BUILT, {}, NOW, incomplete=lacking).skipped
    assert skip.failed
    assert skip.reason == "dbt rebuilt it from Monday only; --all publishes it all the same"
    assert plan_materialization([ORDERS], BUILT, {}, NOW, incomplete=lacking, everything=True).tasks


def test_batches_that_failed_are_pointed_out_where_the_others_are_published() -> None:
    days = [(NOW - timedelta(days=day), NOW - timedelta(days=day - 1)) for day in (3, 2, 1)]
    result = NodeResult(ORDERS.unique_id, "partial success", "", BatchResults(tuple(days[:2]), tuple(days[2:])))
    partly = RunResults("run-9", "", "run", False, (result,))
    (task,) = plan_materialization([ORDERS], partly, {}, NOW).tasks
    assert task.reason == "not online yet; 1 of 3 batches failed and are as they were"


def test_a_view_that_is_not_online_is_not_in_the_plan() -> None:
    plan = plan_materialization([replace(ORDERS, online=False)], BUILT, {}, NOW)
    assert plan.tasks == plan.skipped == ()


def test_descriptions_do_not_change_the_fingerprint_but_features_and_ttl_do() -> None:
    assert fingerprint(replace(ORDERS, description="new", tags=("x",))) == fingerprint(ORDERS)
    assert fingerprint(replace(ORDERS, ttl=timedelta(days=1))) != fingerprint(ORDERS)
    assert fingerprint(replace(ORDERS, features=(Feature("amount", INT64),))) != fingerprint(ORDERS)
