"""`fsdbt init`: make a first feature view of a model that an existing dbt project has."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from featurestore.errors import RequestError

from .options import PROJECT_DIR, ProjectDir
from .output import note

if TYPE_CHECKING:
    from featurestore.dbt.tagging import Edit

Model = Annotated[str | None, typer.Option("--model", help="The model to tag.")]
EntityName = Annotated[str | None, typer.Option("--entity", help="What its features describe, such as customer.")]
JoinKeys = Annotated[str | None, typer.Option("--key", help="The column that identifies one; several split by commas.")]
Timestamp = Annotated[str | None, typer.Option("--timestamp", help="The column that says when a row became true.")]
CreatedTimestamp = Annotated[str | None, typer.Option("--created-timestamp", help="The column that says when a row was written.")]
Ttl = Annotated[str | None, typer.Option("--ttl", help="How old a value may be and still count, such as '7 days'.")]


def init(
    model: Model = None,
    entity: EntityName = None,
    key: JoinKeys = None,
    timestamp: Timestamp = None,
    created_timestamp: CreatedTimestamp = None,
    ttl: Ttl = None,
    project_dir: ProjectDir = PROJECT_DIR,
) -> None:
    """Tag a model as a feature view, in its own YAML, and set the online store in dbt_project.yml.

    What is not given is asked for on a terminal.
    """
    from featurestore.config import DEFAULT_ONLINE_STORE
    from featurestore.dbt.project import load_project
    from featurestore.dbt.tagging import add_vars, ignore_in_git, model_names, tag_model
    from featurestore.timestamps import format_duration, parse_duration

    project = load_project(project_dir)
    model = _given("--model", model, f"Which model ({', '.join(model_names(project)[:20])})")
    entity = _given("--entity", entity, "What does a row describe, in one word")
    keys = [column.strip() for column in _given("--key", key, f"Which column identifies one {entity}").split(",")]
    feature_view: dict[str, object] = {"entities": {entity: keys[0] if len(keys) == 1 else keys}}
    feature_view["timestamp"] = _given("--timestamp", timestamp, "Which column says when a row became true")
    if created_timestamp:
        feature_view["created_timestamp"] = created_timestamp
    if ttl:
        try:
            feature_view["ttl"] = format_duration(parse_duration(ttl))
        except ValueError as error:
            raise RequestError(f"--ttl: {error}") from None
    edits = [
        tag_model(project, model, feature_view),
        add_vars(project, {"online_store": DEFAULT_ONLINE_STORE}),
        ignore_in_git(project, "online_store.db*"),
    ]
    for edit in edits:
        _apply(edit)
    note(f"\n{model} is a feature view. Next:\n  fsdbt build            builds it with dbt and publishes its newest values")
    note(f"  fsdbt show {model}\n  fsdbt get {model}:* " + " ".join(f"{column}=…" for column in keys))


def _given(option: str, value: str | None, question: str) -> str:
    if value:
        return value
    if not sys.stdin.isatty():
        raise RequestError(f"{option} is needed. {question}?")
    return str(typer.prompt(question, err=True))


def _apply(edit: Edit) -> None:
    if not edit.changes:
        return
    edit.write()
    note(f"{'created' if edit.before is None else 'edited '}  {edit.path}")
