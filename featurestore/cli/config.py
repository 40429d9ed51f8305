"""`fsdbt config`: every setting, its value and where it came from."""

from __future__ import annotations

from .options import PROJECT_DIR, AsJson, OnlineStoreUrl, Profile, ProfilesDir, ProjectDir, Target, open_feature_store
from .output import write_json, write_table


def config(
    as_json: AsJson = False,
    online_store: OnlineStoreUrl = None,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Show every setting, its value and where it came from. Passwords are masked."""
    with open_feature_store(project_dir, profiles_dir, profile, target, online_store) as store:
        shown = store.settings.shown()
    if as_json:
        write_json([{"setting": line.name, "value": line.value, "origin": line.origin} for line in shown])
    else:
        write_table(("setting", "value", "from"), [(line.name, line.value, line.origin) for line in shown])
