"""A name that stands twice in one object of a request is refused. Programs differ in which of the two they take, so what a proxy has
checked would not be what is read here.

A decoder says nothing of it, and a second, slower one on every request would cost more than the read. Every name is followed by a
colon, so a body with no more colons than what was decoded of it accounts for has no name twice; only the others are looked at again.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import msgspec

from .http import HttpError


def refuse_names_given_twice(body: bytes, decoded: msgspec.Struct) -> None:
    """Raises HttpError 400 naming the name. Args: decoded: what was decoded of the body."""
    if b"\\" in body or body.count(b":") > _colons(decoded):
        try:
            _look_again(body.decode())
        except (ValueError, RecursionError):
            raise HttpError(400, "malformed_json", "The body is no JSON that every program would understand alike.") from None


def _colons(decoded: msgspec.Struct) -> int:
    """How many colons the body has for what was decoded, at the least: a name is there once, and text as it is where it has no escapes.

    An empty list may be what was sent, or stand for a field that was not: it accounts for no colon.
    """
    count = 0
    for name, default in _fields(type(decoded)):
        value = getattr(decoded, name)
        if value is not default and value != []:
            count += 1 + _inside(value)
    return count


def _inside(value: Any) -> int:
    if isinstance(value, str):
        return value.count(":")
    if isinstance(value, dict):
        return len(value)
    if isinstance(value, list):
        # Nobody's key is looked into: a text with a colon there, or something nested, is looked at again.
        return sum(map(len, value)) if value and isinstance(value[0], dict) else sum(map(_inside, value))
    return 0


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    """The fields of a record, each with the value that it has where the body does not name it."""
    return tuple((field.name, field.default) for field in msgspec.structs.fields(kind))


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise HttpError(400, "name_twice", f"{_shown(twice)} stands twice in one object, and it cannot be told which one is meant.")
    return found


_look_again = json.JSONDecoder(object_pairs_hook=_each_once, parse_int=str, parse_float=str).decode


def _shown(name: str) -> str:
    return repr(name if len(name) <= 100 else f"{name[:100]}…")
