"""TLS: what the server is started with, checked before it is; and the warnings where keys would travel in the open."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from typing import Any

from featurestore.errors import SettingsError

from .settings import ServerSettings


def tls_options(settings: ServerSettings) -> dict[str, Any]:
    """What uvicorn is told. Raises SettingsError where a file is missing or is not what it should be."""
    if settings.tls_cert is None or settings.tls_key is None:
        for name in ("tls_cert", "tls_key", "tls_client_ca"):
            if getattr(settings, name) is not None:
                raise SettingsError(f"--{name.replace('_', '-')} is of no use alone: TLS takes --tls-cert and --tls-key.")
        return {}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=_no_password)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and not isinstance(error, ssl.SSLError) else _reason(error)
        raise SettingsError(f"The certificate {settings.tls_cert} and the key {settings.tls_key} cannot be used: {reason}.") from None
    options: dict[str, Any] = {"ssl_certfile": settings.tls_cert, "ssl_keyfile": settings.tls_key}
    if settings.tls_client_ca is not None:
        try:
            context.load_verify_locations(settings.tls_client_ca)
        except OSError as error:
            raise SettingsError(f"The authorities {settings.tls_client_ca} cannot be used: {_reason(error)}.") from None
        options |= {"ssl_ca_certs": settings.tls_client_ca, "ssl_cert_reqs": ssl.CERT_REQUIRED}
    return options


def warnings(settings: ServerSettings, guarded: bool) -> Iterator[str]:
    """What whoever starts such a server should be told."""
    if _is_loopback(settings.host):
        return
    if guarded and settings.tls_cert is None:
        yield (
            f"Keys and tokens travel unencrypted to {settings.host}: whoever listens on the way can use them. Give --tls-cert and "
            "--tls-key, or listen at 127.0.0.1 behind a proxy that does TLS."
        )
    if not guarded:
        yield f"No key is asked for: whoever reaches {settings.host} reads every feature that is not private. Give --keys-file."


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _no_password() -> str:
    raise ValueError("the key is encrypted, and nobody is here to type its password")


def _reason(error: Exception) -> str:
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
    return str(reason).lower().replace("_", " ")
