"""One request and one response as typed records: where ASGI's dictionaries end. Every error is answered in one shape:

{"error": {"code": "unknown_name", "message": "No feature service named 'chrun'. …", "request_id": "…"}}
"""

from __future__ import annotations

import itertools
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from featurestore.errors import FeatureStoreError, NotMaterializedError, OnlineStoreError, OnlineStoreUnavailableError, error_code

from .access.secret_words import without_secrets

if TYPE_CHECKING:
    from .access.callers import Caller

Scope: TypeAlias = Mapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Mapping[str, Any]]]
Send: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[None]]

JSON = b"application/json"

MOST_MESSAGE = 1000
"""Characters that an error says: it may repeat words of the request, which may be of any length."""

_GIVEN_ID = re.compile(rb"[\x21-\x7e]{1,128}")
_started = secrets.token_hex(6)
_number = itertools.count(1)


class ErrorDetail(msgspec.Struct, frozen=True):
    """What went wrong: a word for programs, a sentence for people, and where the log says more."""

    code: str
    message: str
    request_id: str


class ErrorAnswer(msgspec.Struct, frozen=True):
    """The answer to every request that cannot be answered otherwise."""

    error: ErrorDetail


class HttpError(Exception):
    """A request that is answered with an error. Its message is as long as one may be."""

    def __init__(self, status: int, code: str, message: str, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, cut(message), headers


def cut(message: str) -> str:
    """A message as long as one may be."""
    return message if len(message) <= MOST_MESSAGE else f"{message[:MOST_MESSAGE]}…"


class Request:
    """What was asked, and what becomes known of it while it is answered."""

    __slots__ = (
        "_given",
        "body",
        "caller",
        "headers",
        "id",
        "method",
        "path",
        "query",
        "rows",
        "service",
        "started",
    )

    def __init__(self, scope: Scope, started: float) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: bytes = scope["query_string"]
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        """By their names in small letters."""

        self._given: Sequence[tuple[bytes, bytes]] = scope["headers"]
        self.body = b""
        self.id = self._given_id() or f"{_started}-{next(_number):x}"
        self.started = started
        """By `time.perf_counter`."""

        self.caller: Caller | None = None
        """Who asks, once that is known."""

        self.service = ""
        """The feature service asked for, once it is known to exist: safe as a label and in a log."""

        self.rows = 0
        """How many entity rows."""

    @property
    def authorization(self) -> tuple[bytes, ...]:
        """The values of every such header: two of them are one too many."""
        return tuple(value for name, value in self._given if name == b"authorization")

    def _given_id(self) -> str | None:
        given = self.headers.get(b"x-request-id")
        if given is None or not _GIVEN_ID.fullmatch(given):
            return None
        text = given.decode()
        return text if without_secrets(text) == text else None


class Response:
    """What is answered."""

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(self, status: int, body: bytes = b"", content_type: bytes = JSON, headers: tuple[tuple[bytes, bytes], ...] = ()) -> None:
        self.status, self.body, self.content_type, self.headers = status, body, content_type, headers


def error_response(error: HttpError, request_id: str) -> Response:
    """The answer to a request that cannot be answered otherwise."""
    detail = ErrorDetail(error.code, error.message, request_id)
    return Response(error.status, msgspec.json.encode(ErrorAnswer(detail)), headers=error.headers)


def as_http_error(error: FeatureStoreError) -> HttpError:
    """How an error of ours is answered. What it says of the store's whereabouts is for the log, not for the caller."""
    code = error_code(type(error))
    for kind, message in _OF_THE_STORE.items():
        if isinstance(error, kind):
            retry = ((b"retry-after", b"1"),) if error.http_status == 503 else ()
            return HttpError(error.http_status, code, message, retry)
    if error.http_status >= 500:
        return INTERNAL
    return HttpError(error.http_status, code, str(error))


INTERNAL = HttpError(500, "internal", "The server failed to answer this request. Its log says more, under the request id.")

_OF_THE_STORE: Mapping[type[FeatureStoreError], str] = {
    OnlineStoreUnavailableError: "The online store cannot be reached.",
    NotMaterializedError: "Nothing of this project is in the online store yet. Publish it first: fsdbt materialize",
    OnlineStoreError: "The online store answered something unexpected.",
}
