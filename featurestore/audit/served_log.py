"""Read back what readers and servers logged of their answers (`featurestore.serving.served_values`), exactly, in tables of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import repeat
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa

from featurestore.arrow import arrow_type, python_values
from featurestore.errors import RequestError
from featurestore.registry.definitions import Column
from featurestore.registry.value_types import ValueType, parse_value_type
from featurestore.served_log import SUFFIX
from featurestore.serving.json_values import reading
from featurestore.serving.online_features import Status
from featurestore.serving.served_values import ServedValues
from featurestore.timestamps import as_utc

from .keys import key_values

ROWS_AT_ONCE = 10_000

_decode = msgspec.json.Decoder(ServedValues).decode


@dataclass(frozen=True, slots=True)
class Logged:
    """What lines of a log have to be alike in to be asked about together."""

    feature_view: str
    join_keys: tuple[tuple[str, str], ...]
    features: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str], ...]
    """Each with its type."""

    @classmethod
    def of(cls, line: ServedValues) -> Logged:
        """That of a line."""
        return cls(line.feature_view, tuple(line.join_keys.items()), tuple(line.features.items()), tuple(line.inputs.items()))


@dataclass
class ServedTable:
    """Some served rows of one feature view, column by column."""

    logged: Logged
    entity_keys: list[str | None] = field(default_factory=list)
    asked_at: list[datetime] = field(default_factory=list)
    materialized_at: list[datetime | None] = field(default_factory=list)
    event_timestamps: list[datetime | None] = field(default_factory=list)
    statuses: list[Status | None] = field(default_factory=list)
    """Why a row has no values. None: it has them."""

    values: dict[str, list[Any]] = field(default_factory=dict)
    inputs: dict[str, list[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.entity_keys)

    def add(self, line: ServedValues) -> None:
        """Add the rows of a line of the same kind."""
        count = len(line.entity_keys)
        self.entity_keys += line.entity_keys
        self.asked_at += repeat(as_utc(line.asked_at), count)
        self.materialized_at += repeat(None if line.materialized_at is None else as_utc(line.materialized_at), count)
        self.event_timestamps += line.event_timestamps
        self.statuses += line.statuses or repeat(None, count)
        for mine, theirs in ((self.values, line.values), (self.inputs, line.input_values)):
            for name, column in theirs.items():
                mine.setdefault(name, []).extend(column)

    def keys(self, join_keys: Sequence[Column]) -> pa.Table:
        """The join keys, null where the request had a null. Raises EntityKeyError for a text that is no key of these types."""
        rows = [[None] * len(join_keys) if text is None else key_values(join_keys, text) for text in self.entity_keys]
        columns = zip(*rows, strict=True) if rows else ([] for _ in join_keys)
        return pa.table(
            {key.name: pa.array(list(column), arrow_type(key.value_type)) for key, column in zip(join_keys, columns, strict=True)}
        )

    def feature(self, name: str, value_type: ValueType) -> pa.Array:
        """The served values of a feature."""
        return _typed(self.values[name], value_type)

    def input(self, name: str, value_type: ValueType) -> pa.Array:
        """What requests brought of an input."""
        return _typed(self.inputs[name], value_type)


@dataclass
class ServedLines:
    """The lines of the log of one project.

    Args:
        folder: of the log, or one file of it.
        since: leave out what was asked before.
    """

    folder: Path
    project: str
    since: datetime | None = None
    unreadable: int = 0
    """Lines, once all tables were read, that are no lines of a log, such as the last one of a process that was killed."""

    lines: int = 0

    def tables(self) -> Iterator[ServedTable]:
        """Tables of bounded size, each of one kind. Raises RequestError where there is no log."""
        waiting: dict[Logged, ServedTable] = {}
        for line in self._lines():
            logged = Logged.of(line)
            table = waiting.setdefault(logged, ServedTable(logged))
            table.add(line)
            if len(table) >= ROWS_AT_ONCE:
                yield waiting.pop(logged)
        yield from waiting.values()

    def _lines(self) -> Iterator[ServedValues]:
        for path in self._files():
            with path.open("rb") as file:
                for text in file:
                    try:
                        line = _decode(text)
                    except msgspec.DecodeError:
                        self.unreadable += 1
                        continue
                    if line.project == self.project and (self.since is None or as_utc(line.asked_at) >= self.since):
                        self.lines += 1
                        yield line

    def _files(self) -> list[Path]:
        if self.folder.is_file():
            return [self.folder]
        files = sorted(self.folder.glob(f"**/*{SUFFIX}"))
        if not files:
            raise RequestError(f"{self.folder} holds no log of served values: there is no file named *{SUFFIX} in it.")
        return files


def _typed(values: Sequence[Any], value_type: ValueType) -> pa.Array:
    read = reading(value_type)
    typed = values if read is None else [None if value is None else read(value) for value in values]
    return pa.array(python_values(typed, value_type), arrow_type(value_type))


def declared(columns: Sequence[tuple[str, str]]) -> tuple[Column, ...]:
    """Columns of a line with their types."""
    return tuple(Column(name, parse_value_type(text)) for name, text in columns)
