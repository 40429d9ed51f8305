"""What `fsdbt materialize` says of a run that could not do all of it, and how long it waits for a store that is away."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from redis_server import RedisServer

from featurestore import FeatureStore
from featurestore.cli.materialize import finish
from featurestore.errors import OnlineStoreUnavailableError
from featurestore.materialize.run import MaterializationReport
from featurestore.timestamps import utc_now

UNFINISHED = MaterializationReport(utc_now(), "run-1", (), (), (), unfinished=OnlineStoreUnavailableError("Redis is gone."))


def test_what_could_not_be_removed_is_told_and_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (False, True):
        with pytest.raises(SystemExit) as left:
            finish(UNFINISHED, as_json)
        assert left.value.code == 1
        said = capsys.readouterr()
        assert "could not be removed; the next run does it: Redis is gone." in said.err
        assert "Nothing new to publish" not in said.err
        assert not as_json or json.loads(said.out)["unfinished"] == "Redis is gone."


def test_a_redis_that_is_away_for_a_while_fails_no_run(shop: Path) -> None:
    with RedisServer() as server, FeatureStore(shop, profiles_dir=shop, online_store=server.url) as store:
        happened: list[int] = []

        def restart(_: str, rows: int) -> None:
            if not happened:
                server.kill()
                threading.Timer(0.3, server.start).start()
            happened.append(rows)

        report = store.materialize(progress=restart)
        assert report.published
        assert not report.failed
        assert happened


def test_a_redis_that_is_not_there_is_told_of_at_once(shop: Path) -> None:
    with RedisServer() as server:
        url = server.url
    with (
        FeatureStore(shop, profiles_dir=shop, online_store=url) as store,
        pytest.raises(OnlineStoreUnavailableError, match="Is it running"),
    ):
        store.materialize()
