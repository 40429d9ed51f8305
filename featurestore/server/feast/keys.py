"""Join keys as Feast's clients may write them: Feast makes of a value what the entity's type is, so 1 may come as "1" or 1.0, and "5"
as 5. What Feast would cut (1.5 to 1) or guess (true to 1) stays as it came, and is refused as a key of the wrong type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from featurestore.registry.definitions import Column
from featurestore.registry.value_types import IntegerType, StringType
from featurestore.serving.json_values import typed_keys
from featurestore.serving.lookup import EntityRows


def typed_columns(entity_rows: EntityRows, join_keys: Sequence[Column]) -> EntityRows:
    """The columns of the entity rows, the values of join keys in the types that the keys have. Raises EntityKeyError."""
    assert isinstance(entity_rows, Mapping)
    typed = dict(entity_rows)
    for key in join_keys:
        kinds = set(map(type, typed.get(key.name, ())))
        if isinstance(key.value_type, IntegerType) and float in kinds:
            typed[key.name] = [_whole(value) for value in typed[key.name]]
        elif isinstance(key.value_type, StringType) and kinds & {int, float}:
            typed[key.name] = [_text(value) for value in typed[key.name]]
    return typed_keys(typed, join_keys)


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _text(value: Any) -> Any:
    return str(value) if type(value) in (int, float) else value
