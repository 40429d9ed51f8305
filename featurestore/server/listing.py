"""`GET /v1/feature-views` and `GET /v1/feature-services`: what can be read here, as the registry snapshot has it."""

from __future__ import annotations

import msgspec

from featurestore.registry.definitions import Column, FeatureService, FeatureView
from featurestore.registry.registry import Registry
from featurestore.timestamps import format_duration

from .http import Request, Response
from .routes import Route, Serving


class ListedColumn(msgspec.Struct, frozen=True, omit_defaults=True):
    """A join key or a feature, and the type that its values have."""

    name: str
    type: str
    description: str = ""


class ListedView(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feature view that is online. What it does not say is left out."""

    name: str
    entities: list[str]
    join_keys: list[ListedColumn]
    features: list[ListedColumn]
    request_inputs: list[ListedColumn] = []
    """What requests have to bring for those of its features that are worked out on demand."""

    ttl: str | None = None
    description: str = ""
    tags: list[str] = []
    group: str | None = None
    owner: str = ""
    version: str | None = None
    deprecation_date: str | None = None


class ListedService(msgspec.Struct, frozen=True, omit_defaults=True):
    """A feature service whose features are all online."""

    name: str
    features: list[str]
    """References, `view:feature`; a `view:*` is written out."""

    join_keys: list[ListedColumn]
    request_inputs: list[ListedColumn] = []
    """What requests have to bring beside the join keys."""

    description: str = ""
    tags: list[str] = []
    owner: str = ""


class FeatureViews(msgspec.Struct, frozen=True):
    """Feature views, in the order of their names."""

    feature_views: list[ListedView]


class FeatureServices(msgspec.Struct, frozen=True):
    """Feature services, in the order of their names."""

    feature_services: list[ListedService]


def routes(serving: Serving) -> tuple[Route, ...]:
    """`/v1/feature-views` and `/v1/feature-services`."""

    async def views(request: Request) -> Response:
        registry = serving.access.visible(request, await serving.store.read_registry())
        return Response(200, msgspec.json.encode(FeatureViews([_view(view) for view in registry.views if view.online])))

    async def services(request: Request) -> Response:
        registry = serving.access.visible(request, await serving.store.read_registry())
        listed = [_service(registry, service) for service in registry.services]
        return Response(200, msgspec.json.encode(FeatureServices([service for service in listed if service is not None])))

    return (
        Route("GET", "/v1/feature-views", views, "List feature views", answer=FeatureViews),
        Route("GET", "/v1/feature-services", services, "List feature services", answer=FeatureServices),
    )


def _view(view: FeatureView) -> ListedView:
    return ListedView(
        name=view.name,
        entities=[entity.name for entity in view.entities],
        join_keys=[_column(key) for key in view.join_keys],
        features=[ListedColumn(feature.name, str(feature.value_type), feature.description) for feature in view.all_features],
        request_inputs=[_column(needed) for needed in view.request_inputs],
        ttl=None if view.ttl is None else format_duration(view.ttl),
        description=view.description,
        tags=list(view.tags),
        group=view.group,
        owner=view.owner.name or view.owner.email,
        version=view.version,
        deprecation_date=view.deprecation_date,
    )


def _service(registry: Registry, service: FeatureService) -> ListedService | None:
    """None where a feature of it is not online."""
    # With full names, two features of one name in two views are no collision.
    requested = registry.resolve(service, full_feature_names=True)
    if not all(wanted.view.online for wanted in requested):
        return None
    keys = {key.name: key for wanted in requested for key in wanted.view.join_keys}
    inputs = dict.fromkeys((needed.name, str(needed.value_type)) for wanted in requested for needed in wanted.inputs)
    return ListedService(
        name=service.name,
        features=[f"{wanted.view.name}:{feature.name}" for wanted in requested for feature in wanted.features],
        join_keys=[_column(key) for key in keys.values()],
        request_inputs=[ListedColumn(name, kind) for name, kind in inputs],
        description=service.description,
        tags=list(service.tags),
        owner=service.owner.name or service.owner.email,
    )


def _column(column: Column) -> ListedColumn:
    return ListedColumn(column.name, str(column.value_type))
