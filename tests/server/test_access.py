"""Whoever has no key gets nothing, whoever has one gets what its scopes name, and nobody outside gets what is private."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import codec_cases as cases
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from feature_server import FeatureServer
from published_shop import ORDERS, PROFILE, Shop
from redis_server import RedisServer

from featurestore.registry.definitions import FeatureReference, FeatureService
from featurestore.registry.value_types import INT64

CRM = cases.feature_view("crm", {"segment": INT64, "margin": INT64}, group="sales")
SALARIES = cases.feature_view("salaries", {"salary": INT64}, group="sales", access="private")


def service(name: str, *references: str) -> FeatureService:
    features = tuple(FeatureReference(*reference.split(":")) for reference in references)
    return FeatureService(name, f"exposure.shop.{name}", "models/services.yml", features)


SERVICES = (
    service("churn", "orders:*", "profile:city"),
    service("upsell", "crm:segment"),
    service("payroll", "orders:spent", "salaries:salary"),
)
ISSUER_KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture(scope="module")
def shop(redis_server: RedisServer) -> Iterator[Shop]:
    published = Shop(redis_server.url)
    published.publish(ORDERS, PROFILE, CRM, SALARIES, services=SERVICES)
    published.write(ORDERS, {"customer_id": 1, "orders_7d": 3, "spent": 9.5})
    published.write(PROFILE, {"customer_id": 1, "city": "Riga"})
    published.write(CRM, {"customer_id": 1, "segment": 7, "margin": 11})
    published.write(SALARIES, {"customer_id": 1, "salary": 5000})
    yield published
    published.store.close()


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access") / "keys.yml"


def fsdbt(*arguments: object) -> str:
    program = Path(sys.executable).with_name("fsdbt")
    return subprocess.run([program, *map(str, arguments)], check=True, capture_output=True, text=True).stdout


def new_key(keys_file: Path, *arguments: str) -> str:
    return json.loads(fsdbt("keys", "create", "--keys-file", keys_file, "--name", "test", *arguments, "--json"))["key"]


@pytest.fixture(scope="module")
def keys(keys_file: Path) -> dict[str, str]:
    return {
        "churn": new_key(keys_file, "--services", "churn"),
        "sales": new_key(keys_file, "--groups", "sales", "--services", "payroll"),
        "all": new_key(keys_file, "--groups", "*", "--services", "*"),
        "metrics": new_key(keys_file, "--metrics"),
        "writer": new_key(keys_file, "--push", "sales"),
    }


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    jwk = {**jwt.get_algorithm_by_name("ES256").to_jwk(ISSUER_KEY.public_key(), as_dict=True), "kid": "one"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"keys": [jwk]}).encode())

        def log_message(self, *_) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def server(shop: Shop, keys, keys_file: Path, issuer: str) -> Iterator[FeatureServer]:
    tokens = ("--jwt-issuer", issuer, "--jwt-jwks-url", f"{issuer}/jwks")
    with FeatureServer(shop.url, "shop", "--keys-file", str(keys_file), *tokens) as running:
        yield running


def token(issuer: str, **claims) -> str:
    said = {"iss": issuer, "aud": "featurestore", "exp": int(time.time()) + 60, "sub": "search", "scope": "service:upsell", **claims}
    return jwt.encode(said, ISSUER_KEY, algorithm="ES256", headers={"kid": "one"})


def ask(client: httpx.Client, key: str | None, features) -> httpx.Response:
    headers = {} if key is None else {"authorization": f"Bearer {key}"}
    return client.post("/v1/features", json={"features": features, "rows": [{"customer_id": 1}]}, headers=headers)


def test_nothing_is_answered_without_a_key_but_whether_the_server_lives(client) -> None:
    refused = ask(client, None, "churn")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="featurestore"'
    assert refused.json()["error"]["code"] == "not_authenticated"
    assert client.get("/health").content == b""
    assert client.get("/ready").json() == {}


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"Bearer",
        b"bearer  x",
        b"Basic dXNlcjpzZWNyZXQ=",
        b"fsdbt_x",
        b"Bearer \xff\xfe",
        b"Bearer a b",
        b"Bearer " + b"x" * 9000,
        b"Bearer fsdbt_0123456789abcdef_" + b"A" * 43,
        b"Bearer eyJhbGciOiJub25lIn0.e30.",
    ],
)
def test_what_is_no_key_is_refused(client, header) -> None:
    refused = client.post("/v1/features", content=b"{}", headers=[(b"authorization", header)])
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"] == 'Bearer realm="featurestore", error="invalid_token"'


def test_a_key_reads_what_its_scopes_name(client, keys) -> None:
    assert ask(client, keys["churn"], "churn").json()["rows"] == [{"customer_id": 1, "orders_7d": 3, "spent": 9.5, "city": "Riga"}]
    assert ask(client, keys["churn"], ["orders:spent"]).status_code == 200
    assert ask(client, keys["sales"], ["crm:*"]).json()["rows"] == [{"customer_id": 1, "segment": 7, "margin": 11}]
    assert ask(client, keys["all"], ["crm:*", "orders:*"]).status_code == 200
    assert client.post("/v1/features", json={}, headers={"authorization": f"bearer {keys['all']}"}).status_code == 422


@pytest.mark.parametrize(
    ("key", "features"), [("churn", ["orders:spent", "crm:segment"]), ("churn", "upsell"), ("sales", "churn"), ("metrics", "churn")]
)
def test_a_key_does_not_reach_further(client, keys, key, features) -> None:
    refused = ask(client, keys[key], features)
    assert refused.status_code == 403
    assert 'error="insufficient_scope"' in refused.headers["www-authenticate"]
    assert "Riga" not in refused.text


def test_a_refusal_names_the_scope_that_it_takes(client, keys) -> None:
    refused = ask(client, keys["churn"], ["crm:margin"])
    assert refused.headers["www-authenticate"].endswith('scope="group:sales"')
    assert "crm:margin" in refused.json()["error"]["message"]


@pytest.mark.parametrize("key", ["all", "sales"])
@pytest.mark.parametrize("features", [["salaries:salary"], ["salaries:*"], ["orders:spent", "salaries:salary"], "payroll"])
def test_what_is_private_does_not_exist_outside_whatever_the_key(client, keys, shop, key, features) -> None:
    refused = ask(client, keys[key], features)
    assert refused.status_code == 404
    assert "Did you mean" not in refused.text
    with shop.reader() as inside:
        assert inside.get_online_features([{"customer_id": 1}], "payroll").to_dict()["salary"] == [5000]


@pytest.mark.parametrize(
    ("key", "view", "status"),
    [("writer", "crm", 200), ("writer", "orders", 403), ("sales", "crm", 403), ("all", "crm", 403), ("writer", "salaries", 404)],
)
def test_writing_takes_a_scope_of_its_own(client, keys, key, view, status) -> None:
    features = {"crm": {"segment": 7, "margin": 11}, "orders": {"orders_7d": 3, "spent": 9.5}, "salaries": {"salary": 1}}[view]
    row = {"customer_id": 1, "event_timestamp": "2024-05-01T12:00:00Z", **features}
    answer = client.post("/v1/push", json={"view": view, "rows": [row]}, headers={"authorization": f"Bearer {keys[key]}"})
    assert answer.status_code == status, answer.text
    if status == 403:
        assert 'scope="push:' in answer.headers["www-authenticate"]


def test_who_may_write_may_not_read_for_that(client, keys) -> None:
    assert ask(client, keys["writer"], ["crm:margin"]).status_code == 403


def listed(client: httpx.Client, key: str) -> tuple[set[str], set[str]]:
    headers = {"authorization": f"Bearer {key}"}
    views = client.get("/v1/feature-views", headers=headers).json()["feature_views"]
    services = client.get("/v1/feature-services", headers=headers).json()["feature_services"]
    return {f"{view['name']}:{one['name']}" for view in views for one in view["features"]}, {service["name"] for service in services}


def test_a_listing_shows_what_the_caller_may_read(client, keys) -> None:
    of_churn = {"orders:orders_7d", "orders:spent", "profile:city"}
    assert listed(client, keys["churn"]) == (of_churn, {"churn"})
    assert listed(client, keys["sales"]) == ({"crm:segment", "crm:margin"}, {"upsell"})
    assert listed(client, keys["all"]) == (of_churn | {"crm:segment", "crm:margin"}, {"churn", "upsell"})
    assert listed(client, keys["writer"]) == (set(), set())
    assert client.get("/v1/feature-views").status_code == client.get("/v1/feature-services").status_code == 401


def test_the_documentation_takes_any_key(client, keys) -> None:
    for path in ("/docs", "/openapi.json"):
        assert client.get(path).status_code == 401
        shown = client.get(path, headers={"authorization": f"Bearer {keys['writer']}"})
        assert shown.status_code == 200
        assert "salaries" not in shown.text


def test_feasts_endpoint_asks_for_the_same(client, keys) -> None:
    body = {"feature_service": "churn", "entities": {"customer_id": [1]}}
    statuses = {}
    for name in (None, "churn", "sales", "all"):
        headers = {} if name is None else {"authorization": f"Bearer {keys[name]}"}
        statuses[name] = client.post("/get-online-features", json=body, headers=headers).status_code
        private = client.post("/get-online-features", json={**body, "feature_service": "payroll"}, headers=headers)
        assert private.status_code == (401 if name is None else 404)
    assert statuses == {None: 401, "churn": 200, "sales": 403, "all": 200}


def test_a_token_of_the_issuer_reads_what_its_scopes_name(client, issuer) -> None:
    good = token(issuer)
    assert ask(client, good, "upsell").json()["rows"] == [{"customer_id": 1, "segment": 7}]
    assert ask(client, good, "churn").status_code == 403
    assert ask(client, token(issuer, scope=["openid", "group:*"]), "churn").status_code == 200


@pytest.mark.parametrize("claims", [{"exp": 1}, {"aud": "billing"}, {"iss": "https://other.example"}, {"nbf": 1e12}], ids=str)
def test_a_token_that_does_not_count_is_refused(client, issuer, claims) -> None:
    refused = ask(client, token(issuer, **claims), "upsell")
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


@pytest.mark.parametrize("query", ["access_token={}", "api_key={}", "x={}", "q=a&token=b", "%61pi_key={}", "key%3D{}"])
def test_a_key_in_the_url_is_refused_even_if_it_is_good(client, keys, query) -> None:
    headers = {"authorization": f"Bearer {keys['all']}"}
    refused = client.post(f"/v1/features?{query.format(keys['all'])}", json={}, headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "key_in_url")


def test_a_key_sent_twice_is_refused(client, keys) -> None:
    headers = [("authorization", f"Bearer {keys['all']}"), ("authorization", f"Bearer {keys['churn']}")]
    assert client.post("/v1/features", json={}, headers=headers).status_code == 400


def test_a_key_counts_from_when_it_is_made_until_it_is_revoked(client, keys_file) -> None:
    key = new_key(keys_file, "--services", "upsell")
    assert ask(client, key, "upsell").status_code == 200
    fsdbt("keys", "revoke", "--keys-file", keys_file, key.split("_")[1])
    assert ask(client, key, "upsell").status_code == 401


def test_a_large_body_is_not_read_for_somebody_unknown(client) -> None:
    assert client.post("/v1/features", content=b"x" * (8 << 20)).status_code == 401


def test_an_error_suggests_nothing_that_the_caller_may_not_read(client, keys) -> None:
    assert "Did you mean 'crm'" in ask(client, keys["sales"], ["crn:segment"]).text
    assert "crm" not in ask(client, keys["churn"], ["crn:segment"]).text
    assert "upsell" not in ask(client, keys["churn"], "upsel").text


def test_metrics_take_a_scope_of_their_own_and_tell_nothing_private(client, keys) -> None:
    assert client.get("/metrics").status_code == 401
    assert client.get("/metrics", headers={"authorization": f"Bearer {keys['all']}"}).status_code == 403
    shown = client.get("/metrics", headers={"authorization": f"Bearer {keys['metrics']}"})
    assert shown.status_code == 200
    assert "salaries" not in shown.text
    assert "payroll" not in shown.text


def test_the_access_log_says_whose_key_it_was(client, keys, server) -> None:
    ask(client, keys["churn"], "churn")
    deadline = time.monotonic() + 60
    while '"caller":"test"' not in server.log and time.monotonic() < deadline:
        time.sleep(0.05)
    assert '"caller":"test"' in server.log


def test_an_issuer_that_never_answers_keeps_nobody_longer_than_a_request_may_take(shop) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        tokens = ("--jwt-issuer", url, "--jwt-jwks-url", f"{url}/jwks", "--request-timeout", "0.5")
        with FeatureServer(shop.url, "shop", *tokens) as server:
            late = ask(server.client, token(url), "churn")
    assert (late.status_code, late.json()["error"]["code"]) == (504, "timeout")


def test_what_is_left_unguarded_is_shown_to_anybody_and_nothing_else(shop, keys_file) -> None:
    with FeatureServer(shop.url, "shop", "--keys-file", str(keys_file), "--unguarded", "metrics") as server:
        assert server.client.get("/metrics").status_code == 200
        assert server.client.get("/docs").status_code == 401
        assert ask(server.client, None, "churn").status_code == 401
    with pytest.raises(RuntimeError, match="features"):
        FeatureServer(shop.url, "shop", "--keys-file", str(keys_file), "--unguarded", "features")


def test_a_file_of_keys_that_cannot_be_used_keeps_the_server_from_starting(shop, tmp_path) -> None:
    wrong = tmp_path / "keys.yml"
    wrong.write_text("keys: 3")
    for arguments in (("--keys-file", str(wrong)), ("--keys-file", str(tmp_path / "none.yml")), ("--jwt-issuer", "https://issuer.example")):
        with pytest.raises(RuntimeError, match="error: ") as failed:
            FeatureServer(shop.url, "shop", *arguments)
        assert "Traceback" not in str(failed.value)
