"""From dbt's manifest to the registry: finds what is tagged, gives it types, and names everything that is wrong at once."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from functools import partial

from featurestore.registry.definitions import Column, Entity, Feature, FeatureService, FeatureView, Owner, Relation
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import UNRESOLVED, key_kind
from featurestore.sql.dialects import dialect_of

from .artifacts import Manifest
from .collector import rare_collections
from .columns import ModelColumns, is_complete, model_columns
from .landing import Landings
from .meta import SERVICE, VIEW, FeatureViewDefaults, read_feature_view
from .nodes import Node
from .on_demand import ON_DEMAND, read_on_demand
from .problems import Problems
from .services import build_service
from .views import TaggedModel, build_view

Describe = Callable[[Sequence[Relation]], Mapping[Relation, tuple[Column, ...]]]
"""Asks the warehouse for the columns of relations; one that does not exist is absent from the answer."""

_VIEW_NAME = re.compile(r"[\w.-]+")
_VIEW_KEY, _SERVICE_KEY, _ON_DEMAND_KEY = "feature_view", "feature_service", "on_demand"


def load_registry(
    manifest: Manifest, *, defaults: FeatureViewDefaults | None = None, describe: Describe | None = None, any_key: bool = False
) -> Registry:
    """All feature views and feature services that the project and its packages declare.

    Args:
        defaults: what holds for every view that does not say otherwise.
        describe: asked once, for the tables of all models whose files do not say every column and its type. None: what is not
            declared stays unresolved.
        any_key: let join keys be of types that cannot be keys, or that differ between views: `fsdbt check` reports them as findings.

    Raises DeclarationError with every problem found.
    """
    with rare_collections():
        return _load(manifest, defaults or FeatureViewDefaults(), describe, any_key)


def _load(manifest: Manifest, defaults: FeatureViewDefaults, describe: Describe | None, any_key: bool) -> Registry:
    problems = Problems()
    models = list(_tagged_models(manifest, defaults, problems))
    dialect = dialect_of(manifest.adapter_type)
    columns = _columns(models, describe, dialect)
    landings = Landings(manifest)
    views: dict[str, FeatureView] = {}
    built: list[FeatureView] = []
    for model in models:
        owner = manifest.groups.get(model.node.group or model.node.config.group or "", Owner())
        view = build_view(model, columns[model.node.unique_id], owner, dialect, any_key=any_key)
        if view is None:
            continue
        view = replace(view, landing=landings.of(model, view))
        first = views.setdefault(view.name, view)
        if first is not view:
            model.report(VIEW, f"there is another feature view {view.name!r}: {first.unique_id}. Names must differ across packages.")
        built.append(view)
    _check_entities(built, problems, manifest, any_key)
    open_views = {model.node.view_name for model in models if not columns[model.node.unique_id].known and model.said.says_no_features}
    failed = {model.node.view_name for model in models} - set(views)
    services = _services(manifest, views, failed, open_views, problems)
    problems.raise_any()
    registry = Registry(manifest.project_name, tuple(sorted(built, key=lambda view: view.name)), services)
    return _with_believed_features(registry, open_views) if open_views else registry


def _with_believed_features(registry: Registry, open_views: Set[str]) -> Registry:
    """The registry with the features that services name of models which are not built yet, and which may well have them."""
    believed: dict[str, dict[str, Feature]] = {}
    for reference in (reference for service in registry.services for reference in service.features):
        view = registry.view(reference.view)
        if view.name in open_views and reference.feature != "*" and view.feature(reference.feature) is None:
            believed.setdefault(view.name, {})[reference.feature] = Feature(reference.feature, UNRESOLVED)
    views = (replace(view, features=(*view.features, *believed.get(view.name, {}).values())) for view in registry.views)
    return Registry(registry.project, tuple(views), registry.services)


def _tagged_models(manifest: Manifest, defaults: FeatureViewDefaults, problems: Problems) -> Iterator[TaggedModel]:
    for node in manifest.nodes.values():
        meta = node.meta
        if not meta:
            continue
        report = problems.about(partial(declaring_file, node, manifest), node.view_name)
        _report_misplaced(meta, (_VIEW_KEY, _ON_DEMAND_KEY), (_SERVICE_KEY,), "an exposure of type ml", report)
        if meta.get(_VIEW_KEY) in (None, False):
            if meta.get(_ON_DEMAND_KEY) is not None:
                report(ON_DEMAND, f"needs {VIEW} beside it: features on demand are worked out of those of a feature view.")
            continue
        if node.resource_type not in ("model", "snapshot"):
            report(VIEW, f"a {node.resource_type} cannot be a feature view. Select from it in a model, and tag that.")
            continue
        if node.config.materialized == "ephemeral":
            report("config.materialized", "an ephemeral model has no rows to read. Materialize it as a table, view or incremental.")
            continue
        if not _VIEW_NAME.fullmatch(node.view_name):
            report("name", "a feature view's name begins every reference and every key: letters, digits, points, dashes and underscores.")
        said = read_feature_view(meta[_VIEW_KEY], defaults, report)
        on_demand = read_on_demand(meta.get(_ON_DEMAND_KEY), report)
        if said is not None:
            yield TaggedModel(node, said, on_demand, node.columns(), manifest.semantic_models.get(node.unique_id), report)
    for node in _disabled(manifest):
        if node.package_name == manifest.project_name and not node.is_conditional():
            report = problems.about(partial(declaring_file, node, manifest), node.view_name)
            report("config.enabled", f"is false, so its features do not exist. Enable the model, or remove {VIEW}.")


def _disabled(manifest: Manifest) -> Iterator[Node]:
    """Tagged models that dbt leaves out, unless another file defines the same one."""
    for node in manifest.disabled:
        if node.unique_id not in manifest.nodes and node.meta.get(_VIEW_KEY) not in (None, False):
            yield node


def _report_misplaced(
    meta: Mapping[str, object], right: tuple[str, ...], wrong: tuple[str, ...], place: str, report: Callable[[str, str], None]
) -> None:
    for key in meta:
        if key in wrong:
            report(f"meta.{key}", f"belongs on {place}.")
            continue
        # Only a near miss is taken for a slip: a project may have words of its own in meta.
        near = [] if key in right else difflib.get_close_matches(key, right, n=1, cutoff=0.88)
        if near:
            report(f"meta.{key}", f"there is no such key. Did you mean {near[0]!r}?")


def _columns(models: Sequence[TaggedModel], describe: Describe | None, dialect: str) -> dict[str, ModelColumns]:
    incomplete = [model.node.relation for model in models if not is_complete(model.node, model.declared)]
    described = describe(tuple(dict.fromkeys(incomplete))) if describe is not None and incomplete else {}
    return {
        model.node.unique_id: model_columns(model.node, model.declared, described.get(model.node.relation), dialect) for model in models
    }


def _check_entities(views: Sequence[FeatureView], problems: Problems, manifest: Manifest, any_key: bool) -> None:
    """An entity has the same join keys, of compatible types, in every view."""
    firsts: dict[str, tuple[Entity, FeatureView]] = {}
    for view in views:
        report = problems.about(partial(declaring_file, manifest.nodes[view.unique_id], manifest), view.name)
        for entity in view.entities:
            first, other = firsts.setdefault(entity.name, (entity, view))
            path = f"{VIEW}.entities.{entity.name}"
            here, there = ([key.name for key in each.join_keys] for each in (entity, first))
            if here != there:
                report(
                    path,
                    f"its join key is {', '.join(here)} here and {', '.join(there)} in {other.name}. "
                    "Use the same columns, or give one of the entities another name.",
                )
                continue
            for key, same in () if any_key else zip(entity.join_keys, first.join_keys, strict=True):
                if key_kind(key.value_type) != key_kind(same.value_type) and UNRESOLVED not in (key.value_type, same.value_type):
                    report(path, f"{key.name!r} is {key.value_type} here and {same.value_type} in {other.name}. Cast one in its model.")


def _services(
    manifest: Manifest, views: Mapping[str, FeatureView], failed: set[str], open_views: Set[str], problems: Problems
) -> tuple[FeatureService, ...]:
    named = dict(views)
    named.update({view.name.removesuffix(f".v{view.version}"): view for view in views.values() if view.version and view.is_latest_version})
    absent = {node.view_name: "the model is no feature view. Tag it with meta.feature_view." for node in manifest.nodes.values()}
    absent.update({node.view_name: "the model is disabled." for node in _disabled(manifest)})
    absent.update(dict.fromkeys(failed, "the feature view has problems of its own."))
    services: dict[str, FeatureService] = {}
    for exposure in manifest.exposures.values():
        if not exposure.meta:
            continue
        report = problems.about(partial(manifest.located, exposure.original_file_path, exposure.package_name), exposure.name)
        _report_misplaced(exposure.meta, (_SERVICE_KEY,), (_VIEW_KEY, _ON_DEMAND_KEY), "a model or a snapshot", report)
        if exposure.meta.get(_SERVICE_KEY) in (None, False):
            continue
        service = build_service(exposure, named, absent, open_views, report)
        if services.setdefault(service.name, service) is not service:
            first = services[service.name].unique_id
            report(SERVICE, f"there is another feature service {service.name!r}: {first}. Names must differ across packages.")
    return tuple(services[name] for name in sorted(services))


def declaring_file(node: Node, manifest: Manifest) -> str:
    """The file where a person finds the declaration: the model's own SQL where that says it, else its YAML."""
    path = node.original_file_path
    if node.patch_path and not node.mentions_in_code(_VIEW_KEY):
        path = node.patch_path.partition("://")[2] or node.patch_path
    return manifest.located(path, node.package_name)
