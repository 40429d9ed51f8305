"""What every online store promises."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from time import sleep

import codec_cases as cases
import pytest
import store_writer

from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import key_space
from featurestore.codec.layout import number_of, push_sequence, row_version, run_sequence
from featurestore.online_store.base import WriteMode
from featurestore.online_store.connect import open_async_store, open_store
from featurestore.timestamps import to_micros

VIEW = cases.feature_view()
SPACE = key_space("shop", VIEW)
NEWEST, EXACT = WriteMode.NEWEST_WINS, WriteMode.EXACT
NOON = cases.NOON
HOUR = timedelta(hours=1)


def rows_of(run: int, *rows: tuple[int, datetime, int | None], view=VIEW):
    """Customer, event time and number of orders, as written by that run."""
    batch = [{"customer_id": customer, "event_timestamp": time, "orders_7d": orders} for customer, time, orders in rows]
    return RowEncoder("shop", view, run_sequence(run)).encode(cases.batch_of(view, batch))


def pushed_rows_of(number: int, *rows: tuple[int, datetime, int | None]):
    """The same, as pushed while that run was the last one."""
    batch = [{"customer_id": customer, "event_timestamp": time, "orders_7d": orders} for customer, time, orders in rows]
    return RowEncoder("shop", VIEW, push_sequence(number)).encode(cases.batch_of(VIEW, batch))


def keys_of(*customers: int, view=VIEW) -> list[bytes]:
    space = key_space("shop", view)
    return [space.key(str(customer).encode()) for customer in customers]


def versions(store, *customers: int) -> list[tuple[int, int] | None]:
    """Minutes after noon, and the run that wrote the row."""
    found = (None if row is None else row_version(row) for row in store.read(keys_of(*customers)))
    return [version and ((version.event_time - to_micros(NOON)) // 60_000_000, number_of(version.sequence)) for version in found]


def test_rows_come_back_in_the_order_of_the_keys(store):
    written = rows_of(1, (1, NOON, 10), (2, NOON, 20))
    assert store.write(written, NEWEST) == 2
    rows = dict(written.pairs())
    keys = keys_of(2, 99, 1, 2)
    assert store.read(keys) == [rows[keys[0]], None, rows[keys[2]], rows[keys[0]]]


def test_a_store_that_nothing_was_written_to_finds_nothing(store):
    assert store.read(keys_of(1, 2)) == [None, None]
    assert store.read([]) == []
    assert store.read_documents("shop", ["registry"]) == [None]
    assert store.count(SPACE) == 0


def test_no_rows_are_written_as_no_rows(store):
    assert store.write(rows_of(1), NEWEST) == 0


def test_a_newer_event_time_wins(store):
    store.write(rows_of(1, (1, NOON, 10)), NEWEST)
    assert store.write(rows_of(2, (1, NOON + HOUR, 11)), NEWEST) == 1
    assert versions(store, 1) == [(60, 2)]


def test_an_older_event_time_never_replaces_a_newer_one(store):
    store.write(rows_of(1, (1, NOON + HOUR, 10)), NEWEST)
    assert store.write(rows_of(2, (1, NOON, 11), (2, NOON, 12)), NEWEST) == 1
    assert versions(store, 1, 2) == [(60, 1), (0, 2)]


def test_an_equal_event_time_is_overwritten_by_a_later_run_only(store):
    store.write(rows_of(2, (1, NOON, 10)), NEWEST)
    assert store.write(rows_of(1, (1, NOON, 11)), NEWEST) == 0
    assert store.write(rows_of(3, (1, NOON, 12)), NEWEST) == 1
    assert versions(store, 1) == [(0, 3)]


def test_a_run_that_is_repeated_overwrites_itself(store):
    store.write(rows_of(1, (1, NOON, 10)), NEWEST)
    corrected = rows_of(1, (1, NOON, 11))
    assert store.write(corrected, NEWEST) == 1
    assert store.read(keys_of(1)) == [row for _, row in corrected.pairs()]


def test_an_exact_write_moves_an_event_time_back(store):
    store.write(rows_of(1, (1, NOON + HOUR, 10)), NEWEST)
    assert store.write(rows_of(2, (1, NOON, 11)), EXACT) == 1
    assert versions(store, 1) == [(0, 2)]


def test_an_exact_write_leaves_what_a_later_run_wrote_and_is_newer(store):
    store.write(rows_of(3, (1, NOON + HOUR, 10), (2, NOON - HOUR, 10)), NEWEST)
    assert store.write(rows_of(2, (1, NOON, 11), (2, NOON, 11)), EXACT) == 1
    assert versions(store, 1, 2) == [(60, 3), (0, 2)]


@pytest.mark.parametrize("newer", [datetime(1969, 12, 31, 23, 59, 59), datetime(1970, 1, 1), datetime(9999, 12, 31)])
def test_event_times_before_the_epoch_are_older_than_those_after(store, newer):
    older = [datetime(1, 1, 1), datetime(1901, 12, 13), datetime(1969, 12, 31, 23, 59, 58, 999_999)]
    for run, time in enumerate((older[0], newer, *older), start=1):
        store.write(rows_of(run, (1, time, 10)), NEWEST)
    ((event_time, sequence),) = [row_version(row) for row in store.read(keys_of(1))]
    assert (event_time, sequence) == (to_micros(newer), run_sequence(2))


def test_event_times_are_told_apart_to_the_microsecond(store):
    late = datetime(9999, 12, 31, 23, 59, 59, 999_998)
    store.write(rows_of(1, (1, late + timedelta(microseconds=1), 10)), NEWEST)
    assert store.write(rows_of(2, (1, late, 11)), NEWEST) == 0


def test_writers_in_several_processes_end_with_the_newest(url, store):
    support = Path(store_writer.__file__).parent
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(support), str(support.parents[1])])}
    minutes = {1: 5, 2: 30, 3: 30, 4: 10}
    processes = [
        subprocess.Popen([sys.executable, store_writer.__file__, url, str(run), str(minute)], env=environment)
        for run, minute in minutes.items()
    ]
    assert [process.wait(60) for process in processes] == [0] * len(minutes)
    assert versions(store, *range(500)) == [(30, 3)] * 500


def test_rows_of_more_keys_than_one_command_holds(store):
    many = rows_of(1, *((customer, NOON, customer) for customer in range(5000)))
    assert store.write(many, NEWEST) == 5000
    assert store.write(rows_of(2, *((customer, NOON + HOUR, customer) for customer in range(0, 5000, 2))), NEWEST) == 2500
    assert versions(store, *range(5001)) == [(60, 2) if customer % 2 == 0 else (0, 1) for customer in range(5000)] + [None]
    assert store.count(SPACE) == 5000


def test_what_earlier_runs_wrote_is_removed_from_its_view_only(store):
    profile = cases.feature_view("customer_profile")
    glob = cases.feature_view("customer_orders[ab]*")
    store.write(rows_of(1, (1, NOON, 10), (2, NOON, 10)), NEWEST)
    store.write(rows_of(1, (1, NOON, 10), view=profile), NEWEST)
    store.write(rows_of(1, (1, NOON, 10), view=glob), NEWEST)
    store.write(rows_of(2, (2, NOON, 11), (3, NOON, 11)), NEWEST)
    assert store.remove_older(key_space("shop", glob), run_sequence(2)) == 1
    assert store.remove_older(SPACE, run_sequence(2)) == 1
    assert versions(store, 1, 2, 3) == [None, (0, 2), (0, 2)]
    assert store.count(SPACE) == 2
    assert store.count(key_space("shop", profile)) == 1
    assert store.remove_older(SPACE, run_sequence(3)) == 2
    assert store.count(SPACE) == 0


def test_removal_reaches_every_row_of_a_large_view(store):
    store.write(rows_of(1, *((customer, NOON, 1) for customer in range(12_000))), NEWEST)
    store.write(rows_of(2, *((customer, NOON, 2) for customer in range(0, 12_000, 3))), NEWEST)
    assert store.remove_older(SPACE, run_sequence(2)) == 8000
    assert store.count(SPACE) == 4000


def test_sequences_grow_for_each_project_by_itself(url, store):
    other = open_store(url)
    numbers = [store.next_sequence("shop"), other.next_sequence("shop"), store.next_sequence("shop")]
    other.close()
    assert numbers == sorted(set(numbers))
    assert store.next_sequence("another") == 1
    assert store.next_sequence("shop", above=70) > 70, "should the store have lost count"
    assert store.next_sequence("shop", above=7) > 71


def test_documents_are_kept_by_project_and_name(store):
    store.write_documents("shop", {"registry": b"\x00one", "watermark/orders": b"two"})
    store.write_documents("another", {"registry": b"three"})
    store.write_documents("shop", {"registry": b"four"})
    assert store.read_documents("shop", ["watermark/orders", "nothing", "registry"]) == [b"two", None, b"four"]
    assert store.read_documents("another", ["registry"]) == [b"three"]
    assert store.read_documents("shop", []) == []
    store.write_documents("shop", {})


def test_documents_are_exchanged_only_where_they_are_what_they_were(store):
    assert store.exchange_documents("shop", {"registry": None}, {"registry": b"\x00one", "watermark/orders": b""})
    assert not store.exchange_documents("shop", {"registry": None}, {"registry": b"two"})
    assert not store.exchange_documents("shop", {"registry": b"\x00one", "watermark/orders": None}, {"registry": b"two"})
    assert not store.exchange_documents("shop", {"registry": b"\x00one", "nothing": b""}, {"registry": b"two"})
    assert store.read_documents("shop", ["registry", "watermark/orders"]) == [b"\x00one", b""]
    assert store.exchange_documents("shop", {"registry": b"\x00one", "nothing": None}, {"registry": None, "watermark/orders": b"two"})
    assert store.read_documents("shop", ["registry", "watermark/orders"]) == [None, b"two"]
    assert not store.exchange_documents("another", {"watermark/orders": b"two"}, {})
    assert store.exchange_documents("another", {}, {"registry": b"three"})


def test_of_many_who_exchange_a_document_at_once_each_change_is_kept(url, store):
    from concurrent.futures import ThreadPoolExecutor

    def add(_: int) -> None:
        mine = open_store(url)
        while True:
            (before,) = mine.read_documents("shop", ["count"])
            if mine.exchange_documents("shop", {"count": before}, {"count": b"%d" % (int(before or 0) + 1)}):
                mine.close()
                return

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(add, range(40)))
    assert store.read_documents("shop", ["count"]) == [b"40"]


def test_a_key_space_is_scanned_in_parts_and_alone(store):
    beside = cases.feature_view(key_version=2)
    store.write(rows_of(1, *((customer, NOON, 1) for customer in range(2500))), NEWEST)
    store.write(rows_of(1, (1, NOON, 1), (2, NOON, 1), view=beside), NEWEST)
    parts = list(store.scan(SPACE))
    assert len(parts) > 1
    assert {key for part in parts for key in part} == set(keys_of(*range(2500)))
    assert {key for part in store.scan(key_space("shop", beside)) for key in part} == set(keys_of(1, 2, view=beside))
    assert list(store.scan(key_space("another", VIEW))) == []


def test_only_the_pushed_rows_of_a_key_space_are_fetched_with_their_keys(store):
    store.write(rows_of(1, *((customer, NOON, 1) for customer in range(2500))), NEWEST)
    store.write(pushed_rows_of(1, *((customer, NOON, 2) for customer in range(0, 2500, 2))), NEWEST)
    pairs = dict(pushed_rows_of(1, *((customer, NOON, 2) for customer in range(0, 2500, 2))).pairs())
    parts = list(store.scan_pushed(SPACE))
    assert len(parts) > 1
    assert dict(pair for part in parts for pair in part) == pairs
    assert list(store.scan_pushed(key_space("another", VIEW))) == []


def test_a_key_space_is_let_go_and_what_is_written_again_stays(store):
    beside = cases.feature_view(key_version=2)
    store.write(rows_of(1, *((customer, NOON, 1) for customer in range(1500))), NEWEST, expires_after=3_600_000_000)
    store.write(rows_of(1, (1, NOON, 1), view=beside), NEWEST)
    assert store.expire(SPACE, 600_000, 1_000_000) == 1500
    store.write(rows_of(2, (7, NOON, 2)), NEWEST)
    assert store.count(SPACE) == 1500, "none has gone yet"
    sleep(0.8)
    store.write(rows_of(2, (8, NOON, 2)), NEWEST)
    assert versions(store, 1, 7, 8, 1499) == [None, (0, 2), (0, 2), None]
    assert store.read(keys_of(1, view=beside)) != [None]


def test_rows_are_let_go_no_faster_than_is_said(store):
    store.write(rows_of(1, *((customer, NOON, 1) for customer in range(200))), NEWEST)
    store.expire(SPACE, 0, 20)
    sleep(0.5)
    store.write(rows_of(2, (-1, NOON, 2)), NEWEST)
    left = sum(row is not None for row in store.read(keys_of(*range(200))))
    assert 0 < left <= 190


def test_a_row_that_nobody_wrote_again_is_cleaned_up(store):
    moment, hour = 20_000, 3_600_000_000
    store.write(rows_of(1, (1, NOON, 10), (2, NOON, 10), (3, NOON, 10)), NEWEST, expires_after=moment)
    store.write(rows_of(1, (4, NOON, 10)), NEWEST, expires_after=hour)
    store.write(rows_of(2, (2, NOON, 11)), NEWEST, expires_after=hour)
    store.write(rows_of(2, (3, NOON, 11)), NEWEST)
    sleep(0.1)
    store.write(rows_of(2, (5, NOON, 11)), NEWEST)
    assert versions(store, 1, 2, 3, 4, 5) == [None, (0, 2), (0, 2), (0, 1), (0, 2)]


def test_a_write_that_loses_does_not_prolong_the_row(store):
    store.write(rows_of(2, (1, NOON, 10)), NEWEST, expires_after=50_000)
    store.write(rows_of(1, (1, NOON, 9)), NEWEST, expires_after=3_600_000_000)
    sleep(0.15)
    store.write(rows_of(2, (2, NOON, 11)), NEWEST)
    assert versions(store, 1) == [None]


async def test_the_async_half_reads_the_same(url, store):
    store.write(rows_of(1, (1, NOON, 10)), NEWEST)
    store.write_documents("shop", {"registry": b"one"})
    reader = open_async_store(url)
    assert await reader.read(keys_of(1, 2)) == store.read(keys_of(1, 2))
    assert await reader.read([]) == []
    assert await reader.read_documents("shop", ["registry", "nothing"]) == [b"one", None]
    assert await reader.read_documents("shop", []) == []
    await reader.close()


async def test_the_async_half_writes_by_the_same_rule(url, store):
    store.write(rows_of(1, (1, NOON + HOUR, 10), (2, NOON, 10)), NEWEST)
    writer = open_async_store(url)
    assert await writer.write(rows_of(2, (1, NOON, 11), (2, NOON, 11)), NEWEST) == 1
    assert await writer.write(rows_of(2), NEWEST) == 0
    assert await writer.write(rows_of(3, *((customer, NOON, 1) for customer in range(100, 2100))), NEWEST, expires_after=20_000) == 2000
    assert versions(store, 1, 2) == [(60, 1), (0, 2)]
    await writer.write_documents("shop", {"registry": b"two"})
    await writer.write_documents("shop", {})
    assert store.read_documents("shop", ["registry"]) == [b"two"]
    sleep(0.1)
    await writer.write(rows_of(3, (3, NOON, 11)), NEWEST)
    await writer.close()
    assert versions(store, 100, 2099) == [None, None]


async def test_the_last_sequence_is_read_without_being_used_up(url, store):
    reader = open_async_store(url)
    assert [store.last_sequence("shop"), await reader.last_sequence("shop")] == [0, 0]
    given = store.next_sequence("shop", above=6)
    assert [store.last_sequence("shop"), await reader.last_sequence("shop"), store.last_sequence("another")] == [given, given, 0]
    await reader.close()


async def test_the_async_half_finds_nothing_where_nothing_was_written(url):
    reader = open_async_store(url)
    assert await reader.read(keys_of(1)) == [None]
    assert await reader.read_documents("shop", ["registry"]) == [None]
    await reader.close()


def test_a_store_is_shared_by_threads(store):
    from concurrent.futures import ThreadPoolExecutor

    store.write(rows_of(1, *((customer, NOON, customer) for customer in range(200))), NEWEST)
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda customer: versions(store, customer), range(200)))
    assert answers == [[(0, 1)]] * 200
