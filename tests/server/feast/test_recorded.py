"""Every request that was recorded of Feast 0.67's own server is answered as that server answered it, byte for byte, except where the
difference is meant. Each of those is named here with its reason, as docs/reference/feast.md names them for people.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from feature_server import FeatureServer

from featurestore.server.http import MOST_MESSAGE

HERE = Path(__file__).resolve().parent
SHOP = json.loads((HERE / "shop.json").read_text(encoding="utf-8"))
REQUESTS, VIEWS = SHOP["requests"], SHOP["views"]
RECORDED = {each["name"]: each for each in json.loads((HERE / "recorded.json").read_text(encoding="utf-8"))}

DRIVER_2, DRIVER_3 = "2026-01-01T10:00:00.250Z", "2026-01-01T10:00:00.123456Z"


def error(status: int, name: str, message: str) -> tuple[int, str]:
    return status, json.dumps(json.dumps({"module": "feast.errors", "class": name, "message": message}))


COLLISION = json.loads(json.loads(RECORDED["colliding names"]["answer"]))["message"]
MISTAKES = {
    # Feast answers 500 to a mistake of the caller, which its client tries three times over and then raises as a RetryError.
    "colliding names": error(422, "FeatureNameCollisionError", COLLISION),
    "an unknown feature": error(404, "FeastObjectNotFoundException", "No feature of 'driver_stats' named 'nope'."),
    "a reference without colon": error(
        422, "FeastError", "'trips' is no feature reference. Write it like 'customer_orders:orders_7d' or 'customer_orders:*'."
    ),
    "no features": error(
        422, "FeastError", "No features were asked for. Name a feature service, or features like 'customer_orders:orders_7d'."
    ),
    "a missing join key": error(
        422, "FeastError", "Join key 'driver_id' is missing. The entity rows have: customer_id. There is: customer_id."
    ),
    "columns of different lengths": error(
        422, "FeastError", "The columns of the entity rows differ in length: driver_id 2, customer_id 1."
    ),
    "keys as words": error(422, "FeastError", "driver_id='one' is no int64. Write it like driver_id=42."),
    "keys as lists": error(422, "FeastError", "Join key 'driver_id' takes int64 values, not [1] (list)."),
    # Feast cuts 1.5 to 1, takes true for 1, and answers half a key with NOT_FOUND: answers to other questions than the one asked.
    "keys as fractions": error(422, "FeastError", "Join key 'driver_id' takes int64 values, not 1.5 (float)."),
    "keys as booleans": error(422, "FeastError", "Join key 'driver_id' takes int64 values, not True (bool)."),
    "half a composite key": error(
        422, "FeastError", "Join key 'customer_id' is missing. The entity rows have: driver_id. There is: driver_id."
    ),
}
PUSHES = {
    # Feast answers 500 to each of these.
    "push to nowhere": "somewhere is not a supported push format. Please specify one of these ['online', 'offline', 'online_and_offline'].",
    "push without a column": "trips: is missing",
    "push without a timestamp": "event_timestamp: is missing",
    "push of columns of different lengths": "differ in length: driver_id 2, trips 1",
}
ANSWERED = {
    # Feast answers 500; these are questions that have an answer.
    "a null key": {"driver_id": ([1, None], ["PRESENT", "NULL_VALUE"]), "trips": ([10, None], ["PRESENT", "NOT_FOUND"])},
    "only a null key": {"driver_id": ([None], ["NULL_VALUE"]), "trips": ([None], ["NOT_FOUND"])},
    "a key too large": {"driver_id": ([2**63], ["PRESENT"]), "trips": ([None], ["NOT_FOUND"])},
    "no entities": {"driver_id": ([], []), "trips": ([], [])},
    "no rows": {"driver_id": ([], []), "trips": ([], [])},
    "the same feature twice": {"driver_id": ([1], ["PRESENT"]), "trips": ([10], ["PRESENT"])},
}
OTHERS = {
    # `view:*` is all of a view here.
    "a star": "a service of a whole view",
}
NOT_OURS = {"materialize", "a path that is none", "reading by GET"}
"""Endpoints that are Feast's alone, and what is answered to what is no endpoint: our own form of error."""


def named(requests: list[dict[str, Any]]) -> list[Any]:
    return [pytest.param(each, id=each["name"].replace(" ", "-")) for each in requests]


WRITES = [each for each in REQUESTS if each["path"] in ("/push", "/write-to-online-store") or each["name"].startswith("what was")]
READS = [each for each in REQUESTS if each["path"] in ("/get-online-features", "/health") and not each["name"].startswith("what was")]


def ask(client: Any, asked: dict[str, Any]) -> Any:
    body = asked["text"] if "text" in asked else json.dumps(asked["body"]) if asked.get("body") is not None else None
    return client.request(asked["method"], asked["path"], content=body, headers={"content-type": "application/json"})


@pytest.mark.parametrize("asked", named([each for each in READS if each["name"] not in {*MISTAKES, *ANSWERED, *OTHERS, *NOT_OURS}]))
def test_a_request_is_answered_as_feast_answers_it(client, asked):
    ours, feasts = ask(client, asked), RECORDED[asked["name"]]
    assert ours.status_code == feasts["status"]
    if feasts["status"] == 200 and asked["method"] == "POST":
        assert list(ours.json()) == ["results", "metadata"]
        assert ours.json()["metadata"].get("feature_view_metadata") == json.loads(feasts["answer"])["metadata"].get("feature_view_metadata")
        assert as_feast_keeps_it(by_name(ours.text)) == as_feast_keeps_it(by_name(feasts["answer"]))
    else:
        assert ours.text == feasts["answer"]


@pytest.mark.parametrize("name", ["one feature", "two entities", "a service with full names", "versions", "a string key as number"])
def test_an_answer_without_nulls_or_fractions_is_the_same_to_the_byte(client, name):
    asked = next(each for each in REQUESTS if each["name"] == name)
    assert ask(client, asked).text == RECORDED[name]["answer"]


@pytest.mark.parametrize("asked", named([each for each in READS if each["name"] in MISTAKES]))
def test_a_mistake_is_an_error_that_feasts_client_raises_at_once(client, asked):
    answer = ask(client, asked)
    assert (answer.status_code, answer.text) == MISTAKES[asked["name"]]


@pytest.mark.parametrize("asked", named([each for each in READS if each["name"] in ANSWERED]))
def test_what_feast_fails_at_is_answered(client, asked):
    answer = ask(client, asked)
    assert answer.status_code == 200
    assert {name: result[:2] for name, result in by_name(answer.text).items()} == ANSWERED[asked["name"]]


def test_a_star_is_all_features_of_a_view(client):
    asked = {each["name"]: each for each in REQUESTS}
    assert ask(client, asked["a star"]).text == ask(client, asked["a service of a whole view"]).text


def test_features_come_back_in_the_order_asked(client):
    """Feast's own order within a view is another one in every process."""
    asked = {"entities": {"driver_id": [1]}, "features": ["driver_stats:trips", "driver_stats:small", "driver_extra:level"]}
    names = client.post("/get-online-features", json=asked).json()["metadata"]["feature_names"]
    assert names == ["driver_id", "trips", "small", "level"]


@pytest.fixture(scope="module")
def written(server: FeatureServer) -> dict[str, Any]:
    """The answers to all writes, one after the other as they were recorded."""
    return {each["name"]: ask(server.client, each) for each in WRITES}


@pytest.mark.parametrize("name", [each["name"] for each in WRITES if each["name"] not in PUSHES])
def test_a_write_is_answered_as_feast_answers_it(written, name):
    ours, feasts = written[name], RECORDED[name]
    assert (ours.status_code, ours.text) == (feasts["status"], feasts["answer"])


@pytest.mark.parametrize("name", PUSHES)
def test_a_mistake_in_a_write_says_what_is_wrong(written, name):
    answer = written[name]
    assert answer.status_code == 422
    said = json.loads(answer.json())
    assert (said["module"], said["class"]) == ("feast.errors", "FeastError")
    assert PUSHES[name] in said["message"]


@pytest.mark.parametrize("to", ["offline", "online_and_offline"])
def test_nothing_is_pushed_to_a_store_that_is_not_there(client, to):
    answer = client.post("/push", json={"push_source_name": "driver_extra", "df": {"driver_id": [1]}, "to": to})
    assert answer.status_code == 422
    assert "Append the rows to the table that the dbt model reads" in json.loads(answer.json())["message"]


def test_rows_come_in_the_forms_that_feasts_client_writes(client):
    """Instants as seconds, maps as JSON text, a `created` that the view has no column for."""
    given = {name: [value] for name, value in next(each for each in VIEWS if each["name"] == "driver_stats")["rows"][0].items()}
    rows = {**given, "driver_id": [30], "seen": [1767261598], "counts": ['{"a": 1}'], "created": ["2026-01-01T10:00:00"]}
    answer = client.post("/write-to-online-store", json={"feature_view_name": "driver_stats", "df": rows})
    assert (answer.status_code, answer.text) == (200, "null")
    asked = {"entities": {"driver_id": [30]}, "features": ["driver_stats:seen", "driver_stats:counts", "driver_stats:photo"]}
    assert {name: result[0] for name, result in by_name(client.post("/get-online-features", json=asked).text).items()} == {
        "driver_id": [30],
        "seen": [1767261598],
        "counts": [{"a": 1}],
        "photo": ["AP8="],
    }


@pytest.mark.parametrize("column", [None, True, 1, "1", {"0": 1}], ids=str)
@pytest.mark.parametrize(("path", "named"), [("/push", "push_source_name"), ("/write-to-online-store", "feature_view_name")])
def test_a_column_that_is_no_list_is_refused(client, path, named, column):
    answer = client.post(path, json={named: "driver_extra", "df": {"driver_id": column}})
    assert answer.status_code == 422
    assert answer.json()["detail"][0] == {
        "type": "list_type", "loc": ["body", "df", "driver_id"], "msg": "Input should be a valid list", "input": column
    }  # fmt: skip


def test_a_name_given_twice_is_refused(client):
    """Feast takes the last one, as Python's JSON does; what stands before the server may have looked at the first."""
    body = '{"entities": {"driver_id": [1]}, "features": ["driver_stats:trips"], "features": ["driver_stats:name"]}'
    answer = client.post("/get-online-features", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert "twice" in json.loads(answer.json())["message"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/push", {"push_source_name": "x" * 5000, "df": {}}),
        ("/push", {"push_source_name": "orders", "df": {}, "to": "x" * 5000}),
        ("/write-to-online-store", {"feature_view_name": "x" * 5000, "df": {}}),
        ("/get-online-features", {"feature_service": "x" * 5000, "entities": {}}),
    ],
)
def test_an_error_is_no_longer_than_one_may_be(client, path, body):
    answer = client.post(path, json=body)
    assert 400 <= answer.status_code < 500
    assert len(json.loads(answer.json())["message"]) <= MOST_MESSAGE + 1


def test_what_the_request_brings_for_features_on_demand_is_no_join_key(client):
    """As with Feast's own request data: it is used, and not answered."""
    asked = {"entities": {"driver_id": [1, 1], "amount": [25.0, 5]}, "features": ["rated:times_usual"]}
    answer = by_name(client.post("/get-online-features", json=asked).text)
    assert {name: result[0] for name, result in answer.items()} == {"driver_id": [1, 1], "times_usual": [2.5, 0.5]}
    missing = client.post("/get-online-features", json={**asked, "entities": {"driver_id": [1]}})
    assert missing.status_code == 422
    assert "amount" in json.loads(missing.json())["message"]


def by_name(body: str) -> dict[str, tuple[list[Any], list[str], list[str]]]:
    content = json.loads(body)
    results = ((each["values"], each["statuses"], each["event_timestamps"]) for each in content["results"])
    return dict(zip(content["metadata"]["feature_names"], results, strict=True))


def as_feast_keeps_it(answer: dict[str, tuple[list[Any], list[str], list[str]]]) -> dict[str, Any]:
    """What both must agree in: Feast's store drops fractions of a second and not-a-number, spells a null instant as the least int64, and
    its server says PRESENT of a null.
    """
    kept = {}
    for name, (values, statuses, instants) in answer.items():
        values = [None if value in ("NaN", -(2**63)) else value for value in values]
        statuses = [
            "NULL_VALUE" if value is None and status == "PRESENT" else status for value, status in zip(values, statuses, strict=True)
        ]
        kept[name] = (values, statuses, [f"{instant[:19]}Z" for instant in instants])
    return kept


def test_nulls_numbers_and_instants_are_told_exactly(client):
    """Where Feast's own answer is not exact: see `as_feast_keeps_it`."""
    asked = next(each for each in REQUESTS if each["name"] == "every type")
    answer = by_name(ask(client, asked).text)
    values, statuses, instants = answer["conv_rate"]
    assert values == [0.1, "NaN", "Infinity", None]
    assert statuses == ["PRESENT", "PRESENT", "PRESENT", "NOT_FOUND"]
    assert instants == ["2026-01-01T10:00:00Z", DRIVER_2, DRIVER_3, "1970-01-01T00:00:00Z"]
    assert answer["seen"][:2] == ([1767261598, -1, None, None], ["PRESENT", "PRESENT", "NULL_VALUE", "NOT_FOUND"])
