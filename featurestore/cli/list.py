"""`fsdbt list`: what there is."""

from __future__ import annotations

from enum import Enum
from typing import Annotated

import typer

from featurestore.registry.definitions import FeatureView
from featurestore.registry.registry import Registry

from .options import PROJECT_DIR, AsJson, Exclude, Profile, ProfilesDir, ProjectDir, Select, Target, open_feature_store
from .output import write_json, write_table


class Kind(str, Enum):
    """What can be listed."""

    views = "views"
    features = "features"
    services = "services"
    entities = "entities"


def list_command(
    kind: Annotated[Kind | None, typer.Argument(help="Only these. Default: feature views, then feature services.")] = None,
    select: Select = None,
    exclude: Exclude = None,
    as_json: AsJson = False,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """List feature views, features, feature services or entities."""
    with open_feature_store(project_dir, profiles_dir, profile, target) as store:
        registry = store.registry
        views = registry.select(select or (), exclude or ())
    kinds = (kind,) if kind else (Kind.views, Kind.services)
    listings = {one: _listing(one, registry, views) for one in kinds}
    if as_json:
        documents = {one.value: rows for one, rows in listings.items()}
        write_json(documents[kind.value] if kind else documents)
        return
    for position, (one, rows) in enumerate(listings.items()):
        if position:
            print()
        headers = _HEADERS[one]
        write_table([header.replace("_", " ") for header in headers], [[row[header] for header in headers] for row in rows])


_HEADERS = {
    Kind.views: ("feature_view", "entity", "join_keys", "timestamp", "ttl", "features", "online", "deprecated"),
    Kind.features: ("feature", "type", "description"),
    Kind.services: ("feature_service", "features", "owner"),
    Kind.entities: ("entity", "join_keys", "feature_views"),
}


def _listing(kind: Kind, registry: Registry, views: tuple[FeatureView, ...]) -> list[dict[str, object]]:
    """One record for each line of a listing, by header."""
    if kind is Kind.views:
        return [_view_line(view) for view in views]
    if kind is Kind.features:
        return [
            {"feature": f"{view.name}:{feature.name}", "type": str(feature.value_type), "description": feature.description}
            for view in views
            for feature in view.all_features
        ]
    if kind is Kind.services:
        return [
            {
                "feature_service": service.name,
                "features": sum(len(part.features) for part in registry.resolve(service, full_feature_names=True)),
                "owner": service.owner.name,
            }
            for service in registry.services
        ]
    return [
        {
            "entity": entity.name,
            "join_keys": [f"{key.name} {key.value_type}" for key in entity.join_keys],
            "feature_views": [view.name for view in views if entity in view.entities],
        }
        for entity in registry.entities
    ]


def _view_line(view: FeatureView) -> dict[str, object]:
    return {
        "feature_view": view.name,
        "entity": [entity.name for entity in view.entities],
        "join_keys": [key.name for key in view.join_keys],
        "timestamp": view.event_timestamp.name,
        "ttl": view.ttl,
        "features": len(view.all_features),
        "online": view.online,
        "deprecated": (view.deprecation_date or "")[:10] or None,
    }
