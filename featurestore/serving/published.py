"""What a reader knows of a project: the registry snapshot in the online store, and the choices of features it has resolved.

Immutable but for what it remembers: a newer snapshot is a new `Published`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import TypeAlias

from featurestore.registry.definitions import FeatureReference, FeatureService
from featurestore.registry.registry import Registry
from featurestore.registry.snapshot import from_json

from .lookup import OnlineRequest, prepare_request

MOST_REQUESTS_KEPT = 1024

WantedFeatures: TypeAlias = str | FeatureService | Sequence[str | FeatureReference]


class Published:
    """A project's snapshot as it was read at some time.

    Args:
        public_only: leave out what is private to the project.
    """

    def __init__(self, project: str, document: bytes, read_at: datetime, *, public_only: bool = False) -> None:
        registry = from_json(document)
        self.registry: Registry = registry.public() if public_only else registry
        self.document, self.read_at = document, read_at
        self._project = project
        self._requests: dict[object, OnlineRequest] = {}

    @cached_property
    def digest(self) -> str:
        """A short digest of the snapshot."""
        return hashlib.sha256(self.document).hexdigest()[:16]

    def request(self, features: WantedFeatures, full_feature_names: bool) -> OnlineRequest:
        """Resolve a choice of features, once. Raises UnknownNameError and RequestError."""
        choice = (features if isinstance(features, str | FeatureService) else tuple(features), full_feature_names)
        request = self._requests.get(choice)
        if request is None:
            requested = self.registry.resolve(features, full_feature_names=full_feature_names)
            request = prepare_request(self._project, requested, self.registry)
            if len(self._requests) >= MOST_REQUESTS_KEPT:
                self._requests = {}
            self._requests[choice] = request
        return request
