"""Whatever is sent, the server answers with a status below 500, lives on, and has no fault of its own to log.

`FSDBT_FUZZ_EXAMPLES` says how many requests of each kind are drawn: 150 where it does not.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import codec_cases as cases
import pytest
from bad_bodies import BAD_BODIES, ROW
from bad_http import BAD_HTTP
from feature_server import FeatureServer
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from published_shop import ORDERS, PROFILE, Shop
from raw_http import exchange, post

from featurestore.registry.definitions import Feature, FeatureView
from featurestore.registry.value_types import FLOAT64, INT64, STRING, TIMESTAMP
from featurestore.sql.on_demand.grammar import parse_expression

EXAMPLES = int(os.environ.get("FSDBT_FUZZ_EXAMPLES", "150"))
FUZZ = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

PUSHED = {**ROW, "event_timestamp": "2024-05-01T12:00:00Z", "orders_7d": 3, "spent": 1.5}
READS: list[dict[str, Any]] = [
    {"features": "churn", "rows": [ROW, {"customer_id": 2}], "statuses": True, "event_timestamps": True},
    {"features": ["orders:spent", "profile:*"], "columns": {"customer_id": [1, 2], "label": ["a", None]}, "full_feature_names": True},
]
BROUGHT = {**ROW, "amount": 1e308, "quantity": 3, "country": "lv", "at": "2024-05-01T12:00:00"}
ENDPOINTS: dict[str, list[dict[str, Any]]] = {
    "/v1/features": [*READS, {"features": [f"risk:{name}" for name in ("ratio", "product", "level", "age", "seen")], "rows": [BROUGHT]}],
    "/v1/push": [
        {"view": "orders", "rows": [PUSHED, {**PUSHED, "customer_id": 2, "spent": None}]},
        {"view": "profile", "columns": {"customer_id": [1], "event_timestamp": ["2024-05-01"], "city": ["Riga"]}},
    ],
    "/get-online-features": [
        {"feature_service": "churn", "entities": {"customer_id": [1, 2]}, "full_feature_names": True},
        {"features": ["orders:spent"], "entities": {"customer_id": [1]}, "include_feature_view_version_metadata": True},
    ],
    "/push": [
        {"push_source_name": "orders", "df": {name: [value] for name, value in PUSHED.items()}, "to": "online"},
        {"push_source_name": "profile", "df": {"customer_id": [1], "event_timestamp": [1714521600], "city": ["Riga"], "created": [None]}},
    ],
    "/write-to-online-store": [{"feature_view_name": "orders", "df": {name: [value, value] for name, value in PUSHED.items()}}],
}
PATHS = st.sampled_from(sorted(ENDPOINTS))

ODD_NUMBERS = [0, -1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 1.5, 1e308, -0.0, True, False, None]
ODD_TEXTS = ["", "churn", "orders:spent", "*", ":", "1", "NaN", "\x00", "\ud800", "}:x", "2024-01-31", "9" * 400, "ü" * 300, "__proto__"]
SCALARS = st.sampled_from([*ODD_NUMBERS, *ODD_TEXTS]) | st.text(max_size=8) | st.floats() | st.integers()
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["features", "rows", "columns", "entities", "view", "df", "customer_id", "x"]), inner, max_size=4)
    ),
    max_leaves=12,
)
HEADERS = st.dictionaries(
    st.sampled_from(["content-type", "accept", "content-encoding", "x-request-id", "authorization", "traceparent", "expect", "cookie"]),
    st.sampled_from(["", "application/json", "*/*", "text/html;q=0.1", "application/json;charset=utf-8", "identity", "Bearer x", "a" * 999])
    | st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.strip),
    max_size=3,
)


RISK = cases.feature_view("risk", {"average": FLOAT64, "seen": INT64, "since": TIMESTAMP})
EXPRESSIONS = {
    "ratio": "amount / nullif(average, 0)",
    "product": "seen * quantity",
    "level": "case when amount > average then upper(country) else substring(country, 1, 2) end",
    "age": "datediff('day', since, at)",
}
INPUTS = {"amount": FLOAT64, "quantity": INT64, "country": STRING, "at": TIMESTAMP}


def with_expressions(view: FeatureView) -> FeatureView:
    """The view with features on demand, which are worked out of what a request brings."""
    features = {feature.name: feature.value_type for feature in view.features}
    made = []
    for name, text in EXPRESSIONS.items():
        on_demand = parse_expression(text, features, INPUTS, {})
        made.append(Feature(name, on_demand.tree.value_type, on_demand=on_demand))
    return replace(view, on_demand=tuple(made))


@pytest.fixture(scope="module")
def server(shop: Shop) -> Iterator[FeatureServer]:
    shop.publish(ORDERS, PROFILE, with_expressions(RISK))
    shop.write(RISK, {"customer_id": 1, "average": 0.5, "seen": 2**62, "since": cases.NOON})
    with FeatureServer(shop.url, "shop", "--request-timeout", "5") as running:
        yield running
        assert running.client.get("/ready").status_code == 200
        assert "Traceback" not in running.errors
        assert "ERROR" not in running.errors


def encode(document: object) -> bytes:
    return json.dumps(document).encode()


def send(server: FeatureServer, path: str, body: bytes, headers: dict[str, str] | None = None) -> int:
    answer = server.client.post(path, content=body, headers={"content-type": "application/json", **(headers or {})})
    assert answer.status_code < 500, (answer.status_code, answer.text, body[:300])
    return answer.status_code


def test_the_requests_that_it_begins_with_are_good(server) -> None:
    assert {send(server, path, encode(body)) for path, bodies in ENDPOINTS.items() for body in bodies} == {200}


@FUZZ
@given(PATHS, st.binary(max_size=200))
@example("/v1/features", b"\xff")
def test_any_bytes(server, path, body) -> None:
    assert send(server, path, body) >= 400


@FUZZ
@given(PATHS, DOCUMENTS)
def test_any_json(server, path, document) -> None:
    send(server, path, encode(document))


def places(document: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where there is something in a document, the whole of it first."""
    yield path
    for name, inner in document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ():
        yield from places(inner, (*path, name))


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, bytes]:
    """A good request in which something was replaced, taken out, repeated or renamed, once or twice."""
    path = draw(PATHS)
    document: Any = copy.deepcopy(draw(st.sampled_from(ENDPOINTS[path])))
    for _ in range(draw(st.integers(1, 2))):
        *above, last = draw(st.sampled_from([place for place in places(document) if place] or [("features",)]))
        parent = document
        for name in above:
            parent = parent[name]
        if not isinstance(parent, dict | list) or (isinstance(parent, dict) and last not in parent):
            break
        match draw(st.sampled_from(["replace", "remove", "repeat", "rename", "wrap"])):
            case "replace":
                parent[last] = draw(DOCUMENTS)
            case "remove":
                del parent[last]
            case "repeat" if isinstance(parent, list):
                parent.extend([parent[last]] * draw(st.sampled_from([1, 50])))
            case "rename" if isinstance(parent, dict):
                parent[draw(st.sampled_from(ODD_TEXTS))] = parent.pop(last)
            case _:
                parent[last] = [parent[last]]
    return path, encode(document)


@FUZZ
@given(mutated(), HEADERS)
def test_a_good_request_in_which_something_was_changed(server, request_, headers) -> None:
    send(server, *request_, headers)


@FUZZ
@given(PATHS, st.data())
def test_a_good_request_with_bytes_flipped(server, path, data) -> None:
    body = bytearray(encode(data.draw(st.sampled_from(ENDPOINTS[path]))))
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.sampled_from(b'"\\{}[]:,0-9eE.\x00\x7f\x80\xffnt '))
    send(server, path, bytes(body))


@pytest.mark.parametrize("path", ENDPOINTS)
def test_every_bad_body_at_every_endpoint(server, path) -> None:
    assert all(send(server, path, bad.body) >= 400 for bad in BAD_BODIES.values())


ODD_LINES = [
    *(b"content-length: 0", b"content-length: 47", b"transfer-encoding: chunked", b"connection: close", b"expect: 100-continue"),
    *(b"host: other", b"x: \xff", b"accept: \x80", b"content-type: \xe9", b"x-request-id: \x7f", b"authorization:", b"upgrade: x"),
]


def odd_request(draw: random.Random) -> bytes:
    """A good request, or two, in which lines were added, bytes flipped, and pieces taken out."""
    path = draw.choice(sorted(ENDPOINTS))
    extra = [draw.choice(ODD_LINES) for _ in range(draw.choice([0, 0, 1, 2]))]
    raw = bytearray(post(path, encode(draw.choice(ENDPOINTS[path])), *extra))
    for _ in range(draw.choice([0, 0, 1, 2])):
        raw[draw.randrange(len(raw))] = draw.choice(b"\r\n\x00 :;0a\xff")
    if draw.random() < 0.2:
        start = draw.randrange(len(raw))
        del raw[start : start + draw.randrange(1, 9)]
    return bytes(raw) + (draw.choice([request for _, request in BAD_HTTP.values()]) if draw.random() < 0.2 else b"")


def test_bytes_that_are_nearly_a_request(server) -> None:
    """Drawn by a seed, which is named where it fails."""
    statuses = set()
    for seed in range(EXAMPLES // 5):
        # What follows ends a request that waits for more.
        answers = exchange(server.port, odd_request(random.Random(seed)) + b"\x00\r\n\r\n" * 200, quiet=0.02)
        assert all(answer.status < 500 for answer in answers), seed
        statuses |= {answer.status for answer in answers}
    assert statuses >= {200, 400}
