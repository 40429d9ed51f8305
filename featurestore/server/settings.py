"""What a server can be told. Each worker reads it from the environment, `FSDBT_…`, which the command line writes: a password in the
online store's URL stands in no list of processes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec

from featurestore.errors import SettingsError, did_you_mean
from featurestore.online_store.connect import without_secrets
from featurestore.served_log import DEFAULT_RATE

PREFIX = "FSDBT_SERVE_"
_SHARED = {
    "online_store": "FSDBT_ONLINE_STORE",
    "project": "FSDBT_PROJECT",
    "keys_file": "FSDBT_KEYS_FILE",
    "served_log": "FSDBT_SERVED_LOG",
    "served_log_rate": "FSDBT_SERVED_LOG_RATE",
}
"""The settings that other commands have too."""

_Positive = Annotated[int, msgspec.Meta(ge=1)]
_Seconds = Annotated[float, msgspec.Meta(gt=0, le=86_400)]
_WholeSeconds = Annotated[int, msgspec.Meta(ge=1, le=86_400)]
"""What the HTTP server itself takes."""


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of one server. Sizes are in bytes, times in seconds."""

    online_store: str
    """The URL of the online store. May hold a password."""

    project: str
    """What the project is called in the online store."""

    base_dir: str = "."
    """The folder that a relative `sqlite:///` URL starts from."""

    host: str = "127.0.0.1"
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 6566
    workers: _Positive = 1
    """Processes that answer requests."""

    max_body_bytes: _Positive = 1 << 20
    max_keys: _Positive = 10_000
    """The most rows that one request may read from the store: entity rows times feature views."""

    request_timeout: _Seconds = 10.0
    """How long a request may take, from its headers to its answer, waiting included."""

    max_concurrency: _Positive = 64
    """How many requests a worker works at."""

    max_queue: Annotated[int, msgspec.Meta(ge=0)] = 256
    """How many more may wait for that. Further ones are turned away at once, with 503."""

    keep_alive: _WholeSeconds = 75
    """How long a connection without a request is kept."""

    shutdown_timeout: _WholeSeconds = 20
    """How long the requests at work may take to end after SIGTERM."""

    access_log: bool = True

    served_log: str | None = None
    """The folder where served values are logged, for `fsdbt audit --served`. None: nowhere."""

    served_log_rate: Annotated[float, msgspec.Meta(ge=0, le=1)] = DEFAULT_RATE
    """The part of the requests whose values are."""

    keys_file: str | None = None
    """The file that says which API keys count. None: no key is asked for, unless tokens are."""

    jwt_issuer: str | None = None
    """Whose tokens count. None: nobody's."""

    jwt_audience: str = "featurestore"
    jwt_jwks_url: str | None = None
    """Where the issuer publishes its keys."""

    jwt_public_key: str | None = None
    """Or a file with its one public key."""

    jwt_algorithms: str = "RS256,ES256"
    jwt_scope_claim: str = "scope"
    jwt_leeway: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 30.0

    unguarded: str = ""
    """Which of `metrics` and `docs` are shown to anybody, split by commas."""

    tls_cert: str | None = None
    """A file with the server's certificate, and those between it and the authority's. None: no TLS."""

    tls_key: str | None = None
    """A file with its private key."""

    tls_client_ca: str | None = None
    """A file with the authorities one of which must have signed the caller's certificate. None: callers need none."""

    def __repr__(self) -> str:
        return f"ServerSettings({without_secrets(self.online_store)!r}, project={self.project!r})"


def variable(setting: str) -> str:
    """The environment variable of a setting."""
    return _SHARED.get(setting, PREFIX + setting.upper())


def settings_from(environment: Mapping[str, str]) -> ServerSettings:
    """The settings that the environment says. Raises SettingsError naming the variable that is wrong or missing."""
    names = ServerSettings.__struct_fields__
    variables = {variable(name): name for name in names}
    for name in environment:
        if name.startswith(PREFIX) and name not in variables:
            raise SettingsError(f"There is no setting {name}.{did_you_mean(name, variables)}")
    said = {name: environment[each] for each, name in variables.items() if environment.get(each)}
    for name in ("online_store", "project"):
        if name not in said:
            raise SettingsError(f"{variable(name)} is not set, and a server needs it.")
    try:
        return msgspec.convert(said, ServerSettings, strict=False)
    except msgspec.ValidationError as error:
        wrong, _, place = str(error).partition(" - at `$.")
        raise SettingsError(f"{variable(place.rstrip('`'))}: {wrong}.") from None


def to_environment(settings: Mapping[str, object]) -> dict[str, str]:
    """The variables that say those settings; None says nothing."""
    return {
        variable(name): str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in settings.items()
        if value is not None
    }
