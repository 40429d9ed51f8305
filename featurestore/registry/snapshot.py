"""The registry as one JSON document, kept in the online store: a machine without dbt reads from it what exists.

The document is `{"format": 1, "project": …, "views": [...], "services": [...]}`. Each record is an object of the fields of its class
in `definitions`; a field at its default is left out; types are in their text form, durations in microseconds. The same registry
gives the same bytes. A reader ignores fields it does not know, so a newer writer may add some; what an older reader could not serve
rightly by ignoring it raises the format number instead.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import Enum
from functools import cache, partial
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from featurestore.errors import OnlineStoreError
from featurestore.timestamps import duration_micros

from .definitions import FeatureService, FeatureView
from .registry import Registry
from .value_types import ValueType, parse_value_type

FORMAT = 1

_Record = TypeVar("_Record")
_Reader = Callable[[Any], Any]


def to_json(registry: Registry) -> bytes:
    """The snapshot of a registry."""
    document = {
        "format": FORMAT,
        "project": registry.project,
        "views": [_plain(view) for view in registry.views],
        "services": [_plain(service) for service in registry.services],
    }
    return msgspec.json.encode(document)


def from_json(data: bytes) -> Registry:
    """The registry that a snapshot was taken of. Raises OnlineStoreError where it is not one, or a newer version's."""
    try:
        document = msgspec.json.decode(data)
        if document["format"] > FORMAT:
            raise OnlineStoreError(
                f"The registry snapshot has format {document['format']}, and this version reads up to {FORMAT}. Upgrade featurestore here."
            )
        return Registry(
            project=document["project"],
            views=tuple(_record(FeatureView, view) for view in document["views"]),
            services=tuple(_record(FeatureService, service) for service in document["services"]),
        )
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise OnlineStoreError(f"The registry snapshot cannot be understood ({error}). Run `fsdbt materialize` to write it anew.") from None


def _plain(value: Any) -> Any:
    if isinstance(value, ValueType):
        return str(value)
    if isinstance(value, timedelta):
        return duration_micros(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if dataclasses.is_dataclass(value):
        return {each.name: _plain(own) for each in dataclasses.fields(value) if (own := getattr(value, each.name)) != each.default}
    return value


def _record(kind: Callable[..., _Record], plain: Mapping[str, Any]) -> _Record:
    readers = _readers(kind)
    return kind(**{name: readers[name](value) for name, value in plain.items() if name in readers})


@cache
def _readers(kind: Callable[..., Any]) -> Mapping[str, _Reader]:
    return {name: _reader(hint) for name, hint in get_type_hints(kind).items()}


def _reader(hint: Any) -> _Reader:
    """What turns a plain JSON value back into a field annotated so."""
    if get_origin(hint) is tuple:
        item = _reader(get_args(hint)[0])
        return lambda values: tuple(item(value) for value in values)
    if isinstance(hint, types.UnionType):
        some = _reader(next(part for part in get_args(hint) if part is not types.NoneType))
        return lambda value: None if value is None else some(value)
    if hint is ValueType:
        return cache(parse_value_type)
    if hint is timedelta:
        return lambda micros: timedelta(microseconds=micros)
    if dataclasses.is_dataclass(hint):
        return partial(_record, cast(Callable[..., Any], hint))
    if issubclass(hint, Enum):
        return cast(_Reader, hint)
    return _same


def _same(value: Any) -> Any:
    return value
