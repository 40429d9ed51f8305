"""The server is documented by the records that it decodes, and does nothing that its document does not say."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

REFERENCES = ["orders:orders_7d", "orders:*", "profile:city"]


def test_the_document_is_valid_openapi(client):
    document = client.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    assert {"/v1/features", "/v1/push", "/v1/feature-views", "/health", "/ready", "/metrics"} <= document["paths"].keys()


def test_the_page_names_every_endpoint_and_loads_nothing(client):
    answer = client.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    for path, methods in client.get("/openapi.json").json()["paths"].items():
        for method in methods:
            assert f"<code>{method.upper()} {path}</code>" in answer.text
    assert re.findall(r"<script|src=|https?://|@import|url\(", answer.text) == []
    assert set(re.findall(r'href="#([^"]+)"', answer.text)) <= set(re.findall(r"id='([^']+)'", answer.text))


def test_schemathesis_finds_nothing(server, tmp_path):
    """Requests to every endpoint, drawn from its schema and against it: each answer is one that the document says."""
    document = f"{server.base_url}/openapi.json"
    examine(document, tmp_path, "--exclude-path", "/push")
    # As Feast's server, this one answers 422 to the name of a push source that there is not, which no schema can say.
    examine(document, tmp_path, "--include-path", "/push", "--exclude-checks", "positive_data_acceptance")
    assert " failed:" not in server.errors


def test_schemathesis_finds_nothing_where_features_are_read_and_pushed(server, tmp_path):
    """The same, where the requests name what exists: many of them are answered with values."""
    document = client_document = server.client.get("/openapi.json").json()
    narrow(document["components"]["schemas"])
    assert client_document["paths"]
    narrowed = tmp_path / "openapi.json"
    narrowed.write_text(json.dumps(document), encoding="utf-8")
    before = rows_answered(server)
    # What is missing or of the wrong type in a row is refused, and no schema can say so.
    examine(
        str(narrowed), tmp_path, "--url", server.base_url, "--include-path-regex", "^/v1/", "--exclude-checks", "positive_data_acceptance"
    )
    assert " failed:" not in server.errors
    assert rows_answered(server) > before


def examine(document: str, folder: Path, *more: str) -> None:
    """Run schemathesis on the server that a document describes."""
    program = Path(sys.executable).with_name("schemathesis")
    options = ("--max-examples", "20", "--seed", "1", "--no-color", "--phases", "examples,coverage,fuzzing", *more)
    done = subprocess.run([program, "run", document, *options], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-6000:]


def narrow(schemas: dict[str, Any]) -> None:
    """Let requests be of features that exist, mostly with keys that could."""
    key = {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 5}, {"type": ["integer", "null", "string", "number"]}]}
    instant = {"anyOf": [{"enum": ["2024-05-01T12:00:00Z", "2024-05-01"]}, {"type": ["string", "integer", "null"]}]}
    features = {"oneOf": [{"enum": ["churn"]}, {"type": "array", "items": {"enum": REFERENCES}, "minItems": 1}]}
    asked, pushed = schemas["FeaturesRequest"]["properties"], schemas["PushRequest"]["properties"]
    asked["features"] = features
    asked["rows"] = {"type": "array", "items": {"type": "object", "required": ["customer_id"], "properties": {"customer_id": key}}}
    pushed["view"] = {"enum": ["orders"]}
    values = {"customer_id": key, "event_timestamp": instant, "orders_7d": key, "spent": {"type": ["number", "null"]}}
    row = {"type": "object", "required": [*values], "properties": values, "additionalProperties": False}
    pushed["rows"] = {"type": "array", "items": row}


def rows_answered(server) -> float:
    """How many entity rows the server has looked up."""
    found = re.findall(r"^featurestore_feature_rows_total\{.*\} (\S+)$", server.client.get("/metrics").text, re.MULTILINE)
    return sum(map(float, found))
