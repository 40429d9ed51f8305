"""A lock is of values: every warehouse writes the same digests for the same rows, and finds out alike what moved."""

from __future__ import annotations

import math
from datetime import date, datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from warehouses import RunningWarehouse, opened

from featurestore.arrow import arrow_type
from featurestore.dbt.checksums import ModelState
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView
from featurestore.registry.registry import Registry, RequestedView
from featurestore.registry.value_types import (
    BOOLEAN,
    BYTES,
    DATE,
    FLOAT64,
    INT64,
    STRING,
    TIMESTAMP,
    TIMESTAMP_UTC,
    DecimalType,
    ListType,
    ValueType,
)
from featurestore.training.comparison import SpineComparison, Verdict
from featurestore.training.digest import ColumnDigest
from featurestore.training.lock import LockedProject, LockedRequest, Origin, read_lock
from featurestore.training.parquet_files import lock_path
from featurestore.training.rebuild import open_locked, rebuild_training_set
from featurestore.training.retrieval import RetrievalJob, historical_features
from featurestore.training.spine import ref

NOON = datetime(2024, 2, 29, 12)
VALUES: dict[str, tuple[ValueType, list[Any]]] = {
    "flag": (BOOLEAN, [True, False, None]),
    "count": (INT64, [-(2**63), 0, None]),
    "mean": (FLOAT64, [-0.0, math.nan, None]),
    "amount": (DecimalType(10, 2), [Decimal("-0.10"), Decimal("99999999.99"), None]),
    "name": (STRING, ["", "é 🦆", None]),
    "raw": (BYTES, [b"", b"\x00", None]),
    "day": (DATE, [date(1900, 1, 1), date(2024, 2, 29), None]),
    "clock": (TIMESTAMP, [NOON, datetime(1901, 1, 1, 0, 0, 0, 1), None]),
    "instant": (TIMESTAMP_UTC, [NOON.replace(tzinfo=timezone.utc), datetime(1970, 1, 1, tzinfo=timezone.utc), None]),
    "last_three": (ListType(INT64), [[1, 2, 3], [], None]),
}


def build(running: RunningWarehouse, labels: list[int], **changed: list[Any]) -> FeatureView:
    """A view with every kind of value for the customers 0, 1 and 2, and a model of labels."""
    view = FeatureView(
        name="everything",
        unique_id="model.shop.everything",
        path="models/everything.sql",
        relation=running.relation("locked_everything"),
        entities=(Entity("customer", (Column("customer_id", INT64),)),),
        event_timestamp=Column("happened_at", TIMESTAMP),
        features=tuple(Feature(name, value_type) for name, (value_type, _) in VALUES.items()),
    )
    values = {name: pa.array(changed.get(name, values), arrow_type(kind)) for name, (kind, values) in VALUES.items()}
    running.load(view.relation, pa.table({"customer_id": [0, 1, 2], "happened_at": pa.array([NOON] * 3, pa.timestamp("us")), **values}))
    asked = pa.array([NOON] * len(labels), pa.timestamp("us"))
    running.load(running.relation("locked_labels"), pa.table({"customer_id": pa.array(labels, pa.int64()), "event_timestamp": asked}))
    return view


def ask(running: RunningWarehouse, views: Any, entity_df: Any) -> RetrievalJob:
    origin = Origin(
        LockedProject("shop", "dev", "sha256:0"), LockedRequest(features=("everything:*",)), {"everything": ModelState()}, datetime.now()
    )
    return historical_features(opened(running), views, entity_df, relation_of=running.relation, origin=lambda: origin)


def requested(view: FeatureView) -> tuple[RequestedView, ...]:
    return Registry("shop", (view,)).resolve(["everything:*"])


def test_digests_are_those_of_the_values(running: RunningWarehouse, tmp_path: Path) -> None:
    view = build(running, [])
    spine = pa.table({"customer_id": [2, 0, 1, 7], "event_timestamp": pa.array([NOON] * 4, pa.timestamp("us"))})
    ask(running, requested(view), spine).to_parquet(tmp_path / "train.parquet")
    for locked in read_lock(lock_path(tmp_path / "train.parquet")).features:
        value_type, (first, second, third) = VALUES[locked.feature]
        digest = ColumnDigest(arrow_type(value_type))
        digest.update(pa.array([third, first, second, None], arrow_type(value_type)))
        assert (locked.type, locked.digest) == (str(value_type), str(digest)), locked.feature


def test_what_moved_is_found_whatever_order_the_warehouse_answers_in(running: RunningWarehouse, tmp_path: Path) -> None:
    view = build(running, [0, 1, 2, 1])
    path = tmp_path / "train.parquet"
    ask(running, requested(view), ref("locked_labels")).to_parquet(path)

    def rebuilt(output: Path | None = None) -> Any:
        registry = Registry("shop", (view,))
        return rebuild_training_set(open_locked(path), registry, lambda views, spine: ask(running, views, spine), output=output)

    assert rebuilt().same
    build(running, [1, 2, 1, 0])
    reordered = rebuilt(tmp_path / "again.parquet")
    assert (reordered.same, reordered.spine.verdict) == (True, Verdict.REORDERED)
    assert read_lock(lock_path(tmp_path / "again.parquet")).features == read_lock(lock_path(path)).features
    build(running, [1, 1, 1, 0], mean=[0.0, math.nan, None], last_three=[[1, 2, 3], [4], None])
    moved = rebuilt()
    assert moved.moved == ("everything:mean", "everything:last_three")
    assert [each.rows for each in moved.features if each.verdict is Verdict.MOVED] == [1, 2]
    assert moved.spine == SpineComparison(Verdict.MOVED, 4, 4, rows_added=1, rows_removed=1, columns=("customer_id",))
