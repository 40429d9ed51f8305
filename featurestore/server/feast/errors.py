"""Errors as Feast's clients re-raise them: a JSON string that holds `{"module": …, "class": …, "message": …}`.

Where Feast's server answers 500 for a mistake of the caller, this one answers 4xx with the same or the nearest of Feast's classes. Its
client tries a 5xx three times over and then raises that it gave up, so that nobody would see what was wrong.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from featurestore.errors import FeatureNameCollisionError, FeatureStoreError, UnknownNameError
from featurestore.server.http import HttpError, Response, as_http_error, cut

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
    return json.dumps({"module": "feast.errors", "class": name, "message": cut(message)})


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


def push_error(error: FeatureStoreError, project: str) -> FeastHttpError:
    """An error of a push. A push source is a feature view here."""
    if isinstance(error, UnknownNameError):
        return FeastHttpError(422, detail("PushSourceNotFoundException", f"Unable to find push source '{error.name}'."))
    return feast_error(error, project)


def write_error(error: FeatureStoreError, project: str) -> FeastHttpError:
    """An error of a write to a feature view."""
    if isinstance(error, UnknownNameError):
        return FeastHttpError(404, detail("FeastObjectNotFoundException", f"Can't recognize feast object with a name {error.name}"))
    return feast_error(error, project)


def refuse_target(to: str) -> None:
    """Raise FeastHttpError for a push to anywhere but the online store."""
    if to in ("offline", "online_and_offline"):
        message = (
            f"This server has no offline store, so nothing can be pushed to {to!r}. Append the rows to the table that the dbt model reads, "
            "and push them to 'online'."
        )
        raise FeastHttpError(422, detail("FeastError", message))
    if to != "online":
        message = f"{to} is not a supported push format. Please specify one of these ['online', 'offline', 'online_and_offline']."
        raise FeastHttpError(422, detail("FeastError", message))


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
