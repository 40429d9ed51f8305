"""Feast's endpoints, as Feast 0.67 answers them: a client of Feast with `online_store: {type: remote}` reads our features unchanged."""

from __future__ import annotations

from featurestore.errors import FeatureStoreError
from featurestore.server.http import Request, Response
from featurestore.server.push import push_rows
from featurestore.server.reading import read_features
from featurestore.server.routes import REFERENCE, Route, Serving

from .answer import FeastAnswer, answer_body
from .errors import feast_error, feast_error_response, push_error, refuse_target, write_error
from .keys import typed_columns
from .requests import GetOnlineFeatures, Push, WriteToOnlineStore, reader
from .rows import rows_of

_FEATURES_OR_SERVICE = {
    "anyOf": [
        {
            "required": ["features"],
            "properties": {"features": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": REFERENCE}}},
        },
        {"required": ["feature_service"], "properties": {"feature_service": {"type": "string"}}},
    ]
}


def routes(serving: Serving) -> tuple[Route, ...]:
    """`/get-online-features`, `/push` and `/write-to-online-store`."""
    read_request, read_push, read_write = reader(GetOnlineFeatures), reader(Push), reader(WriteToOnlineStore)
    project = serving.settings.project

    async def get_online_features(request: Request) -> Response:
        wanted = read_request(request.body)
        features = wanted.features if wanted.feature_service is None else wanted.feature_service
        try:
            asked, answer = await read_features(serving, request, wanted.entities, features, wanted.full_feature_names, typed=typed_columns)
        except FeatureStoreError as error:
            raise feast_error(error, project) from error
        join_keys = {key.name for key in asked.join_keys}
        named = [name for name in answer.entity_columns if name in join_keys]
        return Response(200, answer_body(answer, named, asked.views if wanted.include_feature_view_version_metadata else ()))

    async def push(request: Request) -> Response:
        asked = read_push(request.body)
        refuse_target(asked.to)
        try:
            await push_rows(serving, request, asked.push_source_name, asked.df, rows_of)
        except FeatureStoreError as error:
            raise push_error(error, project) from error
        return Response(200)

    async def write_to_online_store(request: Request) -> Response:
        asked = read_write(request.body)
        try:
            await push_rows(serving, request, asked.feature_view_name, asked.df, rows_of)
        except FeatureStoreError as error:
            raise write_error(error, project) from error
        return Response(200, b"null")

    return (
        Route(
            "POST",
            "/get-online-features",
            get_online_features,
            "Read features as Feast does",
            body=GetOnlineFeatures,
            answer=FeastAnswer,
            error_response=feast_error_response,
            body_schema=_FEATURES_OR_SERVICE,
            description="What `feast serve` of Feast 0.67 answers. Errors have Feast's form too.",
        ),
        Route(
            "POST",
            "/push",
            push,
            "Push rows as Feast does",
            body=Push,
            error_response=feast_error_response,
            description="Rows of the feature view named as the push source, to the online store.",
        ),
        Route(
            "POST",
            "/write-to-online-store",
            write_to_online_store,
            "Write rows as Feast does",
            body=WriteToOnlineStore,
            error_response=feast_error_response,
            description="As `/push`, by the feature view's name.",
        ),
    )
