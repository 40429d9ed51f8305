"""Tag a model of an existing dbt project as a feature view, in the YAML that its author keeps, comments and layout included.

A model that has a YAML entry is tagged there, since dbt takes one entry for each model; one that has none gets an entry in
`feature_views.yml` beside its SQL.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from featurestore.errors import ProjectError, UnknownNameError

from .project import DbtProject

NEW_FILE = "feature_views.yml"


@dataclass(frozen=True, slots=True)
class Edit:
    """A file as it is to be. `before` is None where there is none yet."""

    path: Path
    before: str | None
    after: str

    @property
    def changes(self) -> bool:
        """Whether writing it would change anything."""
        return self.before != self.after

    def write(self) -> None:
        """Put it on disk."""
        self.path.write_text(self.after, encoding="utf-8")


def model_names(project: DbtProject) -> list[str]:
    """The models of the project, by their SQL and Python files."""
    return sorted(_model_files(project))


def tag_model(project: DbtProject, model: str, feature_view: Mapping[str, Any]) -> Edit:
    """The edit that gives `model` that `config.meta.feature_view`.

    Raises UnknownNameError with the nearest model, and ProjectError where the model is a feature view already.
    """
    files = _model_files(project)
    if model not in files:
        raise UnknownNameError("model", model, files)
    for path in _yaml_files(project):
        text = path.read_text(encoding="utf-8")
        document = _read(path, text)
        for entry in _models(document):
            if entry.get("name") == model:
                _set_feature_view(entry, feature_view, path)
                return Edit(path, text, _written(document, text))
    path = files[model].parent / NEW_FILE
    before = path.read_text(encoding="utf-8") if path.exists() else None
    document = (_read(path, before) if before else None) or {"version": 2, "models": []}
    entry = {"name": model}
    _set_feature_view(entry, feature_view, path)
    document.setdefault("models", []).append(entry)
    return Edit(path, before, _written(document, before or ""))


def add_vars(project: DbtProject, settings: Mapping[str, Any]) -> Edit:
    """The edit that gives the project's variables those settings under `vars: featurestore:`, where it does not have them yet."""
    path = project.vars_path
    text = path.read_text(encoding="utf-8")
    document = _read(path, text)
    variables = document.get("vars")
    ours = (variables or {}).get("featurestore") or {}
    missing = {key: value for key, value in settings.items() if key not in ours}
    if not missing:
        return Edit(path, text, text)
    if variables is None:
        document["vars"] = {"featurestore": missing}
    elif not ours:
        variables["featurestore"] = missing
    else:
        ours.update(missing)
    return Edit(path, text, _written(document, text))


def ignore_in_git(project: DbtProject, pattern: str) -> Edit:
    """The edit that keeps files of that pattern out of git."""
    path = project.directory / ".gitignore"
    before = path.read_text(encoding="utf-8") if path.exists() else None
    lines = (before or "").splitlines()
    after = before if pattern in lines else "\n".join([*lines, pattern, ""])
    return Edit(path, before, after or "")


def _set_feature_view(entry: Any, feature_view: Mapping[str, Any], path: Path) -> None:
    config = entry.get("config")
    if config is None:
        config = entry["config"] = {}
    meta = config.get("meta")
    if meta is None:
        meta = config["meta"] = {}
    present = meta.get("feature_view")
    if present is not None and present != feature_view:
        raise ProjectError(f"{path}: {entry['name']} is a feature view already. Edit its config.meta.feature_view there.")
    meta["feature_view"] = dict(feature_view)


def _model_files(project: DbtProject) -> dict[str, Path]:
    return {
        path.stem: path
        for folder in project.model_paths
        for suffix in ("*.sql", "*.py")
        for path in sorted((project.directory / folder).rglob(suffix))
    }


def _yaml_files(project: DbtProject) -> Iterator[Path]:
    for folder in project.model_paths:
        for path in sorted((project.directory / folder).rglob("*")):
            if path.suffix in (".yml", ".yaml"):
                yield path


def _models(document: Any) -> list[Any]:
    models = document.get("models") if isinstance(document, dict) else None
    return [entry for entry in models or [] if isinstance(entry, dict)]


def _editor(text: str) -> YAML:
    """A round-trip editor that keeps quotes, comments, line widths and the indentation that `text` has for its lists."""
    editor = YAML()
    editor.preserve_quotes = True
    editor.width = 10_000
    lists = [line for line in text.splitlines() if line.lstrip().startswith("- ")]
    indented = not lists or lists[0].startswith(" ")
    editor.indent(mapping=2, sequence=4 if indented else 2, offset=2 if indented else 0)
    return editor


def _read(path: Path, text: str) -> Any:
    try:
        return _editor(text).load(text) or {}
    except YAMLError as error:
        raise ProjectError(f"{path} is no YAML that can be read: {error}") from None


def _written(document: Any, text: str) -> str:
    written = io.StringIO()
    _editor(text).dump(document, written)
    return written.getvalue()
