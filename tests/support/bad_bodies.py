"""Bodies that are no request of `POST /v1/features`, each with its 4xx, its code, and a word that the message must say: the field, the
key, the feature. The shop has `orders` and `profile` by `customer_id` (an integer), `parcels` by `parcel` (a text) and `legs` by
`flight` (a text), `day` (a date), `at` (an instant), `weight` (a decimal), `tag` (bytes) and `late` (a boolean).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

ROW: dict[str, Any] = {"customer_id": 1}
LEG: dict[str, Any] = {
    "flight": "UA1",
    "day": "2024-01-31",
    "at": "2024-01-31T14:00:00Z",
    "weight": "1.50",
    "tag": "AP8=",
    "late": True,
}


@dataclass(frozen=True)
class BadBody:
    """One body, and how it is refused."""

    body: bytes
    status: int
    code: str
    says: str


def _bad(body: object, status: int, code: str, says: str) -> BadBody:
    return BadBody(body if isinstance(body, bytes) else json.dumps(body).encode(), status, code, says)


def _json(body: bytes, says: str = "JSON") -> BadBody:
    return BadBody(body, 400, "malformed_json", says)


def _shape(says: str, **fields: object) -> BadBody:
    said = {"features": "churn", "rows": [ROW], **fields}
    return _bad({name: value for name, value in said.items() if value is not ...}, 422, "invalid_request", says)


def _key(says: str, row: dict[str, Any] | None = None, features: object = "churn", **columns: Any) -> BadBody:
    asked = {"features": features, "columns": columns} if row is None else {"features": features, "rows": [row]}
    return _bad(asked, 422, "entity_key", says)


def _leg(name: str, value: object) -> BadBody:
    return _key(name, {**LEG, name: value}, ["legs:miles"])


def _unknown(features: object, says: str) -> BadBody:
    return _bad({"features": features, "rows": [ROW]}, 404, "unknown_name", says)


def _feature(features: object, says: str) -> BadBody:
    return _bad({"features": features, "rows": [ROW]}, 422, "request", says)


DEEP = 100_000

BAD_BODIES: dict[str, BadBody] = {
    # No JSON
    "nothing": _json(b""),
    "blanks": _json(b" \r\n\t "),
    "a form": _json(b"features=churn&customer_id=1"),
    "truncated": _json(b'{"features": "churn", "rows": [{"customer_id": 1}'),
    "truncated in a text": _json(b'{"features": "chu'),
    "truncated in an escape": _json(b'{"features": "chu\\u00'),
    "two documents": _json(b'{"features": "churn", "rows": []}{}'),
    "something behind it": _json(b'{"features": "churn", "rows": []} x'),
    "a comma too many": _json(b'{"features": "churn", "rows": [{"customer_id": 1,}]}'),
    "single quotes": _json(b"{'features': 'churn'}"),
    "names without quotes": _json(b'{features: "churn"}'),
    "a comment": _json(b'{"features": "churn" /* of last year */}'),
    "not a number": _json(b'{"features": "churn", "rows": [{"customer_id": NaN}]}'),
    "infinity": _json(b'{"features": "churn", "rows": [{"customer_id": -Infinity}]}'),
    "a leading zero": _json(b'{"features": "churn", "rows": [{"customer_id": 01}]}'),
    "a hexadecimal number": _json(b'{"features": "churn", "rows": [{"customer_id": 0x1}]}'),
    "a plus sign": _json(b'{"features": "churn", "rows": [{"customer_id": +1}]}'),
    "no UTF-8": _json(b'{"features": "churn", "rows": [{"customer_id": "\xff\xfe"}]}'),
    "UTF-8 written too long": _json(b'{"features": "\xc0\xaf"}'),
    "a surrogate in UTF-8": _json(b'{"features": "\xed\xa0\x80"}'),
    "half a surrogate pair": _json(b'{"features": "\\ud800"}'),
    "half a surrogate pair in a key": _json(b'{"features": ["parcels:weight"], "rows": [{"parcel": "a\\udc00"}]}'),
    "UTF-16": _json('{"features": "churn", "rows": []}'.encode("utf-16")),
    "a byte order mark": _json(b'\xef\xbb\xbf{"features": "churn", "rows": []}'),
    "a line end in a text": _json(b'{"features": "chu\nrn"}'),
    "a zero byte": _json(b'{"features": "churn", "rows": []}\x00'),
    "gzip": _json(b"\x1f\x8b\x08\x00\x00\x00\x00\x00"),
    "msgpack": _json(b"\x82\xa8features\xa5churn\xa4rows\x90"),
    "deep lists": _bad(b"[" * DEEP, 422, "invalid_request", "object"),
    "deep lists that end": _bad(b'{"features": "churn", "rows": ' + b"[" * DEEP + b"]" * DEEP + b"}", 422, "invalid_request", "rows[0]"),
    "a deep value": _json(b'{"features": "churn", "rows": [{"customer_id": 1, "x": ' + b"[" * DEEP + b"]" * DEEP + b"}]}", ""),
    "deep objects": _json(b'{"features": "churn", "rows": [{"customer_id": 1, "x": ' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}]}", ""),
    # A name twice
    "features twice": _bad(b'{"features": "churn", "rows": [], "features": "x"}', 400, "name_twice", "features"),
    "features twice by an escape": _bad(b'{"features": "churn", "rows": [], "feature\\u0073": "x"}', 400, "name_twice", "features"),
    "rows twice": _bad(b'{"features": "churn", "rows": [{"customer_id": 1}], "rows": []}', 400, "name_twice", "rows"),
    "a flag twice": _bad(
        b'{"features": "churn", "rows": [{"customer_id": 1}], "statuses": false, "statuses": false}', 400, "name_twice", "statuses"
    ),
    "a key twice": _bad(b'{"features": "churn", "rows": [{"customer_id": 1, "customer_id": 2}]}', 400, "name_twice", "customer_id"),
    "a key twice behind many": _bad(
        b'{"features": ["orders:spent"], "rows": [' + b'{"customer_id": 1},' * 500 + b'{"customer_id": 1, "customer_id": 2}]}',
        400,
        "name_twice",
        "customer_id",
    ),
    "a column twice": _bad(b'{"features": "churn", "columns": {"customer_id": [1], "customer_id": [2]}}', 400, "name_twice", "customer_id"),
    "a name twice deep inside": _bad(
        b'{"features": "churn", "rows": [{"customer_id": 1, "x": {"inside": 1, "inside": 2}}]}', 400, "name_twice", "inside"
    ),
    # Another shape
    "a list": _bad([], 422, "invalid_request", "object"),
    "a text": _bad("churn", 422, "invalid_request", "object"),
    "null": _bad(None, 422, "invalid_request", "object"),
    "a number": _bad(3, 422, "invalid_request", "object"),
    "an empty object": _bad({}, 422, "invalid_request", "features"),
    "an unknown field": _shape("feature_service", feature_service="churn"),
    "a field in capitals": _shape("Rows", Rows=[]),
    "a field of another language": _shape("__proto__", __proto__={}),
    "no features": _shape("features", features=...),
    "features null": _shape("features", features=None),
    "features a number": _shape("features", features=3),
    "features a flag": _shape("features", features=True),
    "features an object": _shape("features", features={"churn": 1}),
    "features a list of numbers": _shape("features", features=[1]),
    "features a list with null": _shape("features[1]", features=["orders:spent", None]),
    "features a list of lists": _shape("features", features=[["orders:spent"]]),
    "more features than anybody has": _shape("features", features=["orders:spent"] * 50_000),
    "a feature as long as a book": _shape("features", features=["orders:" + "x" * 500_000]),
    "a service as long as a book": _shape("features", features="x" * 500_000),
    "no rows": _shape("rows", rows=...),
    "rows and columns": _shape("rows", columns={"customer_id": [1]}),
    "rows null": _shape("rows", rows=None),
    "rows an object": _shape("rows", rows=ROW),
    "rows a text": _shape("rows", rows="customer_id"),
    "rows a number": _shape("rows", rows=1),
    "rows of numbers": _shape("rows[0]", rows=[1]),
    "rows of lists": _shape("rows[1]", rows=[ROW, [1]]),
    "rows with null": _shape("rows[0]", rows=[None]),
    "columns a list": _shape("columns", rows=..., columns=[ROW]),
    "columns of values": _shape("columns", rows=..., columns={"customer_id": 1}),
    "columns of texts": _shape("columns", rows=..., columns={"customer_id": "123"}),
    "columns of objects": _shape("columns", rows=..., columns={"customer_id": {"0": 1}}),
    "columns with null": _shape("columns", rows=..., columns={"customer_id": None}),
    "a flag as text": _shape("full_feature_names", full_feature_names="true"),
    "a flag as a number": _shape("full_feature_names", full_feature_names=1),
    "a flag null": _shape("statuses", statuses=None),
    "columns of different lengths": _bad(
        {"features": "churn", "columns": {"customer_id": [1, 2], "label": [1]}}, 422, "request", "customer_id 2, label 1"
    ),
    # Features
    "an empty service": _unknown("", "feature service"),
    "an unknown service": _unknown("chrun", "chrun"),
    "an unknown view": _unknown(["ordres:spent"], "ordres"),
    "an unknown feature": _unknown(["orders:spend"], "spend"),
    "a service with a line end": _unknown("churn\r\nX-Injected: 1", "Injected"),
    "a service of SQL": _unknown("churn'; drop table features; --", "drop table"),
    "a service of braces": _unknown("{churn}", "{churn}"),
    "a service of a path": _unknown("../../etc/passwd", "passwd"),
    "every view": _unknown(["*:*"], "*"),
    "no features at all": _feature([], "features"),
    "a reference without a view": _feature([":spent"], ":spent"),
    "a reference without a feature": _feature(["orders:"], "orders:"),
    "a reference without a colon": _feature(["orders"], "orders"),
    "a reference with two colons": _feature(["orders:spent:x"], "orders:spent:x"),
    "an empty reference": _feature([""], "''"),
    "a column named as a feature": _bad({"features": "churn", "rows": [{**ROW, "spent": 1}]}, 422, "request", "spent"),
    # Keys
    "no join key": _key("customer_id", {}),
    "a join key under another name": _key("customer_id", {"customer": 1}),
    "a join key in capitals": _key("customer_id", {"CUSTOMER_ID": 1}),
    "a column without the join key": _key("customer_id", None, label=[1]),
    "a text for an integer": _key("customer_id", {"customer_id": "one"}),
    "an empty text for an integer": _key("customer_id", {"customer_id": ""}),
    "a fraction for an integer": _key("customer_id", {"customer_id": 1.5}),
    "a whole float for an integer": _key("customer_id", {"customer_id": 1.0}),
    "a float beyond all integers": _key("customer_id", {"customer_id": 1e300}),
    "a flag for an integer": _key("customer_id", {"customer_id": True}),
    "a list for an integer": _key("customer_id", {"customer_id": [1]}),
    "an object for an integer": _key("customer_id", {"customer_id": {"$gt": 0}}),
    "digits without end for an integer": _key("customer_id", {"customer_id": "9" * 5000}),
    "an integer for a text": _key("parcel", {"parcel": 1}, ["parcels:weight"]),
    "a list for a text": _key("parcel", {"parcel": ["a"]}, ["parcels:weight"]),
    "a wrong value among right ones": _key("customer_id", None, customer_id=[1, 2, "x", 4]),
    "a date that is none": _leg("day", "2024-02-30"),
    "a date as an instant": _leg("day", "2024-01-31T00:00:00"),
    "a date as a number": _leg("day", 20240131),
    "an instant that is none": _leg("at", "yesterday"),
    "an instant as a number": _leg("at", 1706709600),
    "a decimal that is none": _leg("weight", "1,50"),
    "a decimal that is not finite": _leg("weight", "NaN"),
    "a decimal as a float": _leg("weight", 1.5),
    "bytes that are no base64": _leg("tag", "%%%"),
    "a boolean that is none": _leg("late", "perhaps"),
    "a boolean as a number": _leg("late", 1),
    # Too much
    "more keys than allowed": _bad({"features": "churn", "columns": {"customer_id": list(range(6000))}}, 413, "too_many_keys", "10000"),
    "more bytes than allowed": _bad(b'{"features": "' + b"x" * (1 << 20) + b'"}', 413, "body_too_large", "1048576"),
}


def _push(status: int, code: str, says: str, row: dict[str, Any] | None = None, **fields: object) -> BadBody:
    said = {"view": "orders", "rows": [PUSHED if row is None else row], **fields}
    return _bad({name: value for name, value in said.items() if value is not ...}, status, code, says)


PUSHED: dict[str, Any] = {**ROW, "event_timestamp": "2024-05-01T12:00:00Z", "orders_7d": 3, "spent": 9.5}

BAD_PUSHES: dict[str, BadBody] = {
    "nothing": _json(b""),
    "truncated": _json(b'{"view": "orders", "rows": [{"customer_id": 1'),
    "not a number": _json(b'{"view": "orders", "rows": [{"customer_id": 1, "spent": NaN}]}'),
    "a view twice": _bad(b'{"view": "orders", "rows": [], "view": "profile"}', 400, "name_twice", "view"),
    "a key twice": _bad(b'{"view": "orders", "rows": [{"customer_id": 1, "customer_id": 2}]}', 400, "name_twice", "customer_id"),
    "no view": _push(422, "invalid_request", "view", view=...),
    "a view that is a number": _push(422, "invalid_request", "view", view=1),
    "an empty view": _push(422, "invalid_request", "view", view=""),
    "a view as long as a book": _push(422, "invalid_request", "view", view="x" * 500_000),
    "an unknown field": _push(422, "invalid_request", "features", features="churn"),
    "an unknown view": _push(404, "unknown_name", "ordres", view="ordres"),
    "a service": _push(404, "unknown_name", "churn", view="churn"),
    "no rows": _push(422, "invalid_request", "rows", rows=...),
    "rows and columns": _push(422, "invalid_request", "rows", columns={"customer_id": [1]}),
    "a row that is none": _push(422, "invalid_request", "rows[0]", rows=[1]),
    "no join key": _push(422, "push", "customer_id", {name: value for name, value in PUSHED.items() if name != "customer_id"}),
    "no event timestamp": _push(
        422, "push", "event_timestamp", {name: value for name, value in PUSHED.items() if name != "event_timestamp"}
    ),
    "a feature missing": _push(422, "push", "spent", {name: value for name, value in PUSHED.items() if name != "spent"}),
    "a column that is no feature": _push(422, "push", "colour", {**PUSHED, "colour": "red"}),
    "a null key": _push(422, "push", "customer_id", {**PUSHED, "customer_id": None}),
    "a null instant": _push(422, "push", "event_timestamp", {**PUSHED, "event_timestamp": None}),
    "an instant that is none": _push(422, "push", "event_timestamp", {**PUSHED, "event_timestamp": "soon"}),
    "an instant beyond the calendar": _push(422, "push", "event_timestamp", {**PUSHED, "event_timestamp": "99999-01-01T00:00:00Z"}),
    "an integer that is a text": _push(422, "push", "orders_7d", {**PUSHED, "orders_7d": "three"}),
    "an integer that is a fraction": _push(422, "push", "orders_7d", {**PUSHED, "orders_7d": 1.5}),
    "an integer beyond its range": _push(422, "push", "orders_7d", {**PUSHED, "orders_7d": 2**63}),
    "an integer that is a flag": _push(422, "push", "orders_7d", {**PUSHED, "orders_7d": True}),
    "a key beyond its range": _push(422, "push", "customer_id", {**PUSHED, "customer_id": 2**63}),
    "a number that is a list": _push(422, "push", "spent", {**PUSHED, "spent": [1]}),
    "columns of different lengths": _push(
        422, "request", "spent 2", rows=..., columns={name: [value] * (1 + (name == "spent")) for name, value in PUSHED.items()}
    ),
    "more rows than allowed": _push(413, "too_many_keys", "10000", rows=[ROW] * 10_001),
}
"""Bodies that are no request of `POST /v1/push`."""

BAD_HEADERS: dict[str, tuple[dict[str, str], int, str]] = {
    "a form": ({"content-type": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type"),
    "text": ({"content-type": "text/plain"}, 415, "unsupported_media_type"),
    "msgpack": ({"content-type": "application/msgpack"}, 415, "unsupported_media_type"),
    "a type that is none": ({"content-type": ";;;"}, 415, "unsupported_media_type"),
    "another character set": ({"content-type": "application/json; charset=utf-16"}, 415, "unsupported_media_type"),
    "gzip": ({"content-encoding": "gzip"}, 415, "unsupported_encoding"),
    "deflate, gzip": ({"content-encoding": "deflate, gzip"}, 415, "unsupported_encoding"),
    "brotli": ({"content-encoding": "br"}, 415, "unsupported_encoding"),
    "nothing that there is": ({"accept": "image/png"}, 406, "not_acceptable"),
    "an accept that is none": ({"accept": ",;q=x,,"}, 406, "not_acceptable"),
}

BAD_ROUTES: dict[str, tuple[str, str, int, str]] = {
    "no endpoint": ("POST", "/", 404, "not_found"),
    "an endpoint with a slash behind": ("POST", "/v1/features/", 404, "not_found"),
    "an endpoint in capitals": ("POST", "/V1/FEATURES", 404, "not_found"),
    "another version": ("POST", "/v2/features", 404, "not_found"),
    "reading by GET": ("GET", "/v1/features", 405, "method_not_allowed"),
    "reading by PUT": ("PUT", "/v1/features", 405, "method_not_allowed"),
    "reading by DELETE": ("DELETE", "/v1/features", 405, "method_not_allowed"),
    "reading by PATCH": ("PATCH", "/v1/features", 405, "method_not_allowed"),
    "reading by TRACE": ("TRACE", "/v1/features", 405, "method_not_allowed"),
    "reading by OPTIONS": ("OPTIONS", "/v1/features", 405, "method_not_allowed"),
    "posting to health": ("POST", "/health", 405, "method_not_allowed"),
    "posting to ready": ("POST", "/ready", 405, "method_not_allowed"),
}
