"""What readers are told exists. A definition reaches them when its rows have, and not before.

A view that is left alone, because its model or a test of it failed or because the last dbt run did not build it, is served by the
definition that its rows were published under, whatever the project says by now. So is one that left the project, until a run over the
whole project takes leave of it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from featurestore.codec.keys import key_space
from featurestore.codec.versions import building_document_name, watermark_document_name
from featurestore.errors import FeatureStoreError
from featurestore.online_store.base import OnlineStore
from featurestore.registry.definitions import FeatureService, FeatureView
from featurestore.registry.registry import Registry
from featurestore.registry.snapshot import SNAPSHOT, to_json

from .lease import running
from .state import RETIRED, RetiredSpace, StoreState, retired_document
from .watermarks import fingerprint


def served_registry(
    registry: Registry, before: Registry, online: Mapping[str, int], leaving: Collection[str], waiting: Collection[str] = ()
) -> Registry:
    """The registry to serve.

    Args:
        registry: what the project says.
        before: what is served now.
        online: the views whose rows are online under the definition that the project has, each with the version of its keys.
        leaving: those that are to be served no longer, of the ones that the project has no more, or says are not online.
        waiting: those of which nothing was ever published.

    A view that is not online under its new definition keeps the one that is served. A service keeps the one that is served where its
    new one names features that are not served yet, and what it needs stays.
    """
    former = {view.name: view for view in before.views}
    views = {view.name: _told(view, former, online, leaving) for view in registry.views}
    views |= {name: view for name, view in former.items() if name not in views and name not in leaving}
    told = Registry(registry.project, _answering_to_plain_names(views, before, online))
    services = {service.name: service for service in before.services}
    ready = Registry(registry.project, tuple(view for view in told.views if view.name not in waiting))
    kept = [service if _resolves(ready, service) else services.get(service.name, service) for service in registry.services]
    needed = {name for service in kept for name in _views_of(service, before) if name in leaving and not _resolves(told, service)}
    if needed:
        return served_registry(registry, before, online, set(leaving) - needed, waiting)
    return Registry(registry.project, told.views, tuple(kept))


def left(registry: Registry, before: Registry) -> tuple[str, ...]:
    """The views that are served and that the project has no more, or says are not online."""
    here = {view.name for view in registry.views if view.online}
    return tuple(view.name for view in before.views if view.online and view.name not in here)


def announce(store: OnlineStore, project: str, registry: Registry, leaving: Collection[str] = ()) -> tuple[str, ...]:
    """Tell readers what exists now, where anything is served already; return which of the views that may leave did.

    Their rows are retired with it. A view whose plain name is answered by a newer version of its model leaves in any case. One that
    another run is publishing now stays until the next run.
    """
    while True:
        state = read_state(store, project, registry)
        if state.documents[SNAPSHOT] is None:
            return ()
        online = views_online(state, registry)
        may_leave = {*leaving, *_superseded(registry, state.served, online)}
        may_leave -= running(store, project, sorted(may_leave)).keys()
        snapshot = served_registry(registry, state.served, online, may_leave, never_published(state, registry, online))
        gone = sorted(set(left(registry, state.served)) - {view.name for view in snapshot.views if view.online})
        if to_json(snapshot) == state.documents[SNAPSHOT] and not gone:
            return ()
        documents: dict[str, bytes | None] = {SNAPSHOT: to_json(snapshot)}
        if gone:
            documents[RETIRED] = retired_document((*state.retired, *(space for name in gone for space in _spaces(state, name))))
            documents |= {name(view): None for view in gone for name in (watermark_document_name, building_document_name)}
        if state.exchange(store, documents):
            return tuple(gone)


def read_state(store: OnlineStore, project: str, registry: Registry) -> StoreState:
    """How the views that the project has, and those that are served, stand in the store."""
    names = dict.fromkeys(view.name for view in registry.views)
    while True:
        state = StoreState.read(store, project, names)
        gone = dict.fromkeys(view.name for view in state.served.views if view.name not in names)
        if not gone:
            return state
        names |= gone


def views_online(state: StoreState, registry: Registry) -> dict[str, int]:
    """The views whose rows are online under the definition that the project has, each with the version of its keys."""
    marks = {view.name: (fingerprint(view), state.watermark(view.name)) for view in registry.views if view.online}
    return {name: mark.key_version for name, (definition, mark) in marks.items() if mark is not None and mark.definition == definition}


def never_published(state: StoreState, registry: Registry, online: Collection[str]) -> set[str]:
    """The views of the project that are to be online and of which nothing is."""
    return {view.name for view in registry.views if view.online and view.name not in online and state.watermark(view.name) is None}


def _told(view: FeatureView, former: Mapping[str, FeatureView], online: Mapping[str, int], leaving: Collection[str]) -> FeatureView:
    """What readers are told of a view that the project has."""
    if view.name in online:
        return replace(view, key_version=online[view.name])
    if view.name in former and (view.online or (former[view.name].online and view.name not in leaving)):
        return former[view.name]
    return view


def _answering_to_plain_names(views: Mapping[str, FeatureView], before: Registry, online: Collection[str]) -> tuple[FeatureView, ...]:
    """The same views in the order of their names; a new latest version answers to its model's plain name once it is online, and the one
    that did so before until then."""
    latest = {_plain_name(view): view.name for view in views.values() if view.version is not None and view.is_latest_version}
    answered = {_plain_name(view): view.name for view in before.views if view.version is not None and view.is_latest_version}
    answers = {plain: name if name in online or answered.get(plain) not in views else answered[plain] for plain, name in latest.items()}
    return tuple(
        view if view.version is None else replace(view, is_latest_version=answers.get(_plain_name(view)) == name)
        for name, view in sorted(views.items())
    )


def _superseded(registry: Registry, before: Registry, online: Collection[str]) -> set[str]:
    """The views that left the project for versions of the same name, the latest of which is online."""
    here = {view.name for view in registry.views}
    latest = {_plain_name(view) for view in registry.views if view.version is not None and view.is_latest_version and view.name in online}
    return {view.name for view in before.views if view.name not in here and view.name in latest}


def _plain_name(view: FeatureView) -> str:
    return view.name.removesuffix(f".v{view.version}")


def _views_of(service: FeatureService, registry: Registry) -> set[str]:
    """The names of the views that a service takes features of."""
    try:
        return {part.view.name for part in registry.resolve(service, full_feature_names=True)}
    except FeatureStoreError:
        return set()


def _spaces(state: StoreState, view: str) -> list[RetiredSpace]:
    """All key spaces of a view that leaves."""
    served, building = state.served_view(view), state.building(view)
    spaces = [] if served is None else [RetiredSpace.of(view, served.key_version, key_space(state.project, served))]
    return spaces + ([] if building is None else [RetiredSpace.of(view, building.version, building.space)])


def _resolves(registry: Registry, service: FeatureService) -> bool:
    try:
        registry.resolve(service, full_feature_names=True)
    except FeatureStoreError:
        return False
    return True
