"""A column's digest is that of its values: not of the batches it came in, nor of how Arrow keeps it; and no value changes unseen."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from featurestore.training.digest import ColumnDigest, moved, rows_digest, type_text


def digest(*batches: pa.Array) -> str:
    taken = ColumnDigest(batches[0].type)
    for batch in batches:
        taken.update(batch)
    return str(taken)


def of(values: list[Any], data_type: pa.DataType) -> str:
    return digest(pa.array(values, data_type))


FLOATS = st.one_of(st.floats(), st.sampled_from([0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324]))
SHORT = st.text(st.sampled_from("ab\x00é"), max_size=3)
LEAVES: list[tuple[pa.DataType, st.SearchStrategy[Any]]] = [
    (pa.bool_(), st.booleans()),
    (pa.int64(), st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63)])),
    (pa.uint8(), st.integers(0, 3)),
    (pa.float64(), FLOATS),
    (pa.float32(), st.floats(width=32)),
    (pa.decimal128(10, 2), st.integers(-300, 300).map(lambda cents: Decimal(cents).scaleb(-2))),
    (pa.decimal256(50, 3), st.integers(-(10**49), 10**49).map(lambda mills: Decimal(mills).scaleb(-3))),
    (pa.string(), SHORT),
    (pa.binary(), st.binary(max_size=3)),
    (pa.date32(), st.dates(date(1969, 12, 30), date(1970, 1, 3))),
    (pa.time64("us"), st.times()),
    (pa.timestamp("us"), st.datetimes(datetime(1969, 12, 31, 23), datetime(1970, 1, 1, 1))),
    (pa.timestamp("ns", "UTC"), st.integers(-3000, 3000)),
    (pa.duration("us"), st.timedeltas(timedelta(days=-1), timedelta(days=1))),
]
Columns = tuple[pa.DataType, st.SearchStrategy[Any]]


def _nested(item: Columns) -> Iterable[Columns]:
    data_type, values = item
    values = st.none() | values
    yield pa.list_(data_type), st.lists(values, max_size=3)
    yield pa.list_(data_type, 2), st.lists(values, min_size=2, max_size=2)
    yield pa.struct([("a", data_type), ("b", pa.int8())]), st.fixed_dictionaries({"a": values, "b": st.none() | st.integers(0, 2)})
    yield pa.map_(pa.string(), data_type), st.lists(st.tuples(SHORT, values), max_size=2)


ONE_DEEP = [nested for leaf in LEAVES for nested in _nested(leaf)]
TWO_DEEP = [deeper for nested in _nested((pa.float64(), FLOATS)) for deeper in _nested(nested)]
COLUMNS = st.sampled_from([*LEAVES, *ONE_DEEP, *TWO_DEEP])


@st.composite
def columns(draw: st.DrawFn) -> pa.Array:
    data_type, values = draw(COLUMNS)
    return pa.array(draw(st.lists(st.none() | values, max_size=8)), data_type)


@given(column=columns(), data=st.data())
def test_where_batches_end_does_not_matter(column: pa.Array, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(column)), max_size=4)))
    parts = [column[start:end] for start, end in zip([0, *cuts], [*cuts, len(column)], strict=True)]
    assert digest(*parts) == digest(column) == digest(pa.concat_arrays(parts))


@given(kind=COLUMNS, data=st.data())
def test_no_value_changes_unseen_and_the_rows_that_did_are_named(kind: Columns, data: st.DataObject) -> None:
    data_type, values = kind
    then = data.draw(st.lists(st.none() | values, min_size=1, max_size=6))
    row = data.draw(st.integers(0, len(then) - 1))
    now = [*then[:row], data.draw(st.none() | values), *then[row + 1 :]]
    one, other = pa.array(then, data_type), pa.array(now, data_type)
    differs = spelled(one[row].as_py()) != spelled(other[row].as_py())
    assert (digest(one) != digest(other)) is differs
    assert moved(one, other).to_pylist() == [differs and index == row for index in range(len(then))]


@given(column=columns(), data=st.data())
def test_the_order_of_rows_matters(column: pa.Array, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(column))))
    shuffled = column.take(pa.array(order, pa.int64()))
    assume(list(map(spelled, shuffled.to_pylist())) != list(map(spelled, column.to_pylist())))
    assert digest(shuffled) != digest(column)


@given(column=columns(), data=st.data())
def test_what_stands_under_a_null_does_not_matter(column: pa.Array, data: st.DataObject) -> None:
    hidden = data.draw(st.lists(st.booleans(), min_size=len(column), max_size=len(column)))
    assume(not pa.types.is_fixed_size_list(column.type) and not pa.types.is_map(column.type))
    shown = pa.array([None if hide else value for hide, value in zip(hidden, column.to_pylist(), strict=True)], column.type)
    assert digest(_masked(column, hidden)) == digest(shown)


def _masked(column: pa.Array, hidden: list[bool]) -> pa.Array:
    """The column with a validity bitmap laid over it and everything else left where it is."""
    valid = pa.array([not hide and item.is_valid for hide, item in zip(hidden, column, strict=True)], pa.bool_())
    own = column.buffers()
    laid = [valid.buffers()[1], *own[1 : column.type.num_buffers]]
    if pa.types.is_struct(column.type):
        children = [column.field(index) for index in range(column.type.num_fields)]
    elif pa.types.is_list(column.type):
        children = [column.values]
    else:
        children = None
    return pa.Array.from_buffers(column.type, len(column), laid, offset=column.offset, children=children)


def spelled(value: Any) -> object:
    """A value as bytes tell it: one NaN, two zeros."""
    if isinstance(value, float):
        return b"nan" if math.isnan(value) else struct.pack("<d", value)
    if isinstance(value, dict):
        return [(name, spelled(item)) for name, item in value.items()]
    return [spelled(item) for item in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param((["a", None, ""], pa.string()), (["a", None, ""], pa.large_string()), id="large text"),
        pytest.param((["a", None, ""], pa.string()), (["a", None, ""], pa.string_view()), id="text view"),
        pytest.param((["a", None, "a"], pa.string()), (["a", None, "a"], pa.dictionary(pa.int8(), pa.string())), id="category"),
        pytest.param(([b"ab", None], pa.binary()), ([b"ab", None], pa.binary(2)), id="bytes of one length"),
        pytest.param(([b"ab", None], pa.binary()), ([b"ab", None], pa.binary_view()), id="bytes view"),
        pytest.param(([[1], None, []], pa.list_(pa.int8())), ([[1], None, []], pa.large_list(pa.int8())), id="large list"),
        pytest.param(([[1], None, []], pa.list_(pa.int8())), ([[1], None, []], pa.list_view(pa.int8())), id="list view"),
        pytest.param(([[1, 2], None], pa.list_(pa.int8())), ([[1, 2], None], pa.list_(pa.int8(), 2)), id="embedding"),
        pytest.param(([-1, None], pa.timestamp("us")), ([-1000, None], pa.timestamp("ns")), id="nanoseconds"),
        pytest.param(([7, None], pa.timestamp("s", "UTC")), ([7000, None], pa.timestamp("ms", "Europe/Paris")), id="zone and unit"),
        pytest.param(([3_000_000], pa.time64("us")), ([3], pa.time32("s")), id="time of day"),
        pytest.param(([date(1970, 1, 2), None], pa.date32()), ([date(1970, 1, 2), None], pa.date64()), id="long date"),
        pytest.param(([Decimal("1.20"), None], pa.decimal128(9, 2)), ([Decimal("1.20"), None], pa.decimal256(9, 2)), id="wide decimal"),
        pytest.param(([Decimal("1.20"), None], pa.decimal128(9, 2)), ([Decimal("1.20"), None], pa.decimal32(9, 2)), id="narrow decimal"),
        pytest.param(([1.5, None], pa.float32()), ([1.5, None], pa.float16()), id="half"),
    ],
)
def test_how_arrow_keeps_it_does_not_matter(one: tuple[list[Any], pa.DataType], other: tuple[list[Any], pa.DataType]) -> None:
    assert of(*one) == of(*other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        pytest.param(([None], pa.int64()), ([0], pa.int64()), id="null and zero"),
        pytest.param(([None], pa.string()), ([""], pa.string()), id="null and no text"),
        pytest.param(([None], pa.list_(pa.int8())), ([[]], pa.list_(pa.int8())), id="null and an empty list"),
        pytest.param(([None], pa.struct({"a": pa.int8()})), ([{"a": None}], pa.struct({"a": pa.int8()})), id="null and a struct of nulls"),
        pytest.param(([-0.0], pa.float64()), ([0.0], pa.float64()), id="minus zero"),
        pytest.param((["ab", "c"], pa.string()), (["a", "bc"], pa.string()), id="where one text ends"),
        pytest.param(([[1], [2]], pa.list_(pa.int8())), ([[1, 2], []], pa.list_(pa.int8())), id="where one list ends"),
        pytest.param(([], pa.int64()), ([None], pa.int64()), id="no rows"),
        pytest.param(([1], pa.int32()), ([1], pa.int64()), id="width of a number"),
        pytest.param(([1], pa.timestamp("us")), ([1], pa.timestamp("us", "UTC")), id="wall clock and instant"),
        pytest.param(([1], pa.timestamp("ns")), ([0], pa.timestamp("ns")), id="one nanosecond"),
        pytest.param(([Decimal("1.2")], pa.decimal128(9, 1)), ([Decimal("1.20")], pa.decimal128(9, 2)), id="scale"),
        pytest.param(
            ([[("a", 1), ("b", 2)]], pa.map_(pa.string(), pa.int8())),
            ([[("b", 2), ("a", 1)]], pa.map_(pa.string(), pa.int8())),
            id="order of a map",
        ),
    ],
)
def test_what_is_different_has_another_digest(one: tuple[list[Any], pa.DataType], other: tuple[list[Any], pa.DataType]) -> None:
    assert of(*one) != of(*other)


def test_there_is_one_nan_whatever_its_bits() -> None:
    bits = [0x7FF8000000000000, 0x7FF8000000000001, 0xFFF8000000000000, 0x7FF0000000000001]
    nans = pa.array(bits, pa.uint64()).view(pa.float64())
    assert digest(nans) == of([math.nan] * 4, pa.float64())
    assert moved(nans, pa.array([math.nan] * 4)).to_pylist() == [False] * 4


def test_columns_that_no_feature_can_be_have_digests_too() -> None:
    interval = pa.month_day_nano_interval()
    assert of([(1, 2, 3), None], interval) != of([(1, 2, 4), None], interval)
    assert of([None, None], pa.null()) != of([None], pa.null())
    assert type_text(pa.duration("ns")) == type_text(pa.duration("s")) == "duration"
    assert of([1000], pa.duration("ms")) == of([1], pa.duration("s"))


def test_a_digest_is_the_same_in_every_version() -> None:
    """What locks hold must stay readable: a change here needs a new lock format."""
    values = pa.array([{"a": [1.5, None, math.nan], "b": "é"}, None], pa.struct({"a": pa.list_(pa.float64()), "b": pa.string()}))
    assert digest(values) == "sha256:7e8e2257905ed3d5961614213439150d260fd7f0cefe5e1f544074589bdbfbcf"


def test_the_digest_of_rows_does_not_depend_on_the_order_of_columns() -> None:
    assert rows_digest({"a": "sha256:1", "b": "sha256:2"}) == rows_digest({"b": "sha256:2", "a": "sha256:1"})
    assert rows_digest({"a": "sha256:1", "b": "sha256:2"}) != rows_digest({"a": "sha256:2", "b": "sha256:1"})
