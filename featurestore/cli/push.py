"""`fsdbt push`: rows from a file or a pipe, to the online store and to the landing table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from featurestore.errors import RequestError

from .options import PROJECT_DIR, AsJson, OnlineStoreUrl, Profile, ProfilesDir, ProjectDir, Target, open_feature_store
from .output import note, write_json

if TYPE_CHECKING:
    from featurestore.registry.definitions import FeatureView

View = Annotated[str, typer.Argument(help="The feature view.")]
File = Annotated[str, typer.Argument(help="rows.json, rows.ndjson or rows.parquet; - reads JSON from stdin, a list of rows or one a line.")]
To = Annotated[str, typer.Option("--to", help="online, offline, or online_and_offline.")]


def push(
    view: View,
    file: File,
    to: To = "online",
    as_json: AsJson = False,
    online_store: OnlineStoreUrl = None,
    project_dir: ProjectDir = PROJECT_DIR,
    profiles_dir: ProfilesDir = None,
    profile: Profile = None,
    target: Target = None,
) -> None:
    """Write rows of one feature view, ahead of the next materialization."""
    from featurestore.landing import destinations

    online, _ = destinations(to)
    with open_feature_store(project_dir, profiles_dir, profile, target, online_store) as store:
        registry = store.online().registry if online else store.registry
        pushed = store.push(view, _rows(file, registry.view(view)), to=to)  # type: ignore[arg-type]
    if as_json:
        write_json({"view": pushed.view, "rows": pushed.rows, "written": pushed.written, "to": to})
    else:
        online_now = f", {pushed.written} of them newer than what was online" if online else ""
        note(f"{pushed.view}: {pushed.rows} {'row' if pushed.rows == 1 else 'rows'} pushed{online_now}.")


def _rows(file: str, view: FeatureView) -> Any:
    from featurestore.serving.json_values import typed_columns
    from featurestore.serving.push import pushed_columns

    path = Path(file)
    if path.suffix in (".parquet", ".pq"):
        return _table(path)
    rows = _json(file, path)
    if isinstance(rows, dict) or (isinstance(rows, list) and all(isinstance(row, dict) for row in rows)):
        return typed_columns(rows, pushed_columns(view))
    return rows


def _json(file: str, path: Path) -> Any:
    if file == "-":
        content = sys.stdin.buffer.read()
        return _whole("stdin", content) if content.lstrip().startswith(b"[") else _lines("stdin", content)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RequestError(f"{path} cannot be read: {error.strerror}.") from None
    if path.suffix in (".ndjson", ".jsonl"):
        return _lines(str(path), content)
    return _whole(str(path), content)


def _whole(name: str, content: bytes) -> Any:
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError as error:
        raise RequestError(f"{name} is no JSON: {error}. One row a line goes into a .ndjson file.") from None


def _lines(name: str, content: bytes) -> list[Any]:
    rows = []
    for number, line in enumerate(content.splitlines(), start=1):
        if line.strip():
            try:
                rows.append(msgspec.json.decode(line))
            except msgspec.DecodeError as error:
                raise RequestError(f"{name}: line {number} is no JSON: {error}.") from None
    return rows


def _table(path: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(path, memory_map=True)
    except (OSError, pa.ArrowException) as error:
        raise RequestError(f"{path} cannot be read: {error}.") from None
