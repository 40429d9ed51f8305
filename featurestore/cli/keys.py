"""`fsdbt keys`: make, list and revoke the API keys of the feature server."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer

from featurestore.errors import RequestError

from .options import AsJson
from .output import note, write_json, write_table

KeysPath = Annotated[Path, typer.Option("--keys-file", help="The file that says which keys count.", envvar="FSDBT_KEYS_FILE")]

keys = typer.Typer(name="keys", help="Make, list and revoke the API keys of the feature server.", no_args_is_help=True)


@keys.command()
def create(
    keys_file: KeysPath,
    name: Annotated[str, typer.Option("--name", help="Whose key it is: a service or a team.")],
    services: Annotated[list[str] | None, typer.Option("--services", help="May read these feature services; * for all.")] = None,
    groups: Annotated[list[str] | None, typer.Option("--groups", help="May read every feature of these dbt groups; * for all.")] = None,
    push: Annotated[list[str] | None, typer.Option("--push", help="May write rows into the views of these dbt groups; * for all.")] = None,
    metrics: Annotated[bool, typer.Option("--metrics", help="May read /metrics.")] = False,
    expires: Annotated[str | None, typer.Option("--expires", help="An instant, or how long it counts: '90 days'.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a key, write what is kept of it to the keys file, and print the key: once, it can be had nowhere again.

    Several names are split by commas, or the option is repeated.
    """
    from featurestore.server.access.api_keys import ApiKey, new_key
    from featurestore.server.access.grants import Grant
    from featurestore.server.access.keys_file import add_key

    grant = Grant(_names(services), _names(groups), _names(push), metrics)
    if not grant.scopes():
        raise RequestError("A key that may do nothing is of no use. Say what it may: --services, --groups, --push or --metrics.")
    if not name.strip() or not name.isprintable():
        raise RequestError("--name takes a text that can be printed: it stands in lists and logs.")
    now = datetime.now(timezone.utc).replace(microsecond=0)
    until = None if expires is None else _until(expires, now)
    key, key_id, key_hash = new_key()
    add_key(keys_file, ApiKey(key_id, name, key_hash, grant, now, until))
    if as_json:
        write_json({"id": key_id, "name": name, "key": key, "scopes": list(grant.scopes()), "expires": until})
        return
    print(key)
    note(f"Key {key_id} ({name}): {', '.join(grant.scopes())}{f', until {until:%Y-%m-%d %H:%M}Z' if until else ''}. It is shown only now.")


@keys.command(name="list")
def list_keys(keys_file: KeysPath, as_json: AsJson = False) -> None:
    """List the keys that count, and those that have expired."""
    from featurestore.server.access.keys_file import read_keys

    now = datetime.now(timezone.utc)
    lines = [
        {
            "id": key.id,
            "name": key.name,
            "scopes": list(key.grant.scopes()),
            "created": key.created,
            "expires": key.expires,
            "expired": key.expires is not None and key.expires <= now,
        }
        for key in read_keys(keys_file).values()
    ]
    if as_json:
        write_json(lines)
    else:
        headers = ("id", "name", "scopes", "created", "expires", "expired")
        write_table(headers, [[line[header] for header in headers] for line in lines])


@keys.command()
def revoke(keys_file: KeysPath, key: Annotated[str, typer.Argument(help="Its id, or its name where only one has it.")]) -> None:
    """Take a key out of the keys file. A running server refuses it from the next request on."""
    from featurestore.server.access.keys_file import remove_key

    revoked = remove_key(keys_file, key)
    note(f"Revoked {revoked.id} ({revoked.name}).")


def _names(options: Iterable[str] | None) -> frozenset[str]:
    return frozenset(name.strip() for option in options or () for name in option.split(",") if name.strip())


def _until(text: str, now: datetime) -> datetime:
    from featurestore.timestamps import parse_duration, parse_instant

    try:
        until = now + parse_duration(text)
    except ValueError:
        try:
            until = parse_instant(text)
        except ValueError:
            raise RequestError(f"--expires: {text!r} is neither an instant like 2027-01-31 nor a duration like '90 days'.") from None
    except OverflowError:
        raise RequestError(f"--expires: {text!r} is beyond the calendar.") from None
    if until <= now:
        raise RequestError(f"--expires: {text!r} is over already.")
    return until
