"""What a dbt-clickhouse target says about its server, and the client that reaches it as dbt's own would.

Only its HTTP interface is used, which every server has and through which answers come as Arrow.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from featurestore.dbt.profiles import Target
from featurestore.errors import WarehouseError

_NATIVE_PORTS = (9000, 9440)


@dataclass(frozen=True)
class ClickHouseProfile:
    """A dbt-clickhouse target, checked."""

    target: str
    host: str
    port: int
    secure: bool
    database: str
    """What dbt calls the schema."""

    cluster: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """What else clickhouse-connect is to be told: who asks, with which password or certificate, how long it waits."""

    custom_settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def shown(self) -> str:
        """The server as a message may name it."""
        return f"{'https' if self.secure else 'http'}://{self.host}:{self.port}"


def read_profile(target: Target) -> ClickHouseProfile:
    """Read a dbt-clickhouse target. Raises WarehouseError for one that asks for the native protocol, or contradicts itself."""
    settings = target.settings
    port, secure = settings.get("port"), bool(settings.get("secure", False))
    driver = settings.get("driver") or ("native" if port in _NATIVE_PORTS else "http")
    if driver != "http":
        raise WarehouseError(
            f"The dbt target {target} speaks ClickHouse's native protocol (driver: {driver}, port: {port or _NATIVE_PORTS[secure]}), and "
            f"answers come as Arrow by HTTP only. Write `driver: http` and `port: {_http_port(secure)}`; dbt-clickhouse runs with that too."
        )
    database = settings.get("schema") or "default"
    if settings.get("database") and settings["database"] != database:
        raise WarehouseError(f"The dbt target {target} names two databases: leave out `database`, or write in it what `schema` says.")
    return ClickHouseProfile(
        target=str(target),
        host=str(settings.get("host") or "localhost"),
        port=int(port or _http_port(secure)),
        secure=secure,
        database=str(database),
        cluster=settings.get("cluster") or None,
        options={
            "username": settings.get("user", "default"),
            "password": str(settings.get("password") or ""),
            "compress": bool(settings.get("compression")),
            "verify": settings.get("verify", True),
            "connect_timeout": settings.get("connect_timeout", 10),
            "send_receive_timeout": settings.get("send_receive_timeout", 300),
            "server_host_name": settings.get("server_host_name"),
            "client_cert": settings.get("client_cert"),
            "client_cert_key": settings.get("client_cert_key"),
        },
        custom_settings=dict(settings.get("custom_settings") or {}),
    )


def _http_port(secure: bool) -> int:
    return 8443 if secure else 8123
