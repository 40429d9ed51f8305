"""Arrow types and value types are the same thing said twice."""

from __future__ import annotations

import codec_cases as cases
import pyarrow as pa
import pytest
from hypothesis import given

from featurestore.arrow import arrow_type, python_values, value_type
from featurestore.errors import UnsupportedTypeError
from featurestore.registry.value_types import (
    BYTES,
    DATE,
    INT64,
    STRING,
    TIME,
    TIMESTAMP,
    TIMESTAMP_UTC,
    UNRESOLVED,
    DecimalType,
    FloatType,
    ListType,
    MapType,
    StructType,
)


@given(cases.value_types)
def test_a_value_type_comes_back_from_its_arrow_type(of_type):
    assert value_type(arrow_type(of_type)) == of_type


@pytest.mark.parametrize(
    ("spelled", "expected"),
    [
        (pa.large_string(), STRING),
        (pa.string_view(), STRING),
        (pa.dictionary(pa.int8(), pa.string()), STRING),
        (pa.uuid(), STRING),
        (pa.json_(), STRING),
        (pa.large_binary(), BYTES),
        (pa.binary(16), BYTES),
        (pa.binary_view(), BYTES),
        (pa.float16(), FloatType(32)),
        (pa.decimal256(60, 5), DecimalType(60, 5)),
        (pa.date64(), DATE),
        (pa.time32("s"), TIME),
        (pa.timestamp("ns"), TIMESTAMP),
        (pa.timestamp("s", "Europe/Riga"), TIMESTAMP_UTC),
        (pa.large_list(pa.int64()), ListType(INT64)),
        (pa.list_(pa.float32(), 3), ListType(FloatType(32))),
        (pa.list_view(pa.int64()), ListType(INT64)),
    ],
)
def test_every_spelling_of_the_same_values_is_one_type(spelled, expected):
    assert value_type(spelled) == expected


@pytest.mark.parametrize("other", [pa.null(), pa.duration("s"), pa.month_day_nano_interval(), pa.list_(pa.null())])
def test_a_type_without_a_place_is_named(other):
    with pytest.raises(UnsupportedTypeError, match=r"cannot be a feature or a key"):
        value_type(other)


def test_a_type_that_is_not_known_yet_says_what_to_do():
    with pytest.raises(UnsupportedTypeError, match="declare its data_type, or build its model"):
        arrow_type(UNRESOLVED)


def test_maps_become_the_pairs_that_arrow_takes():
    nested = ListType(StructType((("counts", MapType(STRING, INT64)),)))
    assert python_values([[{"counts": {"a": 1}}, None], None], nested) == [[{"counts": [("a", 1)]}, None], None]
    values = [1, None]
    assert python_values(values, INT64) is values
