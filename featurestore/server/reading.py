"""How every endpoint reads features: who asks is checked against what is asked for, keys get their types, sizes their limit, and what
was answered is counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

from featurestore.errors import UnknownNameError
from featurestore.registry.definitions import Column
from featurestore.serving.json_values import typed_keys
from featurestore.serving.lookup import EntityRows, OnlineRequest
from featurestore.serving.online_features import OnlineFeatures

from .http import HttpError, Request
from .routes import Serving

TypedKeys: TypeAlias = Callable[[EntityRows, Sequence[Column]], EntityRows]


class ReadFeatures(NamedTuple):
    """An answer, and what the features asked for mean."""

    asked: OnlineRequest
    answer: OnlineFeatures


async def read_features(
    serving: Serving,
    request: Request,
    entity_rows: EntityRows,
    features: str | list[str],
    full_feature_names: bool,
    typed: TypedKeys = typed_keys,
) -> ReadFeatures:
    """The current values for entity rows as JSON has them.

    Args:
        typed: gives the entity rows their join keys as typed values.

    Raises HttpError where the caller may not read them or asks for too many, and what `get_online_features` raises.
    """
    resolved: list[OnlineRequest] = []

    def admit(asked: OnlineRequest, entity_rows: EntityRows) -> EntityRows:
        if isinstance(features, str) and ":" not in features:
            request.service = features
        request.rows = row_count(entity_rows)
        serving.access.admit(request, asked)
        refuse_too_many(request.rows, len(asked.parts), serving.settings.max_keys)
        resolved[:] = [asked]
        return typed(entity_rows, asked.join_keys)

    try:
        answer = await serving.store.get_online_features(entity_rows, features, full_feature_names=full_feature_names, admit=admit)
    except UnknownNameError as error:
        raise serving.access.as_seen(request, await serving.store.read_registry(), error) from None
    serving.metrics.count_rows(resolved[0].requested, answer.parts, request.rows)
    return ReadFeatures(resolved[0], answer)


def row_count(entity_rows: EntityRows) -> int:
    if isinstance(entity_rows, list):
        return len(entity_rows)
    return max(map(len, entity_rows.values()), default=0)  # type: ignore[union-attr]


def refuse_too_many(rows: int, views: int, most: int) -> None:
    if rows * views > most:
        raise HttpError(
            413,
            "too_many_keys",
            f"{rows} entity rows of {views} feature views are {rows * views} keys, and one request may have {most}. "
            f"Send {max(1, most // views)} rows at once.",
        )
