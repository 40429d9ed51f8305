"""The file that says which API keys count. It holds no key, only hashes.

    keys:
    - id: 5e1b7a90c2d84f36
      name: checkout
      hash: sha256:…
      scopes: [service:churn_model, group:finance]
      created: 2026-11-24T13:00:00Z
      expires: 2027-11-24T00:00:00Z

A server looks at every request whether the file has changed, so a key that is revoked is refused from the next request on. A file that
is gone lets nobody in. One that cannot be understood changes nothing: the keys of before count on and the log says so, since a typing
error should not stop everything that reads features.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from featurestore.errors import SettingsError, UnknownNameError
from featurestore.timestamps import as_utc

from .api_keys import HASH, ID, ApiKey
from .grants import read_scopes

if TYPE_CHECKING:
    from ruamel.yaml import YAML

_HEADER = "# Made by `fsdbt keys`. It holds hashes only: no key can be had from it. Taking an entry out revokes the key.\n"
_log = logging.getLogger("featurestore.access")

_State = tuple[int, int, int, int]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    name: str
    hash: str
    scopes: list[str]
    created: datetime | None = None
    expires: datetime | None = None


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    keys: list[_Entry] | None = None


def read_keys(path: Path) -> Mapping[str, ApiKey]:
    """The keys that the file declares, by id. Raises SettingsError naming the file, the entry and what is wrong."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"The keys file {path} cannot be read: {error.strerror}. Make it: fsdbt keys create.") from None
    return _keys(path, content)


def _keys(path: Path, content: bytes) -> Mapping[str, ApiKey]:
    import yaml

    try:
        written = yaml.safe_load(content)
        document = msgspec.convert({} if written is None else written, _Document)
    except msgspec.ValidationError as error:
        raise SettingsError(f"The keys file {path} cannot be understood: {error}.") from None
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        # Not the parser's own text, which quotes the file.
        mark = getattr(error, "problem_mark", None)
        raise SettingsError(f"The keys file {path} is no YAML{f', line {mark.line + 1}' if mark else ''}.") from None
    keys: dict[str, ApiKey] = {}
    for number, entry in enumerate(document.keys or ()):
        key = _key(path, number, entry)
        if key.id in keys:
            raise SettingsError(f"{path}: keys[{number}]: the id {key.id!r} is there twice.")
        keys[key.id] = key
    return keys


def add_key(path: Path, key: ApiKey) -> None:
    """Write one more key into the file, which need not exist. Comments in it are kept. Raises SettingsError."""
    entry: dict[str, object] = {"id": key.id, "name": key.name, "hash": key.hash, "scopes": list(key.grant.scopes())}
    entry.update((name, _instant(value)) for name, value in (("created", key.created), ("expires", key.expires)) if value is not None)
    _edit(path, lambda entries: entries.append(entry))


def remove_key(path: Path, id_or_name: str) -> ApiKey:
    """Take a key out of the file, and say which it was. Raises UnknownNameError, SettingsError where a name is that of several."""
    keys = read_keys(path)
    found = [key for key in keys.values() if id_or_name in (key.id, key.name)]
    if not found:
        raise UnknownNameError("API key", id_or_name, [key.name for key in keys.values()])
    if len(found) > 1:
        raise SettingsError(f"{len(found)} keys are named {id_or_name!r}. Say which by its id: {', '.join(key.id for key in found)}.")

    def remove(entries: list[Any]) -> None:
        entries[:] = [entry for entry in entries if entry["id"] != found[0].id]

    _edit(path, remove)
    return found[0]


class KeysFile:
    """The keys that count now, followed while the file changes. Raises SettingsError where the file is not usable at the start."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = _state(path)
        """When the keys were read. Looked up before they are, so that what is written meanwhile is read next time."""

        self._failed: _State | None = None
        """When the file could not be opened, for saying so once."""

        self._keys = read_keys(path)

    def keys(self) -> Mapping[str, ApiKey]:
        """By id, as the file has them now."""
        state = _state(self._path)
        if state != self._state and self._read_again(state):
            self._state = state
        return self._keys

    def _read_again(self, state: _State | None) -> bool:
        """Whether that is done. A file that could not be opened is tried again at the next request: a key may have been revoked in it."""
        if state is None:
            self._keys = {}
            _log.error("The keys file %s is gone: no API key counts until it is back.", self._path)
            return True
        try:
            content = self._path.read_bytes()
        except OSError as error:
            if self._failed != state:
                self._failed = state
                _log.error("The keys file %s cannot be read: %s. The keys of before count until it can.", self._path, error.strerror)
            return False
        try:
            self._keys = _keys(self._path, content)
        except SettingsError as error:
            _log.error("%s The keys of before count on.", error)
            return True
        _log.info("The keys file %s has changed: %d keys.", self._path, len(self._keys))
        return True


def _key(path: Path, number: int, entry: _Entry) -> ApiKey:
    place = f"{path}: keys[{number}]"
    if not ID.fullmatch(entry.id):
        raise SettingsError(f"{place}: `id` is 16 hex digits. Keys are made by `fsdbt keys create`.")
    if not HASH.fullmatch(entry.hash):
        raise SettingsError(f"{place}: `hash` is sha256: and 64 hex digits, never a key itself. Keys are made by `fsdbt keys create`.")
    try:
        grant = read_scopes(entry.scopes)
    except ValueError as error:
        raise SettingsError(f"{place}: `scopes`: {error}") from None
    created, expires = (None if instant is None else as_utc(instant) for instant in (entry.created, entry.expires))
    return ApiKey(entry.id, entry.name, entry.hash, grant, created, expires)


def _state(path: Path) -> _State | None:
    """Differs whenever the file was changed or replaced. None: there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


def _edit(path: Path, change: Callable[[list[Any]], None]) -> None:
    """Change the entries of the file in one step, while nobody else does: the new file's name is the lock."""
    written = path.with_name(f"{path.name}.new")
    try:
        with open(written, "x", encoding="utf-8", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            try:
                _write_changed(path, change, file)
                if path.exists():
                    written.chmod(path.stat().st_mode & 0o777)
            except BaseException:
                written.unlink()
                raise
    except FileExistsError:
        raise SettingsError(
            f"{written} is there: another `fsdbt keys` is writing, or one was killed. In the latter case delete it."
        ) from None
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}.") from None
    os.replace(written, path)


def _write_changed(path: Path, change: Callable[[list[Any]], None], file: Any) -> None:
    yaml = _round_trip()
    if path.exists():
        read_keys(path)
        document = yaml.load(path.read_text(encoding="utf-8")) or {}
    else:
        file.write(_HEADER)
        document = {}
    if document.get("keys") is None:
        document["keys"] = []
    change(document["keys"])
    yaml.dump(document, file)


def _round_trip() -> YAML:
    from ruamel.yaml import YAML

    yaml = YAML()
    yaml.width = 200
    return yaml


def _instant(value: datetime) -> str:
    return value.isoformat(timespec="seconds").replace("+00:00", "Z")
