"""No key, no token and no password is ever repeated: not in an answer, a log, the metrics, the documentation or a list of processes."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import jwt
import pytest
import redis
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from feature_server import FeatureServer
from published_shop import ORDERS, PROFILE, Shop
from raw_http import exchange
from redis_server import RedisServer

STORE_PASSWORD = "swordfish-of-the-store"
ISSUER = ec.generate_private_key(ec.SECP256R1())
GOOD = {"features": "churn", "rows": [{"customer_id": 1}]}


class Session:
    """A server with everything that is secret, and all that it ever said."""

    def __init__(self, folder: Path, store: RedisServer) -> None:
        self.store = store
        url = f"redis://:{STORE_PASSWORD}@127.0.0.1:{store.port}/0"
        self.shop = Shop(url)
        self.shop.publish(ORDERS, PROFILE)
        self.shop.write(ORDERS, {"customer_id": 1, "orders_7d": 3, "spent": 9.5})
        self.keys_file = folder / "keys.yml"
        self.key, self.other_key = (self._new_key("--groups", "*", "--metrics"), self._new_key("--services", "nothing"))
        (folder / "issuer.pem").write_bytes(ISSUER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        claims = {"iss": "me", "aud": "featurestore", "scope": "group:*", "sub": "search"}
        self.token, self.old_token = (
            jwt.encode({**claims, "exp": int(time.time()) + more}, ISSUER, algorithm="ES256") for more in (600, -600)
        )
        tokens = ("--jwt-issuer", "me", "--jwt-public-key", str(folder / "issuer.pem"))
        self.server = FeatureServer("unused", "shop", "--keys-file", str(self.keys_file), *tokens, "--online-store", url)
        self.said: list[str] = []

    def _new_key(self, *arguments: str) -> str:
        program = Path(sys.executable).with_name("fsdbt")
        command = [program, "keys", "create", "--keys-file", self.keys_file, "--name", "test", "--json", *arguments]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["key"]

    @property
    def secrets(self) -> dict[str, str]:
        found = {"the store's password": STORE_PASSWORD}
        for name, key in (("a key", self.key), ("another key", self.other_key)):
            found[name] = key.split("_", 2)[2]
        for name, token in (("a token", self.token), ("an old token", self.old_token)):
            found |= {f"{name}'s part {number}": part for number, part in enumerate(token.split(".")) if number}
        return found

    def ask(self, method: str = "POST", path: str = "/v1/features", **more) -> int:
        answer = self.server.client.request(method, path, **more)
        self.said += [answer.text, str(answer.headers)]
        return answer.status_code

    def send(self, request: bytes) -> None:
        for answer in exchange(self.server.port, request, quiet=0.1):
            self.said += [answer.body.decode(errors="replace"), str(answer.headers)]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with RedisServer("--requirepass", STORE_PASSWORD) as store:
        running = Session(tmp_path_factory.mktemp("secrets"), store)
        yield running
        running.server.close()
        running.shop.store.close()


def everywhere(secret: str) -> Iterator[dict]:
    """One secret in every place where somebody may put one by mistake, and in every form of the right place."""
    for value in (
        f"Bearer {secret}",
        f"bearer  {secret}",
        secret,
        f"Basic {secret}",
        f"Token {secret}",
        f"Bearer {secret} {secret}",
        f"Bearer {secret},{secret}",
        f"Bearer {secret}x",
        f"Bearer x{secret}",
        f"Bearer {secret[:-1]}",
        f'Bearer "{secret}"',
        f"Bearer token={secret}",
    ):
        yield {"headers": {"authorization": value}, "json": GOOD}
    good = {"authorization": f"Bearer {secret}"}
    yield {"headers": [("authorization", f"Bearer {secret}"), ("authorization", f"Bearer {secret}")], "json": GOOD}
    for path in (f"/v1/features?access_token={secret}", f"/v1/features?x={secret}", f"/{secret}", f"/v1/features/{secret}", f"/?{secret}"):
        yield {"path": path, "headers": good, "json": GOOD}
        yield {"path": path, "json": GOOD}
    for name in ("x-api-key", "cookie", "x-request-id", "accept", "content-type", "content-encoding", "traceparent", "user-agent"):
        yield {"headers": {**good, name: secret}, "json": GOOD}
    for body in (
        {**GOOD, "features": secret},
        {**GOOD, "features": [f"orders:{secret}"]},
        {**GOOD, "features": [f"{secret}:spent"]},
        {**GOOD, "features": [secret]},
        {**GOOD, secret: 1},
        {**GOOD, "rows": [{"customer_id": secret}]},
        {**GOOD, "rows": [{secret: 1}]},
        {**GOOD, "rows": secret},
        {"features": "churn", "columns": {secret: [1], "customer_id": [1, 2]}},
    ):
        yield {"headers": good, "json": body}
    yield {"headers": good, "content": secret.encode()}
    yield {"headers": good, "content": b'{"' + secret.encode() + b'": 1, "' + secret.encode() + b'": 2}'}


def test_nothing_secret_is_repeated_whatever_is_asked(session) -> None:
    statuses = set()
    for secret in (session.key, session.other_key, session.token, session.old_token):
        statuses |= {session.ask(**asked) for asked in everywhere(secret)}
        session.send(b"POST /v1/features HTTP/1.1\r\nhost: x\r\nauthorization: Bearer %b\r\n what\r\n\r\n" % secret.encode())
        session.send(b"%b /v1/features HTTP/1.1\r\nhost: x\r\n\r\n" % secret.encode())
        session.send(b"GET /v1/features?%b HTTP/9.9\r\nhost: x\r\n\r\n" % secret.encode())
    assert {200, 400, 401, 403, 404, 415, 422} <= statuses

    headers = {"authorization": f"Bearer {session.key}"}
    for path in ("/metrics", "/docs", "/openapi.json", "/ready", "/health"):
        session.ask("GET", path, headers=headers)

    # A row and a snapshot that nobody could read, then a store that is gone: what the server says of its own failures.
    with redis.Redis(port=session.store.port, password=STORE_PASSWORD) as client:
        for key in client.keys("*customer*"):
            client.set(key, b"\xc1 garbage")
        statuses = {session.ask(headers=headers, json=GOOD)}
    session.store.kill()
    statuses |= {session.ask(headers=headers, json=GOOD), session.ask("GET", "/ready")}
    assert any(status >= 500 for status in statuses)
    time.sleep(0.5)

    command = Path(f"/proc/{session.server.process.pid}/cmdline")
    processes = command.read_bytes().replace(b"\0", b" ").decode() if command.exists() else ""
    session.server.stop()
    places = {"an answer": "\n".join(session.said), "stdout": session.server.log, "stderr": session.server.errors, "ps": processes}
    assert all(places[place] for place in ("an answer", "stdout", "stderr"))
    found = [(name, place) for name, secret in session.secrets.items() for place, text in places.items() if secret in text]
    assert found == []


def test_what_is_kept_of_a_key_shows_none_of_it(session) -> None:
    kept = session.keys_file.read_text()
    assert session.key.split("_")[1] in kept, "its id is public"
    assert not any(key.split("_", 2)[2] in kept for key in (session.key, session.other_key))
