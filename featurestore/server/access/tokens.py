"""A JWT of an issuer: which one counts, and what it lets its holder have.

It counts when it is signed by a key of the issuer with one of the allowed algorithms, names the issuer and this audience, and has not
run out; an `exp` is required. Only algorithms of a public key may be allowed: where HS256 was, a published key would be the secret to
sign with. Which algorithm a key is for is said by the key and the settings, never by the token alone. Scopes come from one claim;
what in it is no scope of ours is left out. Checking is PyJWT's; what stands here is what it is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from featurestore.errors import NotAuthenticatedError, NotInstalledError, SettingsError, did_you_mean

from .grants import Grant, read_scopes

if TYPE_CHECKING:
    from jwt import PyJWK

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
LONGEST = 8192
"""Characters of a token. A longer one is refused unread."""


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """What a token has to be to count."""

    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    scope_claim: str
    """A claim with a text of scopes split by spaces, or a list of them."""

    leeway: timedelta
    """How far clocks may differ."""

    jwks_url: str | None = None
    """Where the issuer publishes its keys. Either this or `public_key`."""

    public_key: Path | None = None
    """A file with one public key in PEM."""

    def __post_init__(self) -> None:
        for algorithm in self.algorithms:
            if algorithm not in ALGORITHMS:
                raise SettingsError(
                    f"Tokens cannot be signed with {algorithm!r}.{did_you_mean(algorithm, ALGORITHMS)} Only algorithms with a public key "
                    f"count: {', '.join(ALGORITHMS)}."
                )
        if not self.algorithms:
            raise SettingsError("No algorithm is allowed for tokens, so that none could count.")
        if (self.jwks_url is None) == (self.public_key is None):
            raise SettingsError("Tokens of an issuer are checked with its keys: say where, by its JWKS URL or by a public key's file.")
        if self.jwks_url is not None:
            url = urlsplit(self.jwks_url)
            if not (url.scheme == "https" or (url.scheme == "http" and url.hostname in ("localhost", "127.0.0.1", "::1"))):
                raise SettingsError("The JWKS URL must be https: whoever could change the answer would make tokens that count.")


class IssuerKeys(Protocol):
    """Where the keys of an issuer are found."""

    async def find(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        """The key of that id for that algorithm, None where the issuer has none. Raises IssuerUnavailableError."""
        ...


class OneKey:
    """A public key in a file. Raises SettingsError where it is none, or none for the allowed algorithms."""

    def __init__(self, path: Path, algorithms: tuple[str, ...]) -> None:
        self._keys = _keys_of_pem(path, algorithms)

    async def find(self, key_id: str | None, algorithm: str) -> PyJWK | None:
        """The one key, whatever the token calls it."""
        return self._keys.get(algorithm)


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says that counts."""

    holder: str
    """A name for the access log."""

    grant: Grant
    expires: int
    """Seconds since the epoch."""


async def read_token(token: str, settings: TokenSettings, keys: IssuerKeys) -> Token:
    """What a token says. Raises NotAuthenticatedError saying why it does not count, IssuerUnavailableError."""
    import jwt

    if len(token) > LONGEST:
        raise NotAuthenticatedError(f"The token is longer than {LONGEST} characters.", given=True)
    try:
        header = jwt.get_unverified_header(token)
    except jwt.PyJWTError:
        raise NotAuthenticatedError("This is neither an API key nor a token: it cannot be read.", given=True) from None
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in settings.algorithms:
        allowed = ", ".join(settings.algorithms)
        raise NotAuthenticatedError(f"The token is not signed with an algorithm that counts here: {allowed}.", given=True)
    key = await keys.find(key_id, algorithm)
    if key is None:
        raise NotAuthenticatedError("The token is signed with a key that its issuer does not have.", given=True)
    try:
        claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=settings.audience,
            issuer=settings.issuer,
            leeway=settings.leeway,
            options={"require": ["exp", "iss", "aud"], "enforce_minimum_key_length": True},
        )
    except jwt.PyJWTError as error:
        raise NotAuthenticatedError(_what_is_wrong(error), given=True) from None
    grant = read_scopes(_scopes(claims.get(settings.scope_claim)), others_too=True)
    return Token(_holder(claims), grant, int(claims["exp"]))


def _what_is_wrong(error: Exception) -> str:
    import jwt

    reasons: tuple[tuple[type[Exception], str], ...] = (
        (jwt.ExpiredSignatureError, "The token has expired."),
        (jwt.ImmatureSignatureError, "The token does not count yet: its `nbf` or `iat` lies ahead."),
        (jwt.InvalidIssuerError, "The token is of another issuer."),
        (jwt.InvalidAudienceError, "The token is for another audience."),
        (jwt.MissingRequiredClaimError, "The token lacks a claim: `exp`, `iss` and `aud` are required."),
        (jwt.InvalidSignatureError, "The token's signature does not fit."),
    )
    # PyJWT's own text may quote the token.
    return next((text for kind, text in reasons if isinstance(error, kind)), "The token is malformed.")


def _holder(claims: Mapping[str, Any]) -> str:
    for claim in ("client_id", "azp", "sub"):
        if isinstance(claims.get(claim), str) and claims[claim].isprintable():
            return str(claims[claim])[:200]
    return "token"


def _scopes(claim: object) -> list[str]:
    if isinstance(claim, str):
        return claim.split()
    if isinstance(claim, list):
        return [scope for scope in claim if isinstance(scope, str)]
    return []


def _keys_of_pem(path: Path, algorithms: tuple[str, ...]) -> dict[str, PyJWK]:
    try:
        import jwt
        from cryptography.hazmat.primitives.serialization import load_pem_public_key
    except ImportError:
        raise NotInstalledError("PyJWT[crypto]", "serve", "Checking tokens") from None
    try:
        public_key = load_pem_public_key(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"The public key {path} cannot be read: {error.strerror}.") from None
    except Exception:
        raise SettingsError(f"{path} holds no public key in PEM (-----BEGIN PUBLIC KEY-----).") from None
    found = {}
    for algorithm in algorithms:
        kind = jwt.get_algorithm_by_name(algorithm)
        try:
            found[algorithm] = jwt.PyJWK(kind.to_jwk(public_key, as_dict=True), algorithm)
        except (jwt.PyJWTError, TypeError, AttributeError, ValueError):
            continue
    if not found:
        raise SettingsError(f"The public key {path} is for none of the allowed algorithms: {', '.join(algorithms)}.")
    return found
