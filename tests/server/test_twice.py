"""A name that stands twice in one object is refused in a body of any length, whichever fields it leaves out."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.server.feast.requests import GetOnlineFeatures, Push, reader
from featurestore.server.features import FeaturesRequest
from featurestore.server.http import HttpError
from featurestore.server.twice import refuse_names_given_twice

MANY = list(range(200))


def feast(said: dict[str, Any], *, twice: str = "") -> bytes:
    """A body, and the same with one name given once more."""
    body = json.dumps(said)
    if twice:
        assert body.count(f'"{twice}": ') == 1
        body = body.replace(f'"{twice}": ', f'"{twice}": [1], "{twice}": ')
    return body.encode()


@pytest.mark.parametrize("size", [1, 200])
@pytest.mark.parametrize("asked", [{"feature_service": "m"}, {"features": ["orders:spent"]}, {"feature_service": "m", "features": []}])
def test_a_key_named_twice_to_feasts_endpoint_is_refused(asked, size):
    said = {**asked, "entities": {"driver_id": MANY[:size]}}
    read = reader(GetOnlineFeatures)
    assert read(feast(said)).entities == said["entities"]
    with pytest.raises(HttpError, match="'driver_id' stands twice"):
        read(feast(said, twice="driver_id"))


@pytest.mark.parametrize("size", [1, 200])
def test_a_column_named_twice_is_not_pushed(size):
    with pytest.raises(HttpError, match="'amount' stands twice"):
        reader(Push)(feast({"push_source_name": "orders", "df": {"driver_id": MANY[:size], "amount": MANY[:size]}}, twice="amount"))


names = st.sampled_from(["a", "b", "c:d", "e"])
values = st.recursive(st.none() | st.booleans() | st.integers() | st.sampled_from(["x", "y:z"]), lambda item: st.lists(item, max_size=3))


@given(
    rows=st.lists(st.dictionaries(names, values, max_size=3), max_size=4),
    flags=st.dictionaries(st.sampled_from(["full_feature_names", "statuses", "event_timestamps"]), st.booleans()),
    padding=st.sampled_from([0, 300]),
    data=st.data(),
)
def test_any_name_given_twice_is_found(rows, flags, padding, data):
    fields = {"features": ["v:f"], "rows": rows, **flags}
    pairs = [(json.dumps(name), json.dumps(value)) for name, value in fields.items()]
    again = data.draw(st.sampled_from([None, *range(len(rows))]))
    if again is not None and rows[again]:
        name = json.dumps(next(iter(rows[again])))
        written = [json.dumps(row) for row in rows]
        written[again] = f"{{{name}: 0, {written[again][1:]}"
        pairs[1] = (pairs[1][0], f"[{', '.join(written)}]")
    else:
        again = None
    body = ("{" + ", ".join(f"{name}: {value}" for name, value in pairs) + " " * padding + "}").encode()
    decoded = msgspec.json.decode(body, type=FeaturesRequest)
    if again is None:
        refuse_names_given_twice(body, decoded)
    else:
        with pytest.raises(HttpError, match="stands twice"):
            refuse_names_given_twice(body, decoded)
