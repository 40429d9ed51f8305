"""What a request may bring as an input, of each type, and what it may not."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from featurestore.errors import RequestError
from featurestore.registry.registry import RequestInput
from featurestore.registry.value_types import parse_value_type
from featurestore.serving.inputs import typed_inputs

MOMENT = datetime(2024, 1, 31, 14, 30)


def taken(value_type: str, value: object) -> Any:
    needed = RequestInput("x", parse_value_type(value_type), "orders:ratio")
    ((values),) = typed_inputs([needed], {"x": [value]}).values()
    return values[0]


@pytest.mark.parametrize(
    ("value_type", "value", "read"),
    [
        ("boolean", False, False),
        ("int8", -128, -128),
        ("int64", np.int64(7), 7),
        ("float64", 1, 1.0),
        ("float64", 2**53 + 1, 2.0**53),
        ("float64", Decimal("0.1"), 0.1),
        ("float64", "Infinity", float("inf")),
        ("decimal(5, 2)", 1.1, Decimal("1.10")),
        ("decimal(5, 2)", "-999.99", Decimal("-999.99")),
        ("decimal(5, 2)", -0.0, Decimal("0.00")),
        ("string", "é", "é"),
        ("date", "2024-01-31", date(2024, 1, 31)),
        ("date", date(2024, 1, 31), date(2024, 1, 31)),
        ("timestamp", "2024-01-31T14:30:00Z", MOMENT),
        ("timestamp", "2024-01-31T15:30:00+01:00", MOMENT),
        ("timestamp", MOMENT.replace(tzinfo=timezone(timedelta(hours=-5))), MOMENT + timedelta(hours=5)),
        ("timestamp", date(2024, 1, 31), datetime(2024, 1, 31)),
        ("timestamp_utc", MOMENT, MOMENT.replace(tzinfo=timezone.utc)),
        ("int64", None, None),
    ],
)
def test_what_means_a_value_of_the_type_is_taken_for_it(value_type: str, value: object, read: object) -> None:
    found = taken(value_type, value)
    assert (found, type(found), str(found)) == (read, type(read), str(read))


@pytest.mark.parametrize(
    ("value_type", "value"),
    [
        ("boolean", 1),
        ("int8", 128),
        ("int64", 1.5),
        ("int64", True),
        ("int64", "1"),
        ("float64", "1"),
        ("float64", True),
        ("float64", 10**400),
        ("decimal(5, 2)", 0.125),
        ("decimal(5, 2)", 1000),
        ("decimal(5, 2)", "NaN"),
        ("decimal(5, 2)", True),
        ("string", "\0"),
        ("string", "\ud800"),
        ("string", 1),
        ("date", MOMENT),
        ("date", "2024-01-32"),
        ("timestamp", "soon"),
        ("timestamp", 1_700_000_000),
    ],
)
def test_nothing_else_is_rounded_cut_or_guessed(value_type: str, value: object) -> None:
    with pytest.raises(RequestError, match=r"Input 'x' of entity row 0 is .*, and 'orders:ratio' takes it as "):
        taken(value_type, value)
