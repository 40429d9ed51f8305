"""Where the server asks who calls and what for. With no key and no issuer configured, everybody may have everything that is not
private; with one, nothing is answered without, but for `/health` and `/ready`, which show nothing.

- `authorize` is called for every request that is not for anybody, before its body is read. It says who calls.
- `admit` is called with what the features asked for mean, in the registry they were looked up in, before anything of them is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from featurestore.errors import AccessError, NotAllowedError, NotAuthenticatedError, SettingsError, UnknownNameError, did_you_mean
from featurestore.registry.definitions import FeatureView
from featurestore.registry.registry import Registry
from featurestore.server.http import HttpError, Request
from featurestore.server.settings import ServerSettings
from featurestore.serving.lookup import OnlineRequest

from .callers import Caller, Callers
from .grants import METRICS, AccessRules, Permissions
from .issuer import PublishedKeys, jwks_at
from .keys_file import KeysFile
from .tokens import IssuerKeys, OneKey, TokenSettings

_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
"""What RFC 6749 lets a scope be made of."""

_T = TypeVar("_T")


class Access:
    """Who may ask a server for what. Raises SettingsError where the settings of it are wrong or incomplete."""

    def __init__(self, settings: ServerSettings) -> None:
        self._callers = Callers(KeysFile(Path(settings.keys_file)) if settings.keys_file else None, _tokens(settings))
        self._rules = AccessRules()
        self.unguarded = _unguarded(settings.unguarded)
        """The paths that are shown to anybody all the same."""

        self.guarded = self._callers.guarded
        """Whether a key or token is asked for."""

    async def authorize(self, request: Request) -> Caller:
        """Who calls. Raises HttpError: 401 where nobody known does, 400 for a key in the wrong place."""
        try:
            return await self._callers.caller(request.authorization, request.query)
        except AccessError as error:
            raise _refusal(error) from None

    def admit(self, request: Request, asked: OnlineRequest) -> None:
        """Raises HttpError 403 where this caller may not read one of these features."""
        if self.guarded:
            self._checked(lambda: self._permissions(request, asked.registry).check(asked.requested))

    def admit_push(self, request: Request, registry: Registry, view: FeatureView) -> None:
        """Raises HttpError 403 where this caller may not write rows into that view."""
        if self.guarded:
            self._checked(lambda: self._permissions(request, registry).check_push(view))

    def admit_metrics(self, request: Request) -> None:
        """Raises HttpError 403 where this caller may not read the metrics."""
        if self.guarded and not _caller(request).grant.metrics:
            raise _refusal(NotAllowedError(f"This key may not read the metrics. It takes the scope {METRICS}.", METRICS))

    def visible(self, request: Request, registry: Registry) -> Registry:
        """What of the registry this caller may know of."""
        return self._permissions(request, registry).visible if self.guarded else registry

    def as_seen(self, request: Request, registry: Registry, error: UnknownNameError) -> UnknownNameError:
        """The error, suggesting no name that this caller may not know of."""
        return self._permissions(request, registry).as_seen(error) if self.guarded else error

    def _permissions(self, request: Request, registry: Registry) -> Permissions:
        return self._rules.permissions(_caller(request).grant, registry)

    def _checked(self, check: Callable[[], _T]) -> _T:
        try:
            return check()
        except NotAllowedError as error:
            raise _refusal(error) from None


def _caller(request: Request) -> Caller:
    assert request.caller is not None, "authorize comes first"
    return request.caller


def _refusal(error: AccessError) -> HttpError:
    """The answer to who may not, as RFC 6750 has it."""
    challenge = 'Bearer realm="featurestore"'
    if isinstance(error, NotAuthenticatedError):
        if error.given:
            challenge += ', error="invalid_token"'
        return HttpError(401, "not_authenticated", str(error), ((b"www-authenticate", challenge.encode()),))
    if isinstance(error, NotAllowedError):
        challenge += ', error="insufficient_scope"'
        if _SCOPE.fullmatch(error.scope):
            challenge += f', scope="{error.scope}"'
        return HttpError(403, "not_allowed", str(error), ((b"www-authenticate", challenge.encode()),))
    return HttpError(error.http_status, "issuer_unavailable", str(error), ((b"retry-after", b"30"),))


def _tokens(settings: ServerSettings) -> tuple[TokenSettings, IssuerKeys] | None:
    if settings.jwt_issuer is None:
        if settings.jwt_jwks_url is not None or settings.jwt_public_key is not None:
            raise SettingsError("Keys for tokens are set, and no issuer whose tokens count: say --jwt-issuer.")
        return None
    tokens = TokenSettings(
        issuer=settings.jwt_issuer,
        audience=settings.jwt_audience,
        jwks_url=settings.jwt_jwks_url,
        public_key=Path(settings.jwt_public_key) if settings.jwt_public_key else None,
        algorithms=tuple(name.strip() for name in settings.jwt_algorithms.split(",") if name.strip()),
        scope_claim=settings.jwt_scope_claim,
        leeway=timedelta(seconds=settings.jwt_leeway),
    )
    if tokens.public_key is not None:
        return tokens, OneKey(tokens.public_key, tokens.algorithms)
    assert tokens.jwks_url is not None
    return tokens, PublishedKeys(jwks_at(tokens.jwks_url))


def _unguarded(names: str) -> frozenset[str]:
    paths = {"metrics": ("/metrics",), "docs": ("/docs", "/openapi.json")}
    found = {name.strip() for name in names.split(",") if name.strip()}
    for name in found - set(paths):
        raise SettingsError(f"{name!r} cannot be left unguarded.{did_you_mean(name, paths)}")
    return frozenset(path for name in found for path in paths[name])
