"""What a server tells of itself: numbers for Prometheus with bounded labels, and a line of JSON for each request without any value."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest
from feature_server import FeatureServer
from prometheus_client.parser import text_string_to_metric_families
from published_shop import NOON, Shop

from featurestore.codec.versions import watermark_document_name
from featurestore.materialize.watermarks import Watermark


@pytest.fixture
def fresh(shop: Shop):
    """A server that has answered nothing yet."""
    with FeatureServer(shop.url, "shop") as running:
        yield running


def samples(server: FeatureServer) -> dict[tuple[str, ...], float]:
    families = text_string_to_metric_families(server.client.get("/metrics").text)
    return {
        (sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value
        for family in families
        for sample in family.samples
    }


def test_requests_rows_and_freshness_are_counted(fresh: FeatureServer, shop: Shop):
    newest = NOON - timedelta(hours=1)
    mark = Watermark("orders", NOON, 7, "f", 2, "full", "shop:{customer/i:", event_timestamp=newest)
    shop.store.write_documents("shop", {watermark_document_name("orders"): msgspec.json.encode(mark)})
    for features, key in (("churn", 1), ("churn", 9), (["orders:spent"], 2), ("made_up_name", 1)):
        fresh.client.post("/v1/features", json={"features": features, "rows": [{"customer_id": key}]})
    fresh.client.get("/made/up/path")
    found = samples(fresh)
    requests = {labels[1:]: value for labels, value in found.items() if labels[0] == "featurestore_requests_total"}
    requests = {labels: value for labels, value in requests.items() if labels[0] in ("/v1/features", "other")}
    assert requests == {
        ("/v1/features", "churn", "200"): 2,
        ("/v1/features", "", "200"): 1,
        ("/v1/features", "", "404"): 1,
        ("other", "", "404"): 1,
    }
    assert found["featurestore_request_duration_seconds_count", "/v1/features", "churn"] == 2
    assert found["featurestore_feature_rows_total", "PRESENT", "orders"] == 2
    assert found["featurestore_feature_rows_total", "NOT_FOUND", "orders"] == 1
    assert found["featurestore_feature_rows_total", "NOT_FOUND", "profile"] == 1
    assert found["featurestore_newest_event_timestamp_seconds", "orders"] == newest.timestamp()
    assert found["featurestore_materialized_timestamp_seconds", "orders"] == NOON.timestamp()
    assert found["featurestore_store_read_duration_seconds_count",] == 3
    assert found["featurestore_requests_in_flight",] == 0
    assert any(labels[0] == "featurestore_build_info" for labels in found)


def test_a_store_that_fails_is_counted(shop: Shop):
    with FeatureServer("redis://127.0.0.1:1/0", "shop") as server:
        assert server.client.post("/v1/features", json={"features": "churn", "rows": []}).status_code == 503
        assert samples(server)["featurestore_store_errors_total", "OnlineStoreUnavailableError"] >= 1


def test_each_request_leaves_one_line_without_its_values(fresh: FeatureServer):
    asked = {"features": "churn", "rows": [{"customer_id": 1, "note": "a-secret-note"}, {"customer_id": 424242}]}
    fresh.client.post("/v1/features?token=query-secret", json=asked, headers={"x-request-id": "abc", "cookie": "session=cookie-secret"})
    fresh.client.get("/a/path-secret")
    deadline = time.monotonic() + 60
    while len(lines := [line for line in fresh.log.splitlines() if "/health" not in line]) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    first, second = map(json.loads, lines)
    assert first.pop("duration_ms") > 0
    assert first.pop("time").endswith("Z")
    assert first == {
        "request_id": "abc", "method": "POST", "endpoint": "/v1/features", "service": "churn", "caller": "", "rows": 2, "status": 200
    }  # fmt: skip
    assert (second["endpoint"], second["status"]) == ("other", 404)
    assert not any(secret in fresh.log + fresh.errors for secret in ("secret", "424242"))


def test_the_log_can_be_left_out(shop: Shop):
    with FeatureServer(shop.url, "shop", "--no-access-log") as server:
        assert server.client.get("/ready").status_code == 200
        server.stop()
        assert server.log == ""


def test_served_values_are_logged_and_counted(shop: Shop, tmp_path: Path):
    (tmp_path / "dbt_project.yml").touch()
    in_the_project = {"FSDBT_SERVED_LOG": "served", "FSDBT_SERVED_LOG_RATE": "1", "DBT_PROJECT_DIR": str(tmp_path)}
    with FeatureServer(shop.url, "shop", **in_the_project) as running:
        for key in (1, 9):
            running.client.post("/v1/features", json={"features": "churn", "rows": [{"customer_id": key}]})
        deadline = time.monotonic() + 60
        while ("featurestore_served_log_lines_total", "written") not in (found := samples(running)) or found[
            "featurestore_served_log_lines_total", "written"
        ] < 4:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert found["featurestore_served_log_lines_total", "dropped"] == 0
        running.stop()
    lines = [json.loads(line) for path in (tmp_path / "served").iterdir() for line in path.read_text(encoding="utf-8").splitlines()]
    assert {(line["feature_view"], *line["entity_keys"]) for line in lines} == {
        ("orders", "1"),
        ("orders", "9"),
        ("profile", "1"),
        ("profile", "9"),
    }
