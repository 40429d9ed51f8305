"""A service writes the newest values of an entity itself: checked like a contract, newest wins, read back at once."""

from __future__ import annotations

import asyncio
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import codec_cases as cases
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_shop import NOON, ORDERS, PROFILE, Shop

from featurestore import AsyncOnlineFeatureStore
from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import key_space
from featurestore.codec.layout import push_sequence, row_version, run_sequence
from featurestore.codec.versions import Building
from featurestore.errors import NotMaterializedError, PushError, RequestError, UnknownNameError
from featurestore.online_store.base import WriteMode
from featurestore.registry.aggregations import AggregateFunction
from featurestore.registry.definitions import Aggregation, Column, Feature
from featurestore.registry.value_types import DATE, INT64, STRING, TIMESTAMP, TIMESTAMP_UTC, UNRESOLVED, DecimalType
from featurestore.serving.push import Pushed, check_rows
from featurestore.timestamps import to_micros

HOUR = timedelta(hours=1)


@pytest.fixture
def shop(url):
    published = Shop(url)
    published.publish(ORDERS, PROFILE)
    yield published
    published.store.close()


def order(customer=1, orders=3, spent=9.5, at=NOON - HOUR):
    return {"customer_id": customer, "event_timestamp": at, "orders_7d": orders, "spent": spent}


def orders_of(shop, *customers):
    with shop.reader() as reader:
        return reader.get_online_features({"customer_id": list(customers)}, "orders:orders_7d").to_dict()["orders_7d"]


def test_what_is_pushed_is_read_back_at_once(shop):
    with shop.reader() as store:
        assert store.push("orders", [order(1), order(2, 5)]) == Pushed("orders", rows=2, written=2)
        answer = store.get_online_features({"customer_id": [1, 2]}, "orders:*")
        assert answer.to_dict() == {"customer_id": [1, 2], "orders_7d": [3, 5], "spent": [9.5, 9.5]}
        assert answer.event_timestamps()["orders_7d"] == [NOON - HOUR] * 2
    assert orders_of(shop, 1, 2) == [3, 5], "by a reader that knows nothing of the push"


def test_columns_are_pushed_as_rows_are(shop):
    with shop.reader() as store:
        columns = {"customer_id": [1, 2], "event_timestamp": [NOON] * 2, "orders_7d": [3, None], "spent": (1.5, 2)}
        assert store.push("orders", columns) == Pushed("orders", rows=2, written=2)
        assert store.get_online_features({"customer_id": [1, 2]}, "orders:*").to_dict()["orders_7d"] == [3, None]


def test_nothing_is_pushed_as_nothing(shop):
    with shop.reader() as store:
        for nothing in ([], {}, {"customer_id": [], "event_timestamp": [], "orders_7d": [], "spent": []}):
            assert store.push("orders", nothing) == Pushed("orders", rows=0, written=0)


def test_the_async_store_pushes_by_the_same_rules(shop):
    def admit(view, rows):
        assert view == ORDERS
        return [{**row, "orders_7d": int(row["orders_7d"])} for row in rows]

    async def push():
        async with AsyncOnlineFeatureStore(shop.url, "shop", clock=shop.clock) as store:
            done = await asyncio.gather(*(store.push("orders", [order(customer, customer)]) for customer in range(50)))
            done.append(await store.push("orders", [order(50, "50")], admit=admit))
            done.append(await store.push("orders", [order(50, 49, at=NOON - 2 * HOUR)]))
            with pytest.raises(PushError):
                await store.push("orders", [{}])
            return done

    assert asyncio.run(push()) == [Pushed("orders", 1, 1)] * 51 + [Pushed("orders", 1, 0)]
    assert orders_of(shop, *range(51)) == list(range(51))


def test_an_older_event_time_never_replaces_a_newer_one(shop):
    shop.write(ORDERS, {"customer_id": 1, "orders_7d": 10, "spent": 1.0})
    with shop.reader() as store:
        assert store.push("orders", [order(1, 9, at=NOON - timedelta(microseconds=1))]).written == 0
        assert store.push("orders", [order(1, 11, at=NOON)]).written == 1, "an equal one arrived later"
    assert orders_of(shop, 1) == [11]


def test_pushes_and_runs_of_one_event_time_are_ordered_as_they_arrive(shop):
    with shop.reader() as first, shop.reader() as second:
        first.push("orders", [order(1, 1)])
        second.push("orders", [order(1, 2)])
        assert orders_of(shop, 1) == [2]
        first.push("orders", [order(1, 3)])
        assert orders_of(shop, 1) == [3]
        noted = shop.store.next_sequence("shop")
        second.push("orders", [order(1, 4)])
        shop.write(ORDERS, {"customer_id": 1, "orders_7d": 5, "spent": 0.0, "event_timestamp": NOON - HOUR}, run=run_sequence(noted))
        assert orders_of(shop, 1) == [4], "the run had begun before"
        shop.write(ORDERS, {"customer_id": 1, "orders_7d": 6, "spent": 0.0, "event_timestamp": NOON - HOUR})
        assert orders_of(shop, 1) == [6]
        first.push("orders", [order(1, 7)])
        assert orders_of(shop, 1) == [7]


def test_pushes_use_up_no_numbers(shop):
    with shop.reader() as store:
        before = shop.store.next_sequence("shop")
        for orders in range(20):
            store.push("orders", [order(1, orders)])
        assert shop.store.next_sequence("shop") == before + 1
        (row,) = shop.store.read([key_space("shop", ORDERS).key(b"1")])
        assert row_version(row) == (to_micros(NOON - HOUR), push_sequence(before))


def test_many_threads_push_and_the_newest_wins(shop):
    with shop.reader() as store, ThreadPoolExecutor(8) as threads:
        minutes = [(7 * number) % 100 for number in range(100)]
        list(threads.map(lambda minute: store.push("orders", [order(1, minute, at=NOON - timedelta(minutes=minute))]), minutes))
    assert orders_of(shop, 1) == [0]


def test_of_several_rows_of_one_key_the_newest_counts_and_the_last_of_equals(shop):
    with shop.reader() as store:
        rows = [order(1, 1, at=NOON - HOUR), order(1, 2, at=NOON), order(1, 3, at=NOON - HOUR), order(2, 4), order(2, 5)]
        assert store.push("orders", rows) == Pushed("orders", rows=5, written=2)
    assert orders_of(shop, 1, 2) == [2, 5]


def test_of_equal_event_times_the_row_created_last_counts():
    view = dataclasses.replace(ORDERS, created_timestamp=Column("loaded_at", TIMESTAMP))
    rows = [{**order(1, 1), "loaded_at": NOON - timedelta(minutes=1)}, {**order(1, 2), "loaded_at": NOON - timedelta(minutes=2)}]
    assert list(check_rows(view, rows, NOON).newest.values()) == [0]
    silent = [order(1, 1), {**order(1, 2), "loaded_at": None}, {**order(1, 3), "loaded_at": NOON - HOUR}]
    checked = check_rows(view, silent, NOON)
    assert list(checked.newest.values()) == [1], "a row that does not say was written now"
    assert checked.columns["loaded_at"] == [to_micros(NOON), to_micros(NOON), to_micros(NOON - HOUR)]


def test_a_push_to_the_plain_name_of_a_versioned_model_reaches_its_latest_version(shop):
    first = dataclasses.replace(ORDERS, name="orders.v1", version="1", is_latest_version=False)
    second = dataclasses.replace(ORDERS, name="orders.v2", version="2")
    shop.publish(first, second)
    with shop.reader() as store:
        assert store.push("orders", [order()]).view == "orders.v2"
        found = store.get_online_features({"customer_id": [1]}, ["orders.v1:orders_7d", "orders.v2:orders_7d"], full_feature_names=True)
        assert found.to_dict() == {"customer_id": [1], "orders.v1__orders_7d": [None], "orders.v2__orders_7d": [3]}


def test_a_view_published_while_a_service_runs_is_found(shop):
    with shop.reader() as store:
        store.push("orders", [order()])
        with pytest.raises(UnknownNameError, match="Did you mean 'orders'"):
            store.push("order", [order()])
        late = cases.feature_view("late_orders", {"orders_7d": INT64, "spent": INT64})
        shop.publish(ORDERS, late)
        shop.clock.now += timedelta(seconds=2)
        assert store.push("late_orders", [order(1, 3, 9)]).written == 1


def test_a_row_whose_ttl_has_passed_reads_as_training_answers(shop):
    view = dataclasses.replace(ORDERS, ttl=HOUR)
    shop.publish(view)
    with shop.reader() as store:
        store.push("orders", [order(1, 3, at=NOON - HOUR), order(2, 3, at=NOON - HOUR - timedelta(microseconds=1))])
        answer = store.get_online_features({"customer_id": [1, 2]}, "orders:*")
        assert answer.to_dict()["orders_7d"] == [3, None]
        assert [status.name for status in answer.statuses()["orders_7d"]] == ["PRESENT", "OUTSIDE_MAX_AGE"]


@pytest.mark.parametrize("wait", [timedelta(0), timedelta(days=1)])
def test_a_row_that_does_not_count_yet_is_refused(shop, wait):
    view = dataclasses.replace(ORDERS, available_after=wait)
    shop.publish(view)
    with shop.reader() as store:
        assert store.push("orders", [order(at=NOON - wait)]).written == 1
        with pytest.raises(PushError, match=r"row 0: event_timestamp: counts from 2024-05-01T12:00:00.000001Z on.*push it then"):
            store.push("orders", [order(at=NOON - wait + timedelta(microseconds=1))])


def test_everything_that_is_wrong_is_named_before_anything_is_written(shop):
    rows = [
        order(1),
        order(None, "3", at=NOON + HOUR),
        {"customer_id": 2**63, "event_timestamp": None, "orders_7d": True},
        {**order(3), "ordersd": 1},
    ]
    with shop.reader() as store, pytest.raises(PushError) as refused:
        store.push("orders", rows)
    found = [(problem.row, problem.column) for problem in refused.value.problems]
    assert found == [
        (None, "ordersd"),
        (1, "customer_id"),
        (1, "orders_7d"),
        (1, "event_timestamp"),
        (2, "customer_id"),
        (2, "event_timestamp"),
        (2, "orders_7d"),
        (2, "spent"),
    ]
    text = str(refused.value)
    assert text.startswith("8 problems in the rows for 'orders'; nothing was written:\n")
    for line in (
        "every row: ordersd: 'orders' has no such column. Did you mean 'orders_7d'?",
        "row 1: customer_id: is null: every row names its entity by all join keys",
        "row 1: orders_7d: must be a whole number (int64), not '3' (str)",
        "row 2: customer_id: must be from -9223372036854775808 to 9223372036854775807 (int64), not 9223372036854775808 (int)",
        "row 2: event_timestamp: is null: every row says when its values became true",
        "row 2: spent: is missing: a row replaces all features of its entity; give None where one is null",
    ):
        assert f"  {line}\n" in f"{text}\n"
    assert refused.value.http_status == 422
    assert orders_of(shop, 1, 3) == [None, None]


def test_a_column_that_is_missing_is_named_once(shop):
    with shop.reader() as store, pytest.raises(PushError, match=r"^1 problem .*\n  every row: spent: is missing: a row replaces all"):
        store.push("orders", {"customer_id": [1, 2], "event_timestamp": [NOON, NOON], "orders_7d": [1, 2]})


def test_a_thousand_problems_are_counted_and_the_first_shown(shop):
    with shop.reader() as store, pytest.raises(PushError, match=r"1000 problems(?s:.)*row 99: .*\n  … and 900 more$") as refused:
        store.push("orders", [order(number, "x") for number in range(1000)])
    assert len(refused.value.problems) == 1000


@pytest.mark.parametrize("rows", ["orders", 7, None, [1], [order(), "x"], {"customer_id": 1}, {"customer_id": "12"}])
def test_rows_of_another_shape_are_refused(shop, rows):
    with (
        shop.reader() as store,
        pytest.raises(
            RequestError, match=r"Rows to push are a list of dicts, like|Column 'customer_id' of the rows to push is no list of values"
        ),
    ):
        store.push("orders", rows)


def test_columns_of_different_lengths_are_refused(shop):
    with shop.reader() as store, pytest.raises(RequestError, match="customer_id 2, orders_7d 1"):
        store.push("orders", {"customer_id": [1, 2], "orders_7d": [1]})


SUM = Feature("amount_sum_7d", INT64, aggregation=Aggregation(AggregateFunction.SUM, timedelta(days=7), Column("amount", INT64)))
UNPUSHABLE = [
    (dataclasses.replace(ORDERS, online=False), "not online: its meta says `online: false`"),
    (dataclasses.replace(ORDERS, features=(SUM,)), "cannot be folded into them exactly. Append it to the table that the model reads"),
    (dataclasses.replace(ORDERS, valid_to=Column("dbt_valid_to", TIMESTAMP)), "is a dbt snapshot"),
    (dataclasses.replace(ORDERS, features=(Feature("orders_7d", UNRESOLVED),)), "is not built yet"),
]


@pytest.mark.parametrize(("view", "why"), UNPUSHABLE, ids=["offline", "aggregations", "snapshot", "not built"])
def test_a_view_that_takes_no_rows_says_why_and_what_to_do(shop, view, why):
    shop.publish(view)
    with shop.reader() as store, pytest.raises(RequestError, match=why):
        store.push("orders", [order()])


def test_a_project_that_was_never_materialized_says_what_to_run(url):
    store = Shop(url).reader()
    with store, pytest.raises(NotMaterializedError, match="fsdbt materialize"):
        store.push("orders", [order()])


def test_a_view_of_which_nothing_was_ever_published_takes_no_rows(shop):
    """A run that publishes others tells readers that it exists."""
    shop.store.exchange_documents("shop", {}, {"watermark/orders": None})
    with shop.reader() as store:
        with pytest.raises(NotMaterializedError, match=r"Nothing of 'orders' is online yet.*fsdbt materialize"):
            store.push("orders", [order()])
        assert store.push("profile", [{"customer_id": 1, "event_timestamp": NOON, "city": "Bern"}]).written == 1
    assert shop.store.count(key_space("shop", ORDERS)) == 0


def test_a_push_begins_with_the_number_and_the_versions_of_now_whatever_it_read_hours_ago(shop):
    building = {"building/orders": msgspec.json.encode(Building(2, "shop:{customer/i:", "}:orders~2", takes_rows=True))}
    shop.store.write_documents("shop", building)
    with shop.reader() as store:
        store.push("orders", [order(1)])
        shop.store.exchange_documents("shop", building, {"building/orders": None})
        shop.write(ORDERS, {"customer_id": 2, "orders_7d": 5, "spent": 0.0, "event_timestamp": NOON - HOUR})
        assert store.push("orders", [order(2, 6)]).written == 1, "with the number of before it would have lost to the run first"
    assert shop.store.count(key_space("shop", dataclasses.replace(ORDERS, key_version=2))) == 1, "the build was given up"


def test_keys_and_event_times_of_other_types_are_spelled_as_they_are_read(shop):
    keys = [Column("day", DATE), Column("price", DecimalType(6, 2)), Column("seen", TIMESTAMP_UTC), Column("who", STRING)]
    view = dataclasses.replace(
        cases.feature_view("visits", {"n": INT64}, join_keys=keys, entity="visit"), event_timestamp=Column("event_date", DATE)
    )
    shop.publish(view)
    key = {"day": date(2024, 5, 1), "price": Decimal("1.5"), "seen": datetime(2024, 5, 1, 2, tzinfo=timezone(HOUR)), "who": "a,b"}
    with shop.reader() as store:
        store.push("visits", [{**key, "event_date": date(2024, 5, 1), "n": 1}])
        answer = store.get_online_features([{**key, "seen": datetime(2024, 5, 1, 1)}], "visits:n")
        assert (answer.to_dict()["n"], answer.event_timestamps()["n"]) == ([1], [NOON - 12 * HOUR])
        with pytest.raises(PushError, match="event_date: counts from 2024-05-02T00:00:00Z on"):
            store.push("visits", [{**key, "event_date": date(2024, 5, 2), "n": 1}])


happenings = st.lists(
    st.tuples(st.sampled_from(["push", "run"]), st.integers(0, 2), st.integers(-2, 0), st.integers(0, 99)), min_size=1, max_size=12
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(happenings)
def test_runs_and_pushes_one_after_the_other_leave_the_newest_and_the_last_of_equals(shop, happened):
    expected: dict[int, tuple[int, int]] = {}
    shop.publish(ORDERS)
    space = key_space("shop", ORDERS)
    shop.store.remove_older(space, 2**32 - 1, pushed_before=2**32 - 1, horizon=to_micros(NOON))
    for customer in range(3):
        shop.write(ORDERS, {"customer_id": customer, "orders_7d": None, "spent": 0.0, "event_timestamp": datetime(2000, 1, 1)})
    with shop.reader() as store:
        for kind, customer, hours, orders in happened:
            at = NOON + hours * HOUR
            if kind == "push":
                store.push("orders", [order(customer, orders, at=at)])
            else:
                run = run_sequence(shop.store.next_sequence("shop"))
                row = {"customer_id": customer, "orders_7d": orders, "spent": 0.0, "event_timestamp": at.replace(tzinfo=None)}
                shop.store.write(RowEncoder("shop", ORDERS, run).encode(cases.batch_of(ORDERS, [row])), WriteMode.NEWEST_WINS)
            if hours >= expected.get(customer, (-9, 0))[0]:
                expected[customer] = (hours, orders)
    assert orders_of(shop, 0, 1, 2) == [expected.get(customer, (0, None))[1] for customer in range(3)]


def watermark(shop, version):
    shop.store.write_documents("shop", {"watermark/orders": msgspec.json.encode({"view": "orders", "key_version": version})})


def test_a_push_goes_to_the_version_that_is_being_built_too(shop):
    built = dataclasses.replace(ORDERS, key_version=2)
    space = key_space("shop", built)
    watermark(shop, 1)
    with shop.reader() as store:
        store.push("orders", [order(1)])
        assert shop.store.read([space.key(b"1")]) == [None]
        building = Building(2, space.prefix.decode(), space.suffix.decode(), takes_rows=True)
        shop.store.write_documents("shop", {"building/orders": msgspec.json.encode(building)})
        assert store.push("orders", [order(2, 5)]) == Pushed("orders", 1, 1), "announced since the last push"
        rows = shop.store.read([key_space("shop", ORDERS).key(b"2"), space.key(b"2")])
        assert rows[0] == rows[1] is not None
        deaf = Building(2, space.prefix.decode(), space.suffix.decode(), takes_rows=False)
        shop.store.write_documents("shop", {"building/orders": msgspec.json.encode(deaf)})
        store.push("orders", [order(3)])
        store.push("orders", [order(4)])
        assert shop.store.read([space.key(b"4")]) == [None]


def test_a_push_follows_a_view_that_is_served_by_another_version(shop):
    watermark(shop, 1)
    with shop.reader() as store:
        store.push("orders", [order(1)])
        wider = dataclasses.replace(ORDERS, key_version=2, features=(*ORDERS.features, Feature("returns", INT64)))
        shop.publish(wider, PROFILE)
        watermark(shop, 2)
        with pytest.raises(PushError, match="every row: returns: is missing"):
            store.push("orders", [order(2)])
        assert store.push("orders", [{**order(2), "returns": 1}]).written == 1
        assert store.get_online_features({"customer_id": [2]}, "orders:returns").to_dict()["returns"] == [1]
        assert shop.store.read([key_space("shop", wider).key(b"2")]) != [None]
