"""Keys are typed, injective, readable, and spelled alike for one row and for a column."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import codec_cases as cases
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from featurestore.codec.encode import RowEncoder
from featurestore.codec.keys import encode_key, encode_keys, key_space
from featurestore.errors import EntityKeyError, UnsupportedTypeError
from featurestore.registry.definitions import Column, Entity
from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    DecimalType,
    IntegerType,
    ListType,
)

PLANE = (Column("tailnum", STRING),)


@st.composite
def key_columns(draw):
    types = draw(st.lists(cases.key_types, min_size=1, max_size=3))
    keys = tuple(Column(f"key_{number}", value_type) for number, value_type in enumerate(types))
    row = st.fixed_dictionaries({key.name: cases.values(key.value_type, nulls=False) for key in keys})
    return keys, draw(st.lists(row, min_size=1, max_size=6))


def test_keys_are_readable():
    plane = cases.feature_view("plane_record", join_keys=PLANE, entity="plane")
    assert key_space("flights", plane).key(encode_key(PLANE, {"tailnum": "N14228"})) == b"flights:{plane/s:N14228}:plane_record"

    pair = (Column("carrier", STRING), Column("origin", STRING))
    view = cases.feature_view("carrier_at_origin", join_keys=pair, entity="carrier_at_origin")
    key = key_space("flights", view).key(encode_key(pair, {"carrier": "UA", "origin": "EWR"}))
    assert key == b"flights:{carrier_at_origin/ss:UA,EWR}:carrier_at_origin"


@pytest.mark.parametrize(
    ("value_type", "value", "text"),
    [
        (INT64, -7, b"-7"),
        (STRING, "a,b%{c}\n\x7fé", "a%2Cb%25%7Bc%7D%0A%7Fé".encode()),
        (STRING, "", b""),
        (BOOLEAN, True, b"true"),
        (DATE, date(1969, 12, 31), b"1969-12-31"),
        (TIMESTAMP, datetime(1969, 12, 31, 23, 59, 59, 999_999), b"-1"),
        (TIMESTAMP_UTC, datetime(1970, 1, 1, 1, tzinfo=timezone(timedelta(hours=1))), b"0"),
        (DecimalType(10, 2), Decimal("1.5"), b"1.50"),
        (DecimalType(10, 2), Decimal("-0.00"), b"0.00"),
        (DecimalType(20, 10), Decimal("0.0000000001"), b"0.0000000001"),
        (DecimalType(10, 2), 3, b"3.00"),
        (BYTES, b"\x00\xff", b"00ff"),
    ],
)
def test_each_type_has_one_spelling(value_type, value, text):
    assert encode_key((Column("key", value_type),), {"key": value}) == text


@settings(max_examples=300, deadline=None)
@given(key_columns())
def test_a_column_of_keys_is_spelled_as_each_of_its_rows(case):
    keys, rows = case
    view = cases.feature_view(join_keys=keys)
    space = key_space("shop", view)
    encoded = [key for key, _ in RowEncoder("shop", view, 1).encode(cases.batch_of(view, rows)).pairs()]
    one_by_one = [space.key(encode_key(keys, row)) for row in rows]
    assert encoded == one_by_one
    assert space.keys(encode_keys(keys, [[row[key.name] for row in rows] for key in keys])) == one_by_one


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.text("a,%{}2C\n"), min_size=2, max_size=2), min_size=2, max_size=2))
@example([["a,b", "c"], ["a", "b,c"]])
@example([["a%2C", "b"], ["a,", "b"]])
def test_no_two_composite_keys_are_spelled_alike(pairs):
    keys = (Column("a", STRING), Column("b", STRING))
    first, second = (encode_key(keys, {"a": a, "b": b}) for a, b in pairs)
    assert (first == second) == (pairs[0] == pairs[1])


def test_keys_of_other_projects_entities_and_views_never_meet():
    names = ["a", "a:b", "a+b", "a/b", "{a", "a}", "b", "a~2"]
    spaces = set()
    for project in names:
        for entity in names:
            for view in names:
                space = key_space(project, cases.feature_view(view, entity=entity))
                spaces.add(space.key(b"1"))
    assert len(spaces) == len(names) ** 3


def test_no_version_of_a_views_keys_is_another_views():
    spaces = {key_space("shop", cases.feature_view(name, key_version=number)) for name in ("a", "a~2", "a~2~3") for number in range(1, 30)}
    assert len(spaces) == 3 * 29
    assert key_space("shop", cases.feature_view("orders", key_version=2)).key(b"1") == b"shop:{customer/i:1}:orders~2"


def test_all_views_of_an_entity_key_share_their_hash_tag():
    tags = set()
    for name in ("orders", "profile"):
        key = key_space("shop", cases.feature_view(name)).key(b"1")
        tags.add(key[key.index(b"{") : key.index(b"}") + 1])
    assert tags == {b"{customer/i:1}"}


def test_keys_of_two_entities_name_both():
    view = cases.feature_view()
    both = (Entity("customer", cases.CUSTOMER), Entity("merchant", (Column("merchant_id", STRING),)))
    pair = type(view)(**{**{name: getattr(view, name) for name in view.__dataclass_fields__}, "entities": both})
    assert key_space("shop", pair).prefix == b"shop:{customer+merchant/is:"


@pytest.mark.parametrize(
    ("value_type", "value"),
    [
        (INT64, "17"),
        (INT64, True),
        (INT64, 17.0),
        (STRING, 17),
        (STRING, b"17"),
        (STRING, "\ud800"),
        (BOOLEAN, 1),
        (DATE, datetime(2024, 1, 1)),
        (DATE, "2024-01-01"),
        (TIMESTAMP, date(2024, 1, 1)),
        (DecimalType(10, 2), 1.5),
        (DecimalType(10, 2), Decimal("NaN")),
        (BYTES, "00ff"),
    ],
)
def test_a_key_of_the_wrong_type_is_named_with_what_it_should_be(value_type, value):
    with pytest.raises(EntityKeyError, match=r"'tailnum'"):
        encode_key((Column("tailnum", value_type),), {"tailnum": value})
    with pytest.raises(EntityKeyError, match="'tailnum'"):
        encode_keys((Column("tailnum", value_type),), [[value, value]])


def test_the_message_says_type_and_value():
    with pytest.raises(EntityKeyError) as caught:
        encode_key(cases.CUSTOMER, {"customer_id": "17"})
    assert str(caught.value) == "Join key 'customer_id' takes int64 values, not '17' (str)."


def test_a_missing_or_null_key_is_named():
    with pytest.raises(EntityKeyError, match=r"'customer_id' is missing. There is: customer"):
        encode_key(cases.CUSTOMER, {"customer": 1})
    with pytest.raises(EntityKeyError, match="'customer_id' is null"):
        encode_key(cases.CUSTOMER, {"customer_id": None})


def test_integers_of_numpy_are_integers():
    import numpy

    assert encode_keys(cases.CUSTOMER, [[numpy.int32(5), numpy.uint8(6), 7]]) == ["5", "6", "7"]


def test_a_number_that_no_row_can_have_is_a_key_of_its_own():
    assert encode_key((Column("key", IntegerType(8)),), {"key": 300}) == b"300"
    assert encode_key((Column("key", DecimalType(4, 2)),), {"key": Decimal("0.001")}) == b"0.001"


@pytest.mark.parametrize("value_type", [FLOAT64, ListType(INT64)])
def test_a_type_without_one_spelling_cannot_be_a_key(value_type):
    with pytest.raises(UnsupportedTypeError, match="'customer_id'"):
        key_space("shop", cases.feature_view(join_keys=(Column("customer_id", value_type),)))
