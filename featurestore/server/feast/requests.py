"""What Feast's clients send, and what is said of a body of another shape: FastAPI's `{"detail": [...]}`, as Feast's server answers.

A body that is as it should be is decoded at once. One that is not is looked at once more by hand, to say of each field what is wrong;
what pydantic would have taken nevertheless (a flag as text, a number that only Python's JSON knows) is taken here too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NoReturn, TypeVar

import msgspec

from featurestore.server.twice import refuse_names_given_twice

from .errors import FeastHttpError


class GetOnlineFeatures(msgspec.Struct, frozen=True):
    """The body of `/get-online-features`."""

    entities: dict[str, list[Any]]
    """Values by join key, one for each entity row."""

    feature_service: str | None = None
    """Whose features to answer. Where it is given, `features` is not looked at."""

    features: list[str] = []
    full_feature_names: bool = False
    include_feature_view_version_metadata: bool = False


class Push(msgspec.Struct, frozen=True):
    """The body of `/push`."""

    push_source_name: str
    """A feature view's name: there are no other sources here."""

    df: dict[str, list[Any]]
    """Values by column, one for each row."""

    allow_registry_cache: bool = True
    """Makes no difference: a name that is unknown is looked for anew anyway."""

    to: str = "online"
    transform_on_write: bool = True
    """Makes no difference: on-demand features are worked out when they are read."""


class WriteToOnlineStore(msgspec.Struct, frozen=True):
    """The body of `/write-to-online-store`."""

    feature_view_name: str
    df: dict[str, list[Any]]
    allow_registry_cache: bool = True
    transform_on_write: bool = True


Body = TypeVar("Body", bound=msgspec.Struct)

_FLAGS = {
    **dict.fromkeys(("true", "1", "yes", "on", "t", "y"), True),
    **dict.fromkeys(("false", "0", "no", "off", "f", "n"), False),
}
_REQUIRED = "Field required"


def reader(kind: type[Body]) -> Callable[[bytes], Body]:
    """What reads a body of that kind. It raises FeastHttpError, and HttpError for a name that is given twice."""
    decode = msgspec.json.Decoder(kind).decode

    def read(body: bytes) -> Body:
        try:
            said = decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            said = _by_hand(kind, body)
        refuse_names_given_twice(body, said)
        return said

    return read


def _by_hand(kind: type[Body], body: bytes) -> Body:
    if not body:
        _refuse(_problem("missing", (), _REQUIRED, None))
    document = _document(body)
    if not isinstance(document, dict):
        _refuse(_problem("model_attributes_type", (), "Input should be a valid dictionary or object to extract fields from", document))
    fields = {field.name: field for field in msgspec.structs.fields(kind)}
    values: dict[str, Any] = {}
    problems = []
    for name, field in fields.items():
        if name not in document:
            problems += [_problem("missing", (name,), _REQUIRED, document)] if field.required else []
            continue
        values[name], wrong = _CHECKS[field.type](name, document[name])
        problems += wrong
    if problems:
        _refuse(*problems)
    return kind(**values)


def _document(body: bytes) -> Any:
    try:
        document = json.loads(body)
        json.dumps(document, ensure_ascii=False).encode()
        return document
    except json.JSONDecodeError as error:
        _refuse(_problem("json_invalid", (error.pos,), "JSON decode error", {}) | {"ctx": {"error": error.msg}})
    except UnicodeEncodeError:
        _refuse(_problem("json_invalid", (0,), "JSON decode error", {}) | {"ctx": {"error": "Unpaired surrogate"}})
    except (ValueError, RecursionError):
        raise FeastHttpError(400, {"detail": "There was an error parsing the body"}) from None


def _refuse(*problems: Mapping[str, Any]) -> NoReturn:
    raise FeastHttpError(422, {"detail": problems})


def _problem(kind: str, place: tuple[str | int, ...], message: str, given: Any) -> dict[str, Any]:
    try:
        shown = msgspec.Raw(msgspec.json.encode(given))
    except (OverflowError, TypeError, ValueError, RecursionError):
        shown = msgspec.Raw(b"null")
    return {"type": kind, "loc": ("body", *place), "msg": message, "input": shown}


_Checked = tuple[Any, list[dict[str, Any]]]
"""The value to take, and what is wrong with the one given."""


def _text(name: str, given: Any) -> _Checked:
    return given, [] if isinstance(given, str) else [_problem("string_type", (name,), "Input should be a valid string", given)]


def _text_or_none(name: str, given: Any) -> _Checked:
    return (None, []) if given is None else _text(name, given)


def _texts(name: str, given: Any) -> _Checked:
    if not isinstance(given, list):
        return given, [_not_a_list((name,), given)]
    wrong = [(place, item) for place, item in enumerate(given) if not isinstance(item, str)]
    return given, [_problem("string_type", (name, place), "Input should be a valid string", item) for place, item in wrong]


def _flag(name: str, given: Any) -> _Checked:
    if isinstance(given, bool):
        return given, []
    if isinstance(given, str):
        flag = _FLAGS.get(given.lower())
    else:
        flag = bool(given) if isinstance(given, int | float) and given in (0, 1) else None
    if flag is not None:
        return flag, []
    if isinstance(given, str | int | float):
        return given, [_problem("bool_parsing", (name,), "Input should be a valid boolean, unable to interpret input", given)]
    return given, [_problem("bool_type", (name,), "Input should be a valid boolean", given)]


def _columns(name: str, given: Any) -> _Checked:
    if not isinstance(given, dict):
        return given, [_not_a_dictionary((name,), given)]
    return given, [_not_a_list((name, column), values) for column, values in given.items() if not isinstance(values, list)]


def _not_a_list(place: tuple[str, ...], given: Any) -> dict[str, Any]:
    return _problem("list_type", place, "Input should be a valid list", given)


def _not_a_dictionary(place: tuple[str, ...], given: Any) -> dict[str, Any]:
    return _problem("dict_type", place, "Input should be a valid dictionary", given)


_CHECKS: Mapping[Any, Callable[[str, Any], _Checked]] = {
    str: _text,
    str | None: _text_or_none,
    list[str]: _texts,
    bool: _flag,
    dict[str, list[Any]]: _columns,
}
