"""`POST /v1/push`: rows of one feature view into the online store, read back at once. All are checked before any is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import msgspec

from featurestore.errors import UnknownNameError
from featurestore.registry.definitions import FeatureView
from featurestore.serving.json_values import typed_columns
from featurestore.serving.push import Pushed, PushedRows, pushed_columns

from .bodies import decoded
from .http import HttpError, Request, Response
from .reading import refuse_too_many, row_count
from .routes import ROWS_OR_COLUMNS, Route, Serving


class PushRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Rows of one feature view: either `rows` or `columns`."""

    view: Annotated[str, msgspec.Meta(min_length=1, max_length=500, description="The feature view's name.")]
    rows: Annotated[
        list[dict[str, Any]] | None,
        msgspec.Meta(description="Join keys, the event timestamp and every feature by name, one object for each row."),
    ] = None
    columns: Annotated[dict[str, list[Any]] | None, msgspec.Meta(description="The same by column.")] = None


class PushAnswer(msgspec.Struct, frozen=True):
    """What became of a push."""

    view: str
    rows: Annotated[int, msgspec.Meta(description="How many were pushed.")]
    written: Annotated[
        int,
        msgspec.Meta(description="Of how many entity keys the newest pushed row is online now. Of the others something newer was there."),
    ]


TypedRows: TypeAlias = Callable[[FeatureView, PushedRows], PushedRows]

_decode = msgspec.json.Decoder(PushRequest).decode


def routes(serving: Serving) -> tuple[Route, ...]:
    """`/v1/push`."""

    async def push(request: Request) -> Response:
        asked: PushRequest = decoded(_decode, request)
        if (asked.rows is None) == (asked.columns is None):
            raise HttpError(422, "invalid_request", "Give the rows as either `rows` or `columns`.")
        rows: PushedRows = asked.rows if asked.rows is not None else asked.columns or {}
        pushed = await push_rows(serving, request, asked.view, rows)
        return Response(200, msgspec.json.encode(PushAnswer(pushed.view, pushed.rows, pushed.written)))

    return (
        Route(
            "POST",
            "/v1/push",
            push,
            "Push rows",
            body=PushRequest,
            answer=PushAnswer,
            body_schema=ROWS_OR_COLUMNS,
            description="Check all rows of one feature view, then write them online; an older row never replaces a newer one.",
        ),
    )


async def push_rows(serving: Serving, request: Request, view: str, rows: PushedRows, typed: TypedRows | None = None) -> Pushed:
    """Write rows as JSON has them.

    Args:
        typed: gives the rows the forms that JSON values have here, where they came in other ones.

    Raises HttpError where the caller may not write them or sends too many, and what `push` raises.
    """
    request.rows = row_count(rows)
    registry = await serving.store.read_registry()

    def admit(view: FeatureView, rows: PushedRows) -> PushedRows:
        serving.access.admit_push(request, registry, view)
        refuse_too_many(request.rows, 1, serving.settings.max_keys)
        return typed_columns(rows if typed is None else typed(view, rows), pushed_columns(view))

    try:
        return await serving.store.push(view, rows, admit=admit)
    except UnknownNameError as error:
        raise serving.access.as_seen(request, registry, error) from None
