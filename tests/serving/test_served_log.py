"""Served values are logged exactly, by the sync and the async reader alike, and never at the cost of a request."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from published_shop import NOON, ORDERS, PROFILE, Shop

from featurestore import AsyncOnlineFeatureStore, ServedLog
from featurestore.cli.serve import served_log_folder
from featurestore.codec.versions import watermark_document_name
from featurestore.errors import SettingsError
from featurestore.registry.registry import PRIVATE
from featurestore.serving.served_values import MOST_ROWS, ServedValues

BOTH = ["orders:*", "profile:city"]


@pytest.fixture
def shop(url: str) -> Iterator[Shop]:
    published = Shop(url)
    published.publish(ORDERS, PROFILE)
    published.write(ORDERS, {"customer_id": 1, "orders_7d": 3, "spent": float("nan")}, {"customer_id": 2, "orders_7d": 1, "spent": None})
    published.write(PROFILE, {"customer_id": 1, "city": "Rīga"})
    yield published
    published.store.close()


def materialized(shop: Shop, view: str, at: datetime) -> None:
    shop.store.write_documents("shop", {watermark_document_name(view): msgspec.json.encode({"at": at, "view": view})})


def lines(folder: Path) -> list[ServedValues]:
    texts = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_bytes().splitlines()]
    return [msgspec.json.decode(text, type=ServedValues) for text in texts]


def logged(shop: Shop, folder: Path, rows: Any, features: Any = BOTH, **options: Any) -> list[ServedValues]:
    log = ServedLog(folder, rate=1.0, **options)
    with shop.reader(served_log=log) as reader:
        reader.get_online_features(rows, features)
    return lines(folder)


def test_a_line_says_what_a_view_answered_to_whom_and_by_what(shop: Shop, tmp_path: Path) -> None:
    materialized(shop, "orders", NOON - timedelta(hours=1))
    keys = [{"customer_id": 2, "note": "secret"}, {"customer_id": 1, "note": "secret"}, {"customer_id": None}, {"customer_id": 9}]
    orders, profile = logged(shop, tmp_path / "log", keys)
    assert (orders.asked_at, orders.project, orders.feature_view, orders.key_version) == (NOON, "shop", "orders", 1)
    assert (orders.materialized_at, profile.materialized_at) == (NOON - timedelta(hours=1), NOON)
    assert (orders.join_keys, orders.features) == ({"customer_id": "int64"}, {"orders_7d": "int64", "spent": "float64"})
    assert orders.entity_keys == ["2", "1", None, "9"]
    assert orders.values == {"orders_7d": [1, 3, None, None], "spent": [None, "NaN", None, None]}
    assert orders.statuses == [None, None, "NOT_FOUND", "NOT_FOUND"]
    assert [at is None for at in orders.event_timestamps] == [False, False, True, True]
    assert profile.values == {"city": [None, "Rīga", None, None]}
    assert orders.snapshot == profile.snapshot
    assert "secret" not in next((tmp_path / "log").iterdir()).read_text()


def test_nothing_is_of_a_private_model(shop: Shop, tmp_path: Path) -> None:
    shop.publish(replace(ORDERS, access=PRIVATE), PROFILE)
    (profile,) = logged(shop, tmp_path / "log", [{"customer_id": 1}])
    assert (profile.feature_view, profile.entity_keys, profile.values) == ("profile", ["1"], {"city": ["Rīga"]})


async def test_asyncio_logs_the_same(shop: Shop, tmp_path: Path) -> None:
    materialized(shop, "orders", NOON)
    rows = [{"customer_id": 1}, {"customer_id": 9}]
    expected = logged(shop, tmp_path / "sync", rows)
    log = ServedLog(tmp_path / "async", rate=1.0)
    async with AsyncOnlineFeatureStore(shop.url, "shop", clock=shop.clock, served_log=log) as reader:
        await reader.get_online_features(rows, BOTH)
    assert lines(tmp_path / "async") == expected


def test_nothing_is_logged_unless_a_log_is_given_or_a_request_is_drawn(shop: Shop, tmp_path: Path) -> None:
    log = ServedLog(tmp_path / "log", rate=0)
    with shop.reader(served_log=log) as reader:
        reader.get_online_features([{"customer_id": 1}], BOTH)
    assert not (tmp_path / "log").exists()
    drawn = ServedLog(tmp_path / "log", rate=0.3)
    chosen = sum(drawn.chosen() for _ in range(2000))
    assert 300 < chosen < 900


def test_of_a_large_answer_some_rows_are_drawn(shop: Shop, tmp_path: Path) -> None:
    rows = [{"customer_id": key} for key in range(MOST_ROWS * 3)]
    orders, profile = logged(shop, tmp_path / "log", rows)
    assert len(set(orders.entity_keys)) == MOST_ROWS == len(orders.values["spent"])
    assert orders.entity_keys == profile.entity_keys


def test_the_watermark_is_read_again_with_the_snapshot(shop: Shop, tmp_path: Path) -> None:
    materialized(shop, "orders", NOON)
    log = ServedLog(tmp_path / "log", rate=1.0)
    with shop.reader(served_log=log) as reader:
        reader.get_online_features([{"customer_id": 1}], ["orders:spent"])
        materialized(shop, "orders", NOON + timedelta(seconds=90))
        shop.clock.now = NOON + timedelta(minutes=2)
        reader.get_online_features([{"customer_id": 1}], ["orders:spent"])
    assert [line.materialized_at for line in lines(tmp_path / "log")] == [NOON, NOON + timedelta(seconds=90)]


def test_a_watermark_that_cannot_be_read_is_none(shop: Shop, tmp_path: Path) -> None:
    shop.store.write_documents("shop", {watermark_document_name("orders"): b"[]"})
    orders, _ = logged(shop, tmp_path / "log", [{"customer_id": 1}])
    assert orders.materialized_at is None


def test_a_server_logs_to_a_folder_of_the_project_or_to_that_of_its_flag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, project = tmp_path / "here", tmp_path / "project"
    here.mkdir()
    project.mkdir()
    monkeypatch.chdir(here)
    assert served_log_folder(None, "served", project) == str(here / "served"), "there is no dbt project"
    (project / "dbt_project.yml").touch()
    assert served_log_folder(None, "served", project) == str(project / "served")
    assert served_log_folder("served", "other", project) == str(here / "served")
    assert served_log_folder(None, "", project) is None


class TestTheSink:
    def test_files_are_ended_by_size_and_only_their_owner_may_read_them(self, tmp_path: Path) -> None:
        log = ServedLog(tmp_path / "log", rate=1.0, file_bytes=100)
        for number in range(5):
            log.add(lambda number=number: [b"%d" % number * 60])
            wait_for(lambda number=number: log.written == number + 1)
        log.close()
        files = sorted((tmp_path / "log").iterdir(), key=lambda path: int(path.stem.rpartition("-")[2]))
        assert [path.read_bytes().count(b"\n") for path in files] == [2, 2, 1]
        assert {path.stat().st_mode & 0o777 for path in files} == {0o600}

    def test_files_are_ended_by_age(self, tmp_path: Path) -> None:
        log = ServedLog(tmp_path / "log", rate=1.0, file_age=timedelta(0))
        for number in range(2):
            log.add(lambda: [b"line"])
            wait_for(lambda number=number: log.written == number + 1)
        log.close()
        assert len(list((tmp_path / "log").iterdir())) == 2

    def test_what_is_too_much_is_dropped_and_counted(self, tmp_path: Path) -> None:
        log = ServedLog(tmp_path / "log", rate=1.0, most_waiting=50)
        log.add(lambda: [b"x" * 60])
        log.add(lambda: [b"y" * 10, b"z" * 10])
        log.close()
        assert (log.dropped, log.written) == (1, 2)

    def test_a_folder_that_cannot_be_written_to_costs_no_request(
        self, shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "file").write_text("in the way")
        log = ServedLog(tmp_path / "file" / "log", rate=1.0)
        with shop.reader(served_log=log) as reader:
            for _ in range(3):
                assert reader.get_online_features([{"customer_id": 1}], BOTH).to_dict()["orders_7d"] == [3]
        assert (log.dropped, log.written) == (6, 0)
        assert "could not be logged" in caplog.text

    def test_a_line_that_cannot_be_made_costs_no_request(self, tmp_path: Path) -> None:
        log = ServedLog(tmp_path / "log", rate=1.0)
        log.add(lambda: [msgspec.json.encode(object())])
        assert (log.dropped, log.written) == (1, 0)

    def test_it_is_shared_by_threads_and_can_be_closed_twice_and_go_on(self, tmp_path: Path) -> None:
        log = ServedLog(tmp_path / "log", rate=1.0)
        threads = [threading.Thread(target=lambda: [log.add(lambda: [b"a line"]) for _ in range(200)]) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        log.close()
        log.close()
        assert log.written == 800
        log.add(lambda: [b"a line"])
        log.close()
        whole = b"".join(path.read_bytes() for path in (tmp_path / "log").iterdir())
        assert whole == b"a line\n" * 801

    @pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
    def test_a_process_that_was_forked_off_writes_to_a_file_of_its_own(self, tmp_path: Path) -> None:
        log = ServedLog(tmp_path / "log", rate=1.0)
        log.add(lambda: [b"parent"])
        wait_for(lambda: log.written == 1)
        child = os.fork()
        if child == 0:
            log.add(lambda: [b"child"])
            log.close()
            os._exit(0)
        os.waitpid(child, 0)
        log.add(lambda: [b"parent"])
        log.close()
        assert sorted(path.read_bytes() for path in (tmp_path / "log").iterdir()) == [b"child\n", b"parent\nparent\n"]

    @pytest.mark.parametrize("rate", [-0.1, 1.5, float("nan")])
    def test_a_rate_is_from_zero_to_one(self, tmp_path: Path, rate: float) -> None:
        with pytest.raises(SettingsError, match="a number from 0 to 1"):
            ServedLog(tmp_path, rate=rate)


def wait_for(happened: Any) -> None:
    """Until it has happened; a minute at the most."""
    for _ in range(6000):
        if happened():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not happen")
