"""A server needs next to nothing, keeps its limits when asked too much or the store hangs, and ends without losing an answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from feature_server import FeatureServer
from published_shop import Shop

HEAVY = {"dbt", "duckdb", "numpy", "pandas", "polars", "pyarrow", "sqlglot", "starlette"}
MOST_MEGABYTES = 80
ASKED = {"features": "churn", "rows": [{"customer_id": 1}]}


@pytest.fixture
def store(redis_server) -> Iterator[redis.Redis]:
    """A client of the Redis that the server reads, to make it hang."""
    with redis.Redis(port=redis_server.port) as client:
        yield client


def ask(server: FeatureServer):
    return server.client.post("/v1/features", json=ASKED)


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024


def test_a_worker_imports_nothing_heavy_and_stays_small(shop: Shop):
    with FeatureServer(shop.url, "shop", PYTHONPROFILEIMPORTTIME="1") as server:
        assert ask(server).status_code == 200
        assert server.client.get("/metrics").status_code == 200
        imported = {
            line.rpartition("|")[2].strip().partition(".")[0] for line in server.errors.splitlines() if line.startswith("import time:")
        }
        assert "uvicorn" in imported
        assert imported & HEAVY == set()
        assert megabytes(server.process.pid) < MOST_MEGABYTES


def test_arrow_is_imported_when_it_is_asked_for(shop: Shop):
    import pyarrow as pa

    with FeatureServer(shop.url, "shop") as server:
        asked = {"features": ["orders:*"], "rows": [{"customer_id": 1}, {"customer_id": 9}], "statuses": True, "event_timestamps": True}
        answer = server.client.post("/v1/features", json=asked, headers={"accept": "application/vnd.apache.arrow.stream"})
        table = pa.ipc.open_stream(answer.content).read_all()
        assert table.select(["customer_id", "orders_7d", "spent", "spent.status"]).to_pylist() == [
            {"customer_id": 1, "orders_7d": 3, "spent": 9.5, "spent.status": "PRESENT"},
            {"customer_id": 9, "orders_7d": None, "spent": None, "spent.status": "NOT_FOUND"},
        ]
        assert table.schema.field("spent.event_timestamp").type == pa.timestamp("us", "UTC")


def test_more_requests_than_there_is_room_for_are_turned_away_at_once(shop: Shop, store: redis.Redis):
    with FeatureServer(shop.url, "shop", "--max-concurrency", "1", "--max-queue", "1") as server:
        assert ask(server).status_code == 200
        store.client_pause(3000)
        with ThreadPoolExecutor(4) as pool:
            answers = [asking.result() for asking in [pool.submit(ask, server) for _ in range(4)]]
        assert sorted(answer.status_code for answer in answers) == [200, 200, 503, 503]
        turned_away = next(answer for answer in answers if answer.status_code == 503)
        assert turned_away.json()["error"]["code"] == "overloaded"
        assert turned_away.headers["retry-after"] == "1"
        assert ask(server).status_code == 200


def test_a_request_that_takes_too_long_ends_and_the_next_is_answered(shop: Shop, store: redis.Redis):
    with FeatureServer(shop.url, "shop", "--request-timeout", "1.5") as server:
        assert ask(server).status_code == 200
        store.client_pause(3000)
        late = ask(server)
        assert (late.status_code, late.json()["error"]["code"]) == (504, "timeout")
        store.ping()
        assert ask(server).status_code == 200


def test_readiness_is_told_within_its_bound_while_the_store_hangs_and_after_it_has_gone(shop: Shop, store: redis.Redis):
    with FeatureServer(shop.url, "shop") as server:
        store.client_pause(2500)
        hangs = server.client.get("/ready")
        assert (hangs.status_code, hangs.json()["error"]["code"]) == (503, "online_store_unavailable")
        assert server.client.get("/health").status_code == 200
        store.ping()
        assert server.client.get("/ready").status_code == 200
    with FeatureServer("redis://127.0.0.1:1/0", "shop") as server:
        gone = server.client.get("/ready")
        assert (gone.status_code, gone.json()["error"]["code"]) == (503, "online_store_unavailable")
        assert "127.0.0.1" not in gone.text
        assert (ask(server).status_code, server.client.get("/health").status_code) == (503, 200)


def test_a_project_that_nobody_published_is_not_ready(shop: Shop):
    with FeatureServer(shop.url, "nobody") as server:
        answer = server.client.get("/ready")
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "not_materialized")


def test_what_is_asked_before_the_end_is_answered(shop: Shop, store: redis.Redis):
    with FeatureServer(shop.url, "shop") as server:
        assert ask(server).status_code == 200
        store.client_pause(3000)
        with ThreadPoolExecutor(1) as pool:
            asking = pool.submit(ask, server)
            time.sleep(1)
            server.process.send_signal(signal.SIGTERM)
            assert asking.result().json()["rows"] == [{"customer_id": 1, "orders_7d": 3, "spent": 9.5, "city": "Riga"}]
        assert server.process.wait(timeout=60) in (0, -signal.SIGTERM)
        assert '"status":200' in server.log.splitlines()[-1]


def test_a_worker_that_dies_is_replaced_and_the_numbers_are_those_of_all(shop: Shop):
    with FeatureServer(shop.url, "shop", "--workers", "2") as server:
        for _ in range(40):
            # A connection of its own each time, so that both workers are asked.
            assert ask(server).status_code == 200
            server.client.close()
            server.client = server.new_client()
        counted = 'featurestore_requests_total{endpoint="/v1/features",service="churn",status="200"} 40.0'
        deadline = time.monotonic() + 60
        while counted not in server.client.get("/metrics").text.splitlines() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert counted in server.client.get("/metrics").text.splitlines()
        before = workers(server)
        assert len(before) == 2
        os.kill(before[0], signal.SIGKILL)
        deadline = time.monotonic() + 60
        while len(now := set(workers(server)) - {before[0]}) < 2 and time.monotonic() < deadline:
            assert ask_again(server).status_code == 200
            time.sleep(0.1)
        assert len(now) == 2
        assert ask_again(server).status_code == 200
        server.stop()
        assert children_left(now) == []


def ask_again(server: FeatureServer):
    server.client.close()
    server.client = server.new_client()
    return ask(server)


def workers(server: FeatureServer) -> list[int]:
    return [child for child in children(server.process.pid) if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def children_left(pids: set[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists()]


@pytest.mark.parametrize("variable", ["FSDBT_SERVE_KEEP_ALIVE", "FSDBT_SERVE_SHUTDOWN_TIMEOUT"])
def test_seconds_that_the_http_server_would_cut_to_none_are_refused(variable):
    failed = started({"FSDBT_ONLINE_STORE": "redis://127.0.0.1:1", "FSDBT_PROJECT": "shop", variable: "0.5"})
    assert failed.returncode == 3
    assert failed.stderr.startswith(f"error: {variable}: ")


@pytest.mark.parametrize(
    ("missing", "exporter", "said"),
    [
        ("opentelemetry", "otlp", "pip install 'featurestore[otel]'"),
        ("opentelemetry.exporter", "otlp", "pip install 'featurestore[otel]'"),
        ("opentelemetry", "console", "pip install 'featurestore[otel]'"),
        (None, "otpl", "OTEL_TRACES_EXPORTER: traces cannot be sent to 'otpl'. Did you mean 'otlp'?"),
        (None, "zipkin", "'zipkin'"),
    ],
)
def test_traces_that_cannot_be_sent_are_one_error_before_a_worker_starts(missing, exporter, said):
    environment = {"FSDBT_ONLINE_STORE": "redis://127.0.0.1:1", "FSDBT_PROJECT": "shop", "FSDBT_SERVE_WORKERS": "2"}
    failed = started({**environment, "OTEL_TRACES_EXPORTER": exporter}, missing)
    assert failed.returncode in (1, 3)
    assert failed.stderr.startswith("error: ")
    assert said in failed.stderr
    assert failed.stderr.count("\n") == 1


def started(environment: dict[str, str], missing: str | None = None) -> subprocess.CompletedProcess[str]:
    """A server that is to end by itself. Args: missing: a package that it is not to find."""
    program = f"import sys; sys.modules.update({{{missing!r}: None}} if {missing!r} else {{}})"
    program += "; from featurestore.server.__main__ import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, timeout=30, check=False
    )


def test_an_online_store_that_cannot_be_meant_is_one_error_and_no_traceback(tmp_path: Path):
    program = Path(sys.executable).with_name("fsdbt")
    for url, said in (("redsi://user:hunter2@cache", "Did you mean 'redis'?"), ("redis://user:hunter2@cache:port", "cannot be read")):
        failed = subprocess.run(
            [program, "serve", "--online-store", url, "--project", "shop"], cwd=tmp_path, capture_output=True, text=True
        )
        assert failed.returncode == 3
        assert failed.stderr.startswith("error: ")
        assert said in failed.stderr
        assert "Traceback" not in failed.stderr
        assert "hunter2" not in failed.stderr
