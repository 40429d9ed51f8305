"""Asks every rule, and makes findings of what they say: one for each spot, whichever views share it.

What the project waives is set apart, and a waiver that waives nothing is a finding itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from featurestore.dbt.load import declaring_file
from featurestore.registry.definitions import FeatureReference, FeatureView

from .declared_lines import declared_line
from .finding import Declared, Finding, Rule, Severity, Spot
from .ignores import bad_ignore, unused_ignore
from .ignores.waivers import Waivers
from .rules import DECLARATIONS, LEAKAGE, READING, DeclarationRule, LeakageRule, known_rules
from .sources import Place
from .subject import ModelInView, Project

_RANK = {severity: rank for rank, severity in enumerate(Severity)}

Severities = Mapping[str, Severity | None]
"""Of the rules for which the project says another one; None switches a rule off."""


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a check found."""

    findings: tuple[Finding, ...]
    """By file and line."""

    waived: tuple[Finding, ...]
    """What the project waives, each with its reason."""

    views: int
    """How many feature views were looked at."""

    models: int
    """How many models and snapshots are behind them."""

    def fails(self, at: Severity = Severity.ERROR) -> bool:
        """Whether anything is found that is as bad as that, or worse."""
        return any(_RANK[each.severity] <= _RANK[at] for each in self.findings)

    def count(self, severity: Severity) -> int:
        """How many findings are that bad."""
        return sum(each.severity is severity for each in self.findings)


def check(
    project: Project,
    severities: Severities | None = None,
    *,
    views: Collection[str] | None = None,
    leakage: Sequence[LeakageRule] = LEAKAGE,
    declarations: Sequence[DeclarationRule] = DECLARATIONS,
) -> CheckReport:
    """All that the rules find.

    Args:
        views: the names of the feature views that are asked about. The others are looked at too, so that a waiver is seen to waive
            something; what is found only in them is left out.
    """
    said = severities or {}
    waivers = Waivers(project)
    found: dict[object, Finding] = {}
    for finding in _all_found(project, said, waivers, leakage, declarations):
        _merge(found, finding)
    known = {*known_rules(), *(each.RULE.id for each in leakage), *(each.RULE.id for each in declarations)}
    for finding in waivers.problems({each for each in known if said.get(each, Severity.ERROR) is not None}, known):
        severity = _severity(said, bad_ignore.RULE if finding.rule == bad_ignore.RULE.id else unused_ignore.RULE)
        if severity is not None:
            _merge(found, replace(finding, severity=severity))
    asked = {view.name for view in project.registry.views} if views is None else set(views)
    kept = sorted((_within(each, asked) for each in found.values() if asked.intersection(each.views)), key=_place)
    behind = {model.model.node.unique_id for view in project.views if view.view.name in asked for model in view.models}
    return CheckReport(
        tuple(each for each in kept if each.waived is None),
        tuple(each for each in kept if each.waived is not None),
        len(asked),
        len(behind),
    )


def _all_found(
    project: Project, said: Severities, waivers: Waivers, leakage: Sequence[LeakageRule], declarations: Sequence[DeclarationRule]
) -> Iterator[Finding]:
    on_models = [(rule, readable, _severity(said, rule.RULE)) for rules, readable in ((leakage, True), (READING, False)) for rule in rules]
    for model in (model for view in project.views for model in view.models):
        for rule, readable, severity in on_models:
            if severity is None or (readable and model.model.query is None):
                continue
            for spot in rule.find(model):
                place = project.place(model.model, spot.at)
                finding = _of_spot(rule.RULE, severity, model, spot, place)
                yield replace(finding, waived=waivers.reason(rule.RULE.id, model.view, place.ignores))
    views = {view.view.name: view.view for view in project.views}
    for each in declarations:
        severity = _severity(said, each.RULE)
        for declared in each.find(project) if severity is not None else ():
            finding = _of_declared(each.RULE, severity or each.RULE.severity, project, declared)
            view = views[declared.view]
            yield replace(finding, waived=waivers.reason(each.RULE.id, view, project.model(view.unique_id).source.whole_file))


def _severity(said: Severities, rule: Rule) -> Severity | None:
    return said.get(rule.id, rule.severity)


def _of_spot(rule: Rule, severity: Severity, model: ModelInView, spot: Spot, place: Place) -> Finding:
    return Finding(
        rule=rule.id,
        severity=severity,
        views=(model.view.name,),
        features=_references(model.view, spot.features),
        model=place.node.view_name,
        file=project_file(model.project, place),
        line=place.line,
        expression="" if spot.at is None else " ".join(spot.at.sql(dialect=model.model.dialect, comments=False).split()),
        why=spot.why,
        mend=spot.mend,
        compiled=place.compiled,
    )


def project_file(project: Project, place: Place) -> str:
    """The file of a place, seen from the project's folder."""
    return project.manifest.located(place.node.original_file_path, place.node.package_name)


def _of_declared(rule: Rule, severity: Severity, project: Project, declared: Declared) -> Finding:
    name, file = _declaration(project, declared.node)
    return Finding(
        rule=rule.id,
        severity=severity,
        views=(declared.view,),
        features=tuple(FeatureReference(declared.view, name) for name in sorted(declared.features)),
        model=name,
        file=file,
        line=declared_line(project.folder, file, name),
        expression=declared.expression,
        why=declared.why,
        mend=declared.mend,
    )


def _declaration(project: Project, unique_id: str) -> tuple[str, str]:
    """The name of what declares something, and the file where it does."""
    exposure = project.manifest.exposures.get(unique_id)
    if exposure is not None:
        return exposure.name, project.manifest.located(exposure.original_file_path, exposure.package_name)
    node = project.manifest.nodes[unique_id]
    return node.name, declaring_file(node, project.manifest)


def _references(view: FeatureView, features: Collection[str]) -> tuple[FeatureReference, ...]:
    return tuple(FeatureReference(view.name, feature.name) for feature in view.all_features if feature.name in features)


def _merge(found: dict[object, Finding], each: Finding) -> None:
    """Add a finding, to the one of the same spot where another view led there before."""
    spot = (each.rule, each.file, each.line, each.compiled, each.expression, each.waived, each.line is None and each.why)
    first = found.setdefault(spot, each)
    if first is not each:
        views = tuple(dict.fromkeys((*first.views, *each.views)))
        features = tuple(dict.fromkeys((*first.features, *each.features)))
        found[spot] = replace(first, views=views, features=features)


def _within(each: Finding, views: Collection[str]) -> Finding:
    """What a finding says of those views."""
    return replace(
        each,
        views=tuple(view for view in each.views if view in views),
        features=tuple(feature for feature in each.features if feature.view in views),
    )


def _place(each: Finding) -> tuple[str, int, str, str]:
    return each.file, each.line or 0, each.rule, each.expression
