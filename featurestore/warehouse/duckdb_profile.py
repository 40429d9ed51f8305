"""What a dbt-duckdb target says about its database, and the statements that make a connection as dbt's own would be.

Paths are relative to the project's folder, where dbt runs. A reading session attaches everything read-only, whatever the profile says,
and a secret lives as long as the connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from featurestore.dbt.profiles import Target
from featurestore.errors import WarehouseError

_MEMORY = ":memory:"


@dataclass(frozen=True)
class DuckDBProfile:
    """A dbt-duckdb target, checked."""

    path: str = field(repr=False)
    """The database: an absolute path, or a URL such as `md:shop`, which may hold a token."""

    base_dir: Path
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    extensions: tuple[Mapping[str, str], ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)
    secrets: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    attachments: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def shown(self) -> str:
        """The database as a message may name it."""
        return self.path.partition("?")[0] if _is_url(self.path) else self.path

    @property
    def file(self) -> Path | None:
        """The database file, or None where it is no file of this machine."""
        return None if _is_url(self.path) else Path(self.path)

    def statements(self, *, read_only: bool) -> Iterator[str]:
        """What to run on a fresh connection, extensions aside, in dbt's order."""
        for number, secret in enumerate(self.secrets):
            yield _create_secret(secret, number)
        for attachment in self.attachments:
            yield _attach(attachment, self.base_dir, read_only)
        for name, value in self.settings.items():
            yield f"SET {_word(name)} = {literal(value)}"


def read_profile(target: Target) -> DuckDBProfile:
    """Read a dbt-duckdb target. Raises WarehouseError for one that no other process can read from."""
    settings = target.settings
    path = str(settings.get("path") or _MEMORY)
    if path == _MEMORY:
        raise WarehouseError(
            f"The dbt target {target} keeps its database in memory, so nothing is left of it when dbt ends. "
            "Give it a `path`, like target/dev.duckdb."
        )
    if settings.get("remote"):
        raise WarehouseError(f"The dbt target {target} runs on a remote server (`remote`), which cannot be used. Use a `path`.")
    return DuckDBProfile(
        path=_resolved(path, target.project_dir),
        base_dir=target.project_dir,
        config=dict(settings.get("config_options") or {}),
        extensions=tuple(item if isinstance(item, Mapping) else {"name": item} for item in settings.get("extensions") or ()),
        settings=dict(settings.get("settings") or {}),
        secrets=tuple(settings.get("secrets") or ()),
        attachments=tuple(settings.get("attach") or ()),
    )


def _attach(attachment: Mapping[str, Any], base_dir: Path, read_only: bool) -> str:
    options = {str(name).upper(): value for name, value in (attachment.get("options") or {}).items()}
    for name in ("type", "secret"):
        if attachment.get(name):
            options[name.upper()] = attachment[name]
    if read_only or attachment.get("read_only"):
        options["READ_ONLY"] = True
    of_other_kind = options.get("TYPE") not in (None, "duckdb", "sqlite")
    path = str(attachment["path"]) if of_other_kind else _resolved(str(attachment["path"]), base_dir)
    alias = f" AS {_quoted(attachment['alias'])}" if attachment.get("alias") else ""
    listed = ", ".join(_word(name) if value is True else f"{_word(name)} {literal(value)}" for name, value in options.items())
    return f"ATTACH IF NOT EXISTS {literal(path)}{alias}{f' ({listed})' if listed else ''}"


def _create_secret(secret: Mapping[str, Any], number: int) -> str:
    parts = []
    for name, value in secret.items():
        if name in ("name", "persistent") or value is None:
            continue
        if isinstance(value, Mapping):
            shown = f"MAP {{{', '.join(f'{literal(key)}: {literal(item)}' for key, item in value.items())}}}"
        elif isinstance(value, list | tuple):
            shown = f"[{', '.join(literal(item) for item in value)}]"
        else:
            shown = literal(value)
        parts.append(f"{_word(name)} {shown}")
    name = secret.get("name") or f"_dbt_secret_{number}"
    return f"CREATE OR REPLACE TEMPORARY SECRET {_quoted(name)} ({', '.join(parts)})"


def _resolved(path: str, base_dir: Path) -> str:
    return path if _is_url(path) or path == _MEMORY else str((base_dir / Path(path).expanduser()).resolve())


def _is_url(path: str) -> bool:
    return "://" in path or path.split(":", 1)[0] in ("md", "motherduck", "ducklake")


def literal(value: object) -> str:
    """A value as a DuckDB string literal, which knows no escape but the doubled quote."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return "'" + text.replace("'", "''") + "'"


def _quoted(name: object) -> str:
    return '"' + str(name).replace('"', '""') + '"'


def _word(name: object) -> str:
    """A setting's or an option's name, which takes no quotes."""
    text = str(name)
    if not text.replace("_", "").replace(".", "").isalnum():
        raise WarehouseError(f"The dbt profile names a DuckDB setting {text!r}, which is no name of one.")
    return text
