"""The files in dbt's target folder: absent, readable, or a clear error that names the file and the command that writes it anew."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from featurestore.errors import ManifestError

_T = TypeVar("_T")


def decode(path: Path, data: bytes, kind: type[_T]) -> _T:
    """What the file's JSON holds. Raises ManifestError where it is of another shape."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from None


def read(path: Path) -> bytes | None:
    """The file's bytes; None where there is no such file. Raises ManifestError where it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ManifestError(f"{path} cannot be read: {error.strerror}.") from None


def unreadable(path: Path, error: Exception) -> ManifestError:
    """The error to raise for a file that was cut off, garbled or written by something else."""
    reason = str(error).rstrip(".")
    return ManifestError(f"{path} cannot be understood: {reason}. Run `dbt parse` or `dbt build` in the project to write it anew.")
