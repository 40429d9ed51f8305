"""Asks every rule, and makes findings of what they say: one for each spot, whichever views share it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from featurestore.dbt.load import declaring_file
from featurestore.registry.definitions import FeatureReference

from .finding import Declared, Finding, Severity, Spot
from .rules import DECLARATIONS, LEAKAGE, DeclarationRule, LeakageRule
from .subject import ModelInView, Project


def check(
    project: Project,
    severities: Mapping[str, Severity | None] | None = None,
    leakage: Iterable[LeakageRule] = LEAKAGE,
    declarations: Iterable[DeclarationRule] = DECLARATIONS,
) -> tuple[Finding, ...]:
    """All that the rules find.

    Args:
        severities: of rules for which the project says another one; None switches a rule off.
    """
    said = severities or {}
    found: dict[object, Finding] = {}
    for rule in leakage:
        severity = said.get(rule.RULE.id, rule.RULE.severity)
        if severity is None:
            continue
        for view in project.views:
            for model in view.models:
                for spot in rule.find(model) if model.model.query is not None else ():
                    _merge(found, _of_spot(rule.RULE.id, severity, model, spot), id(spot.at))
    for each in declarations:
        severity = said.get(each.RULE.id, each.RULE.severity)
        if severity is not None:
            for declared in each.find(project):
                _merge(found, _of_declared(each.RULE.id, severity, project, declared), (declared.node, declared.expression, declared.why))
    return tuple(found.values())


def _of_spot(rule: str, severity: Severity, model: ModelInView, spot: Spot) -> Finding:
    expression = "" if spot.at is None else " ".join(spot.at.sql(dialect=model.model.dialect, comments=False).split())
    return Finding(
        rule=rule,
        severity=severity,
        views=(model.view.name,),
        features=_references(model.view.name, spot.features),
        model=model.model.name,
        file=model.model.path,
        line=None,
        expression=expression,
        why=spot.why,
        mend=spot.mend,
    )


def _of_declared(rule: str, severity: Severity, project: Project, declared: Declared) -> Finding:
    node = project.manifest.nodes[declared.node]
    return Finding(
        rule=rule,
        severity=severity,
        views=(declared.view,),
        features=_references(declared.view, declared.features),
        model=node.view_name,
        file=declaring_file(node, project.manifest),
        line=None,
        expression=declared.expression,
        why=declared.why,
        mend=declared.mend,
    )


def _references(view: str, features: Iterable[str]) -> tuple[FeatureReference, ...]:
    return tuple(FeatureReference(view, name) for name in sorted(features))


def _merge(found: dict[object, Finding], each: Finding, spot: object) -> None:
    """Add a finding, to the one of the same spot where another view led there before."""
    first = found.setdefault((each.rule, each.file, spot), each)
    if first is not each:
        views = tuple(dict.fromkeys((*first.views, *each.views)))
        features = tuple(dict.fromkeys((*first.features, *each.features)))
        found[each.rule, each.file, spot] = replace(first, views=views, features=features)
