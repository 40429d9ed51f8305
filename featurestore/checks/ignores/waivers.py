"""What a project waives, in the files of its models and in `meta.feature_view`, and which of it was needed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from featurestore.checks.declared_lines import declared_line
from featurestore.checks.finding import Finding
from featurestore.checks.sources import SourceFile
from featurestore.checks.subject import Project
from featurestore.dbt.load import declaring_file
from featurestore.registry.definitions import FeatureView

from . import bad_ignore, unused_ignore
from .comments import Ignore


class Waivers:
    """The waivers of one project. It remembers which of them were needed."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._said = {view.view.name: _said(project, view.view) for view in project.views}
        self._needed: set[tuple[object, str]] = set()

    def reason(self, rule: str, view: FeatureView, ignores: Iterable[Ignore]) -> str | None:
        """Why what that rule found for a view, in reach of those comments, is waived; None where it is not."""
        for each in ignores:
            if rule in each.rules and each.reason:
                self._needed.add((id(each), rule))
                return each.reason
        reason = self._said[view.name].get(rule)
        if reason:
            self._needed.add((view.name, rule))
        return reason or None

    def problems(self, looked_for: Collection[str], known: Collection[str]) -> Iterator[Finding]:
        """Waivers that are none, and those that nothing needs.

        Args:
            looked_for: the rules that are not switched off.
        """
        for source, views in self._sources():
            for each in source.ignores:
                unneeded = [rule for rule in each.rules if rule in looked_for and (id(each), rule) not in self._needed]
                of = _Where(source.node.view_name, source.path, each.line, each.text, tuple(views))
                yield from of.problems(each.rules, each.reason, known, unneeded)
        for view in (checked.view for checked in self._project.views):
            node = self._project.manifest.nodes[view.unique_id]
            file = declaring_file(node, self._project.manifest)
            for rule, reason in self._said[view.name].items():
                unneeded = [rule] if rule in looked_for and (view.name, rule) not in self._needed else []
                line = declared_line(self._project.folder, file, node.name)
                of = _Where(view.name, file, line, f"ignore: {{{rule}: {reason}}}", (view.name,))
                yield from of.problems((rule,), reason, known, unneeded)

    def _sources(self) -> Iterator[tuple[SourceFile, list[str]]]:
        """The files that are looked at, each with the views that need its model."""
        views: dict[str, list[str]] = {}
        for model in (model for view in self._project.views for model in view.models):
            above = self._project.lineage.graph.parents(model.model.node.unique_id)
            ephemeral = [each for each in above if self._project.manifest.nodes[each].config.materialized == "ephemeral"]
            for unique_id in (model.model.node.unique_id, *ephemeral):
                views.setdefault(unique_id, []).append(model.view.name)
        for unique_id, needing in views.items():
            yield self._project.model(unique_id).source, list(dict.fromkeys(needing))


def _said(project: Project, view: FeatureView) -> Mapping[str, str]:
    said = project.manifest.nodes[view.unique_id].meta.get("feature_view")
    ignored = said.get("ignore") if isinstance(said, Mapping) else None
    return {str(rule): str(reason or "").strip() for rule, reason in ignored.items()} if isinstance(ignored, Mapping) else {}


class _Where:
    """Where a waiver stands, and for which views."""

    def __init__(self, model: str, file: str, line: int | None, text: str, views: tuple[str, ...]) -> None:
        self._model, self._file, self._line, self._text, self._views = model, file, line, text, views

    def problems(self, rules: Collection[str], reason: str, known: Collection[str], unneeded: Collection[str]) -> Iterator[Finding]:
        wrong = " ".join(bad_ignore.problems(rules, reason, known))
        if wrong:
            yield self._finding(bad_ignore.RULE.id, wrong, bad_ignore.FORM)
        elif unneeded:
            yield self._finding(unused_ignore.RULE.id, f"Of {', '.join(unneeded)}: {unused_ignore.WHY}", unused_ignore.MEND)

    def _finding(self, rule: str, why: str, mend: str) -> Finding:
        severity = bad_ignore.RULE.severity if rule == bad_ignore.RULE.id else unused_ignore.RULE.severity
        return Finding(rule, severity, self._views, (), self._model, self._file, self._line, self._text, why, mend)
