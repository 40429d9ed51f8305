"""The feature store for teams that already run dbt.

    from featurestore import FeatureStore              # a dbt project: training data, materialize, online values
    from featurestore import OnlineFeatureStore        # a service: current values, from the online store alone
    from featurestore import AsyncOnlineFeatureStore   # the same for asyncio
    from featurestore import FeatureClient             # the same over HTTP; AsyncFeatureClient for asyncio
    from featurestore import ServedLog                 # where a reader logs what it answers, for fsdbt audit --served
    from featurestore import ref                       # a dbt model as the spine

Names are resolved when they are first used: importing this package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from featurestore.client.feature_client import AsyncFeatureClient, FeatureClient
    from featurestore.errors import FeatureStoreError
    from featurestore.served_log import ServedLog
    from featurestore.serving.reader import AsyncOnlineFeatureStore, OnlineFeatureStore
    from featurestore.store import FeatureStore
    from featurestore.training.spine import ref

__all__ = [
    "AsyncFeatureClient",
    "AsyncOnlineFeatureStore",
    "FeatureClient",
    "FeatureStore",
    "FeatureStoreError",
    "OnlineFeatureStore",
    "ServedLog",
    "ref",
]

_MODULES = {
    "AsyncFeatureClient": "featurestore.client.feature_client",
    "AsyncOnlineFeatureStore": "featurestore.serving.reader",
    "FeatureClient": "featurestore.client.feature_client",
    "FeatureStore": "featurestore.store",
    "FeatureStoreError": "featurestore.errors",
    "OnlineFeatureStore": "featurestore.serving.reader",
    "ServedLog": "featurestore.served_log",
    "ref": "featurestore.training.spine",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module 'featurestore' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
