"""A token counts when its issuer signed it for us and it has not run out; every way to make one up is refused."""

from __future__ import annotations

import base64
import json
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from featurestore.errors import NotAuthenticatedError, SettingsError
from featurestore.server.access.callers import VERIFIED_FOR, VerifiedTokens
from featurestore.server.access.grants import Grant
from featurestore.server.access.tokens import LONGEST, OneKey, TokenSettings, read_token

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
ED = ed25519.Ed25519PrivateKey.generate()
OTHER = rsa.generate_private_key(65537, 2048)


def pem(key) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture(scope="module")
def public_key(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("keys") / "issuer.pem"
    path.write_bytes(pem(RSA))
    return path


@pytest.fixture(scope="module")
def settings(public_key) -> TokenSettings:
    return told(public_key=public_key)


def told(**said: Any) -> TokenSettings:
    """Settings of tokens for this server."""
    usual = {"algorithms": ("RS256", "ES256"), "scope_claim": "scope", "leeway": timedelta(seconds=30)}
    return TokenSettings("https://issuer.example", "featurestore", **(usual | said))


def claims(**more: Any) -> dict[str, Any]:
    now = int(time.time())
    said = {"iss": "https://issuer.example", "aud": "featurestore", "exp": now + 600, "sub": "search", "scope": "openid service:churn"}
    return {name: value for name, value in {**said, **more}.items() if value is not None}


def signed(key=RSA, algorithm="RS256", headers=None, **more: Any) -> str:
    return jwt.encode(claims(**more), key, algorithm=algorithm, headers=headers)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def read(token: str, settings: TokenSettings) -> tuple[str, Grant]:
    assert settings.public_key is not None
    said = await read_token(token, settings, OneKey(settings.public_key, settings.algorithms))
    return said.holder, said.grant


async def test_a_good_token_names_its_holder_and_what_it_grants(settings) -> None:
    assert await read(signed(), settings) == ("search", Grant(services=frozenset({"churn"})))


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [(RSA, "RS512"), (RSA, "PS256"), (EC, "ES256"), (P384, "ES384"), (ED, "EdDSA")],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_every_algorithm_with_a_public_key_may_be_allowed(tmp_path, key, algorithm) -> None:
    (tmp_path / "key.pem").write_bytes(pem(key))
    settings = told(public_key=tmp_path / "key.pem", algorithms=("RS256", "ES256", algorithm))
    assert (await read(signed(key, algorithm), settings))[0] == "search"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"exp": 1}, "expired"),
        ({"exp": None}, "lacks"),
        ({"iss": None}, "lacks"),
        ({"aud": None}, "lacks"),
        ({"iss": "https://other.example"}, "issuer"),
        ({"aud": "billing"}, "audience"),
        ({"aud": ["billing", "search"]}, "audience"),
        ({"nbf": 4_000_000_000}, "yet"),
        ({"exp": "tomorrow"}, "malformed"),
        ({"exp": 1e400}, "malformed"),
        ({"aud": 3}, "audience"),
        ({"nbf": "x"}, "malformed"),
    ],
    ids=str,
)
async def test_claims_that_do_not_fit_are_refused(settings, more, says) -> None:
    token = signed(**more)
    with pytest.raises(NotAuthenticatedError, match=says) as refused:
        await read(token, settings)
    assert not any(piece in str(refused.value) for piece in token.split("."))


async def test_a_key_too_short_to_be_safe_signs_nothing(tmp_path) -> None:
    short = rsa.generate_private_key(65537, 1024)
    (tmp_path / "key.pem").write_bytes(pem(short))
    settings = told(public_key=tmp_path / "key.pem")
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        token = signed(short)
    with pytest.raises(NotAuthenticatedError):
        await read(token, settings)


async def test_clocks_may_differ_by_the_leeway(settings) -> None:
    now = int(time.time())
    assert await read(signed(exp=now - 10, nbf=now + 10), settings)
    strict = told(public_key=settings.public_key, leeway=timedelta(0))
    with pytest.raises(NotAuthenticatedError):
        await read(signed(exp=now - 10), strict)


async def test_one_of_several_audiences_is_enough(settings) -> None:
    assert await read(signed(aud=["billing", "featurestore"]), settings)


def unsigned(**header: Any) -> str:
    return f"{part({'alg': 'none', 'typ': 'JWT', **header})}.{part(claims())}."


def signed_with_the_public_key() -> str:
    """The old confusion: the published key taken for the secret of HS256."""
    import hashlib
    import hmac

    message = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims())}"
    signature = hmac.new(pem(RSA), message.encode(), hashlib.sha256).digest()
    return f"{message}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def with_its_own_key() -> str:
    """Signed with another key, which the token brings along."""
    jwk = jwt.get_algorithm_by_name("RS256").to_jwk(OTHER.public_key(), as_dict=True)
    return signed(OTHER, headers={"jwk": jwk, "jku": "http://127.0.0.1:1/jwks", "kid": "../../dev/null"})


def of_another_payload() -> str:
    header, _, signature = signed().split(".")
    return f"{header}.{part(claims(scope='group:*'))}.{signature}"


@pytest.mark.parametrize(
    "token",
    [
        unsigned(),
        unsigned(alg="None"),
        unsigned(alg="nOnE"),
        unsigned(alg=None),
        unsigned(alg=["RS256"]),
        unsigned(alg={"RS256": 1}),
        unsigned(alg="RS256"),
        signed_with_the_public_key(),
        signed(OTHER),
        signed(EC, "ES256"),
        signed(RSA, "RS512"),
        with_its_own_key(),
        of_another_payload(),
        signed(headers={"crit": ["exp"], "exp": 1}),
        signed(headers={"b64": False}),
        signed() + "A",
        signed()[:-5],
        signed().rsplit(".", 1)[0],
        signed() + "." + signed(),
        f"{part({'alg': 'RS256', 'kid': ['a']})}.{part(claims())}.AAAA",
        f"{part([])}.{part(claims())}.AAAA",
        f"{part({'alg': 'RS256'})}.{part([1])}.AAAA",
        "..",
        "a.b.c",
        "eyJ",
        "x" * (LONGEST + 1),
        "[" * LONGEST,
        part("[" * 3000) + ".e30.AAAA",
    ],
    # Made anew in every process: their own text would give the test another name in each.
    ids=lambda _: "token",
)
async def test_a_token_that_was_made_up_is_refused_without_being_repeated(settings, token) -> None:
    with pytest.raises(NotAuthenticatedError) as refused:
        await read(token, settings)
    assert refused.value.given
    assert not any(len(piece) > 20 and piece in str(refused.value) for piece in token.split("."))


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()) | st.from_regex(r"eyJ[\w-]*\.[\w-]*\.[\w-]*"))
async def test_no_text_is_anything_but_refused(settings, text) -> None:
    with pytest.raises(NotAuthenticatedError):
        await read(text, settings)


@pytest.mark.parametrize(
    ("claim", "services"),
    [
        ("service:a service:b", {"a", "b"}),
        (["service:a", "group:x y", 3, None], {"a"}),
        ("", set()),
        ({"service:a": 1}, set()),
        (7, set()),
        (None, set()),
    ],
)
async def test_scopes_come_from_a_text_or_a_list(settings, claim, services) -> None:
    other = told(public_key=settings.public_key, scope_claim="permissions")
    _, grant = await read(signed(permissions=claim), other)
    assert grant.services == services


@pytest.mark.parametrize("algorithms", [("HS256",), ("none",), ("RS256", "HS512"), ("rs256",), ("ES256K",), ()])
def test_only_algorithms_with_a_public_key_can_be_allowed(public_key, algorithms) -> None:
    with pytest.raises(SettingsError):
        told(public_key=public_key, algorithms=algorithms)


@pytest.mark.parametrize("url", ["http://issuer.example/jwks", "file:///etc/keys", "ftp://issuer.example/jwks", "issuer.example/jwks", ""])
def test_keys_are_only_read_where_nobody_could_change_them_on_the_way(url) -> None:
    with pytest.raises(SettingsError, match="https"):
        told(jwks_url=url)


def test_it_is_said_once_where_the_keys_are(public_key) -> None:
    for said in ({}, {"jwks_url": "https://issuer.example/jwks", "public_key": public_key}):
        with pytest.raises(SettingsError, match="JWKS"):
            told(**said)


def test_a_file_without_a_fitting_public_key_is_an_error_that_does_not_quote_it(tmp_path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(SettingsError, match="cannot be read"):
        OneKey(path, ("RS256",))
    private = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (b"", b"hunter2", private):
        path.write_bytes(content)
        with pytest.raises(SettingsError, match="no public key") as wrong:
            OneKey(path, ("RS256",))
        assert "hunter2" not in str(wrong.value)
    path.write_bytes(pem(RSA))
    with pytest.raises(SettingsError, match="none of the allowed"):
        OneKey(path, ("ES256",))


class CountedKey(OneKey):
    """Counts how often a token was verified with it."""

    asked = 0

    async def find(self, key_id, algorithm):
        self.asked += 1
        return await super().find(key_id, algorithm)


async def test_a_token_is_verified_once_a_minute_and_never_counts_beyond_its_time(settings) -> None:
    key, verified = CountedKey(settings.public_key, settings.algorithms), VerifiedTokens()
    now = int(time.time())
    long, short = signed(exp=now + 600), signed(exp=now + 20, sub="short")
    for later, asked in ((0, 1), (1, 1), (VERIFIED_FOR - 1, 1), (VERIFIED_FOR, 2), (VERIFIED_FOR + 1, 2)):
        assert (await verified.caller(long, (settings, key), now + later)).name == "search"
        assert key.asked == asked
    assert (await verified.caller(short, (settings, key), now)).name == "short"
    await verified.caller(short, (settings, key), now + 19)
    assert key.asked == 3
    await verified.caller(short, (settings, key), now + 20)
    assert key.asked == 4, "expired by the caller's clock: verified again, which refuses it"


async def test_a_token_that_does_not_count_is_not_kept(settings) -> None:
    key, verified = CountedKey(settings.public_key, settings.algorithms), VerifiedTokens()
    for number in range(1, 4):
        with pytest.raises(NotAuthenticatedError):
            await verified.caller(signed(OTHER), (settings, key), time.time())
        assert key.asked == number
    good = signed()
    await verified.caller(good, (settings, key), time.time())
    header, payload, signature = good.split(".")
    with pytest.raises(NotAuthenticatedError):
        await verified.caller(f"{header}.{payload}.{signature[::-1]}", (settings, key), time.time())
