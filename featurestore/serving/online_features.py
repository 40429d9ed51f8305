"""The answer to an online request: for every entity row, the value of each feature, how it came about, and since when it is true."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

from featurestore.errors import NotInstalledError
from featurestore.registry.definitions import Column
from featurestore.timestamps import from_micros

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow


class Status(str, Enum):
    """How a value came about. Only a PRESENT value is not null.

    A feature on demand is PRESENT where its expression has a value, whatever became of the row that it reads, and else as that row is.
    """

    PRESENT = "PRESENT"
    NULL_VALUE = "NULL_VALUE"
    """The entity's row is there, and the feature is null in it."""

    NOT_FOUND = "NOT_FOUND"
    """There is no row for that entity key, or it has stopped counting."""

    OUTSIDE_MAX_AGE = "OUTSIDE_MAX_AGE"
    """The row is older than the view's TTL, or of a view of aggregations, than what it says of is exact for."""

    def __str__(self) -> str:
        return self.value


class ViewAnswer(NamedTuple):
    """What one feature view answered, all columns as long as the request has rows."""

    features: tuple[Column, ...]
    """Output names and types."""

    names: tuple[str, ...]
    columns: Sequence[Sequence[Any]]
    """The values of each feature; None where a row has none."""

    event_times: Callable[[], Sequence[int | None]]
    """In microseconds; None where nothing was found."""

    without_values: Sequence[Status | None] | None
    """NOT_FOUND or OUTSIDE_MAX_AGE where the view has no values for a row. None: it has them for every row."""

    def statuses(self, column: Sequence[Any]) -> list[Status]:
        """The status of each value of a column."""
        if self.without_values is None:
            return [Status.NULL_VALUE if value is None else Status.PRESENT for value in column]
        return [
            Status.PRESENT if value is not None else status or Status.NULL_VALUE
            for status, value in zip(self.without_values, column, strict=True)
        ]


class OnlineFeatures:
    """The features of some entity rows, row by row in the order of the request.

    `entity_columns` are the columns of the entity rows, `parts` what each feature view answered, in the order asked.
    """

    def __init__(self, entity_columns: Mapping[str, Sequence[object]], join_keys: Sequence[Column], answers: Sequence[ViewAnswer]) -> None:
        self.entity_columns, self.join_keys, self.parts = entity_columns, join_keys, answers

    def __repr__(self) -> str:
        names = ", ".join(column.name for answer in self.parts for column in answer.features)
        return f"OnlineFeatures({names})"

    def to_dict(self) -> dict[str, list[Any]]:
        """Columns by name: those of the entity rows, then the features in the order asked."""
        columns: dict[str, list[Any]] = {name: list(values) for name, values in self.entity_columns.items()}
        for answer in self.parts:
            columns.update(zip(answer.names, map(list, answer.columns), strict=True))
        return columns

    def rows(self) -> list[dict[str, Any]]:
        """The same as one dict per entity row."""
        columns = self.to_dict()
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def statuses(self) -> dict[str, list[Status]]:
        """For each feature, the status of each row's value."""
        return {
            feature.name: answer.statuses(values)
            for answer in self.parts
            for feature, values in zip(answer.features, answer.columns, strict=True)
        }

    def event_timestamps(self) -> dict[str, list[datetime | None]]:
        """For each feature, when each row's value became true (UTC); None where nothing was found."""
        timestamps: dict[str, list[datetime | None]] = {}
        for answer in self.parts:
            instants = [None if micros is None else from_micros(micros) for micros in answer.event_times()]
            timestamps.update((feature.name, list(instants)) for feature in answer.features)
        return timestamps

    def to_arrow(self) -> pyarrow.Table:
        """As `to_dict`, an Arrow table with the declared types."""
        import pyarrow as pa

        from featurestore.arrow import arrow_type, python_values

        keys = {key.name: arrow_type(key.value_type) for key in self.join_keys}
        columns = {name: pa.array(list(values), keys.get(name)) for name, values in self.entity_columns.items()}
        for answer in self.parts:
            for feature, values in zip(answer.features, answer.columns, strict=True):
                columns[feature.name] = pa.array(python_values(values, feature.value_type), arrow_type(feature.value_type))
        return pa.table(columns)

    def to_pandas(self) -> pandas.DataFrame:
        """As `to_dict`, a pandas data frame."""
        try:
            import pandas  # noqa: F401
        except ImportError:
            raise NotInstalledError("pandas", "pandas", "to_pandas()") from None
        return self.to_arrow().to_pandas()

    def to_polars(self) -> polars.DataFrame:
        """As `to_dict`, a polars data frame."""
        try:
            import polars
        except ImportError:
            raise NotInstalledError("polars", "polars", "to_polars()") from None
        frame = polars.from_arrow(self.to_arrow())
        assert isinstance(frame, polars.DataFrame)
        return frame
