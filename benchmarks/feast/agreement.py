"""Do two contestants answer alike? Compared value by value, floats to the last bit."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq


def differences(expected: Path, answered: Path, key: str) -> str:
    """What differs between two sets of answers with a unique key, in a line; empty where nothing does."""
    left, right = (pq.read_table(path).sort_by(key) for path in (expected, answered))
    if set(left.column_names) != set(right.column_names):
        return f"columns: {', '.join(sorted(set(left.column_names) ^ set(right.column_names)))}"
    if left.num_rows != right.num_rows:
        return f"{left.num_rows:,} rows and {right.num_rows:,}"
    counted = {name: _different(left.column(name), right.column(name)) for name in left.column_names}
    return ", ".join(f"{name}: {count:,} of {left.num_rows:,} values" for name, count in counted.items() if count)


def _different(left: pa.ChunkedArray, right: pa.ChunkedArray) -> int:
    """How many values differ; a null equals a null only. Instants are compared as UTC."""
    same = pc.equal(left, right.cast(left.type))
    both_null = pc.and_(pc.is_null(left), pc.is_null(right))
    return len(left) - (pc.sum(pc.or_(pc.fill_null(same, False), both_null)).as_py() or 0)
