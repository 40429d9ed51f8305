"""What an endpoint is: a method, a path, a function, and what its documentation says. Every group of endpoints is one module with a
function `routes(serving)`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from featurestore.online_store.base import AsyncOnlineStore
from featurestore.serving.reader import AsyncOnlineFeatureStore

from .access.guard import Access
from .http import HttpError, Request, Response, error_response
from .load import LoadLimit
from .metrics import Metrics
from .settings import ServerSettings

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


ROWS_OR_COLUMNS: Mapping[str, Any] = {
    "oneOf": [
        {"required": ["rows"], "properties": {"rows": {"type": "array"}}},
        {"required": ["columns"], "properties": {"columns": {"type": "object"}}},
    ]
}
"""That a body has either of them."""


_EDGE = r"[^:\s\u0000-\u001f\u0085]"
REFERENCE = f"^{_EDGE}([^:]*{_EDGE})?:{_EDGE}([^:]*{_EDGE})?$"
"""How a reference to a feature is written, `view:feature`: said in the documentation, and checked where the words for it are better."""


@dataclass(frozen=True, slots=True)
class Serving:
    """What the endpoints share."""

    settings: ServerSettings
    online_store: AsyncOnlineStore
    """What the features are read from, for documents that are no features."""

    store: AsyncOnlineFeatureStore
    access: Access
    load: LoadLimit
    metrics: Metrics


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint."""

    method: str
    path: str
    endpoint: Endpoint
    summary: str
    body: Any = None
    """The type that its request's body is decoded to. None: it takes no body."""

    answer: Any = None
    """The type of the JSON that it answers. None: the answer is not JSON, or empty."""

    open: bool = False
    """Whether it answers beside the limits on load: health checks, metrics, documentation."""

    anybody: bool = False
    """Whether it answers without asking who calls, since it shows nothing."""

    description: str = ""
    forms: tuple[bytes, ...] = ()
    """The media types that it answers in besides JSON."""

    body_schema: Mapping[str, Any] = field(default_factory=dict)
    """What its body's type cannot say of the body, for its JSON schema."""

    error_response: Callable[[HttpError, str], Response] = error_response
    """What is answered to a request that failed, whose id is given too."""
