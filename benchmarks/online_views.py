"""Feature views, their rows and a Redis for the online benchmarks: random, and the same on every machine.

Three views of ten features each, as a shop has them: counts, amounts, ratios that are null now and then, a category, a flag, a date.
"""

from __future__ import annotations

import random
import sys
from datetime import datetime, timezone
from pathlib import Path

import pyarrow as pa

from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import BOOLEAN, DATE, FLOAT64, INT64, STRING, TIMESTAMP, IntegerType

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "support"))

PROJECT = "bench"
VIEWS = 3
BATCH_ROWS = 16_384
_NEWEST = int(datetime(2026, 1, 1, tzinfo=timezone.utc).timestamp() * 1_000_000)
_CATEGORIES = ("gold", "silver", "bronze member", "unknown")


def views() -> tuple[FeatureView, ...]:
    """The views, all of one entity."""
    types = (INT64, INT64, FLOAT64, FLOAT64, FLOAT64, FLOAT64, STRING, BOOLEAN, DATE, IntegerType(32))
    return tuple(
        FeatureView(
            name=f"customer_view_{number}",
            unique_id=f"model.bench.customer_view_{number}",
            path=f"models/customer_view_{number}.sql",
            relation=Relation(f"customer_view_{number}"),
            entities=(Entity("customer", (Column("customer_id", INT64),)),),
            event_timestamp=Column("event_timestamp", TIMESTAMP),
            features=tuple(Feature(f"v{number}_f{place}", value_type) for place, value_type in enumerate(types)),
        )
        for number in range(VIEWS)
    )


def batches(rows: int, seed: int) -> list[pa.RecordBatch]:
    """What the warehouse would answer for one view: customers 0 to `rows`, in no order of time."""
    draw = random.Random(seed)
    columns = [
        pa.array(range(rows), pa.int64()),
        pa.array((_NEWEST - draw.randrange(30 * 86_400_000_000) for _ in range(rows)), pa.int64()).cast(pa.timestamp("us")),
        pa.nulls(rows, pa.timestamp("us")),
        pa.array((draw.randrange(100) for _ in range(rows)), pa.int64()),
        pa.array((draw.randrange(1_000_000) for _ in range(rows)), pa.int64()),
        *(pa.array((draw.random() if draw.random() > 0.05 else None for _ in range(rows)), pa.float64()) for _ in range(4)),
        pa.array((draw.choice(_CATEGORIES) for _ in range(rows)), pa.string()),
        pa.array((draw.random() < 0.5 for _ in range(rows)), pa.bool_()),
        pa.array((draw.randrange(15_000, 20_000) for _ in range(rows)), pa.int32()).cast(pa.date32()),
        pa.array((draw.randrange(1_000) for _ in range(rows)), pa.int32()),
    ]
    names = [f"column_{place}" for place in range(len(columns))]
    return pa.Table.from_arrays(columns, names).combine_chunks().to_batches(max_chunksize=BATCH_ROWS)
