"""How the address of Redis, or of Valkey, is written, and what it says.

    redis://[user:password@]host[:port][/database]                              one server
    unix://[user:password@]/path/to/redis.sock[?db=0]                           one server, over a socket
    redis+sentinel://[user:password@]host[:port][,host[:port]…]/service[/database]   the master that Sentinels know by that name
    redis+cluster://[user:password@]host[:port][,host[:port]…]                  a cluster, by some of its servers

`rediss` instead of `redis` speaks TLS, `valkey` and `valkeys` are other words for the two. What follows a question mark are options.
The grammar is the one that other clients took for those schemes, the options are named as redis-py names them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from urllib.parse import parse_qsl, unquote

from featurestore.errors import SettingsError

ANSWER_TIMEOUT = 5.0
CONNECT_TIMEOUT = 5.0
READS_RETRIED_FOR = 10.0
"""Seconds for which a read from several servers is tried again while they move slots or fail over."""

WRITES_RETRIED_FOR = 60.0
"""As long for a write: a cluster with its default settings needs some twenty seconds to replace a master."""

SENTINEL_PORT = 26379
REDIS_PORT = 6379
SCHEMES = ("unix", *(f"{name}{kind}" for kind in ("", "+sentinel", "+cluster") for name in ("redis", "rediss", "valkey", "valkeys")))

_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_URL = re.compile(r"(?P<scheme>[a-z+]+)://(?:(?P<login>[^/?#]*)@)?(?P<hosts>[^/?#@]*)(?P<path>/[^?#]*)?(?:\?(?P<options>[^#]*))?", re.ASCII)
_HOST = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%]+)\]|(?P<name>[^\[\]:\s]+))?(?::(?P<port>\d{1,5}))?", re.ASCII)


class Topology(Enum):
    """How many servers there are behind one store, and who knows which of them to ask."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is."""

    host: str
    port: int = REDIS_PORT
    path: str = ""
    """Of its socket, which then stands for host and port."""

    sentinel: bool = False
    """Whether it is a Sentinel, which holds no rows and has a login of its own."""

    def __str__(self) -> str:
        return self.path or (f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}")


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """What the URL of a Redis store says."""

    topology: Topology
    servers: tuple[Server, ...]
    """Those that are named: the one, the Sentinels, or some of the cluster."""

    service: str
    """What the Sentinels call the master."""

    tls: bool
    login: Mapping[str, Any] = field(repr=False)
    """How a connection to a server that holds rows begins: user, password, database."""

    sentinel_login: Mapping[str, Any] = field(repr=False)
    options: Mapping[str, Any] = field(repr=False)
    """What else redis-py's connections take, to either kind of server."""

    retry_reads_for: float
    """Seconds."""

    retry_writes_for: float
    """Seconds."""


def parse_redis_url(url: str, patience: float = 0.0) -> RedisUrl:
    """What that URL says. Raises SettingsError, which quotes none of it: what cannot be understood may be a piece of a password.

    Args:
        patience: seconds for which requests are tried again at the least, where the URL does not say for how long.
    """
    matched = _URL.fullmatch(url)
    if matched is None or matched["scheme"] not in SCHEMES:
        raise _unreadable()
    kind = matched["scheme"].partition("+")[2]
    topology = Topology(kind) if kind else Topology.SINGLE
    options = _options(matched["options"] or "")
    login = {**_login(matched["login"] or ""), **_taken(options, "username", "password", "client_name")}
    service, database = _path(topology, matched["scheme"], matched["path"] or "")
    login["db"] = options.pop("db", database)
    if topology is Topology.CLUSTER and login["db"]:
        raise SettingsError("A Redis cluster has one database only, number 0. Leave the number out of the online store's URL.")
    sentinel_login = {
        name.removeprefix("sentinel_"): said for name, said in _taken(options, "sentinel_username", "sentinel_password").items()
    }
    several = topology is not Topology.SINGLE
    timeouts = {"socket_timeout": ANSWER_TIMEOUT, "socket_connect_timeout": options.get("socket_timeout", CONNECT_TIMEOUT)}
    tls = matched["scheme"].partition("+")[0] in ("rediss", "valkeys")
    if tls and "ssl_check_hostname" not in options:
        options["ssl_check_hostname"] = options.get("ssl_cert_reqs") != "none"
    if not tls and any(name.startswith("ssl_") for name in options):
        raise SettingsError("The online store's URL has options for TLS, but its scheme speaks none. Write rediss:// instead of redis://.")
    if matched["scheme"] == "unix" and "socket_keepalive" in options:
        raise SettingsError("The online store's URL has the option socket_keepalive, which a socket file has no use for. Leave it out.")
    return RedisUrl(
        topology=topology,
        servers=_servers(topology, matched["scheme"], matched["hosts"], matched["path"] or ""),
        service=service,
        tls=tls,
        login=login,
        sentinel_login=sentinel_login,
        retry_reads_for=options.pop("retry_reads_for", max(patience, READS_RETRIED_FOR if several else 0.0)),
        retry_writes_for=options.pop("retry_writes_for", max(patience, WRITES_RETRIED_FOR if several else 0.0)),
        options=timeouts | options,
    )


def _servers(topology: Topology, scheme: str, hosts: str, path: str) -> tuple[Server, ...]:
    if scheme == "unix":
        if hosts or path in ("", "/"):
            raise SettingsError("unix:// is followed by the path of a socket: unix:///run/redis/redis.sock.")
        return (Server("", path=unquote(path)),)
    sentinel = topology is Topology.SENTINEL
    found = []
    for host in hosts.split(","):
        matched = _HOST.fullmatch(host)
        if matched is None or int(matched["port"] or 1) not in range(1, 65536):
            raise _unreadable()
        port = int(matched["port"] or (SENTINEL_PORT if sentinel else REDIS_PORT))
        found.append(Server(matched["v6"] or unquote(matched["name"] or "localhost"), port, sentinel=sentinel))
    if topology is Topology.SINGLE and len(found) > 1:
        raise SettingsError("redis:// names one server. For several write redis+cluster:// or redis+sentinel://.")
    return tuple(found)


def _path(topology: Topology, scheme: str, path: str) -> tuple[str, int]:
    """The service and the database that the path names."""
    if scheme == "unix":
        return "", 0
    parts = [unquote(part) for part in path.strip("/").split("/") if part]
    service = ""
    if topology is Topology.SENTINEL:
        if not parts:
            raise SettingsError(
                "redis+sentinel:// is followed by the name under which the Sentinels know the master: "
                "redis+sentinel://host:26379,host2:26379/mymaster/0."
            )
        service = parts.pop(0)
    if len(parts) > 1 or not all(re.fullmatch(r"\d{1,9}", part, re.ASCII) for part in parts):
        raise _unreadable()
    return service, int(parts[0]) if parts else 0


def _login(said: str) -> dict[str, Any]:
    user, _, password = said.partition(":")
    return {name: unquote(text) for name, text in (("username", user), ("password", password)) if text}


def _options(said: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, text in parse_qsl(said, keep_blank_values=True):
        try:
            options[name] = _OPTIONS[name](text)
        except (KeyError, ValueError):
            raise SettingsError(
                "The URL of the Redis online store cannot be read: an option does not exist or cannot have the value that it has. There "
                f"is: {', '.join(_OPTIONS)}."
            ) from None
    return options


def _seconds(text: str) -> float:
    if not 0 < (seconds := float(text)) < 1e6:
        raise ValueError
    return seconds


def _truth(text: str) -> bool:
    if text.lower() not in _TRUTHS:
        raise ValueError
    return _TRUTHS[text.lower()]


def _taken(options: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: options.pop(name) for name in names if name in options}


def _unreadable() -> SettingsError:
    return SettingsError(
        "The URL of the Redis online store cannot be read. Write redis://user:password@host:6379/0, with any of :/?#[]@% in "
        "the password percent-encoded."
    )


_OPTIONS: Mapping[str, Callable[[str], Any]] = {
    "socket_timeout": _seconds,
    "socket_connect_timeout": _seconds,
    "socket_keepalive": _truth,
    "retry_reads_for": _seconds,
    "retry_writes_for": _seconds,
    "db": int,
    "username": str,
    "password": str,
    "client_name": str,
    "sentinel_username": str,
    "sentinel_password": str,
    "ssl_ca_certs": str,
    "ssl_ca_path": str,
    "ssl_certfile": str,
    "ssl_keyfile": str,
    "ssl_password": str,
    "ssl_cert_reqs": str,
    "ssl_check_hostname": _truth,
    "ssl_ciphers": str,
}
