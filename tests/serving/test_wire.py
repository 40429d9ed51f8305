"""An answer that crosses the wire is the answer that left, whatever the types of its values."""

from __future__ import annotations

import codec_cases as cases
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.codec.encode import RowEncoder
from featurestore.registry.definitions import Column
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import FLOAT64, INT64, STRING, ListType, MapType, StructType
from featurestore.serving.lookup import assemble, plan_lookup, prepare_request
from featurestore.serving.online_features import OnlineFeatures, Status, ViewAnswer
from featurestore.serving.wire import from_wire, to_wire
from featurestore.timestamps import as_utc


def answered(view, rows, asked):
    registry = Registry("shop", (view,))
    request = prepare_request("shop", registry.resolve([f"{view.name}:*"]), registry)
    stored = dict(RowEncoder("shop", view, 1).encode(cases.batch_of(view, rows)).pairs())
    lookup = plan_lookup(request, {"customer_id": asked})
    return assemble(lookup, [stored.get(key) for key in lookup.keys], as_utc(cases.NOON))


@settings(deadline=None, max_examples=200)
@given(cases.views_and_rows())
def test_values_of_every_type_cross_unchanged(drawn):
    view, rows = drawn
    sent = answered(view, rows, [*range(len(rows)), 99, None])
    arrived = from_wire(to_wire(sent), sent.entity_columns)
    assert cases.same(arrived.to_dict(), sent.to_dict())
    assert arrived.statuses() == sent.statuses()
    assert arrived.event_timestamps() == sent.event_timestamps()
    assert arrived.to_arrow().schema == sent.to_arrow().schema


def test_maps_whose_keys_are_nested_cross_as_pairs():
    of_lists, of_structs = MapType(ListType(INT64), STRING), MapType(StructType((("a", FLOAT64),)), ListType(STRING))
    columns = [[[([1, None], "x")]], [[({"a": 0.5}, ["y", None]), ({"a": None}, None)]]]
    features = (Column("of_lists", of_lists), Column("of_structs", of_structs))
    part = ViewAnswer(features, ("of_lists", "of_structs"), columns, lambda: [1], None)
    arrived = from_wire(to_wire(OnlineFeatures({"k": [1]}, (Column("k", INT64),), [part])), {"k": [1]})
    assert arrived.to_dict() == {"k": [1], "of_lists": columns[0], "of_structs": columns[1]}


def test_a_status_belongs_to_all_features_of_a_view():
    part = ViewAnswer(
        (Column("a", INT64),), ("a",), [[None, 1, None]], lambda: [5, 6, None], [Status.OUTSIDE_MAX_AGE, None, Status.NOT_FOUND]
    )
    arrived = from_wire(to_wire(OnlineFeatures({"k": [1, 2, 3]}, (), [part])), {"k": [1, 2, 3]})
    assert arrived.statuses() == {"a": [Status.OUTSIDE_MAX_AGE, Status.PRESENT, Status.NOT_FOUND]}


@pytest.mark.parametrize("data", [b"", b"\xc0", b'{"rows": []}', b"\x80", b"\x82\xa9join_keys\x90\xa5parts\x91\x80"])
def test_what_is_no_answer_is_refused(data):
    with pytest.raises((msgspec.MsgspecError, ValueError)):
        from_wire(data, {})


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_nothing_else_is_raised_for_any_bytes(data):
    with pytest.raises((msgspec.MsgspecError, ValueError)):
        from_wire(data, {})
