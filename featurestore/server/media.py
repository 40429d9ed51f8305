"""In which form an answer goes out, as the request's `Accept` says: JSON, unless it prefers msgpack or an Arrow stream."""

from __future__ import annotations

from functools import lru_cache

from featurestore.serving.wire import MEDIA_TYPE

from .http import JSON, HttpError

MSGPACK, ARROW = b"application/msgpack", b"application/vnd.apache.arrow.stream"
TYPED = MEDIA_TYPE.encode()
"""What `featurestore.client` reads."""

_ALIASES = {b"application/x-msgpack": MSGPACK, b"application/vnd.msgpack": MSGPACK, b"application/*": JSON, b"*/*": JSON}


@lru_cache(maxsize=256)
def chosen(accept: bytes) -> bytes:
    """The form that an `Accept` header prefers; of equally preferred ones, the first. Raises HttpError 406 where it is none of ours."""
    best, best_weight = b"", 0.0
    for part in accept.lower().split(b","):
        name, *parameters = (piece.strip() for piece in part.split(b";"))
        form = _ALIASES.get(name, name)
        weight = _weight(parameters)
        if form in (JSON, MSGPACK, ARROW, TYPED) and weight > best_weight:
            best, best_weight = form, weight
    if not best:
        forms = ", ".join(form.decode() for form in (JSON, MSGPACK, ARROW))
        raise HttpError(406, "not_acceptable", f"An answer comes as {forms}.")
    return best


def _weight(parameters: list[bytes]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name == b"q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
