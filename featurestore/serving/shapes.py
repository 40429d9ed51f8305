"""The two shapes that rows come in, to be looked up or pushed: a list of dicts, or a dict of lists of one length, one for each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from featurestore.errors import RequestError


def refuse_no_rows(rows: Any, what: str) -> None:
    """Raise RequestError for what is no list of dicts. Args: what: the rows are to be called, in the middle of a sentence."""
    listed = isinstance(rows, Sequence) and not isinstance(rows, str | bytes)
    if not listed or not (set(map(type, rows)) <= {dict} or all(isinstance(row, Mapping) for row in rows)):
        raise RequestError(
            f"{what.capitalize()} are a list of dicts, like [{{'customer_id': 1}}], or a dict of lists, like {{'customer_id': [1]}}."
        )


def column_lists(columns: Mapping[str, Sequence[object]], what: str) -> dict[str, list[Any]]:
    """Columns as lists of one length. Raises RequestError for a column that is no list of values, or of another length than the rest."""
    lists: dict[str, list[Any]] = {}
    for name, values in columns.items():
        if isinstance(values, str | bytes) or not hasattr(values, "__len__") or not hasattr(values, "__iter__"):
            raise RequestError(f"Column {name!r} of the {what} is no list of values. Write it like {{{name!r}: [1, 2]}}.")
        lists[name] = list(values)
    if len(set(map(len, lists.values()))) > 1:
        shown = ", ".join(f"{name} {len(values)}" for name, values in lists.items())
        raise RequestError(f"The columns of the {what} differ in length: {shown}.")
    return lists
