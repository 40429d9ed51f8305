"""`fsdbt serve`: the HTTP server. It needs no dbt project where the store's URL and the project's name are given."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from featurestore.errors import NotInstalledError

from .options import PROJECT_DIR, OnlineStoreUrl, Profile, ProfilesDir, ProjectDir, Target, open_feature_store


def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="The address to listen at.  [default: 127.0.0.1]")] = None,
    port: Annotated[int | None, typer.Option(help="The port to listen at.  [default: 6566]")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that answer requests.  [default: 1]")] = None,
    max_body_bytes: Annotated[int | None, typer.Option(help="Of a request.  [default: 1048576]")] = None,
    max_keys: Annotated[
        int | None, typer.Option(help="Rows read for one request: entity rows times feature views.  [default: 10000]")
    ] = None,
    request_timeout: Annotated[float | None, typer.Option(help="Seconds for one request.  [default: 10]")] = None,
    max_concurrency: Annotated[int | None, typer.Option(help="Requests that a worker works at.  [default: 64]")] = None,
    max_queue: Annotated[int | None, typer.Option(help="Requests that may wait for that; others get 503.  [default: 256]")] = None,
    keep_alive: Annotated[int | None, typer.Option(help="Seconds that an idle connection stays.  [default: 75]")] = None,
    shutdown_timeout: Annotated[
        int | None, typer.Option(help="Seconds that requests may take to end after SIGTERM.  [default: 20]")
    ] = None,
    no_access_log: Annotated[bool, typer.Option("--no-access-log", help="No line of JSON on stdout for each request.")] = False,
    served_log: Annotated[
        str | None, typer.Option(help="The folder, from here, where a part of the served values is logged, for fsdbt audit --served.")
    ] = None,
    served_log_rate: Annotated[
        float | None, typer.Option(min=0, max=1, help="The part of the requests that is logged, from 0 to 1.  [default: 0.01]")
    ] = None,
    keys_file: Annotated[str | None, typer.Option(help="The file that says which API keys count: see fsdbt keys.")] = None,
    jwt_issuer: Annotated[str | None, typer.Option(help="Whose tokens count.")] = None,
    jwt_audience: Annotated[str | None, typer.Option(help="For whom they are made.  [default: featurestore]")] = None,
    jwt_jwks_url: Annotated[str | None, typer.Option(help="Where the issuer publishes its keys.")] = None,
    jwt_public_key: Annotated[str | None, typer.Option(help="Or a file with its public key, in PEM.")] = None,
    jwt_algorithms: Annotated[str | None, typer.Option(help="How tokens may be signed.  [default: RS256,ES256]")] = None,
    jwt_scope_claim: Annotated[str | None, typer.Option(help="Where their scopes stand.  [default: scope]")] = None,
    jwt_leeway: Annotated[float | None, typer.Option(help="Seconds that clocks may differ by.  [default: 30]")] = None,
    unguarded: Annotated[str | None, typer.Option(help="Which of metrics,docs are shown without a key.")] = None,
    tls_cert: Annotated[str | None, typer.Option(help="The server's certificate, in PEM.")] = None,
    tls_key: Annotated[str | None, typer.Option(help="Its private key, in PEM.")] = None,
    tls_client_ca: Annotated[str | None, typer.Option(help="Ask callers for a certificate that one of these authorities signed.")] = None,
    online_store: OnlineStoreUrl = None,
    project: Annotated[str | None, typer.Option(help="What the project is called in the online store, instead of its setting.")] = None,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Answer requests for current feature values over HTTP, until stopped."""
    from featurestore.server.settings import ServerSettings, settings_from, to_environment

    if find_spec("uvicorn") is None:
        raise NotInstalledError("uvicorn", "serve", "fsdbt serve")
    said = {name: context.params.get(name) for name in ServerSettings.__struct_fields__}
    said["access_log"] = False if no_access_log else None
    said["online_store"] = online_store or os.environ.get("FSDBT_ONLINE_STORE")
    said["project"] = project or os.environ.get("FSDBT_PROJECT")
    said["served_log"] = served_log_folder(served_log, os.environ.get("FSDBT_SERVED_LOG"), project_dir)
    if not said["online_store"] or not said["project"]:
        of_the_project = _of_the_project(online_store, project, project_dir, profiles_dir, profile, target)
        said |= {name: value for name, value in of_the_project.items() if said.get(name) is None or name in ("online_store", "project")}
    environment = {**os.environ, **to_environment(said)}
    settings_from(environment)
    os.execve(sys.executable, [sys.executable, "-m", "featurestore.server"], environment)


def _of_the_project(
    online_store: str | None, project: str | None, project_dir: Path, profiles_dir: Path | None, profile: str | None, target: str | None
) -> dict[str, object]:
    """What the dbt project's settings say, where a flag does not."""
    with open_feature_store(project_dir, profiles_dir, profile, target, online_store) as store:
        settings, folder = store.settings, store.project.directory.resolve()
    return {
        "online_store": settings.online_store,
        "project": project or settings.project,
        "base_dir": str(folder),
        "served_log": None if settings.served_log is None else str(folder / settings.served_log),
        "served_log_rate": settings.served_log_rate,
    }


def served_log_folder(flag: str | None, variable: str | None, project_dir: Path) -> str | None:
    """The folder of the log by its whole path. As anywhere, the environment's is relative to the dbt project, where there is one."""
    if flag:
        return str(Path(flag).resolve())
    if not variable:
        return None
    return str(Path(project_dir if (project_dir / "dbt_project.yml").is_file() else "", variable).resolve())
