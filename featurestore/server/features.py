"""`POST /v1/features`: the current values of a feature service or of a list of features, for some entity rows.

The answer has the form of the question: rows for rows, columns for columns.
"""

from __future__ import annotations

from typing import Any

import msgspec

from featurestore.serving.lookup import EntityRows, OnlineRequest

from .http import HttpError, Request, Response
from .routes import Route, Serving


class FeaturesRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which features, and for which entity rows: either `rows` or `columns`."""

    features: str | list[str]
    """A feature service's name, one reference `view:feature`, or a list of references; `view:*` is all of a view."""

    rows: list[dict[str, Any]] | None = None
    """Join keys by name, one object for each entity row."""

    columns: dict[str, list[Any]] | None = None
    """The same by column."""

    full_feature_names: bool = False
    """Name each feature `view__feature`."""


_decode = msgspec.json.Decoder(FeaturesRequest).decode


def routes(serving: Serving) -> tuple[Route, ...]:
    """`/v1/features`."""

    async def features(request: Request) -> Response:
        asked = decoded(_decode, request.body)
        if (asked.rows is None) == (asked.columns is None):
            raise HttpError(422, "invalid_request", "Give the entity rows as either `rows` or `columns`.")
        entity_rows: EntityRows = asked.rows if asked.rows is not None else asked.columns or {}

        def admit(wanted: OnlineRequest, entity_rows: EntityRows) -> EntityRows:
            serving.access.admit(request, wanted)
            return entity_rows

        answer = await serving.store.get_online_features(
            entity_rows, asked.features, full_feature_names=asked.full_feature_names, admit=admit
        )
        if asked.rows is not None:
            return Response(200, msgspec.json.encode({"rows": answer.rows()}))
        return Response(200, msgspec.json.encode({"columns": answer.to_dict()}))

    return (Route("POST", "/v1/features", features, "The current values of features", body=FeaturesRequest),)


def decoded(decode: Any, body: bytes) -> Any:
    """A request's body. Raises HttpError 400 where it is no JSON, 422 where it is not what the endpoint takes."""
    try:
        return decode(body)
    except msgspec.ValidationError as error:
        raise HttpError(422, "invalid_request", f"{error}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise HttpError(400, "malformed_json", f"The body is no JSON: {error}.") from None
    except RecursionError:
        raise HttpError(400, "malformed_json", "The body is nested too deeply.") from None
