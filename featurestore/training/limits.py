"""What a warehouse's SQL cannot say at once: long names are said shorter on the way, and a request of too many columns is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from featurestore.errors import RequestError
from featurestore.registry.registry import RequestedView
from featurestore.sql.dialects import Dialect
from featurestore.sql.expressions import distinct_names


def with_short_names(views: Sequence[RequestedView], dialect: Dialect) -> tuple[RequestedView, ...]:
    """The same views, their features called by names that the warehouse does not cut."""
    names = iter(distinct_names([name for view in views for name in view.output_names], dialect))
    return tuple(replace(view, output_names=tuple(next(names) for _ in view.output_names)) for view in views)


def with_full_names(answer: pa.RecordBatchReader, short: Sequence[RequestedView], full: Sequence[RequestedView]) -> pa.RecordBatchReader:
    """An answer under the names that were asked for."""
    if tuple(short) == tuple(full):
        return answer
    pairs = zip(short, full, strict=True)
    names = {said: meant for view, asked in pairs for said, meant in zip(view.output_names, asked.output_names, strict=True)}
    schema = pa.schema([field.with_name(names.get(field.name, field.name)) for field in answer.schema])
    return pa.RecordBatchReader.from_batches(schema, (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in answer))


def check_width(views: Sequence[RequestedView], spine_columns: int, dialect: Dialect) -> None:
    """Raises RequestError where an answer has more columns than the warehouse's can have."""
    # The number of the row stands beside them until they are in order.
    columns = 1 + spine_columns + sum(len(view.output_names) for view in views)
    if dialect.most_columns is not None and columns > dialect.most_columns:
        raise RequestError(
            f"{columns - 1:,} columns are asked for, and {dialect.name} answers with {dialect.most_columns - 1:,} at most. "
            "Ask for the features in several requests."
        )


def check_table_names(short: Sequence[RequestedView], full: Sequence[RequestedView], dialect: Dialect) -> None:
    """Raises RequestError where a column of a table cannot have the name that was asked for."""
    for view, asked in zip(short, full, strict=True):
        for said, meant in zip(view.output_names, asked.output_names, strict=True):
            if said != meant:
                raise RequestError(
                    f"No column of a {dialect.name} table can be called {meant!r}: names have {dialect.longest_name} bytes there. "
                    "Ask for it without full_feature_names, or take the answer as Arrow or Parquet."
                )
