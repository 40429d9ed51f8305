from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_UTC,
    UNRESOLVED,
    DecimalType,
    FloatType,
    IntegerType,
    ListType,
    MapType,
    StructType,
    ValueType,
    is_instant,
    is_key,
    parse_value_type,
)

SIMPLE = st.one_of(
    st.sampled_from([BOOLEAN, BYTES, DATE, STRING, TIME, TIMESTAMP, TIMESTAMP_UTC, UNRESOLVED]),
    st.builds(IntegerType, st.sampled_from([8, 16, 32, 64]), st.booleans()),
    st.builds(FloatType, st.sampled_from([32, 64])),
    st.integers(1, 38).flatmap(lambda precision: st.builds(DecimalType, st.just(precision), st.integers(0, precision))),
)


def nested(inner: st.SearchStrategy[ValueType]) -> st.SearchStrategy[ValueType]:
    fields = st.lists(st.tuples(st.text(max_size=5), inner), max_size=3)
    return st.one_of(st.builds(ListType, inner), st.builds(MapType, inner, inner), st.builds(StructType, fields.map(tuple)))


VALUE_TYPES = st.recursive(SIMPLE, nested, max_leaves=8)


@given(VALUE_TYPES)
def test_the_text_form_of_every_type_reads_back(value_type: ValueType) -> None:
    assert parse_value_type(str(value_type)) == value_type


@pytest.mark.parametrize(
    ("value_type", "text"),
    [
        (IntegerType(16, signed=False), "uint16"),
        (DecimalType(18, 2), "decimal(18, 2)"),
        (ListType(FloatType(32)), "list<float32>"),
        (StructType((("city", STRING), ("b c", MapType(STRING, DATE)))), 'struct<city: string, "b c": map<string, date>>'),
        (StructType(()), "struct<>"),
    ],
)
def test_the_text_form_is_what_is_documented(value_type: ValueType, text: str) -> None:
    assert str(value_type) == text


@pytest.mark.parametrize(
    "text", ["", "int", "decimal(x, 2)", "list<", "list<string", "struct<a string>", "string string", 'struct<"a: date>']
)
def test_what_is_no_type_is_named(text: str) -> None:
    with pytest.raises(ValueError, match="is no value type"):
        parse_value_type(text)


def test_a_join_key_has_one_spelling() -> None:
    assert is_key(STRING)
    assert is_key(DecimalType(10, 0))
    assert not is_key(FloatType(64))
    assert not is_key(ListType(STRING))
    assert not is_key(UNRESOLVED)


def test_an_event_timestamp_is_an_instant_or_a_date() -> None:
    assert is_instant(DATE)
    assert is_instant(TIMESTAMP_UTC)
    assert not is_instant(STRING)
