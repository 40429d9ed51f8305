"""Every request that cannot be answered gets its own 4xx and a message that names what is wrong in it. A real server, real Redis."""

from __future__ import annotations

import codec_cases as cases
import pytest
from bad_bodies import BAD_BODIES, BAD_HEADERS, BAD_PUSHES, BAD_ROUTES, LEG, ROW
from feature_server import FeatureServer
from published_shop import ORDERS, PROFILE, Shop

from featurestore.registry.definitions import Column
from featurestore.registry.value_types import BOOLEAN, BYTES, DATE, FLOAT64, INT64, STRING, TIMESTAMP_UTC, DecimalType

PARCELS = cases.feature_view("parcels", {"weight": FLOAT64}, join_keys=[Column("parcel", STRING)], entity="parcel")
LEGS = cases.feature_view(
    "legs",
    {"miles": INT64},
    join_keys=[
        Column("at", TIMESTAMP_UTC),
        Column("day", DATE),
        Column("flight", STRING),
        Column("late", BOOLEAN),
        Column("tag", BYTES),
        Column("weight", DecimalType(9, 2)),
    ],
    entity="leg",
)


@pytest.fixture(scope="module")
def server(shop: Shop):
    shop.publish(ORDERS, PROFILE, PARCELS, LEGS)
    with FeatureServer(shop.url, "shop") as running:
        yield running


def refused(answer, status: int, code: str) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    error = answer.json()["error"]
    assert (error["code"], error["request_id"]) == (code, answer.headers["x-request-id"])
    assert len(answer.content) < 2000, "it does not repeat what was sent"
    return error["message"]


@pytest.mark.parametrize("bad", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_bad_body_is_refused_by_what_is_wrong_in_it(client, bad) -> None:
    answer = client.post("/v1/features", content=bad.body, headers={"content-type": "application/json"})
    assert bad.says in refused(answer, bad.status, bad.code)


@pytest.mark.parametrize("bad", BAD_PUSHES.values(), ids=BAD_PUSHES)
def test_a_bad_push_is_refused_by_what_is_wrong_in_it_and_writes_nothing(client, bad) -> None:
    asked = {"features": ["orders:*"], "rows": [ROW]}
    before = client.post("/v1/features", json=asked).json()
    answer = client.post("/v1/push", content=bad.body, headers={"content-type": "application/json"})
    assert bad.says in refused(answer, bad.status, bad.code)
    assert client.post("/v1/features", json=asked).json() == before


@pytest.mark.parametrize(("headers", "status", "code"), BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_what_is_sent_or_wanted_in_another_form_is_refused(client, headers, status, code) -> None:
    refused(client.post("/v1/features", json={"features": "churn", "rows": [ROW]}, headers=headers), status, code)


@pytest.mark.parametrize(("method", "path", "status", "code"), BAD_ROUTES.values(), ids=BAD_ROUTES)
def test_what_is_no_endpoint_is_refused(client, method, path, status, code) -> None:
    answer = client.request(method, path, json={"features": "churn", "rows": [ROW]})
    refused(answer, status, code)
    assert ("allow" in answer.headers) is (status == 405)


@pytest.mark.parametrize(
    ("features", "row"), [("churn", ROW), ("churn", {"customer_id": "1"}), ("churn", {"customer_id": None}), (["legs:miles"], LEG)], ids=str
)
def test_a_good_request_beside_them_is_answered(client, features, row) -> None:
    assert client.post("/v1/features", json={"features": features, "rows": [row, row]}).status_code == 200


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 2**64, 10**300])
def test_a_key_beyond_its_range_is_a_key_that_nobody_has(client, number) -> None:
    answer = client.post("/v1/features", json={"features": ["orders:spent"], "rows": [{"customer_id": number}]})
    assert answer.json() == {"rows": [{"customer_id": number, "spent": None}]}


def test_none_of_it_was_a_fault_of_the_server(server) -> None:
    assert "Traceback" not in server.errors
    assert "ERROR" not in server.errors
