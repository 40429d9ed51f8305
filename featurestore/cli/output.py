"""What goes where: stdout is data, stderr is for people."""

from __future__ import annotations

import base64
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Literal

import typer

from featurestore.timestamps import format_duration


def write_json(value: object) -> None:
    """One JSON document on stdout. Floats that JSON has no word for become null; exact decimals stay text."""
    json.dump(_plain(value), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    sys.stdout.write("\n")


Colour = Literal["green", "yellow", "red"]


def write_table(
    headers: Sequence[str], rows: Iterable[Sequence[object]], colour: Callable[[int, int], Colour | None] | None = None
) -> None:
    """Rows on stdout, in columns as wide as they need, numbers to the right.

    Args:
        colour: of the cell in that row and column; on a terminal only, and not where NO_COLOR is set.
    """
    table = [tuple(row) for row in rows]
    texts = [tuple(map(cell, row)) for row in table]
    widths = [max(map(len, column)) for column in zip(headers, *texts, strict=True)]
    numeric = [bool(table) and all(_is_number(row[position]) for row in table) for position in range(len(headers))]
    coloured = colour if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else None
    for number, line in enumerate((headers, *texts), start=-1):
        cells = [text.rjust(width) if right else text.ljust(width) for text, width, right in zip(line, widths, numeric, strict=True)]
        cells[-1] = cells[-1].rstrip()
        if coloured is not None and number >= 0:
            shades = (coloured(number, column) for column in range(len(cells)))
            cells = [typer.style(text, fg=shade) if shade else text for text, shade in zip(cells, shades, strict=True)]
        print("  ".join(cells).rstrip())


def note(message: str) -> None:
    """A line for the person at the terminal, on stderr."""
    print(message, file=sys.stderr, flush=True)


def cell(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, datetime):
        return value.isoformat(sep=" ").replace("+00:00", "Z")
    if isinstance(value, tuple | list):
        return ", ".join(map(cell, value))
    return str(value.value if isinstance(value, Enum) else value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _plain(value: object) -> object:
    """What JSON can hold of a value."""
    if isinstance(value, dict):
        return {str(_plain(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return str(value) if isinstance(value, Decimal) else value
