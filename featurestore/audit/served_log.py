"""Read back what readers and servers logged of their answers (`featurestore.serving.served_values`), exactly, in tables of bounded size.

A log outlives the processes and the versions that wrote it, and may have been cut or edited. A line that does not hold together, or whose
values are not of the types that it says, is left out whole and counted; it costs no other line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa

from featurestore.arrow import arrow_type, python_values
from featurestore.errors import EntityKeyError, RequestError
from featurestore.registry.definitions import Column
from featurestore.registry.value_types import FloatType, IntegerType, ValueType, parse_value_type
from featurestore.served_log import SUFFIX
from featurestore.serving.json_values import reading
from featurestore.serving.online_features import Status
from featurestore.serving.served_values import ServedValues
from featurestore.timestamps import as_utc

from .keys import key_values

ROWS_AT_ONCE = 10_000
MOST_LINE_BYTES = 16 << 20
"""A longer line is none that a log wrote, which holds no more than that back."""

MOST_WAITING_BYTES = 32 << 20
"""Text of the lines, of all kinds, that wait for more of theirs."""

_EARLIEST = datetime(1970, 1, 1, tzinfo=timezone.utc)
"""Nothing was served before."""

_NOT_READ = (pa.ArrowException, EntityKeyError, ArithmeticError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What comes of values that are not of their type."""

_decode = msgspec.json.Decoder(ServedValues).decode


@dataclass(frozen=True, slots=True)
class Logged:
    """What lines of a log have to be alike in to be asked about together."""

    feature_view: str
    join_keys: tuple[tuple[str, str], ...]
    features: tuple[tuple[str, str], ...]
    inputs: tuple[tuple[str, str], ...]
    """Each with its type; join keys in the order in which an entity key spells them, the others by name."""

    @classmethod
    def of(cls, line: ServedValues) -> Logged:
        """That of a line."""
        return cls(
            line.feature_view, tuple(line.join_keys.items()), tuple(sorted(line.features.items())), tuple(sorted(line.inputs.items()))
        )


@dataclass(frozen=True)
class ServedTable:
    """Some served rows of one feature view, column by column."""

    logged: Logged
    keys: pa.Table
    """The join keys, null where the request had a null."""

    asked_at: Sequence[datetime]
    materialized_at: Sequence[datetime | None]
    event_timestamps: Sequence[datetime | None]
    statuses: Sequence[Status | None]
    """Why a row has no values. None: it has them."""

    values: Mapping[str, pa.Array]
    """By feature."""

    inputs: Mapping[str, pa.Array]
    """What requests brought of inputs."""

    def __len__(self) -> int:
        return len(self.asked_at)

    @classmethod
    def of(cls, logged: Logged, lines: Sequence[ServedValues]) -> ServedTable:
        """The rows of lines of that kind. Raises one of several errors for a value that is not of its type."""
        join_keys = declared(logged.join_keys)
        texts = [text for line in lines for text in line.entity_keys]
        rows = [[None] * len(join_keys) if text is None else key_values(join_keys, text) for text in texts]
        columns = zip(*rows, strict=True) if rows else ([] for _ in join_keys)
        return cls(
            logged,
            pa.table({key.name: pa.array(list(of), arrow_type(key.value_type)) for key, of in zip(join_keys, columns, strict=True)}),
            [as_utc(line.asked_at) for line in lines for _ in line.entity_keys],
            [None if (at := line.materialized_at) is None else as_utc(at) for line in lines for _ in line.entity_keys],
            [None if at is None else as_utc(at) for line in lines for at in line.event_timestamps],
            [status for line in lines for status in line.statuses or [None] * len(line.entity_keys)],
            {of.name: _typed([each for line in lines for each in line.values[of.name]], of.value_type) for of in declared(logged.features)},
            {
                of.name: _typed([each for line in lines for each in line.input_values[of.name]], of.value_type)
                for of in declared(logged.inputs)
            },
        )


@dataclass(slots=True)
class LinesRead:
    """What became of the lines of a log."""

    files: int = 0
    lines: int = 0
    """Those that were read, and are of the project and the time in question."""

    unreadable: int = 0
    """Those that are no lines of a log, such as the last one of a process that was killed."""

    other_projects: int = 0
    before_since: int = 0
    """Those of what was asked too early to be of interest."""


@dataclass
class _Waiting:
    """Lines of one kind that wait for more of theirs."""

    lines: list[ServedValues] = field(default_factory=list)
    rows: int = 0
    size: int = 0
    """Bytes of their text."""


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
    read: LinesRead = field(default_factory=LinesRead)
    """Of all lines, once all tables were read."""

    def tables(self) -> Iterator[ServedTable]:
        """Tables of bounded size, each of one kind. Raises RequestError where there is no log, or a file of it cannot be read."""
        waiting: dict[Logged, _Waiting] = {}
        size = 0
        for line, length in self._lines():
            logged = Logged.of(line)
            of = waiting.setdefault(logged, _Waiting())
            of.lines.append(line)
            of.rows, of.size, size = of.rows + len(line.entity_keys), of.size + length, size + length
            if of.rows < ROWS_AT_ONCE:
                if size < MOST_WAITING_BYTES:
                    continue
                logged = max(waiting, key=lambda kind: waiting[kind].size)
            size -= waiting[logged].size
            yield from self._table(logged, waiting.pop(logged).lines)
        for logged, of in waiting.items():
            yield from self._table(logged, of.lines)

    def nothing_compared(self) -> RequestError:
        """Why there was nothing to compare."""
        read = self.read
        parts = (
            (read.unreadable, "could not be read"),
            (read.other_projects, f"of other projects than {self.project!r}"),
            (read.before_since, f"of what was asked before {self.since}"),
            (read.lines, "of feature views that were not chosen, or without an entity key"),
        )
        said = ", ".join(f"{count:,} {what}" for count, what in parts if count) or "none"
        return RequestError(f"Nothing was compared. Lines of the {read.files:,} files of {self.folder}: {said}.")

    def _table(self, logged: Logged, lines: list[ServedValues]) -> Iterator[ServedTable]:
        """The table of those lines that can be read, where there are any."""
        try:
            table = ServedTable.of(logged, lines)
        except _NOT_READ:
            whole = [line for line in lines if _reads(logged, line)]
            self.read.unreadable += len(lines) - len(whole)
            if not whole:
                return
            lines, table = whole, ServedTable.of(logged, whole)
        self.read.lines += len(lines)
        yield table

    def _lines(self) -> Iterator[tuple[ServedValues, int]]:
        """The lines in question that hold together, with the lengths of their texts."""
        for path in self._files():
            self.read.files += 1
            try:
                with path.open("rb") as file:
                    for text in _texts(file):
                        line = None if text is None else _line(text)
                        if line is None:
                            self.read.unreadable += 1
                        elif line.project != self.project:
                            self.read.other_projects += 1
                        elif self.since is not None and as_utc(line.asked_at) < self.since:
                            self.read.before_since += 1
                        else:
                            yield line, len(text or b"")
            except OSError as error:
                raise RequestError(f"{path}: cannot be read: {error.strerror}.") from None

    def _files(self) -> list[Path]:
        if self.folder.is_file():
            return [self.folder]
        files = sorted(path for path in self.folder.glob(f"**/*{SUFFIX}") if path.is_file())
        if not files:
            raise RequestError(f"{self.folder} holds no log of served values: there is no file named *{SUFFIX} in it.")
        return files


def _texts(file: BinaryIO) -> Iterator[bytes | None]:
    """The lines of a file; None for one that is too long, of which no more than that is held."""
    while text := file.readline(MOST_LINE_BYTES):
        if len(text) < MOST_LINE_BYTES or text.endswith(b"\n"):
            yield text
            continue
        while len(text) == MOST_LINE_BYTES and not text.endswith(b"\n"):
            text = file.readline(MOST_LINE_BYTES)
        yield None


def _line(text: bytes) -> ServedValues | None:
    """A line, where it holds together: it has all that it names, for each of its entity keys, and could have been written."""
    try:
        line = _decode(text)
        known = line.materialized_at is None or as_utc(line.materialized_at) >= _EARLIEST
        at_some_time = known and as_utc(line.asked_at) >= _EARLIEST
    except (msgspec.DecodeError, RecursionError, OverflowError):
        return None
    named = line.features.keys() == line.values.keys() and line.inputs.keys() == line.input_values.keys()
    columns = (
        line.event_timestamps,
        *line.values.values(),
        *line.input_values.values(),
        *([] if line.statuses is None else [line.statuses]),
    )
    even = all(len(column) == len(line.entity_keys) for column in columns)
    return line if at_some_time and line.features and named and even else None


def _reads(logged: Logged, line: ServedValues) -> bool:
    """Whether the values of a line are of its types."""
    try:
        ServedTable.of(logged, [line])
    except _NOT_READ:
        return False
    return True


def _typed(values: Sequence[Any], value_type: ValueType) -> pa.Array:
    """Values in the forms of JSON as those of a type. Raises one of several errors for one that is not of it."""
    read = reading(value_type)
    typed = values if read is None else [None if value is None else read(value) for value in values]
    # Arrow would cut the fraction of an integer off, and take a truth for a float.
    plain = (int,) if isinstance(value_type, IntegerType) else (int, float) if isinstance(value_type, FloatType) else None
    if plain is not None and not {type(value) for value in typed} <= {*plain, type(None)}:
        raise ValueError(f"not a value of {value_type}")
    return pa.array(python_values(typed, value_type), arrow_type(value_type))


def declared(columns: Sequence[tuple[str, str]]) -> tuple[Column, ...]:
    """Columns of a line with their types."""
    return tuple(Column(name, parse_value_type(text)) for name, text in columns)
