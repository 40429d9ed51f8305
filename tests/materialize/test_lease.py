"""One run at a time publishes a view, and a run that was overtaken writes nothing more: in every store."""

from __future__ import annotations

import math
import pickle
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import codec_cases
import msgspec
import pytest
from redis import Redis
from redis_server import RedisServer

from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import key_space
from featurestore.errors import LeaseError, OnlineStoreError, WrittenTooLateError
from featurestore.materialize import lease
from featurestore.materialize.lease import HeldLease, Lease, document_name, leased, running
from featurestore.materialize.publish import Publication
from featurestore.online_store.base import OnlineStore, WriteMode
from featurestore.online_store.connect import open_store
from featurestore.online_store.embedded import EmbeddedStore

SHORT = timedelta(milliseconds=700)


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(params=["embedded", "redis"])
def store(request: pytest.FixtureRequest, redis: RedisServer, tmp_path: Path) -> Iterator[OnlineStore]:
    if request.param == "redis":
        with Redis(port=redis.port) as client:
            client.flushall()
    opened = open_store(redis.url if request.param == "redis" else f"sqlite:///{tmp_path}/online.db")
    yield opened
    opened.close()


def left_behind(store: OnlineStore, lasts: timedelta = SHORT) -> HeldLease:
    """The lease of a run that was killed right after it got it."""
    held = leased(store, "shop", "orders", lasts=lasts)
    mine = held.__enter__()
    (content,) = store.read_documents("shop", [document_name("orders")])
    assert content is not None
    held.__exit__(None, None, None)
    until = msgspec.structs.replace(msgspec.json.decode(content, type=Lease), expires_at=store.time("shop") + mine.lasts)
    store.write_documents("shop", {document_name("orders"): msgspec.json.encode(until)})
    return replace(mine, _renewed=-math.inf)


def test_a_second_run_is_told_who_the_first_one_is(store: OnlineStore) -> None:
    with (
        leased(store, "shop", "orders", lasts=SHORT),
        pytest.raises(LeaseError, match=r"another run is publishing it, since 20.* UTC, by process \d+ on "),
        leased(store, "shop", "orders", lasts=SHORT),
    ):
        pass


def test_another_view_and_another_project_are_free_meanwhile(store: OnlineStore) -> None:
    with leased(store, "shop", "orders") as first, leased(store, "shop", "visits") as second, leased(store, "other", "orders"):
        assert first.sequence < second.sequence


def test_a_run_that_is_done_leaves_the_view_to_the_next_at_once(store: OnlineStore) -> None:
    started = time.monotonic()
    sequences = []
    for _ in range(3):
        with leased(store, "shop", "orders", lasts=timedelta(hours=1)) as held:
            sequences.append(held.sequence)
    assert sequences == sorted(set(sequences))
    assert all(sequence % 2 == 0 for sequence in sequences)
    assert time.monotonic() - started < 30


def test_a_run_that_fails_leaves_the_view_to_the_next_at_once(store: OnlineStore) -> None:
    with pytest.raises(ZeroDivisionError), leased(store, "shop", "orders", lasts=timedelta(hours=1)):
        raise ZeroDivisionError
    with leased(store, "shop", "orders", lasts=timedelta(hours=1)):
        pass


def test_a_killed_run_keeps_the_view_no_longer_than_its_lease_lasts(store: OnlineStore) -> None:
    killed = left_behind(store)
    with leased(store, "shop", "orders", lasts=SHORT) as held:
        assert held.sequence > killed.sequence
        assert store.time("shop") >= killed.lease.since + killed.lasts


def test_a_run_that_works_for_longer_than_a_lease_keeps_it(store: OnlineStore) -> None:
    with leased(store, "shop", "orders", lasts=SHORT) as held:
        time.sleep(3 * SHORT.total_seconds())
        assert running(store, "shop", ["orders", "visits"])["orders"].sequence == held.sequence
        held.check(store)
    assert running(store, "shop", ["orders", "visits"]) == {}


def test_a_run_that_was_held_up_while_nobody_came_goes_on(store: OnlineStore) -> None:
    held_up = left_behind(store)
    time.sleep(2 * SHORT.total_seconds())
    assert running(store, "shop", ["orders"]) == {}
    held_up.check(store)
    assert running(store, "shop", ["orders"])["orders"].sequence == held_up.sequence


@pytest.mark.parametrize("done", [True, False], ids=["that is done", "that is at it"])
def test_a_run_that_was_overtaken_by_another_writes_nothing_more(store: OnlineStore, done: bool) -> None:
    held_up = left_behind(store)
    with leased(store, "shop", "orders", lasts=SHORT) as later:
        if not done:
            refuses_all(held_up, store)
        later.finish(store, {"watermark/orders": b"later"})
    refuses_all(held_up, store)
    assert store.read_documents("shop", ["watermark/orders"]) == [b"later"]


def refuses_all(held_up: HeldLease, store: OnlineStore) -> None:
    for act in (
        lambda: held_up.check(store),
        lambda: held_up.renew(store),
        lambda: held_up.finish(store, {"watermark/orders": b"earlier"}),
    ):
        with pytest.raises(LeaseError, match="this run was held up for longer than its lease lasts, and another run has taken over"):
            act()


def test_a_store_that_lost_the_lease_gives_it_back_to_the_run_that_has_it(store: OnlineStore) -> None:
    """As after a failover to a replica that had not heard of it yet."""
    with leased(store, "shop", "orders") as held:
        store.exchange_documents("shop", {}, {document_name("orders"): None})
        held.renew(store)
        held.finish(store, {"watermark/orders": b"done"})
    assert store.read_documents("shop", ["watermark/orders"]) == [b"done"]


def test_what_writes_in_another_process_for_a_run_keeps_its_lease(store: OnlineStore) -> None:
    killed = left_behind(store)
    there = pickle.loads(pickle.dumps(killed))
    time.sleep(2 * SHORT.total_seconds())
    there.check(store)
    assert running(store, "shop", ["orders"])["orders"].sequence == killed.sequence


def test_the_store_itself_refuses_rows_that_come_after_the_lease_ran_out(store: OnlineStore) -> None:
    view = codec_cases.feature_view()
    rows = RowEncoder("shop", view, 2).encode(codec_cases.batch_of(view, [{"customer_id": customer} for customer in range(2000)]))
    with leased(store, "shop", "orders", lasts=SHORT) as held:
        assert store.write(rows, WriteMode.EXACT, until=held.until) == 2000
        with pytest.raises(WrittenTooLateError):
            store.write(rows, WriteMode.EXACT, until=store.time("shop") - 1)
    assert store.count(key_space("shop", view)) == 2000


class AnswersLost(EmbeddedStore):
    """A store that does what it is told and says that it could not, as one may whose answer was lost and that was asked again."""

    def exchange_documents(self, project: str, expected: Mapping[str, bytes | None], documents: Mapping[str, bytes | None]) -> bool:
        super().exchange_documents(project, expected, documents)
        return False


def test_a_run_whose_last_answer_was_lost_is_done(tmp_path: Path) -> None:
    path = tmp_path / "online.db"
    store = EmbeddedStore(path)
    with leased(store, "shop", "orders") as held:
        held.finish(AnswersLost(path), {"watermark/orders": b"mine"}, {"watermark/orders": None})
    assert store.read_documents("shop", ["watermark/orders"]) == [b"mine"]
    assert running(store, "shop", ["orders"]) == {}
    store.close()


def test_a_run_whose_view_another_took_leave_of_is_told_and_brings_nothing_back(store: OnlineStore) -> None:
    store.write_documents("shop", {"watermark/orders": b"before"})
    with leased(store, "shop", "orders") as held:
        store.exchange_documents("shop", {}, {"watermark/orders": None})
        with pytest.raises(LeaseError, match="another run, over the whole project, has taken leave of it meanwhile"):
            held.finish(store, {"watermark/orders": b"mine"}, {"watermark/orders": b"before"})
    assert store.read_documents("shop", ["watermark/orders"]) == [None]


class Behind(EmbeddedStore):
    """A store in which the clock beside the documents is behind that beside the rows."""

    def time(self, project: str) -> int:
        return super().time(project) - 3_600_000_000


def test_clocks_that_are_further_apart_than_a_lease_lasts_are_told_of(tmp_path: Path) -> None:
    view = codec_cases.feature_view()
    store = Behind(tmp_path / "online.db")
    with leased(store, "shop", view.name) as held:
        publication = Publication("shop", view, codec_cases.NOON, held, WriteMode.EXACT, None, None)
        with pytest.raises(OnlineStoreError, match=r"the clock of a server that holds rows is ahead .* Set the clocks .* by NTP"):
            list(publication.write([codec_cases.batch_of(view, [{"customer_id": 1}])], store))
    store.close()


def test_a_lease_that_a_clock_set_back_would_keep_for_hours_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "LEASE", SHORT)
    killed_at = datetime.now(timezone.utc)
    before, after = (
        EmbeddedStore(tmp_path / "online.db", clock=lambda: killed_at + timedelta(hours=2)),
        EmbeddedStore(tmp_path / "online.db"),
    )
    left_behind(before)
    with (
        pytest.raises(LeaseError, match=r"keeps it for 7\d\d\d seconds more by the clock of the online store"),
        leased(after, "shop", "orders", lasts=SHORT),
    ):
        pass
    before.close()
    after.close()


def test_of_many_runs_at_once_one_at_a_time_gets_it(store: OnlineStore) -> None:
    inside, most, sequences = 0, 0, []
    lock = threading.Lock()

    def run() -> None:
        nonlocal inside, most
        for _ in range(200):
            try:
                with leased(store, "shop", "orders", lasts=timedelta(seconds=10)) as held:
                    with lock:
                        inside += 1
                        most = max(most, inside)
                        sequences.append(held.sequence)
                    time.sleep(0.005)
                    with lock:
                        inside -= 1
                return
            except LeaseError:
                continue

    threads = [threading.Thread(target=run) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert len(set(sequences)) == 5
