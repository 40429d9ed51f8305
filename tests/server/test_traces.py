"""Where OpenTelemetry is configured, each request is a span under its caller's, with the reads of the store below it and no values."""

from __future__ import annotations

import json

from feature_server import FeatureServer
from published_shop import Shop

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


def spans(server: FeatureServer) -> list[dict]:
    server.stop()
    return [json.loads(line) for line in server.errors.splitlines() if line.startswith("{")]


def test_a_request_is_a_span_under_its_callers(shop: Shop):
    with FeatureServer(shop.url, "shop", OTEL_TRACES_EXPORTER="console") as server:
        asked = {"features": "churn", "rows": [{"customer_id": 424242}]}
        server.client.post("/v1/features", json=asked, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        server.client.post("/v1/features", json={"features": "nothing", "rows": []})
        found = [span for span in spans(server) if "health" not in span["name"]]
    ours = {span["name"]: span for span in found if span["context"]["trace_id"] == f"0x{TRACE}"}
    request, read = ours["POST /v1/features"], ours["online store read"]
    assert request["parent_id"] == f"0x{PARENT}"
    assert read["parent_id"] == request["context"]["span_id"]
    assert read["attributes"]["db.operation.batch.size"] == 2
    attributes = request["attributes"]
    assert (attributes["http.route"], attributes["http.response.status_code"]) == ("/v1/features", 200)
    assert (attributes["featurestore.service"], attributes["featurestore.rows"]) == ("churn", 1)
    others = [span for span in found if span["context"]["trace_id"] != f"0x{TRACE}"]
    assert [span["attributes"]["http.response.status_code"] for span in others] == [404]
    assert "424242" not in json.dumps(found)


def test_without_its_variables_what_makes_spans_is_not_even_imported(shop: Shop):
    with FeatureServer(shop.url, "shop", PYTHONPROFILEIMPORTTIME="1") as server:
        server.client.post("/v1/features", json={"features": "churn", "rows": [{"customer_id": 1}]})
        # redis-py imports what counts, where it is installed.
        assert "opentelemetry.sdk.trace" not in server.errors
