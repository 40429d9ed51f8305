"""The workload, made once and the same every time: three feature views of ten features with a history, and a spine.

Timestamps are microseconds without a zone, which both contestants read as UTC. No two rows of a view share key and timestamp, so
there is one right answer to every question.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import duckdb
from contestant import ENTITY_KEY, TIMESTAMP

FOLDER = Path(__file__).resolve().parents[1] / "data"
VIEWS = ("profile", "orders", "visits")
YEAR_IN_MICROSECONDS = 365 * 24 * 3600 * 1_000_000


@dataclass(frozen=True, slots=True)
class Size:
    """How large a workload is."""

    spine: int
    rows: int
    """Of each view."""
    keys: int

    def __str__(self) -> str:
        return f"{self.spine:,} spine rows; {len(VIEWS)} views × {self.rows:,} rows × 10 features; {self.keys:,} entity keys"


@dataclass(frozen=True, slots=True)
class Workload:
    """Where the files of a workload are."""

    size: Size
    spine: Path
    views: tuple[Path, ...]


def make(size: Size) -> Workload:
    """The files of that size, written now if they are not there."""
    folder = FOLDER / f"feast-workload-{size.spine}-{size.rows}-{size.keys}"
    workload = Workload(size, folder / "spine.parquet", tuple(folder / f"{name}.parquet" for name in VIEWS))
    if not folder.is_dir():
        writing = folder.with_suffix(".writing")
        shutil.rmtree(writing, ignore_errors=True)
        writing.mkdir(parents=True)
        with duckdb.connect() as connection:
            for number, path in enumerate(workload.views):
                connection.sql(_view(path.stem, number, size)).write_parquet(str(writing / path.name), compression="zstd")
            connection.sql(_spine(size)).write_parquet(str(writing / workload.spine.name), compression="zstd")
        writing.rename(folder)
    return workload


def _view(name: str, number: int, size: Size) -> str:
    """Rows in the order of their time; every key has at least one; now and then a value is null."""
    step = YEAR_IN_MICROSECONDS // size.rows
    doubles = ", ".join(f"hash(i, {number}, 'd{n}') % 1000000 / 997.0 as {name}_amount_{n}" for n in range(5))
    integers = ", ".join(f"(hash(i, {number}, 'i{n}') % 10000)::bigint as {name}_count_{n}" for n in range(3))
    return f"""
        select
            (case when i < {size.keys} then i else hash(i, {number}, 'key') % {size.keys} end)::bigint as {ENTITY_KEY},
            make_timestamp({_epoch()} + i * {step} + (hash(i, {number}, 'jitter') % {step})::bigint) as {TIMESTAMP},
            {doubles},
            case when hash(i, {number}, 'null') % 20 > 0 then hash(i, {number}, 'd') % 1000 / 7.0 end as {name}_rate,
            {integers},
            'segment ' || (hash(i, {number}, 's') % 50)::varchar as {name}_segment
        from range({size.rows}) as rows (i)
    """


def _spine(size: Size) -> str:
    """Rows in no order of time; one key in a hundred is unknown to every view."""
    return f"""
        select
            i as row_id,
            case when i % 100 = 0 then {size.keys} + i else (hash(i, 'spine') % {size.keys})::bigint end as {ENTITY_KEY},
            make_timestamp({_epoch()} + (hash(i, 'instant') % {YEAR_IN_MICROSECONDS})::bigint) as {TIMESTAMP},
            (hash(i, 'label') % 2)::bigint as label
        from range({size.spine}) as rows (i)
    """


def _epoch() -> str:
    return "epoch_us(timestamp '2024-01-01')"
