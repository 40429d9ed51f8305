"""Our answer as Feast's clients read it: for each name its values, statuses and event timestamps, the join keys first.

Values are what Feast 0.67 writes into JSON: bytes in base64, a float that JSON has no number for as "NaN", "Infinity" or "-Infinity",
an instant or a date as whole seconds since the epoch. Decimals are text, exactly as they are stored; a time of day is ISO 8601.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import msgspec

from featurestore.registry.definitions import FeatureView
from featurestore.registry.value_types import FloatType, ValueType
from featurestore.serving.json_floats import json_floats
from featurestore.serving.json_values import value_writer
from featurestore.serving.online_features import OnlineFeatures, Status, ViewAnswer
from featurestore.timestamps import EPOCH, to_micros

NO_INSTANT = "1970-01-01T00:00:00Z"
"""What Feast says of a join key, and of a value that was not found."""

_encode = msgspec.json.Encoder().encode
_NAIVE_EPOCH = EPOCH.replace(tzinfo=None)


class FeastResult(msgspec.Struct, frozen=True):
    """What is answered of one name, each list with one item for each entity row."""

    values: list[Any]
    statuses: list[str]
    event_timestamps: list[str]


class FeastViewMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feature view that took part."""

    name: str
    version: int = 0


class FeastMetadata(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the results are, in their order."""

    feature_names: list[str]
    feature_view_metadata: list[FeastViewMetadata] = []


class FeastAnswer(msgspec.Struct, frozen=True):
    """The body of an answer: results and names in the same order, the join keys first."""

    results: list[FeastResult]
    metadata: FeastMetadata


def answer_body(online: OnlineFeatures, join_keys: Sequence[str], views: Sequence[FeatureView] = ()) -> bytes:
    """The body of an answer.

    Args:
        join_keys: the columns of the entity rows to give back, in their order.
        views: the feature views to name in the answer's metadata, where they were asked for.
    """
    results = [_key_result(online.entity_columns[name]) for name in join_keys]
    names = list(join_keys)
    for answer in online.parts:
        results += _feature_results(answer)
        names += answer.names
    metadata: dict[str, Any] = {"feature_names": names}
    if views:
        metadata["feature_view_metadata"] = [_view_metadata(view) for view in views]
    return _encode({"results": results, "metadata": metadata})


def _key_result(values: Sequence[object]) -> Mapping[str, Any]:
    statuses = [Status.NULL_VALUE if value is None else Status.PRESENT for value in values]
    written = [_seconds(value) if isinstance(value, date) else value for value in values]
    return {"values": written, "statuses": statuses, "event_timestamps": [NO_INSTANT] * len(values)}


def _feature_results(answer: ViewAnswer) -> list[Mapping[str, Any]]:
    # The instants are those of the row, so they are spelled once for all of its features.
    instants = msgspec.Raw(_encode([NO_INSTANT if micros is None else rfc3339(micros) for micros in answer.event_times()]))
    return [
        {"values": _json_column(feature.value_type, column), "statuses": answer.statuses(column), "event_timestamps": instants}
        for feature, column in zip(answer.features, answer.columns, strict=True)
    ]


def _json_column(value_type: ValueType, values: Sequence[Any]) -> Sequence[Any]:
    if isinstance(value_type, FloatType):
        return json_floats(values)
    write = value_writer(value_type, _seconds)
    return values if write is None else [None if value is None else write(value) for value in values]


def _seconds(value: date) -> int:
    return to_micros(value) // 1_000_000


def _view_metadata(view: FeatureView) -> Mapping[str, Any]:
    """Feast numbers its versions; dbt's may have names, which it has no place for."""
    version = view.version or ""
    return {"name": view.name, "version": int(version)} if version.isdecimal() and int(version) else {"name": view.name}


def rfc3339(micros: int) -> str:
    """An instant as protobuf spells it in JSON: with no, three or six decimals."""
    precision = "microseconds" if micros % 1_000 else "milliseconds" if micros % 1_000_000 else "seconds"
    return f"{(_NAIVE_EPOCH + timedelta(microseconds=micros)).isoformat(timespec=precision)}Z"
