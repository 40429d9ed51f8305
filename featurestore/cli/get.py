"""`fsdbt get`: the current values of one entity key, from the online store."""

from __future__ import annotations

from typing import Annotated

import typer

from featurestore.errors import EntityKeyError

from .options import PROJECT_DIR, AsJson, Features, OnlineStoreUrl, Profile, ProfilesDir, ProjectDir, Target, open_feature_store
from .options import wanted_features as wanted
from .output import note, write_json, write_table

Keys = Annotated[
    list[str],
    typer.Argument(help="The join keys, and the inputs of features on demand, each as name=value: tailnum=N14228", metavar="KEY=VALUE..."),
]


def get(
    features: Features,
    keys: Keys,
    full_feature_names: Annotated[bool, typer.Option("--full-feature-names", help="Name the features view__feature.")] = False,
    as_json: AsJson = False,
    online_store: OnlineStoreUrl = None,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Read the current feature values of one entity key, each with its status and event time."""
    from featurestore.serving.key_text import entity_row

    with open_feature_store(project_dir, profiles_dir, profile, target, online_store) as store:
        online = store.online()
        requested = online.registry.resolve(wanted(features))
        row = entity_row(_texts(keys), requested)
        answer = online.get_online_features([row], wanted(features), full_feature_names=full_feature_names)
    for part in requested:
        if part.view.deprecated:
            note(f"warning: {part.view.deprecated}")
    values, statuses, times = answer.to_dict(), answer.statuses(), answer.event_timestamps()
    if as_json:
        write_json(
            {
                "entity": row,
                "features": {
                    name: {"value": values[name][0], "status": statuses[name][0], "event_timestamp": times[name][0]} for name in statuses
                },
            }
        )
    else:
        write_table(
            ("feature", "value", "status", "event timestamp"),
            [(name, values[name][0], statuses[name][0], times[name][0]) for name in statuses],
        )


def _texts(pairs: list[str]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise EntityKeyError(f"{pair!r} is no key. Write it as name=value, like customer_id=42.")
        if name in texts:
            raise EntityKeyError(f"{name!r} is given twice. One call reads one entity key.")
        texts[name] = text
    return texts
