"""How a float that JSON has no number for is written in it: as text. All that write or read one, on either side of HTTP, go by this."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

NOT_IN_JSON: Mapping[str, float] = MappingProxyType({"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf})


def json_float(value: float | None) -> float | str | None:
    """A float, or text where JSON has no number for it."""
    if value is None or math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def json_floats(values: Sequence[float | None]) -> Sequence[float | str | None]:
    """Floats, or text where JSON has no numbers for them; the values themselves where it has, as it nearly always does."""
    if all_in_json(values):
        return values
    return [json_float(value) for value in values]


def all_in_json(values: Iterable[float | None]) -> bool:
    """Whether JSON has a number for each that is not null. A sum is finite only where all it is made of is, and is one pass in C."""
    return math.isfinite(sum(filter(None, values)))
