"""`fsdbt show`: all that is known of one feature view or feature service."""

from __future__ import annotations

from typing import Annotated

import typer

from featurestore.errors import UnknownNameError
from featurestore.registry.definitions import Feature, FeatureService, FeatureView
from featurestore.registry.registry import Registry

from .options import PROJECT_DIR, AsJson, Profile, ProfilesDir, ProjectDir, Target, open_feature_store
from .output import cell, write_json, write_table


def show(
    name: Annotated[str, typer.Argument(help="A feature view or a feature service.")],
    as_json: AsJson = False,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Show one feature view or feature service."""
    with open_feature_store(project_dir, profiles_dir, profile, target) as store:
        registry = store.registry
    known_services = {service.name: service for service in registry.services}
    if name in known_services:
        document = _service_document(known_services[name], registry)
    else:
        try:
            document = _view_document(registry.view(name))
        except UnknownNameError:
            known = [*known_services, *(view.name for view in registry.views)]
            raise UnknownNameError("feature view or feature service", name, known) from None
    if as_json:
        write_json(document)
        return
    features = document.pop("features")
    assert isinstance(features, list)
    for key, value in document.items():
        if value not in (None, "", [], ()):
            print(f"{key.replace('_', ' ') + ':':<20} {cell(value)}")
    print()
    headers = ("feature", "type", *(["expression"] if any("expression" in line for line in features) else []), "description")
    write_table(headers, [[line.get(header, "") for header in headers] for line in features])


def _view_document(view: FeatureView) -> dict[str, object]:
    return {
        "feature_view": view.name,
        "description": view.description,
        "entities": [f"{entity.name} ({', '.join(key.name for key in entity.join_keys)})" for entity in view.entities],
        "join_keys": [f"{key.name} {key.value_type}" for key in view.join_keys],
        "timestamp": f"{view.event_timestamp.name} {view.event_timestamp.value_type}",
        "created_timestamp": view.created_timestamp.name if view.created_timestamp else None,
        "valid_to": view.valid_to.name if view.valid_to else None,
        "ttl": view.ttl,
        "available_after": view.available_after or None,
        "exact_for": view.exact_for if view.aggregated else None,
        "late_data": view.late_data,
        "online": view.online,
        "max_shrink": f"{100 * view.max_shrink:g}%",
        "model": view.unique_id,
        "file": view.path,
        "relation": str(view.relation),
        "materialized": view.materialized,
        "version": view.version,
        "deprecation_date": view.deprecation_date,
        "group": view.group,
        "access": view.access,
        "owner": " ".join(part for part in (view.owner.name, view.owner.email) if part),
        "tags": list(view.tags),
        "request_inputs": [f"{needed.name} {needed.value_type}" for needed in view.request_inputs],
        "features": [_feature_line(feature.name, feature) for feature in view.all_features],
    }


def _feature_line(name: str, feature: Feature) -> dict[str, object]:
    line: dict[str, object] = {"feature": name, "type": str(feature.value_type), "description": feature.description}
    return line if feature.on_demand is None else line | {"expression": feature.on_demand.expression}


def _service_document(service: FeatureService, registry: Registry) -> dict[str, object]:
    parts = registry.resolve(service, full_feature_names=True)
    return {
        "feature_service": service.name,
        "description": service.description,
        "owner": " ".join(part for part in (service.owner.name, service.owner.email) if part),
        "maturity": service.maturity,
        "url": service.url,
        "file": service.path,
        "tags": list(service.tags),
        "request_inputs": list(dict.fromkeys(f"{each.name} {each.value_type}" for part in parts for each in part.inputs)),
        "features": [_feature_line(f"{part.view.name}:{feature.name}", feature) for part in parts for feature in part.features],
    }
