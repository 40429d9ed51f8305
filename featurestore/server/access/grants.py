"""What a caller may have: the scopes of its key or token, and what they come to in one registry.

    service:churn_model    read the features of that feature service
    group:finance          read the features of every view whose dbt model is in that group
    push:finance           write rows into the views of that group
    metrics                read /metrics

`*` instead of a name means every one. A caller may read the union of what its scopes name, feature by feature, whether it asks by
service or by list. An API key and a token say it in the same words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from featurestore.errors import NotAllowedError, UnknownNameError, did_you_mean
from featurestore.registry.definitions import FeatureView
from featurestore.registry.registry import Registry, RequestedView

ANY = "*"
METRICS = "metrics"
_NAMED = ("service", "group", "push")
_KEPT = 1024


@dataclass(frozen=True, slots=True)
class Grant:
    """What the scopes of one key or token name."""

    services: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    push: frozenset[str] = frozenset()
    """Groups whose views may be written to."""

    metrics: bool = False

    def scopes(self) -> tuple[str, ...]:
        """The scopes that say so, in one order."""
        named = zip(_NAMED, (self.services, self.groups, self.push), strict=True)
        return tuple(f"{kind}:{name}" for kind, names in named for name in sorted(names)) + ((METRICS,) if self.metrics else ())

    def may_push(self, view: FeatureView) -> bool:
        """Whether it reaches that view for writing. A view in no group takes `push:*`."""
        return ANY in self.push or view.group in self.push

    def reads_group_of(self, view: FeatureView) -> bool:
        """Whether it reaches all features of that view by its group. A view in no group takes `group:*`."""
        return ANY in self.groups or view.group in self.groups


EVERYTHING = Grant(frozenset((ANY,)), frozenset((ANY,)), frozenset((ANY,)), metrics=True)
"""What everyone may have where no key is asked for."""


def read_scopes(scopes: Iterable[str], *, others_too: bool = False) -> Grant:
    """The grant that those scopes make.

    Args:
        others_too: leave out what is no scope of ours: an issuer's tokens carry scopes for other things, too.

    Raises ValueError naming a scope that means nothing.
    """
    named: dict[str, set[str]] = {kind: set() for kind in _NAMED}
    metrics = False
    for scope in scopes:
        kind, _, name = scope.partition(":")
        if kind in named and name:
            named[kind].add(name)
        elif scope == METRICS:
            metrics = True
        elif not others_too:
            raise ValueError(
                f"{scope!r} is no scope.{did_you_mean(kind, (*_NAMED, METRICS))} Scopes are service:NAME, group:NAME, push:GROUP "
                "and metrics; * instead of a name means every one."
            )
    services, groups, push = (frozenset(named[kind]) for kind in _NAMED)
    return Grant(services, groups, push, metrics)


class Permissions:
    """What one grant comes to in one registry.

    Args:
        registry: what is served at all, so without anything private.
    """

    def __init__(self, grant: Grant, registry: Registry) -> None:
        self._grant = grant
        self._from_services = _features_of_services(grant, registry)
        self.visible = _visible(grant, registry, self._from_services)
        """The registry as this caller sees it: its listings, and the names that an error may suggest."""

    def check(self, requested: Iterable[RequestedView]) -> None:
        """Raises NotAllowedError naming a feature that is asked for and not to be read."""
        for part in requested:
            if self._grant.reads_group_of(part.view):
                continue
            allowed = self._from_services.get(part.view.name, frozenset())
            for feature in part.features:
                if feature.name not in allowed:
                    scope = f"group:{part.view.group or ANY}"
                    raise NotAllowedError(
                        f"This key may not read {part.view.name}:{feature.name}. It takes the scope {scope}, or that of a feature "
                        "service that has this feature.",
                        scope,
                    )

    def check_push(self, view: FeatureView) -> None:
        """Raises NotAllowedError where rows may not be written into that view."""
        if not self._grant.may_push(view):
            scope = f"push:{view.group or ANY}"
            raise NotAllowedError(f"This key may not write to {view.name!r}. It takes the scope {scope}.", scope)

    def as_seen(self, error: UnknownNameError) -> UnknownNameError:
        """The same error, suggesting no name that this caller does not see."""
        seen = {view.name for view in self.visible.views} | {service.name for service in self.visible.services}
        seen |= {feature.name for view in self.visible.views for feature in view.all_features}
        return UnknownNameError(error.kind, error.name, seen.intersection(error.known))


class AccessRules:
    """The permissions of every grant in the registry that is served now, each worked out once."""

    def __init__(self) -> None:
        self._registry: Registry | None = None
        self._known: dict[Grant, Permissions] = {}

    def permissions(self, grant: Grant, registry: Registry) -> Permissions:
        """What that grant comes to in that registry."""
        if registry is not self._registry or len(self._known) >= _KEPT:
            self._registry, self._known = registry, {}
        found = self._known.get(grant)
        if found is None:
            found = self._known[grant] = Permissions(grant, registry)
        return found


def _features_of_services(grant: Grant, registry: Registry) -> dict[str, frozenset[str]]:
    """The features that the granted services name, by view."""
    found: dict[str, set[str]] = {}
    for service in registry.services:
        if ANY in grant.services or service.name in grant.services:
            for part in registry.resolve(service, full_feature_names=True):
                found.setdefault(part.view.name, set()).update(feature.name for feature in part.features)
    return {view: frozenset(features) for view, features in found.items()}


def _visible(grant: Grant, registry: Registry, from_services: dict[str, frozenset[str]]) -> Registry:
    """Views with the features that may be read, and the services whose features all are."""
    if ANY in grant.groups:
        return registry
    views = []
    for view in registry.views:
        if grant.reads_group_of(view):
            views.append(view)
        elif view.name in from_services:
            features, on_demand = (
                tuple(feature for feature in each if feature.name in from_services[view.name]) for each in (view.features, view.on_demand)
            )
            views.append(replace(view, features=features, on_demand=on_demand))
    narrowed = Registry(registry.project, tuple(views))
    seen = {view.name: {feature.name for feature in view.all_features} for view in views}
    services = tuple(
        service
        for service in registry.services
        if all(
            {feature.name for feature in part.features} <= seen.get(part.view.name, set())
            for part in registry.resolve(service, full_feature_names=True)
        )
    )
    return replace(narrowed, services=services)
