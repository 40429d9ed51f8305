"""Every value has one form in JSON, by which it can be had back exactly, as a key, as a feature and in a push."""

from __future__ import annotations

import json
import math
from datetime import date, datetime, time, timezone
from decimal import Decimal

import codec_cases as cases
import msgspec
import pytest
from feature_server import FeatureServer
from hypothesis import given, settings
from hypothesis import strategies as st
from published_shop import Shop

from featurestore.registry.definitions import Column
from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_UTC,
    DecimalType,
    IntegerType,
    ListType,
    MapType,
    StructType,
)
from featurestore.serving.json_values import ColumnWriter, reading

KEYS = {
    "d": (DATE, date(2024, 2, 29), "2024-02-29"),
    "t": (TIMESTAMP_UTC, datetime(2024, 1, 1, 12, tzinfo=timezone.utc), "2024-01-01T12:00:00Z"),
    "n": (DecimalType(10, 2), Decimal("10.50"), "10.50"),
    "x": (BYTES, b"\x00\xff", "AP8="),
    "i": (INT64, 2**60 + 1, str(2**60 + 1)),
}
TYPED = {
    "big": (IntegerType(64, signed=False), 2**64 - 1, 2**64 - 1),
    "price": (DecimalType(20, 9), Decimal("0.000000001"), "0.000000001"),
    "nan": (FLOAT64, math.nan, "NaN"),
    "least": (FLOAT64, -math.inf, "-Infinity"),
    "share": (FLOAT64, 0.1, 0.1),
    "day": (DATE, date(2024, 2, 29), "2024-02-29"),
    "at": (TIMESTAMP_UTC, datetime(2024, 1, 1, 12, 0, 0, 5, tzinfo=timezone.utc), "2024-01-01T12:00:00.000005Z"),
    "wall": (TIMESTAMP, datetime(2024, 1, 1, 12), "2024-01-01T12:00:00"),
    "clock": (TIME, time(14, 0, 0, 1), "14:00:00.000001"),
    "raw": (BYTES, b"\x00\xff", "AP8="),
    "flag": (BOOLEAN, True, True),
    "embedding": (ListType(FLOAT64), [1.0, None, math.inf], [1.0, None, "Infinity"]),
    "place": (StructType((("city", STRING), ("lat", FLOAT64))), {"city": "Riga", "lat": math.nan}, {"city": "Riga", "lat": "NaN"}),
    "by_day": (MapType(DATE, INT64), {date(2024, 1, 1): 1}, {"2024-01-01": 1}),
    "by_flag": (MapType(BOOLEAN, INT64), {True: 1}, {"true": 1}),
    "none": (STRING, None, None),
}
ITEMS = cases.feature_view("items", {name: kind for name, (kind, _, _) in TYPED.items()}, entity="item")
BY_TYPE = [
    cases.feature_view(f"by_{name}", {"v": INT64}, join_keys=[Column(name, kind)], entity=f"e{name}") for name, (kind, _, _) in KEYS.items()
]


@pytest.fixture(scope="module")
def typed(redis_server):
    published = Shop(redis_server.url)
    published.publish(ITEMS, *BY_TYPE, services=())
    published.write(ITEMS, {"customer_id": 1, **{name: value for name, (_, value, _) in TYPED.items()}})
    for view in BY_TYPE:
        (name,) = (key.name for key in view.join_keys)
        published.write(view, {name: KEYS[name][1], "v": 7})
    with FeatureServer(published.url, "shop") as server:
        yield server.client
    published.store.close()


@pytest.mark.parametrize("form", ["rows", "columns"])
def test_a_value_of_each_type_has_its_form(typed, form):
    entities = [{"customer_id": 1}] if form == "rows" else {"customer_id": [1]}
    answer = json.loads(typed.post("/v1/features", json={"features": ["items:*"], form: entities}).content)
    got = answer["rows"][0] if form == "rows" else {name: values[0] for name, values in answer["columns"].items()}
    assert got == {"customer_id": 1, **{name: written for name, (_, _, written) in TYPED.items()}}


@pytest.mark.parametrize("name", KEYS)
def test_a_key_is_read_by_its_declared_type(typed, name):
    for form, entities in (("rows", [{name: KEYS[name][2]}]), ("columns", {name: [KEYS[name][2]]})):
        answer = typed.post("/v1/features", json={"features": [f"by_{name}:v"], form: entities, "statuses": True}).json()
        assert answer["statuses"] == ([{"v": "PRESENT"}] if form == "rows" else {"v": ["PRESENT"]})


@pytest.mark.parametrize(("name", "text"), [("d", "29.2.2024"), ("t", "noon"), ("n", "ten"), ("x", "*"), ("i", "1.5")])
def test_a_key_that_cannot_be_read_is_named(typed, name, text):
    answer = typed.post("/v1/features", json={"features": [f"by_{name}:v"], "rows": [{name: text}]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "entity_key")
    assert answer.json()["error"]["message"].startswith(name)


def test_msgpack_carries_the_same_values(typed):
    asked = {"features": ["items:big", "items:nan", "items:raw", "items:at"], "rows": [{"customer_id": 1}]}
    answer = typed.post("/v1/features", json=asked, headers={"accept": "application/msgpack"})
    assert answer.headers["content-type"] == "application/msgpack"
    (row,) = msgspec.msgpack.decode(answer.content)["rows"]
    assert math.isnan(row.pop("nan"))
    assert row == {"customer_id": 1, "big": 2**64 - 1, "raw": b"\x00\xff", "at": TYPED["at"][1]}


def test_statuses_and_event_timestamps_come_when_they_are_wanted(typed):
    asked = {"features": ["items:share", "items:none"], "rows": [{"customer_id": 1}, {"customer_id": 2}]}
    answer = typed.post("/v1/features", json={**asked, "statuses": True, "event_timestamps": True}).json()
    assert answer["statuses"] == [{"share": "PRESENT", "none": "NULL_VALUE"}, {"share": "NOT_FOUND", "none": "NOT_FOUND"}]
    noon = "2024-05-01T12:00:00Z"
    assert answer["event_timestamps"] == [{"share": noon, "none": noon}, {"share": None, "none": None}]


def test_a_push_takes_the_forms_that_a_read_gives(typed):
    row = {"customer_id": 3, "event_timestamp": "2024-05-01T12:00:00Z", **{name: written for name, (_, _, written) in TYPED.items()}}
    pushed = typed.post("/v1/push", json={"view": "items", "rows": [row]})
    assert pushed.json() == {"view": "items", "rows": 1, "written": 1}
    read = typed.post("/v1/features", json={"features": ["items:*"], "rows": [{"customer_id": 3}]}).json()
    assert read["rows"] == [{name: value for name, value in row.items() if name != "event_timestamp"}]


def test_a_push_that_is_wrong_names_all_of_it_and_writes_nothing(typed):
    row = {"customer_id": 4, "event_timestamp": "yesterday", **{name: written for name, (_, _, written) in TYPED.items()}, "share": "much"}
    answer = typed.post("/v1/push", json={"view": "items", "columns": {name: [value] for name, value in row.items()}})
    assert answer.status_code == 422
    assert all(part in answer.json()["error"]["message"] for part in ("event_timestamp", "share", "nothing was written"))
    asked = {"features": ["items:share"], "rows": [{"customer_id": 4}], "statuses": True}
    assert typed.post("/v1/features", json=asked).json()["statuses"] == [{"share": "NOT_FOUND"}]


def test_more_keys_than_allowed_are_refused(typed):
    answer = typed.post("/v1/features", json={"features": ["items:big"], "columns": {"customer_id": list(range(10_001))}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_many_keys")


def test_what_there_is_is_listed(typed):
    views = {view["name"]: view for view in typed.get("/v1/feature-views").json()["feature_views"]}
    assert views["by_n"] == {
        "name": "by_n", "entities": ["en"], "join_keys": [{"name": "n", "type": "decimal(10, 2)"}],
        "features": [{"name": "v", "type": "int64"}]
    }  # fmt: skip
    assert typed.get("/v1/feature-services").json() == {"feature_services": []}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_value_of_any_type_is_had_back_from_its_json(data):
    value_type = data.draw(cases.value_types)
    value = data.draw(cases.values(value_type))
    columns = [[value]]
    ColumnWriter([Column("c", value_type)]).write(columns)
    ((written,),) = msgspec.json.decode(msgspec.json.encode(columns))
    read = reading(value_type)
    back = written if read is None or written is None else read(written)
    assert cases.same(stored(value_type, back), stored(value_type, value))


def stored(value_type, value):
    """As a push of the value stores it."""
    from featurestore.codec.values import storing

    return None if value is None else msgspec.msgpack.decode(msgspec.msgpack.encode(storing(value_type)(value)))
