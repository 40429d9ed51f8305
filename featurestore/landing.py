"""Pushes from where the warehouse is: rows of any library, to the online store, and to a landing table that the view's model reads.

What lands is what a reader gets online, value for value, so that training sees what serving saw. It lands first: a push that fails in
between is not forgotten by training, and pushing again changes nothing online; the model leaves out what landed twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any, Literal, TypeAlias, get_args

import pyarrow as pa

from featurestore.arrow import arrow_type, python_values
from featurestore.errors import PushError, RequestError, RowProblem, WarehouseError, did_you_mean
from featurestore.registry.definitions import FeatureView, Relation
from featurestore.serving.lookup import refuse_offline
from featurestore.serving.push import CheckedRows, Pushed, PushedRows, check_rows, plain_values, pushed_columns, takes_the_rows_of
from featurestore.timestamps import Clock
from featurestore.warehouse.base import Warehouse

PushTo: TypeAlias = Literal["online", "offline", "online_and_offline"]
"""Where a push goes, in Feast's words."""

ROWS_PER_PART = 10_000
"""Rows that are checked and written at once: what they take as Python values fits anywhere."""


def destinations(to: str) -> tuple[bool, bool]:
    """Whether a push goes online, and whether offline. Raises RequestError for another word."""
    if to not in get_args(PushTo):
        raise RequestError(f"A push goes to {', '.join(get_args(PushTo))}, not to {to!r}.{did_you_mean(to, get_args(PushTo))}")
    return to != "offline", to != "online"


def push_rows(
    rows: Any,
    *,
    online: Callable[[CheckedRows], Pushed] | None,
    declared: FeatureView | None,
    served: FeatureView | None,
    warehouse: Callable[[], Warehouse],
    clock: Clock,
) -> Pushed:
    """Check the rows, append them to the landing table, write them online.

    Args:
        online: writes a part of the rows, as `OnlineFeatureStore.push_checked` does. None: they do not go online.
        declared: the view as the project has it. None: they do not go offline.
        served: the view as readers have it. None: they do not go online.
    """
    view = declared or served
    assert view is not None
    if served is not None:
        refuse_offline(served)
    if declared is not None and served is not None and not takes_the_rows_of(served, declared):
        raise RequestError(f"{view.name!r} is served by another definition than the project has. Run: fsdbt materialize")
    landing = _Landing(declared, warehouse()) if declared is not None else None
    pushed = written = 0
    for checked in _checked(view, rows, clock):
        if landing is not None:
            landing.append(checked)
        if online is not None:
            written += online(checked).written
        pushed += len(checked.event_times)
    return Pushed(view.name, pushed, written)


class _Landing:
    """The landing table of one view."""

    def __init__(self, view: FeatureView, warehouse: Warehouse) -> None:
        self.view, self._warehouse = view, warehouse
        self._relation = _relation(view)
        found = warehouse.describe([self._relation]).get(self._relation)
        if found is None:
            raise WarehouseError(
                f"The landing table {self._relation} of {view.name!r} is not in the warehouse. Run dbt build: it makes it."
            )
        stored = {column.name: column.stored_name for column in found}
        if missing := [column.name for column in pushed_columns(view) if column.name not in stored]:
            raise WarehouseError(
                f"The landing table {self._relation} of {view.name!r} lacks {', '.join(map(repr, missing))}: it has to have the view's "
                "join keys, timestamps and features."
            )
        self._stored_names = [stored[column.name] for column in pushed_columns(view)]

    def append(self, checked: CheckedRows) -> None:
        """Append all of the rows, those too that are not the newest of their entity key."""
        if not checked.event_times:
            return
        arrays = []
        for column in pushed_columns(self.view):
            values = plain_values(column, checked.columns[column.name])
            arrays.append(pa.array(python_values(values, column.value_type), arrow_type(column.value_type)))
        table = pa.Table.from_arrays(arrays, names=self._stored_names)
        with self._warehouse.session(read_only=False) as session:
            session.append(self._relation, table.to_reader())


def _relation(view: FeatureView) -> Relation:
    if view.landing is None:
        raise RequestError(
            f"{view.name!r} has no landing table. Name one that its model unions, like `landing: ref('pushed_{view.name}')`, under "
            "meta.feature_view; see docs/guides/push.md."
        )
    return view.landing


def _checked(view: FeatureView, rows: Any, clock: Clock) -> Iterator[CheckedRows]:
    """The rows in parts, each of them checked; all of them before the first where there are several and they can be read twice."""
    parts, repeatable = _parts(rows)
    if repeatable and len(list(islice(parts(), 2))) > 1:
        _check_all(view, parts(), clock)
    start = 0
    for part in parts():
        try:
            checked = check_rows(view, part, clock())
        except PushError as error:
            raise PushError(view.name, _numbered_from(start, error), written=start) from None
        yield checked
        start += len(checked.event_times)


def _parts(rows: Any) -> tuple[Callable[[], Iterable[PushedRows]], bool]:
    """The rows in parts, and whether they can be read twice."""
    if type(rows).__module__.partition(".")[0] == "pandas":
        rows = pa.Table.from_pandas(rows, preserve_index=False)
    if hasattr(rows, "__arrow_c_stream__"):
        # A stream of another library may be one that is gone when it was read.
        repeatable = isinstance(rows, pa.Table | pa.RecordBatch) or type(rows).__module__.partition(".")[0] == "polars"
        return (lambda: _arrow_parts(pa.RecordBatchReader.from_stream(rows))), repeatable
    if hasattr(rows, "__arrow_c_array__"):
        return (lambda: _arrow_parts(pa.Table.from_batches([pa.record_batch(rows)]).to_reader())), True
    return (lambda: [rows]), True


def _arrow_parts(reader: pa.RecordBatchReader) -> Iterator[PushedRows]:
    for batch in reader:
        for start in range(0, batch.num_rows, ROWS_PER_PART):
            part = batch.slice(start, ROWS_PER_PART)
            yield {name: values.to_pylist() for name, values in zip(part.schema.names, part.columns, strict=True)}


def _check_all(view: FeatureView, parts: Iterable[PushedRows], clock: Clock) -> None:
    problems: list[RowProblem] = []
    start = 0
    for part in parts:
        try:
            check_rows(view, part, clock())
        except PushError as error:
            problems += _numbered_from(start, error)
        start += len(next(iter(part.values()), ())) if isinstance(part, Mapping) else len(part)
    if problems:
        raise PushError(view.name, dict.fromkeys(problems))


def _numbered_from(start: int, error: PushError) -> list[RowProblem]:
    """The problems of a part of the rows, each with the number of its row among all of them."""
    return [replace(each, row=None if each.row is None else start + each.row) for each in error.problems]
