"""`POST /v1/features`: the current values of a feature service or of a list of features, for some entity rows.

The answer has the form of the question: rows for rows, columns for columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import msgspec

from featurestore.serving.lookup import EntityRows, OnlineRequest
from featurestore.serving.online_features import OnlineFeatures, Status
from featurestore.serving.wire import to_wire

from . import media
from .answer_form import AnswerForm
from .arrow_answer import arrow_stream
from .bodies import decoded
from .http import JSON, HttpError, Request, Response
from .reading import read_features
from .routes import REFERENCE, ROWS_OR_COLUMNS, Route, Serving

MOST_FORMS_KEPT = 1024

MOST_FEATURES = 1000
"""References that one request may list; `view:*` is one."""

Name: TypeAlias = Annotated[str, msgspec.Meta(max_length=500)]


BODY_SCHEMA: Mapping[str, Any] = {
    **ROWS_OR_COLUMNS,
    "allOf": [
        {
            "properties": {
                "features": {
                    "anyOf": [
                        {"type": "string", "pattern": f"^[^:]+$|{REFERENCE}"},
                        {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": REFERENCE}},
                    ]
                }
            }
        }
    ],
}


class FeaturesRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which features, and for which entity rows: either `rows` or `columns`."""

    features: Annotated[
        Name | Annotated[list[Name], msgspec.Meta(max_length=MOST_FEATURES)],
        msgspec.Meta(
            description="A feature service's name, one reference `view:feature`, or a list of references; `view:*` is all of a view."
        ),
    ]
    rows: Annotated[
        list[dict[str, Any]] | None,
        msgspec.Meta(description="The join keys by name, one object for each entity row. Other values pass through."),
    ] = None
    columns: Annotated[dict[str, list[Any]] | None, msgspec.Meta(description="The same by column, all of one length.")] = None
    full_feature_names: Annotated[bool, msgspec.Meta(description="Name each feature `view__feature`.")] = False
    statuses: Annotated[bool, msgspec.Meta(description="Say of each value how it came about.")] = False
    event_timestamps: Annotated[bool, msgspec.Meta(description="Say of each value since when it is true.")] = False


class FeaturesAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer has the form of the question: rows or columns, in the order asked, their own columns first and then the features."""

    rows: list[dict[str, Any]] | None = None
    columns: dict[str, list[Any]] | None = None
    statuses: Annotated[
        list[dict[str, Status]] | dict[str, list[Status]] | None, msgspec.Meta(description="By row or by column, as the values.")
    ] = None
    event_timestamps: list[dict[str, str | None]] | dict[str, list[str | None]] | None = None


_decode = msgspec.json.Decoder(FeaturesRequest).decode
_encode = msgspec.json.Encoder().encode
_encode_msgpack = msgspec.msgpack.Encoder().encode


def routes(serving: Serving) -> tuple[Route, ...]:
    """`/v1/features`."""
    forms = _Forms()

    async def features(request: Request) -> Response:
        accept = request.headers.get(b"accept")
        form = JSON if accept is None else media.chosen(accept)
        asked = decoded(_decode, request)
        if (asked.rows is None) == (asked.columns is None):
            raise HttpError(422, "invalid_request", "Give the entity rows as either `rows` or `columns`.")
        entity_rows: EntityRows = asked.rows if asked.rows is not None else asked.columns or {}
        wanted, answer = await read_features(serving, request, entity_rows, asked.features, asked.full_feature_names)
        if form == media.TYPED:
            return Response(200, to_wire(answer), media.TYPED)
        if form == media.ARROW:
            return Response(200, await arrow_stream(answer, asked.statuses, asked.event_timestamps), media.ARROW)
        content = _content(asked, answer, forms.of(wanted, asked), as_json=form == JSON)
        return Response(200, _encode(content)) if form == JSON else Response(200, _msgpack(content), form)

    return (
        Route(
            "POST",
            "/v1/features",
            features,
            "Read features",
            body=FeaturesRequest,
            answer=FeaturesAnswer,
            forms=(media.MSGPACK, media.ARROW),
            body_schema=BODY_SCHEMA,
            description="The current values of a feature service, or of a list of features, for some entity rows.",
        ),
    )


def _content(asked: FeaturesRequest, answer: OnlineFeatures, form: AnswerForm, *, as_json: bool) -> Mapping[str, Any]:
    if asked.rows is None:
        content: dict[str, Any] = {"columns": form.columns(answer, as_json=as_json)}
        if asked.statuses:
            content["statuses"] = answer.statuses()
        if asked.event_timestamps:
            content["event_timestamps"] = answer.event_timestamps()
        return content
    content = {"rows": form.rows(answer, as_json=as_json)}
    if asked.statuses:
        content["statuses"] = _as_rows(answer.statuses())
    if asked.event_timestamps:
        content["event_timestamps"] = _as_rows(answer.event_timestamps())
    return content


def _as_rows(columns: Mapping[str, Sequence[Any]]) -> list[Any]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _msgpack(content: Mapping[str, Any]) -> bytes:
    try:
        return _encode_msgpack(content)
    except OverflowError:
        raise HttpError(422, "not_representable", "The entity rows hold an integer of more than 64 bits, which msgpack cannot.") from None


class _Forms:
    """The form of the answers to each choice of features, found once."""

    def __init__(self) -> None:
        self._kept: dict[object, tuple[OnlineRequest, AnswerForm]] = {}

    def of(self, wanted: OnlineRequest, asked: FeaturesRequest) -> AnswerForm:
        choice = (asked.features if isinstance(asked.features, str) else tuple(asked.features), asked.full_feature_names)
        kept = self._kept.get(choice)
        if kept is None or kept[0] is not wanted:
            if len(self._kept) >= MOST_FORMS_KEPT:
                self._kept = {}
            kept = (wanted, AnswerForm(wanted))
            self._kept[choice] = kept
        return kept[1]
