"""A request's body: read within its limits, and one JSON document that every program understands alike."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from .http import JSON, HttpError, Receive, Request
from .twice import refuse_names_given_twice

CLOSE = (b"connection", b"close")
"""The header of an answer after which the connection ends, as the rest of the request is not wanted."""

_IS_JSON = re.compile(rb"application/json\s*(;\s*charset\s*=\s*\"?utf-?8\"?\s*)?", re.IGNORECASE)


async def read_body(request: Request, receive: Receive, most: int) -> bytes:
    """The whole body. Raises HttpError 413 as soon as it is known to be too large, 415 where it is encoded, 400 where it is cut off."""
    encoding = request.headers.get(b"content-encoding")
    if encoding is not None and encoding.strip().lower() not in (b"", b"identity"):
        raise HttpError(415, "unsupported_encoding", "The body has to come as it is: leave out Content-Encoding.", (CLOSE,))
    length = request.headers.get(b"content-length")
    if length is not None and int(length) > most:
        raise _too_large(most)
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        parts = [body]
        size = len(body)
        while message.get("more_body") and size <= most:
            message = await receive()
            parts.append(message.get("body", b""))
            size += len(parts[-1])
        body = b"".join(parts)
    if message["type"] == "http.disconnect":
        raise HttpError(400, "incomplete_body", "The body ended before it was whole.")
    if len(body) > most:
        raise _too_large(most)
    return body


def _too_large(most: int) -> HttpError:
    return HttpError(413, "body_too_large", f"The body may have {most} bytes. Ask for fewer rows at once.", (CLOSE,))


def decoded(decode: Any, request: Request) -> Any:
    """What a body says. Raises HttpError 400 where it is no JSON, 415 where it says so, 422 where it is not what the endpoint takes."""
    content_type = request.headers.get(b"content-type", JSON)
    if content_type != JSON and not _IS_JSON.fullmatch(content_type.strip()):
        raise HttpError(415, "unsupported_media_type", "The body has to be JSON: send Content-Type: application/json.")
    try:
        said = decode(request.body)
    except msgspec.ValidationError as error:
        raise HttpError(422, "invalid_request", f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HttpError(400, "malformed_json", f"The body is no JSON: {error}.") from None
    except RecursionError:
        raise HttpError(400, "malformed_json", "The body is nested too deeply.") from None
    refuse_names_given_twice(request.body, said)
    return said
