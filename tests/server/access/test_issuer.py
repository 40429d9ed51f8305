"""An issuer's keys are followed when it rotates them, and it is asked at a bounded rate whatever tokens arrive."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from featurestore.errors import IssuerUnavailableError
from featurestore.server.access.issuer import FRESH_FOR, KEPT_FOR, NOT_WITHIN, PublishedKeys, jwks_at

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())


def jwk(key, key_id: str, algorithm: str = "RS256", **more) -> dict[str, object]:
    fields = jwt.get_algorithm_by_name(algorithm).to_jwk(key.public_key(), as_dict=True)
    return {**fields, "kid": key_id, **more}


class Issuer:
    """Answers with the keys it has, counts how often it was asked, and may be out of reach."""

    def __init__(self, *keys) -> None:
        self.published, self.asked, self.reachable, self.now = list(keys), 0, True, 0.0
        self.keys = PublishedKeys(self.fetch, lambda: self.now)

    async def fetch(self):
        self.asked += 1
        await asyncio.sleep(0)
        if not self.reachable:
            raise OSError("out of reach")
        return self.published

    async def has(self, key_id: str | None, algorithm: str = "RS256") -> bool:
        found = await self.keys.find(key_id, algorithm)
        for _ in range(3):
            await asyncio.sleep(0)
        return found is not None


async def test_a_key_is_found_by_its_id_and_the_issuer_asked_once() -> None:
    issuer = Issuer(jwk(RSA, "a"), jwk(EC, "b", "ES256"))
    assert await issuer.has("a")
    assert await issuer.has("b", "ES256")
    assert issuer.asked == 1


async def test_a_key_serves_no_algorithm_that_it_is_not_for() -> None:
    issuer = Issuer(jwk(RSA, "a", alg="RS256"), jwk(EC, "b", "ES256"), {"kty": "oct", "kid": "c", "k": "c2VjcmV0"}, {"kid": "d"}, {})
    for key_id, algorithm in (("a", "PS256"), ("a", "ES256"), ("b", "RS256"), ("b", "ES384"), ("c", "RS256"), ("d", "RS256")):
        assert not await issuer.has(key_id, algorithm)


async def test_a_key_for_encryption_signs_nothing() -> None:
    assert not await Issuer(jwk(RSA, "a", use="enc")).has("a")


async def test_a_token_that_names_no_key_is_of_the_only_one_that_fits() -> None:
    assert await Issuer(jwk(RSA, "a"), jwk(EC, "b", "ES256")).has(None)
    assert not await Issuer(jwk(RSA, "a"), jwk(rsa.generate_private_key(65537, 2048), "b")).has(None)


async def test_a_rotated_key_is_found_at_once() -> None:
    issuer = Issuer(jwk(RSA, "a"))
    assert await issuer.has("a")
    issuer.published, issuer.now = [jwk(RSA, "b")], NOT_WITHIN
    assert await issuer.has("b")
    assert not await issuer.has("a")
    assert issuer.asked == 2


async def test_invented_keys_do_not_make_the_issuer_busy() -> None:
    issuer = Issuer(jwk(RSA, "a"))
    for number in range(500):
        issuer.now = number * 0.1
        assert not await issuer.has(f"invented {number}")
    assert issuer.asked == 2
    assert await issuer.has("a")


async def test_many_at_once_ask_the_issuer_once() -> None:
    issuer = Issuer(jwk(RSA, "a"))
    assert all(await asyncio.gather(*(issuer.has("a") for _ in range(50))))
    assert issuer.asked == 1


async def test_keys_are_read_anew_while_those_of_before_are_used() -> None:
    issuer = Issuer(jwk(RSA, "a"))
    assert await issuer.has("a")
    issuer.published, issuer.now = [jwk(RSA, "b")], FRESH_FOR
    assert await issuer.has("a"), "known, so it is not waited for"
    assert not await issuer.has("a"), "withdrawn"


async def test_an_issuer_out_of_reach_leaves_its_keys_in_force_for_an_hour() -> None:
    issuer = Issuer(jwk(RSA, "a"))
    assert await issuer.has("a")
    issuer.reachable = False
    for minute in range(0, int(KEPT_FOR), 60):
        issuer.now = float(minute)
        assert await issuer.has("a")
    issuer.now = KEPT_FOR + 1
    with pytest.raises(IssuerUnavailableError):
        await issuer.has("a")
    assert issuer.asked <= 1 + KEPT_FOR / NOT_WITHIN
    issuer.reachable, issuer.now = True, KEPT_FOR + 1 + NOT_WITHIN
    assert await issuer.has("a")


async def test_an_issuer_that_was_never_reached_is_no_fault_of_the_caller() -> None:
    issuer = Issuer(jwk(RSA, "a"))
    issuer.reachable = False
    for _ in range(10):
        with pytest.raises(IssuerUnavailableError):
            await issuer.has("a")
    assert issuer.asked == 1


async def test_a_caller_who_gives_up_takes_the_answer_from_nobody() -> None:
    issuer = Issuer(jwk(RSA, "a"))
    given_up = asyncio.create_task(issuer.has("a"))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await issuer.has("a")
    assert issuer.asked == 1


@pytest.fixture
def address() -> Iterator[str]:
    answers = {
        "/good": json.dumps({"keys": [jwk(RSA, "a"), "b"]}),
        "/list": "[]",
        "/none": '{"keys": 3}',
        "/html": "<html>",
        "/cut": '{"ke',
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("location", "/good")
                self.end_headers()
                return
            body = answers.get(self.path)
            self.send_response(200 if body else 404)
            self.end_headers()
            self.wfile.write((body or "").encode())

        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def test_keys_are_read_over_http(address) -> None:
    assert [key["kid"] for key in await jwks_at(f"{address}/good")()] == ["a"]


@pytest.mark.parametrize("path", ["/list", "/none", "/html", "/cut", "/gone", "/moved"])
async def test_what_is_no_key_set_leaves_nobody_in(address, path) -> None:
    with pytest.raises(IssuerUnavailableError):
        await PublishedKeys(jwks_at(f"{address}{path}")).find("a", "RS256")


async def test_nobody_at_that_address_leaves_nobody_in() -> None:
    with pytest.raises(IssuerUnavailableError):
        await PublishedKeys(jwks_at("http://127.0.0.1:1/jwks")).find("a", "RS256")
