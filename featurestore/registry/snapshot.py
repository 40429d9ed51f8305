"""The registry as one JSON document, kept in the online store: a machine without dbt reads from it what exists.

The document is `{"format": …, "project": …, "views": [...], "services": [...]}`. Each record is an object of the fields of its class
in `definitions`; a field at its default is left out; types are in their text form, durations in microseconds. The same registry
gives the same bytes. A reader ignores fields it does not know, so a newer writer may add some; what an older reader could not serve
rightly by ignoring it raises the format number instead: format 2 has aggregations, format 3 views whose rows are under another version
of their keys than the first, format 4 features on demand. A document has the least format that says all of it.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import Enum
from functools import cache, lru_cache, partial
from operator import attrgetter
from typing import Any, TypeVar, cast, get_args, get_origin, get_type_hints

import msgspec

from featurestore.errors import OnlineStoreError
from featurestore.timestamps import duration_micros

from .definitions import FeatureService, FeatureView
from .registry import Registry
from .value_types import ValueType, parse_value_type

FORMAT = 4

SNAPSHOT = "registry"
"""The name under which the online store keeps the document."""

HELD_FOR = timedelta(minutes=1)
"""How long a reader goes by a snapshot before it reads it again."""


_Record = TypeVar("_Record")
_Converter = Callable[[Any], Any]


def to_json(registry: Registry) -> bytes:
    """The snapshot of a registry."""
    document = {
        "format": _least_format(registry),
        "project": registry.project,
        "views": [plain_record(view) for view in registry.views],
        "services": [plain_record(service) for service in registry.services],
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


def _least_format(registry: Registry) -> int:
    if any(view.on_demand for view in registry.views):
        return 4
    if any(view.key_version != 1 for view in registry.views):
        return 3
    return 2 if any(view.aggregated for view in registry.views) else 1


def plain_record(record: Any) -> dict[str, Any]:
    """A record's fields as plain JSON values, those at their default left out."""
    kept = {}
    for name, default, write in _writers(cast(Callable[..., Any], type(record))):
        value = getattr(record, name)
        if value is not default and value != default:
            kept[name] = value if write is None else write(value)
    return kept


def _record(kind: Callable[..., _Record], plain: Mapping[str, Any]) -> _Record:
    """The record of those fields. Unknown ones are left out."""
    readers = _readers(kind)
    known = {name: value for name, value in plain.items() if name in readers}
    for name, value in known.items():
        read = readers[name]
        if read is not None:
            known[name] = read(value)
    return kind(**known)


@cache
def _writers(kind: Callable[..., Any]) -> tuple[tuple[str, Any, _Converter | None], ...]:
    hints = get_type_hints(kind)
    return tuple((each.name, each.default, _writer(hints[each.name])) for each in dataclasses.fields(cast(Any, kind)))


@cache
def _readers(kind: Callable[..., Any]) -> Mapping[str, _Converter | None]:
    return {name: _reader(hint) for name, hint in get_type_hints(kind).items()}


def _writer(hint: Any) -> _Converter | None:
    """What turns a field annotated so into a plain JSON value. None: it is one."""
    if get_origin(hint) is tuple:
        write = _writer(get_args(hint)[0])
        return list if write is None else partial(_list, write)
    if isinstance(hint, types.UnionType):
        some = _writer(_other_than_none(hint))
        return None if some is None else partial(_optional, some)
    if hint is ValueType:
        return str
    if hint is timedelta:
        return duration_micros
    if dataclasses.is_dataclass(hint):
        return plain_record
    return attrgetter("value") if issubclass(hint, Enum) else None


def _reader(hint: Any) -> _Converter | None:
    """What turns a plain JSON value back into a field annotated so. None: it is one already."""
    if get_origin(hint) is tuple:
        read = _reader(get_args(hint)[0])
        return tuple if read is None else partial(_tuple, read)
    if isinstance(hint, types.UnionType):
        some = _reader(_other_than_none(hint))
        return None if some is None else partial(_optional, some)
    if hint is ValueType:
        return _value_type
    if hint is timedelta:
        return _duration
    if dataclasses.is_dataclass(hint):
        return partial(_record, cast(Callable[..., Any], hint))
    return cast(_Converter, hint) if issubclass(hint, Enum) else None


def _other_than_none(hint: types.UnionType) -> Any:
    return next(part for part in get_args(hint) if part is not types.NoneType)


def _list(write: _Converter, values: tuple[Any, ...]) -> list[Any]:
    return [write(value) for value in values]


def _tuple(read: _Converter, values: list[Any]) -> tuple[Any, ...]:
    return tuple([read(value) for value in values])


def _optional(convert: _Converter, value: Any) -> Any:
    return None if value is None else convert(value)


def _duration(micros: int) -> timedelta:
    return timedelta(microseconds=micros)


_value_type = lru_cache(maxsize=1024)(parse_value_type)
