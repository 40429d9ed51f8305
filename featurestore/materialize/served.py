"""What readers are told exists. A definition reaches them when its rows have, and not before.

A view that is left alone, because its model or a test of it failed or because the last dbt run did not build it, is served by the
definition that its rows were published under, whatever the project says by now.
"""

from __future__ import annotations

from collections.abc import Collection

from featurestore.errors import FeatureStoreError
from featurestore.online_store.base import OnlineStore
from featurestore.registry.definitions import FeatureService
from featurestore.registry.registry import Registry
from featurestore.registry.snapshot import from_json, to_json

from .watermarks import fingerprint, read_watermarks

SNAPSHOT = "registry"
"""The document that readers know the project by."""


def served_registry(registry: Registry, before: Registry, online: Collection[str]) -> Registry:
    """The registry to serve.

    Args:
        registry: what the project says.
        before: what is served now.
        online: the views whose rows are online under the definition that the project has.

    A view that is not online under its new definition keeps the one that is served. A service keeps the one that is served where its
    new one names features that are not served yet.
    """
    served = {view.name: view for view in before.views}
    views = tuple(view if view.name in online or not view.online else served.get(view.name, view) for view in registry.views)
    told = Registry(registry.project, views)
    services = {service.name: service for service in before.services}
    return Registry(
        registry.project,
        views,
        tuple(service if _resolves(told, service) else services.get(service.name, service) for service in registry.services),
    )


def announce(store: OnlineStore, project: str, registry: Registry, published: str | None = None) -> None:
    """Tell readers what exists now: where anything is served already, or `published` is the first view that is.

    Args:
        published: a view whose rows have just been written; its watermark is yet to be.
    """
    (document,) = store.read_documents(project, [SNAPSHOT])
    if document is None and published is None:
        return
    watermarks = read_watermarks(store, project, registry.views)
    online = {view.name for view in registry.views if view.name in watermarks and watermarks[view.name].definition == fingerprint(view)}
    if published is not None:
        online.add(published)
    before = Registry(registry.project) if document is None else from_json(document)
    snapshot = to_json(served_registry(registry, before, online))
    if snapshot != document:
        store.write_documents(project, {SNAPSHOT: snapshot})


def _resolves(registry: Registry, service: FeatureService) -> bool:
    try:
        registry.resolve(service, full_feature_names=True)
    except FeatureStoreError:
        return False
    return True
