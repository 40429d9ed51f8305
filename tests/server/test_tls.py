"""With a certificate the server speaks TLS and nothing else; with an authority for callers, to nobody without a certificate of theirs."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import pytest
import trustme
from feature_server import FeatureServer
from raw_http import exchange

from featurestore.server.settings import ServerSettings
from featurestore.server.tls import warnings

AUTHORITY, OTHER = trustme.CA(), trustme.CA()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    server = AUTHORITY.issue_cert("127.0.0.1")
    server.cert_chain_pems[0].write_to_path(folder / "cert.pem")
    server.private_key_pem.write_to_path(folder / "key.pem")
    AUTHORITY.cert_pem.write_to_path(folder / "ca.pem")
    for name, authority in (("caller", AUTHORITY), ("stranger", OTHER)):
        authority.issue_cert(f"{name}@example.com").private_key_and_cert_chain_pem.write_to_path(folder / f"{name}.pem")
    return folder


def trusting(files: Path, certificate: str | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(files / "ca.pem"))
    if certificate is not None:
        context.load_cert_chain(files / certificate)
    return context


def tls(files: Path, *more: str) -> tuple[str, ...]:
    return ("--tls-cert", str(files / "cert.pem"), "--tls-key", str(files / "key.pem"), *more)


def test_it_speaks_tls_and_nothing_else(shop, files) -> None:
    with FeatureServer(shop.url, "shop", *tls(files)) as server:
        with httpx.Client(verify=trusting(files), trust_env=False) as client:
            answer = client.post(f"{server.base_url}/v1/features", json={"features": "churn", "rows": [{"customer_id": 1}]})
            assert answer.json()["rows"][0]["city"] == "Riga"
        with httpx.Client(trust_env=False) as client, pytest.raises(httpx.ConnectError, match="CERTIFICATE"):
            client.get(f"{server.base_url}/health")
        assert exchange(server.port, b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n") == []


def test_callers_need_a_certificate_where_they_are_asked_for_one(shop, files) -> None:
    arguments = tls(files, "--tls-client-ca", str(files / "ca.pem"))
    with FeatureServer(shop.url, "shop", *arguments, verify=trusting(files, "caller.pem")) as server:
        assert server.client.get("/ready").status_code == 200
        for certificate in (None, "stranger.pem"):
            with httpx.Client(verify=trusting(files, certificate), trust_env=False) as client, pytest.raises(httpx.TransportError):
                client.get(f"{server.base_url}/health")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--tls-cert", "cert.pem"], "--tls-key"),
        (["--tls-key", "key.pem"], "--tls-cert"),
        (["--tls-client-ca", "ca.pem"], "--tls-client-ca"),
        (["--tls-cert", "cert.pem", "--tls-key", "none.pem"], "cannot be used"),
        (["--tls-cert", "cert.pem", "--tls-key", "caller.pem"], "cannot be used"),
        (["--tls-cert", "cert.pem", "--tls-key", "key.pem", "--tls-client-ca", "key.pem"], "authorities"),
    ],
)
def test_files_that_do_not_fit_keep_the_server_from_starting(shop, files, arguments, says) -> None:
    placed = [argument if argument.startswith("--") else str(files / argument) for argument in arguments]
    with pytest.raises(RuntimeError, match=says) as failed:
        FeatureServer(shop.url, "shop", *placed)
    assert "Traceback" not in str(failed.value)


@pytest.mark.parametrize(
    ("host", "arguments", "says"),
    [
        ("0.0.0.0", [], "No key is asked for"),
        ("0.0.0.0", ["--keys-file"], "unencrypted"),
        ("0.0.0.0", ["--keys-file", "--tls"], None),
        ("127.0.0.1", [], None),
        ("127.0.0.1", ["--keys-file"], None),
        ("::1", ["--keys-file"], None),
        ("localhost", [], None),
    ],
)
def test_a_server_that_is_reached_from_elsewhere_warns_of_what_is_missing(host, arguments, says) -> None:
    settings = ServerSettings(online_store="redis://x", project="shop", host=host, tls_cert="cert.pem" if "--tls" in arguments else None)
    told = list(warnings(settings, "--keys-file" in arguments))
    assert len(told) == (says is not None)
    assert says is None or says in told[0]
