"""A changed definition is built beside what is served: readers find one or the other, whatever is killed, pushed or left behind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from duckdb_file import DuckDBFile
from history_project import PROJECT, HistoryProject, at_hour
from redis import Redis
from redis_server import RedisServer

from featurestore import AsyncOnlineFeatureStore, OnlineFeatureStore
from featurestore.codec.keys import key_space
from featurestore.codec.versions import takes_rows
from featurestore.errors import MaterializeError, OnlineStoreUnavailableError, PushError, UnknownNameError
from featurestore.materialize import run, served, state, versions
from featurestore.materialize.plan import plan_materialization
from featurestore.materialize.run import run_materialization
from featurestore.materialize.served import left, read_state
from featurestore.online_store.connect import open_store
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.registry import Registry
from featurestore.registry.snapshot import from_json
from featurestore.registry.value_types import FLOAT64, INT64, STRING, TIMESTAMP, DecimalType

ORDERS = FeatureView(
    name="orders",
    unique_id="model.lawful.orders",
    path="models/orders.sql",
    relation=Relation("orders"),
    entities=(Entity("customer", (Column("customer_id", INT64),)),),
    event_timestamp=Column("ordered_at", TIMESTAMP),
    features=(Feature("amount", DecimalType(10, 2)), Feature("kind", STRING)),
)
AMOUNT, KIND = ORDERS.features
KEYS = [{"customer_id": key} for key in range(300)]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer() as running:
        yield running


@pytest.fixture(params=["embedded", "redis"])
def project(request: pytest.FixtureRequest, server: RedisServer, tmp_path: Path) -> HistoryProject:
    if request.param == "redis":
        with Redis(port=server.port) as client:
            client.flushall()
    url = server.url if request.param == "redis" else f"sqlite:///{tmp_path}/online.db"
    return HistoryProject(DuckDBFile(tmp_path), url, ORDERS)


def order(customer: int, hour: float, kind: str = "web") -> dict[str, Any]:
    return {"customer_id": customer, "ordered_at": at_hour(hour).replace(tzinfo=None), "amount": Decimal(1), "kind": kind}


def publish(project: HistoryProject, hour: float, *, view: Any = None, rows: Any = None, **options: Any) -> Any:
    """Change the view's definition, if one is given, build it with these rows and materialize."""
    if view is not None:
        project.view = replace(view, relation=project.view.relation)
    project.build([order(key["customer_id"], 1) for key in KEYS] if rows is None else rows)
    return project.materialize(at_hour(hour), **options)


def rows_under(project: HistoryProject, version: int, view: Any = None) -> int:
    store = open_store(project.url)
    try:
        return store.count(key_space(PROJECT, replace(view or project.view, key_version=version)))
    finally:
        store.close()


RETYPED = replace(ORDERS, features=(Feature("amount", STRING), KIND))
CHANGES = {
    "added": replace(ORDERS, features=(AMOUNT, Feature("more", INT64), KIND)),
    "widened": replace(ORDERS, features=(Feature("amount", DecimalType(18, 4)), KIND)),
    "retyped": RETYPED,
    "renamed": replace(ORDERS, features=(Feature("total", FLOAT64), KIND)),
    "entity": replace(ORDERS, entities=(Entity("buyer", (Column("customer_id", INT64),)),)),
}


def row_of(view: Any, key: int) -> dict[str, Any]:
    row = order(key, 1)
    given = {"more": 7, "total": 2.5, "amount": "one" if view is RETYPED else row["amount"]}
    return {**row, **{feature.name: given[feature.name] for feature in view.features if feature.name in given}}


@pytest.mark.parametrize("change", CHANGES)
def test_whoever_reads_all_the_time_sees_the_old_or_the_new_and_never_a_mixture(project: HistoryProject, change: str) -> None:
    """One reader keeps its snapshot for a minute, one reads it anew for every request, one is asynchronous."""
    publish(project, 10)
    after = CHANGES[change]
    allowed = [[value_of(view, name) for name in ("amount", "kind", "more", "total")] for view in (ORDERS, after)]
    done, seen, failures = threading.Event(), {"held": set(), "fresh": set(), "async": set()}, []

    def look(name: str, answer: Any) -> None:
        columns = answer.to_dict()
        rows = {tuple(columns[each][row] if each in columns else "-" for each in ("amount", "kind", "more", "total")) for row in range(300)}
        assert len(rows) == 1, f"all keys answer alike, not {rows}"
        seen[name] |= rows

    def read(name: str, refresh_after: timedelta) -> None:
        with OnlineFeatureStore(project.url, PROJECT, clock=lambda: at_hour(11), refresh_after=refresh_after) as reader:
            while not done.is_set():
                look(name, reader.get_online_features(KEYS, ["orders:*"]))

    async def read_async() -> None:
        async with AsyncOnlineFeatureStore(project.url, PROJECT, clock=lambda: at_hour(11), refresh_after=timedelta(0)) as reader:
            while not done.is_set():
                look("async", await reader.get_online_features(KEYS, ["orders:*"]))

    def guarded(run: Any, *arguments: Any) -> None:
        try:
            run(*arguments)
        except BaseException as error:
            failures.append(error)
            done.set()

    threads = [
        threading.Thread(target=guarded, args=arguments)
        for arguments in ((read, "held", timedelta(minutes=1)), (read, "fresh", timedelta(0)), (asyncio.run, read_async()))
    ]
    for thread in threads:
        thread.start()
    while not all(seen.values()) and not done.is_set():
        done.wait(0.01)
    publish(project, 11, view=after, rows=[row_of(after, key["customer_id"]) for key in KEYS])
    new = tuple(allowed[1])
    while not (new in seen["fresh"] and new in seen["async"]) and not done.wait(0.01):
        pass
    done.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert all(rows <= {tuple(each) for each in allowed} for rows in seen.values())
    assert seen["held"] == {tuple(allowed[0])}, "its snapshot is not a minute old yet"


def value_of(view: Any, name: str) -> Any:
    return row_of(view, 1)[name] if view.feature(name) else "-"


def test_a_reader_from_before_follows_within_a_minute_and_hears_of_a_feature_that_was_dropped(project: HistoryProject) -> None:
    publish(project, 10)
    now = [at_hour(11)]
    with OnlineFeatureStore(project.url, PROJECT, clock=lambda: now[0]) as before:
        assert before.get_online_features(KEYS[:1], "orders:kind").to_dict()["kind"] == ["web"]
        publish(project, 11, view=replace(ORDERS, features=(AMOUNT,)))
        assert before.get_online_features(KEYS[:1], "orders:kind").to_dict()["kind"] == ["web"]
        now[0] += timedelta(minutes=1)
        with pytest.raises(UnknownNameError, match=r"feature of 'orders'.*kind"):
            before.get_online_features(KEYS[:1], "orders:kind")
        assert before.get_online_features(KEYS[:1], "orders:amount").to_dict()["amount"][0] == 1


def test_a_reader_that_was_held_up_reads_the_snapshot_again_before_it_says_that_nothing_is_there(project: HistoryProject) -> None:
    """However long its snapshot is kept, and though the rows it knew of are gone."""
    publish(project, 10)
    now = [at_hour(11)]
    with OnlineFeatureStore(project.url, PROJECT, clock=lambda: now[0], refresh_after=timedelta(days=1)) as reader:
        assert reader.get_online_features(KEYS[:1], "orders:kind").to_dict()["kind"] == ["web"]
        publish(project, 11, full_refresh=True)
        store = open_store(project.url)
        store.remove_older(key_space(PROJECT, project.view), 2**32 - 1)
        store.close()
        now[0] += timedelta(hours=1)
        assert reader.get_online_features(KEYS[:1], "orders:kind").to_dict()["kind"] == ["web"]


def test_a_run_killed_anywhere_leaves_what_was_served_and_the_next_one_completes(project: HistoryProject) -> None:
    publish(project, 10)

    class Killed(BaseException):
        pass

    def kill(*_: Any) -> None:
        raise Killed

    for _ in range(2):
        with pytest.raises(Killed):
            publish(project, 11, view=RETYPED, rows=[row_of(RETYPED, key["customer_id"]) for key in KEYS], progress=kill)
        assert project.online(KEYS[:1], at_hour(11))[0]["amount"] == 1
        assert rows_under(project, 1) == 300
    report = publish(project, 12, rows=[row_of(RETYPED, key["customer_id"]) for key in KEYS])
    assert report.published[0].version == 4, "what the killed runs left is written over by nobody"
    assert project.online(KEYS[:1], at_hour(12))[0]["amount"] == "one"
    assert {space.version for space in retired(project)} == {1, 2, 3}


def retired(project: HistoryProject) -> Any:
    store = open_store(project.url)
    try:
        return read_state(store, PROJECT, project.registry).retired
    finally:
        store.close()


def test_what_was_served_stays_for_a_while_and_is_gone_in_the_end(project: HistoryProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "KEPT_FOR", timedelta(milliseconds=300))
    publish(project, 10)
    publish(project, 11, full_refresh=True)
    assert rows_under(project, 2) == 300
    assert [space.version for space in retired(project)] == [1]
    publish(project, 12, full_refresh=True)
    for hour in (13, 14):
        threading.Event().wait(1.1)
        publish(project, hour)
    assert [rows_under(project, version) for version in (1, 2, 3)] == [0, 0, 300]
    assert retired(project) == ()


def test_what_was_served_before_a_long_run_stays_whole_in_the_next_run(project: HistoryProject) -> None:
    """The run itself took an hour; its readers have the old version for as long as any."""
    began = datetime.now(timezone.utc) - timedelta(hours=1)
    hours = (began - at_hour(0)) / timedelta(hours=1)
    publish(project, hours - 1)
    publish(project, hours, full_refresh=True)
    publish(project, hours + 1)
    publish(project, hours + 2)
    assert (rows_under(project, 1), rows_under(project, 2)) == (300, 300)
    (space,) = retired(project)
    assert space.gone_at > datetime.now(timezone.utc)


def test_an_unchanged_definition_is_published_where_it_is(project: HistoryProject) -> None:
    publish(project, 10)
    assert publish(project, 11).published[0].version == 1
    assert publish(project, 12, full_refresh=True).published[0].version == 2
    assert publish(project, 13).published[0].version == 2
    assert rows_under(project, 2) == 300


def test_rows_pushed_meanwhile_are_served_after_the_change(project: HistoryProject) -> None:
    publish(project, 10)
    now = [at_hour(11)]
    with OnlineFeatureStore(project.url, PROJECT, clock=lambda: now[0]) as service:

        def push(customer: int) -> None:
            service.push("orders", [{**order(customer, 10.5 + customer / 1000, kind="pushed")}])

        push(1)
        pushed_while_built = []

        def on_progress(*_: Any) -> None:
            push(2)
            pushed_while_built.append({version: stored(project, version, 2) for version in (1, 2)})

        wider = CHANGES["widened"]
        publish(project, 11, view=wider, progress=on_progress)
        assert pushed_while_built
        assert all(of[1] == of[2] for of in pushed_while_built), "it is written to what is served and to what is being built"
        assert service.get_online_features(KEYS[1:3], "orders:kind").to_dict()["kind"] == ["pushed", "pushed"]
        push(3)
        assert project.online([{"customer_id": key} for key in (1, 2, 3, 4)], at_hour(11)) == [
            {"customer_id": key, "amount": 1, "kind": kind} for key, kind in ((1, "pushed"), (2, "pushed"), (3, "pushed"), (4, "web"))
        ]


def test_a_service_that_pushed_before_the_change_pushes_to_what_is_served_after_it(project: HistoryProject) -> None:
    """Though its snapshot is not a minute old; and a push by a definition that is served no more is checked by the new one."""
    publish(project, 10)
    with OnlineFeatureStore(project.url, PROJECT, clock=lambda: at_hour(11)) as service:
        service.push("orders", [order(1, 10)])
        publish(project, 11, view=CHANGES["widened"])
        service.push("orders", [order(2, 10.5, kind="pushed")])
        assert project.online([{"customer_id": 2}], at_hour(11))[0]["kind"] == "pushed"
        publish(project, 11, view=CHANGES["renamed"], rows=[row_of(CHANGES["renamed"], key["customer_id"]) for key in KEYS])
        with pytest.raises(PushError, match="total"):
            service.push("orders", [order(3, 10.5)])


TWO_KEYS = (Column("a", INT64), Column("b", INT64))
NOT_TAKEN = {
    "the key is another column": replace(ORDERS, entities=(Entity("customer", (Column("buyer_id", INT64),)),)),
    "it is known later": replace(ORDERS, available_after=timedelta(days=1)),
    "another time": replace(ORDERS, event_timestamp=Column("paid_at", TIMESTAMP)),
    "a snapshot now": replace(ORDERS, valid_to=Column("dbt_valid_to", TIMESTAMP)),
}


@pytest.mark.parametrize("change", NOT_TAKEN)
def test_pushed_rows_that_mean_something_else_by_the_new_definition_are_not_taken_over(change: str) -> None:
    assert not takes_rows(ORDERS, NOT_TAKEN[change])


def test_pushed_rows_are_not_taken_over_by_keys_in_another_order() -> None:
    before, after = (replace(ORDERS, entities=(Entity("pair", keys),)) for keys in (TWO_KEYS, TWO_KEYS[::-1]))
    assert takes_rows(before, before)
    assert not takes_rows(before, after)


def test_a_row_pushed_for_one_customer_is_not_served_for_another_when_the_key_becomes_another_column(project: HistoryProject) -> None:
    publish(project, 10)
    with OnlineFeatureStore(project.url, PROJECT, clock=lambda: at_hour(11)) as service:
        service.push("orders", [order(1, 10.5, kind="pushed")])
    by_buyer = replace(ORDERS, entities=(Entity("customer", (Column("buyer_id", INT64),)),))
    rows = [{**row, "buyer_id": row.pop("customer_id")} for row in (order(key["customer_id"], 1) for key in KEYS)]
    publish(project, 11, view=by_buyer, rows=rows)
    assert project.online([{"buyer_id": 1}], at_hour(11))[0]["kind"] == "web"


def test_a_pushed_row_that_would_be_null_under_the_new_definition_stays_behind(project: HistoryProject) -> None:
    publish(project, 10)
    with OnlineFeatureStore(project.url, PROJECT, clock=lambda: at_hour(11)) as service:
        service.push("orders", [order(1, 10.5, kind="pushed")])
    publish(project, 11, view=RETYPED, rows=[row_of(RETYPED, key["customer_id"]) for key in KEYS])
    assert project.online(KEYS[1:2], at_hour(11)) == [{"customer_id": 1, "amount": "one", "kind": "web"}]


def stored(project: HistoryProject, version: int, customer: int) -> bytes | None:
    store = open_store(project.url)
    try:
        (row,) = store.read([key_space(PROJECT, replace(project.view, key_version=version)).key(b"%d" % customer)])
        return row
    finally:
        store.close()


def run_over(project: HistoryProject, registry: Registry, hour: float, built: Any, *, whole: bool = True) -> Any:
    """Materialize one view of a project of several."""
    store = open_store(project.url)
    try:
        state = read_state(store, PROJECT, registry)
        leaving = left(registry, state.served) if whole else ()
        plan = plan_materialization([built], None, state.watermarks, at_hour(hour), everything=True, leaving=leaving)
        return run_materialization(plan, registry=registry, project=PROJECT, warehouse=project.warehouse, store=store, at=at_hour(hour))
    finally:
        store.close()


def test_a_view_that_left_the_project_is_served_until_a_run_over_the_whole_of_it(project: HistoryProject) -> None:
    publish(project, 10)
    other = replace(project.view, name="other", unique_id="model.lawful.other")
    assert run_over(project, Registry(PROJECT, (other,)), 11, other, whole=False).left == ()
    assert project.online(KEYS[:1], at_hour(11))[0]["kind"] == "web"
    assert run_over(project, Registry(PROJECT, (other,)), 12, other).left == ("orders",)
    with pytest.raises(UnknownNameError):
        project.online(KEYS[:1], at_hour(12))
    assert [(space.view, space.version) for space in retired(project)] == [("orders", 1)]


def test_a_view_that_another_run_publishes_is_not_taken_leave_of(project: HistoryProject) -> None:
    publish(project, 10)
    other = replace(project.view, name="other", unique_id="model.lawful.other")
    left_meanwhile = []

    def leave(*_: Any) -> None:
        left_meanwhile.append(run_over(project, Registry(PROJECT, (other,)), 11, other).left)

    publish(project, 11, progress=leave)
    assert left_meanwhile == [()]
    assert project.online(KEYS[:1], at_hour(12))[0]["kind"] == "web"
    assert run_over(project, Registry(PROJECT, (other,)), 13, other).left == ("orders",)


def test_a_run_does_not_bring_back_a_view_that_was_taken_leave_of_while_it_was_held_up(
    project: HistoryProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other run saw no lease: it had run out."""
    publish(project, 10)
    other = replace(project.view, name="other", unique_id="model.lawful.other")

    def leave(*_: Any) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(served, "running", lambda *_: {})
            run_over(project, Registry(PROJECT, (other,)), 11, other)

    with pytest.raises(MaterializeError, match="has taken leave of it meanwhile"):
        publish(project, 11, progress=leave)
    store = open_store(project.url)
    state = read_state(store, PROJECT, Registry(PROJECT, (project.view, other)))
    store.close()
    assert set(state.watermarks) == {"other"}
    assert [(space.view, space.version) for space in state.retired] == [("orders", 1)]


def test_only_pushed_rows_are_fetched_to_be_taken_over(project: HistoryProject, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(project, 10)
    with OnlineFeatureStore(project.url, PROJECT, clock=lambda: at_hour(11)) as service:
        service.push("orders", [order(1, 10.5, kind="pushed"), order(2, 10.5, kind="pushed")])
    store = open_store(project.url)
    fetched = []

    def scan_pushed(space: Any) -> Iterator[list[tuple[bytes, bytes]]]:
        for rows in type(store).scan_pushed(store, space):
            fetched.extend(rows)
            yield rows

    def read(_: Any) -> Any:
        raise AssertionError("rows are read one by one")

    monkeypatch.setattr(store, "scan_pushed", scan_pushed, raising=False)
    monkeypatch.setattr(store, "read", read)
    publish(project, 11, full_refresh=True, store=store)
    store.close()
    assert len(fetched) == 2
    assert [row["kind"] for row in project.online(KEYS[:4], at_hour(12))] == ["web", "pushed", "pushed", "web"]


def test_the_snapshot_is_decoded_once_for_each_time_that_it_is_read(project: HistoryProject, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(project, 10)
    decoded = []

    def counted(document: bytes) -> Registry:
        decoded.append(document)
        return from_json(document)

    monkeypatch.setattr(state, "from_json", counted)
    store = open_store(project.url)
    assert read_state(store, PROJECT, project.registry).served.views
    assert len(decoded) == 1
    another = Registry(PROJECT, (replace(project.view, name="other"),))
    assert set(read_state(store, PROJECT, another).watermarks) == {"orders"}, "a view that the project has no more is read, too"
    store.close()


def test_a_run_whose_pushed_rows_cannot_be_taken_over_retires_what_it_built(
    project: HistoryProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(project, 10)

    def unreachable(*_: Any, **__: Any) -> int:
        raise OnlineStoreUnavailableError("The store is gone.")

    monkeypatch.setattr(run, "take_over_pushed", unreachable)
    with pytest.raises(MaterializeError, match="The store is gone"):
        publish(project, 11, full_refresh=True)
    assert [space.version for space in retired(project)] == [2]


def test_what_was_published_is_told_also_where_old_versions_cannot_be_removed(
    project: HistoryProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*_: Any) -> None:
        raise OnlineStoreUnavailableError("The store is gone.")

    monkeypatch.setattr(run, "let_go", unreachable)
    with pytest.raises(MaterializeError, match=r"could not be removed; the next run does it: The store is gone\.") as failed:
        publish(project, 10)
    assert [one.view for one in failed.value.report.published] == ["orders"]


def test_a_new_version_of_a_model_takes_the_plain_name_once_its_rows_are_online(project: HistoryProject) -> None:
    publish(project, 10)
    first = replace(project.view, name="orders.v1", version="1", is_latest_version=False)
    second = replace(project.view, name="orders.v2", version="2", features=(KIND,))
    both = Registry(PROJECT, (first, second))
    run_over(project, both, 11, first, whole=False)

    def served(reference: str) -> Any:
        with OnlineFeatureStore(project.url, PROJECT, clock=lambda: at_hour(11)) as reader:
            return reader.get_online_features(KEYS[:1], reference).to_dict()

    assert served("orders:amount")["amount"] == [1], "version 2 is not online yet"
    assert run_over(project, both, 12, second, whole=False).left == ("orders",), "its name is answered by version 2 now"
    assert served("orders:kind") == served("orders.v2:kind") == served("orders_v2:kind")
    assert served("orders.v1:amount")["amount"] == served("orders_v1:amount")["amount"] == [1]
    with pytest.raises(UnknownNameError):
        served("orders:amount")
