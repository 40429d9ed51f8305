"""One call of a feature server, decided without sending anything: what is sent, when it is sent again, and what its answer means.

A read is sent again where the connection failed, where the server says that it is too busy or cannot reach the store, and where a proxy
does not reach the server: reading twice is reading once. A push is sent again only where it cannot have arrived: two pushes of one event
time are ordered by arrival, and one that comes again late would overtake what came in between. A proxy's 503 does not tell whether it
arrived; only the server's own says so. What took too long is not asked again, which would take as long once more.
"""

from __future__ import annotations

import operator
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import httpx
import msgspec

from featurestore.errors import (
    FeatureServerError,
    FeatureServerUnavailableError,
    FeatureStoreError,
    OnlineStoreUnavailableError,
    RequestError,
    error_code,
)
from featurestore.serving.json_floats import json_float

FIRST_PAUSE = 0.05
"""Seconds before a call is sent again; twice as long each time."""

LONGEST_PAUSE = 1.0
"""However much longer the server asks to wait by `Retry-After`."""

_OVERLOADED = "overloaded"
"""What a server calls it when it turns a request away at the door, with nothing done."""

_JSON_HOLDS = frozenset((int, str, bool, type(None), datetime))


@dataclass(frozen=True, slots=True)
class Call:
    """A request to send."""

    path: str
    body: bytes
    accept: str
    repeatable: bool
    """Whether it may be sent again when it may have arrived."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait so many seconds."""

    seconds: float


Outcome: TypeAlias = httpx.Response | httpx.TransportError | None
"""What came of a call; of a pause, nothing."""

Steps: TypeAlias = Generator[Call | Pause, Outcome, bytes]


class _Detail(msgspec.Struct, frozen=True):
    code: str
    message: str


class _Error(msgspec.Struct, frozen=True):
    error: _Detail


_error_record = msgspec.json.Decoder(_Error).decode


def call_steps(call: Call, retries: int, place: str) -> Steps:
    """Send a call, again where that is safe and may help; the body of the answer. Raises FeatureStoreError."""
    pause = FIRST_PAUSE
    for tries_left in range(retries, -1, -1):
        outcome = yield call
        assert outcome is not None
        if isinstance(outcome, httpx.Response) and outcome.status_code == 200:
            return outcome.content
        if isinstance(outcome, httpx.Response):
            detail = _detail(outcome)
            error = _refused(outcome, detail, place)
            again = _again_after_answer(call, outcome, detail, error)
            asked = _retry_after(outcome)
        else:
            error, again, asked = _unreached(outcome, place), _again_after_failure(call, outcome), 0.0
        if not tries_left or not again:
            raise error
        yield Pause(max(pause, asked))
        pause = min(2 * pause, LONGEST_PAUSE)
    raise AssertionError("The last try returns or raises.")


def encoded(content: Mapping[str, Any]) -> bytes:
    """The body of a request. Raises RequestError for a value that JSON cannot hold."""
    try:
        return msgspec.json.encode(content, enc_hook=_plain)
    except (TypeError, ValueError, UnicodeEncodeError) as error:
        raise RequestError(f"The rows hold something that cannot be sent: {error}.") from None


def written(value: Any) -> Any:
    """A value as the server reads it: JSON has no number for a float that is not finite, so it is sent as text."""
    if type(value) in _JSON_HOLDS:
        return value
    if isinstance(value, float):
        return json_float(value)
    if isinstance(value, Mapping):
        return {name: written(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return value if _JSON_HOLDS.issuperset(map(type, value)) else [written(item) for item in value]
    return value


def decoded(data: bytes, kind: type[Any], place: str) -> Any:
    """The body of an answer. Raises FeatureServerError."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise unexpected(place) from None


def unexpected(place: str) -> FeatureServerError:
    """What is raised for an answer that makes no sense."""
    return FeatureServerError(f"{place} answered something that is no answer of a feature server. Is it the right URL?")


def _plain(value: Any) -> Any:
    """A value of another library as Python's own: numpy's numbers, and what is like an integer."""
    if hasattr(value, "__index__"):
        return operator.index(value)
    if hasattr(value, "item"):
        return written(value.item())
    if hasattr(value, "to_pydatetime"):
        return value.to_pydatetime()
    raise TypeError(f"{value!r} ({type(value).__name__})")


def _again_after_answer(call: Call, answer: httpx.Response, detail: _Detail | None, error: FeatureStoreError) -> bool:
    if detail is None:
        return call.repeatable and answer.status_code in (502, 503)
    return detail.code == _OVERLOADED or (call.repeatable and isinstance(error, OnlineStoreUnavailableError))


def _again_after_failure(call: Call, failure: httpx.TransportError) -> bool:
    if isinstance(failure, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return True
    return call.repeatable and not isinstance(failure, httpx.TimeoutException | httpx.LocalProtocolError)


def _retry_after(answer: httpx.Response) -> float:
    """For how many seconds it asks to be left alone, within bounds. A date there is not looked at."""
    said = answer.headers.get("retry-after", "").strip()
    return min(float(said), LONGEST_PAUSE) if said.isascii() and said.isdecimal() else 0.0


def _unreached(error: httpx.TransportError, place: str) -> FeatureStoreError:
    if isinstance(error, httpx.TimeoutException):
        return FeatureServerUnavailableError(f"{place} did not answer in time. Ask for fewer rows at once, or give it a longer timeout.")
    if isinstance(error, httpx.LocalProtocolError):
        # Its text repeats what could not be sent, and a header may hold a key.
        return RequestError(f"The request to {place} cannot be written as HTTP. Nothing was sent.")
    return FeatureServerUnavailableError(f"{place} cannot be reached: {error}. Is the feature server running?")


def _detail(answer: httpx.Response) -> _Detail | None:
    """What a feature server says is wrong. None: it was none that answered."""
    try:
        return _error_record(answer.content).error
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def _refused(response: httpx.Response, detail: _Detail | None, place: str) -> FeatureStoreError:
    """The error that was answered, of the class that it has in process."""
    if detail is None:
        if response.status_code in (502, 503, 504):
            return FeatureServerUnavailableError(f"What stands before {place} answered {response.status_code}.")
        return unexpected(place)
    message = detail.message
    kind = _by_code().get(detail.code)
    if kind is not None:
        # Made without its own constructor, which takes what only the server knows: the class has defaults for that.
        error = kind.__new__(kind, message)
        error.args = (message,)
        return error
    if response.status_code in (503, 504):
        return FeatureServerUnavailableError(f"{place}: {message}")
    if response.status_code in (404, 405) or response.status_code >= 500:
        return FeatureServerError(f"{place}: {message}")
    return RequestError(message)


def _by_code() -> Mapping[str, type[FeatureStoreError]]:
    kinds: dict[str, type[FeatureStoreError]] = {}
    left: list[type[FeatureStoreError]] = [FeatureStoreError]
    while left:
        kind = left.pop()
        kinds[error_code(kind)] = kind
        left += kind.__subclasses__()
    return kinds
