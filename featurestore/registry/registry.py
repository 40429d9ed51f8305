"""Look up what exists by name, and turn what a caller asked for into the views and features it means. Immutable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from featurestore.errors import FeatureNameCollisionError, RequestError, UnknownNameError

from .definitions import Entity, Feature, FeatureReference, FeatureService, FeatureView
from .references import parse_reference
from .value_types import UNRESOLVED, ValueType


@dataclass(frozen=True, slots=True)
class RequestInput:
    """A value that a request has to bring for each of its rows."""

    name: str
    value_type: ValueType
    needed_by: str
    """The reference of a feature that needs it."""


PRIVATE = "private"
"""dbt's `access` of a model that only its own group may refer to."""


@dataclass(frozen=True, slots=True)
class RequestedView:
    """The part of one feature view that a request names, and the column names its features come back under."""

    view: FeatureView
    features: tuple[Feature, ...]
    output_names: tuple[str, ...]
    """One for each feature, in the same order: `orders_7d`, or `customer_orders__orders_7d` with full names."""

    @property
    def read(self) -> RequestedView:
        """What is read of the view for it: the features that are kept, those too that only expressions need, and none on demand.

        The latter have their own name where nothing that was asked for has it.
        """
        kept = {feature.name: output for feature, output in zip(self.features, self.output_names, strict=True) if feature.on_demand is None}
        needed = {name for feature in self.features if feature.on_demand for name in feature.on_demand.features}
        taken = {output.casefold() for output in self.output_names}
        for feature in self.view.features:
            if feature.name in needed and feature.name not in kept:
                kept[feature.name] = _unused(feature.name, taken)
        by_name = {feature.name: feature for feature in (*self.view.features, *self.features)}
        return RequestedView(self.view, tuple(by_name[name] for name in kept), tuple(kept.values()))

    @property
    def inputs(self) -> tuple[RequestInput, ...]:
        """What the request has to bring for its features on demand, each once."""
        found: dict[str, RequestInput] = {}
        for feature in self.features:
            for name, value_type in (feature.on_demand.inputs if feature.on_demand else {}).items():
                found.setdefault(name, RequestInput(name, value_type, f"{self.view.name}:{feature.name}"))
        return tuple(found.values())

    @property
    def unresolved(self) -> tuple[str, ...]:
        """Features on demand that cannot be worked out yet: the types of what they need are not known."""
        return tuple(feature.name for feature in self.features if feature.on_demand and not feature.on_demand.tree.resolved)


@dataclass(frozen=True)
class Registry:
    """All the feature views and feature services of one dbt project.

    Views and services are kept in the order of their names.
    """

    project: str
    views: tuple[FeatureView, ...] = ()
    services: tuple[FeatureService, ...] = ()
    _views: Mapping[str, FeatureView] = field(init=False, repr=False, compare=False)
    _services: Mapping[str, FeatureService] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        views = {view.name: view for view in self.views}
        for view in self.views:
            if view.version is None:
                continue
            plain = view.name.removesuffix(f".v{view.version}")
            views.setdefault(f"{plain}_v{view.version}", view)
            if view.is_latest_version:
                views.setdefault(plain, view)
        object.__setattr__(self, "_views", views)
        object.__setattr__(self, "_services", {service.name: service for service in self.services})

    def public(self) -> Registry:
        """What is served outside of the process that reads the online store: nothing of a private model.

        A service that names a private feature is left out whole: a model must not be answered with fewer features than it was
        trained with.
        """
        hidden = {view.name for view in self.views if view.access == PRIVATE}
        if not hidden:
            return self
        views = tuple(view for view in self.views if view.name not in hidden)
        services = tuple(
            service
            for service in self.services
            if not any(reference.view in self._views and self._views[reference.view].name in hidden for reference in service.features)
        )
        return Registry(self.project, views, services)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """Every entity that some view describes, in the order of their names."""
        found: dict[str, Entity] = {}
        for entity in (entity for view in self.views for entity in view.entities):
            # A view that is not built yet may not know the type of its key; another one does.
            if entity.name not in found or any(key.value_type == UNRESOLVED for key in found[entity.name].join_keys):
                found[entity.name] = entity
        return tuple(found[name] for name in sorted(found))

    def view(self, name: str) -> FeatureView:
        """The view of that name. Raises UnknownNameError.

        A version of a model answers to `name.v2`, and to `name_v2`, as dbt names its table; the latest one to the plain name, too.
        """
        try:
            return self._views[name]
        except KeyError:
            raise UnknownNameError("feature view", name, self._views) from None

    def service(self, name: str) -> FeatureService:
        """The feature service of that name. Raises UnknownNameError."""
        try:
            return self._services[name]
        except KeyError:
            raise UnknownNameError("feature service", name, self._services) from None

    def services_naming(self, view: FeatureView, feature: Feature | None = None) -> tuple[str, ...]:
        """The services that use a feature of a view, or anything of it: `view:*` stands for all but what is worked out on demand."""
        return tuple(
            service.name
            for service in self.services
            if any(
                self.view(reference.view).name == view.name
                and (feature is None or reference.feature == feature.name or (reference.feature == "*" and feature.on_demand is None))
                for reference in service.features
            )
        )

    def resolve(
        self, features: str | FeatureService | Sequence[str | FeatureReference], *, full_feature_names: bool = False
    ) -> tuple[RequestedView, ...]:
        """Turn a service, its name, or a list of references into views with their features, in the order asked.

        Args:
            features: a feature service or its name, one reference, or a list of references (`view:feature` or `view:*`).
            full_feature_names: name each output column `view__feature` rather than `feature`.

        Raises UnknownNameError with the nearest valid name, and RequestError where two output columns would collide.
        """
        wanted: dict[str, dict[str, Feature]] = {}
        for reference in self._references(features):
            view = self.view(reference.view)
            chosen = wanted.setdefault(view.name, {})
            if reference.feature == "*":
                chosen.update((feature.name, feature) for feature in view.features)
                continue
            feature = view.feature(reference.feature)
            if feature is None:
                known = (known_feature.name for known_feature in view.all_features)
                raise UnknownNameError(f"feature of {view.name!r}", reference.feature, known)
            chosen[feature.name] = feature
        if not wanted:
            raise RequestError("No features were asked for. Name a feature service, or features like 'customer_orders:orders_7d'.")
        requested = tuple(
            RequestedView(
                view=self.view(name),
                features=tuple(chosen.values()),
                output_names=tuple(f"{name}__{feature}" if full_feature_names else feature for feature in chosen),
            )
            for name, chosen in wanted.items()
        )
        _refuse_colliding_names(requested)
        return requested

    def select(self, select: Sequence[str] = (), exclude: Sequence[str] = ()) -> tuple[FeatureView, ...]:
        """The views that any of `select` names (all of them when it is empty) and none of `exclude` does.

        A selector is a view's name or a glob over names, `tag:nightly`, `entity:customer` or `service:churn_model`;
        several in one string, split by spaces, are a union, and joined by commas an intersection, as dbt has them.
        Raises UnknownNameError for a selector that names nothing.
        """
        chosen = self._selected(select) if select else {view.name for view in self.views}
        dropped = self._selected(exclude)
        return tuple(view for view in self.views if view.name in chosen - dropped)

    def _references(self, features: str | FeatureService | Sequence[str | FeatureReference]) -> Iterable[FeatureReference]:
        if isinstance(features, FeatureService):
            return features.features
        if not isinstance(features, str | list | tuple) or not all(isinstance(item, str | FeatureReference) for item in features):
            raise RequestError(f"Features are a service's name or a list of references like 'customer_orders:orders_7d', not {features!r}.")
        if isinstance(features, str):
            return (parse_reference(features),) if ":" in features else self.service(features).features
        return tuple(item if isinstance(item, FeatureReference) else parse_reference(item) for item in features)

    def _selected(self, selectors: Sequence[str]) -> set[str]:
        found: set[str] = set()
        for selector in (part for text in selectors for part in text.split()):
            matches = [self._matching(method) for method in selector.split(",") if method]
            found |= set.intersection(*matches) if matches else set()
        return found

    def _matching(self, selector: str) -> set[str]:
        method, colon, value = selector.partition(":")
        if not colon:
            method, value = "name", selector
        if method == "service":
            return {self.view(reference.view).name for reference in self.service(value).features}
        if method == "tag":
            known = {tag for view in self.views for tag in view.tags}
            found = {view.name for view in self.views if any(fnmatchcase(tag, value) for tag in view.tags)}
        elif method == "entity":
            known = {entity.name for entity in self.entities}
            found = {view.name for view in self.views if any(fnmatchcase(entity.name, value) for entity in view.entities)}
        elif method == "name":
            known = set(self._views)
            found = {view.name for name, view in self._views.items() if fnmatchcase(name, value)}
        else:
            raise UnknownNameError("selection method", method, ("tag", "entity", "service"))
        if not found:
            raise UnknownNameError("feature view" if method == "name" else method, value, known)
        return found


def _unused(name: str, taken: set[str]) -> str:
    """`name`, or `name_2`, `name_3`, … where that is taken, and it is taken from then on."""
    candidate, number = name, 1
    while candidate.casefold() in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate.casefold())
    return candidate


def _refuse_colliding_names(requested: tuple[RequestedView, ...]) -> None:
    owners: dict[str, str] = {}
    for part in requested:
        for output_name in part.output_names:
            if output_name in owners:
                raise FeatureNameCollisionError(output_name, owners[output_name], part.view.name)
            owners[output_name] = part.view.name
