"""What certain clients ask of Redis servers, as the servers themselves tell it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from redis_server import RedisServer


def asked(servers: Sequence[RedisServer], client_name: str, act: Callable[[], object]) -> list[list[str]]:
    """The commands that connections of that name (`?client_name=` of a URL) sent to each server while `act` ran."""
    monitors = [server.client().monitor() for server in servers]
    for monitor in monitors:
        monitor.__enter__()
    try:
        act()
        return [_told(server, monitor, client_name) for server, monitor in zip(servers, monitors, strict=True)]
    finally:
        for monitor in monitors:
            monitor.__exit__(None, None, None)


def _told(server: RedisServer, monitor, client_name: str) -> list[str]:
    with server.client() as client:
        ours = {one["addr"] for one in client.client_list() if one["name"] == client_name}
        client.echo("that was all")
    commands: list[str] = []
    while True:
        told = monitor.next_command()
        if told["command"] == "ECHO that was all":
            return commands
        if f"{told['client_address']}:{told['client_port']}" in ours:
            commands.append(told["command"].split(" ")[0])
