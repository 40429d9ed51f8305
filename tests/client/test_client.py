"""The client of a real server: keys, certificates, restarts, and servers that are none."""

from __future__ import annotations

import asyncio
import datetime
import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from feature_server import FeatureServer, free_port
from published_shop import ORDERS, PROFILE, Shop
from redis_server import RedisServer

from featurestore import AsyncFeatureClient, FeatureClient
from featurestore.errors import (
    FeatureServerError,
    FeatureServerUnavailableError,
    NotAllowedError,
    NotAuthenticatedError,
    PushError,
    RequestError,
    UnknownNameError,
)
from featurestore.serving.push import Pushed

ROW = [{"customer_id": 1}]


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def shop(redis_server: RedisServer) -> Iterator[Shop]:
    published = Shop(redis_server.url)
    published.publish(ORDERS, PROFILE)
    published.write(ORDERS, {"customer_id": 1, "orders_7d": 3, "spent": 9.5})
    yield published
    published.store.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that nobody but itself vouches for, and its key."""
    folder, key = tmp_path_factory.mktemp("tls"), ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "features")]), datetime.datetime.now(datetime.timezone.utc)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()))
    return folder / "cert.pem", folder / "key.pem"


@pytest.fixture(scope="module")
def keys_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "keys.yml"


@pytest.fixture(scope="module")
def key(keys_file: Path) -> str:
    command = [Path(sys.executable).with_name("fsdbt"), "keys", "create", "--keys-file", keys_file, "--name", "test", "--services", "churn"]
    made: str = json.loads(subprocess.run([*command, "--json"], check=True, capture_output=True, text=True).stdout)["key"]
    return made


@pytest.fixture(scope="module")
def guarded(shop: Shop, key: str, keys_file: Path, certificate: tuple[Path, Path]) -> Iterator[FeatureServer]:
    """A server that asks for a key, behind a certificate."""
    cert, private = certificate
    with FeatureServer(shop.url, "shop", "--keys-file", str(keys_file), "--tls-cert", str(cert), "--tls-key", str(private)) as server:
        yield server


@pytest.fixture(scope="module")
def server(shop: Shop) -> Iterator[FeatureServer]:
    with FeatureServer(shop.url, "shop") as running:
        yield running


def test_a_key_and_an_authority_are_all_it_takes(guarded, key, certificate):
    for verify in (certificate[0], str(certificate[0]), ssl.create_default_context(cafile=certificate[0]), False):
        with FeatureClient(guarded.base_url, api_key=key, verify=verify) as client:
            assert client.get_online_features(ROW, "churn").to_dict()["spent"] == [9.5]


def test_a_key_may_change_between_requests(guarded, key, certificate):
    keys = iter([key, "fsdbt_wrong"])
    with FeatureClient(guarded.base_url, api_key=lambda: next(keys), verify=certificate[0]) as client:
        client.get_online_features(ROW, "churn")
        with pytest.raises(NotAuthenticatedError):
            client.get_online_features(ROW, "churn")


def test_a_key_read_from_a_file_may_end_in_a_line_break(guarded, key, certificate):
    with FeatureClient(guarded.base_url, api_key=f"{key}\r\n", verify=certificate[0]) as client:
        assert client.get_online_features(ROW, "churn").to_dict()["spent"] == [9.5]


@pytest.mark.parametrize("wrong", ["fsdbt_sec\nret", "fsdbt_sec\x00ret", "fsdbt_secr\u00e9t", " \n"])
def test_a_key_that_no_header_can_hold_is_refused_without_being_repeated(server, wrong):
    async def ask() -> None:
        async with AsyncFeatureClient(server.base_url, api_key=wrong) as client:
            await client.get_online_features(ROW, "churn")

    with FeatureClient(server.base_url, api_key=lambda: wrong) as client, pytest.raises(RequestError, match="The API key") as refused:
        client.get_online_features(ROW, "churn")
    assert "sec" not in str(refused.value)
    with pytest.raises(RequestError, match="The API key"):
        asyncio.run(ask())


def test_who_may_not_read_is_told_so(guarded, key, certificate):
    with FeatureClient(guarded.base_url, verify=certificate[0]) as client, pytest.raises(NotAuthenticatedError):
        client.get_online_features(ROW, "churn")
    with FeatureClient(guarded.base_url, api_key=key, verify=certificate[0]) as client, pytest.raises(NotAllowedError):
        client.push("orders", [{"customer_id": 1}])


def test_a_certificate_that_nobody_vouches_for_is_refused(guarded, key):
    with FeatureClient(guarded.base_url, api_key=key, retries=0) as client:
        with pytest.raises(FeatureServerUnavailableError, match="certificate") as caught:
            client.get_online_features(ROW, "churn")
        assert key not in str(caught.value)


def test_a_server_that_starts_anew_is_read_on(shop):
    with FeatureServer(shop.url, "shop") as first:
        client = FeatureClient(first.base_url)
        assert client.get_online_features(ROW, "churn").to_dict()["spent"] == [9.5]
    with FeatureServer(shop.url, "shop", port=first.port), client:
        # The connection that was kept is closed by now.
        assert client.get_online_features(ROW, "churn").to_dict()["spent"] == [9.5]


def test_what_is_pushed_is_read_back(server):
    moment = datetime.datetime(2026, 1, 1, 12, tzinfo=datetime.timezone.utc)
    row = {"customer_id": 7, "event_timestamp": moment, "orders_7d": 1, "spent": float("inf")}

    async def push_more() -> object:
        async with AsyncFeatureClient(server.base_url) as client:
            return await client.push("orders", {name: [value] for name, value in {**row, "customer_id": 8}.items()})

    with FeatureClient(server.base_url) as client:
        assert client.push("orders", [row]) == Pushed("orders", rows=1, written=1)
        assert client.push("orders", [{**row, "event_timestamp": moment - datetime.timedelta(days=1)}]).written == 0
        assert asyncio.run(push_more()) == Pushed("orders", rows=1, written=1)
        answer = client.get_online_features({"customer_id": [7, 8]}, "orders:*")
        assert answer.to_dict() == {"customer_id": [7, 8], "orders_7d": [1, 1], "spent": [float("inf")] * 2}
        assert answer.event_timestamps()["spent"] == [moment] * 2


def test_rows_that_are_wrong_are_the_error_that_they_are_in_process(server, shop):
    wrong = [{"customer_id": 7, "event_timestamp": "soon", "orders_7d": 1.5}]
    with FeatureClient(server.base_url) as client, pytest.raises(PushError) as over_http:
        client.push("orders", wrong)
    with shop.reader() as reader, pytest.raises(PushError) as in_process:
        reader.push("orders", wrong)
    assert str(over_http.value) == str(in_process.value)
    with FeatureClient(server.base_url) as client, pytest.raises(UnknownNameError, match="Did you mean 'orders'"):
        client.push("order", wrong)


def test_nobody_there_is_an_error_that_says_so():
    nobody = f"http://127.0.0.1:{free_port()}"
    with FeatureClient(nobody, retries=1) as client, pytest.raises(FeatureServerUnavailableError, match="Is the feature server running"):
        client.get_online_features(ROW, "churn")


def test_a_server_of_another_kind_is_an_error_that_says_so(redis_server):
    with FeatureClient(f"http://user:secret@127.0.0.1:{redis_server.port}", retries=0, timeout=2) as client:
        with pytest.raises(FeatureServerError) as caught:
            client.get_online_features(ROW, "churn")
        assert "secret" not in str(caught.value)


def test_many_requests_at_once_are_answered(server):
    async def ask() -> list[list[float]]:
        async with AsyncFeatureClient(server.base_url) as client:
            answers = await asyncio.gather(*(client.get_online_features(ROW, "churn") for _ in range(200)))
            return [answer.to_dict()["spent"] for answer in answers]

    assert asyncio.run(ask()) == [[9.5]] * 200


def test_the_client_imports_nothing_heavy():
    heavy = ("dbt", "duckdb", "numpy", "pandas", "polars", "pyarrow", "redis", "sqlglot", "jinja2", "yaml", "typer")
    program = (
        "import sys; from featurestore.client import FeatureClient, AsyncFeatureClient; "
        f"print(sorted(set(m.partition('.')[0] for m in sys.modules) & set({heavy!r})))"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip() == "[]"
