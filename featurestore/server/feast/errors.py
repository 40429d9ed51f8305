"""Errors as Feast's clients re-raise them: a JSON string that holds `{"module": …, "class": …, "message": …}`.

Where Feast's server answers 500 for a mistake of the caller, this one answers 4xx with the same or the nearest of Feast's classes. Its
client tries a 5xx three times over and then raises that it gave up, so that nobody would see what was wrong.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from featurestore.errors import FeatureNameCollisionError, FeatureStoreError, UnknownNameError
from featurestore.server.http import HttpError, Response, as_http_error

_NOT_FOUND = {
    "feature view": ("FeatureViewNotFoundException", "Feature view {name} does not exist in project {project}"),
    "feature service": ("FeatureServiceNotFoundException", "Feature service {name} does not exist in project {project}"),
}


class FeastHttpError(HttpError):
    """A request that is answered with an error as Feast has them; `content` is the JSON of its body."""

    def __init__(self, status: int, content: Any) -> None:
        super().__init__(status, "feast", str(content))
        self.content = content


def detail(name: str, message: str) -> str:
    """What a client makes an exception of: `feast.errors.<name>` with that message."""
    return json.dumps({"module": "feast.errors", "class": name, "message": message})


def feast_error(error: FeatureStoreError, project: str) -> FeastHttpError:
    """An error of ours in Feast's words."""
    match error:
        case UnknownNameError() if error.kind in _NOT_FOUND:
            name, message = _NOT_FOUND[error.kind]
            return FeastHttpError(404, detail(name, message.format(name=error.name, project=project)))
        case UnknownNameError():
            return FeastHttpError(404, detail("FeastObjectNotFoundException", str(error)))
        case FeatureNameCollisionError():
            return FeastHttpError(422, detail("FeatureNameCollisionError", _collision(error)))
    known = as_http_error(error)
    return FeastHttpError(known.status, detail("FeastError", known.message))


def feast_error_response(error: HttpError, request_id: str) -> Response:
    """The answer to a request that cannot be answered otherwise. The request's id is in a header."""
    if isinstance(error, FeastHttpError):
        content = error.content
    else:
        content = detail("FeastPermissionError" if error.status in (401, 403) else "FeastError", error.message)
    return Response(error.status, msgspec.json.encode(content), headers=error.headers)


def _collision(error: FeatureNameCollisionError) -> str:
    return (
        f"Duplicate features named {error.feature} found.\nTo resolve this collision, either use the full feature name by setting "
        "'full_feature_names=True', or ensure that the features in question have different names."
    )
