"""The lock of a training set: all that is needed to build it again, and to tell whether what comes out is the same.

It lies beside the file, `train.parquet.lock.json` beside `train.parquet`, and is written for git: one JSON document, sorted by nothing but
meaning. It holds the request, where each feature came from, digests of every column, and nothing of how the warehouse is reached. The one
text in it that is the caller's own is the spine's SQL; where that seems to hold a credential it is withheld.

`docs/reference/lock.md` documents the format. A reader ignores keys that it does not know; what an older reader would get wrong by
ignoring it raises the format number.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from featurestore.dbt.checksums import ModelState
from featurestore.errors import LockError
from featurestore.registry.definitions import Feature, FeatureReference, FeatureService, FeatureView
from featurestore.registry.registry import RequestedView
from featurestore.registry.snapshot import plain_record
from featurestore.timestamps import format_duration

from .digest import rows_digest, text_digest
from .parquet_files import data_path
from .spine import Ref

FORMAT = 1

DATAFRAME, MODEL, SQL = "dataframe", "model", "sql"

_DESCRIBING = frozenset(
    {
        *("name", "path", "description", "tags", "group", "access", "owner", "is_latest_version", "deprecation_date"),
        *("online", "exact_for", "features", "on_demand"),
    }
)
"""What is said of a view or feature without any value of a training set depending on it, or is said elsewhere in the lock."""

_SECRET = r"[\w-]*(?:password|passwd|passphrase|pwd|secret|token|signature|sig|(?:access|account|api|secret|private)[_-]?key(?:[_-]?id)?)"
_CREDENTIAL = re.compile(
    rf"""://[^\s/'"@]*:[^\s'"@]+@                        # a URL with a password
    | (?<![\w-]){_SECRET}['"]?\s*(?:=>|:=|=|:|\s)\s*['"$]   # a literal beside a word for secrets
    | '[^']*(?<![\w-]){_SECRET}\s*=\s*[^\s'=][^']*'      # the same inside a text, as in a connection string
    | \bidentified\s+by\b""",
    re.IGNORECASE | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class LockedProject:
    """The dbt project, as its manifest stood."""

    name: str
    target: str
    manifest: str
    """The digest of all that the project and its packages are made of."""

    dbt_version: str = ""


@dataclass(frozen=True, slots=True)
class LockedRequest:
    """What was asked for, in the caller's words."""

    service: str | None = None
    features: tuple[str, ...] = ()
    event_timestamp: str = "event_timestamp"
    full_feature_names: bool = False


@dataclass(frozen=True, slots=True)
class LockedWarehouse:
    """What answered."""

    dialect: str
    time_travel: str | None = None
    """The point by which a warehouse that keeps its past can show the tables as they were then."""


@dataclass(frozen=True, slots=True)
class LockedColumn:
    """A column of the answer."""

    name: str
    type: str
    digest: str


@dataclass(frozen=True, slots=True)
class LockedSpine:
    """The spine, and how it was given: as a `dataframe`, a `model` or `sql`."""

    given: str
    text: str | None
    """The model's name, or the SQL. None for a dataframe, and where the SQL is withheld."""

    rows: int
    digest: str
    """Of its rows in their order, in whatever order its columns stand."""

    columns: tuple[LockedColumn, ...]


@dataclass(frozen=True, slots=True)
class LockedView:
    """A feature view as it was declared and built."""

    view: str
    model: ModelState
    definition: dict[str, Any] = field(default_factory=dict)
    """All that is declared of it and that a value may depend on, as the registry snapshot spells it; durations in words."""


@dataclass(frozen=True, slots=True)
class LockedFeature:
    """A feature, and the column of the answer that holds it."""

    column: str
    view: str
    feature: str
    type: str
    digest: str
    definition: dict[str, Any] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """As it would be asked for."""
        return f"{self.view}:{self.feature}"


@dataclass(frozen=True, slots=True)
class LockedStatement:
    """The SELECT that answers it, as `job.sql` shows it."""

    text: str
    digest: str


@dataclass(frozen=True, slots=True)
class Lock:
    """A training set's lock."""

    format: int
    featurestore: str
    created_at: str
    project: LockedProject
    request: LockedRequest
    warehouse: LockedWarehouse
    rows: int
    spine: LockedSpine
    features: tuple[LockedFeature, ...]
    views: tuple[LockedView, ...]
    sql: LockedStatement


@dataclass(frozen=True, slots=True)
class Origin:
    """What a lock says of the project and the request."""

    project: LockedProject
    request: LockedRequest
    models: Mapping[str, ModelState]
    """By the name of the feature view."""

    at: datetime


@dataclass(frozen=True, slots=True)
class Answered:
    """What a lock says of the answer."""

    columns: Sequence[LockedColumn]
    """The spine's, then the features'."""

    rows: int
    given: Ref | str | None
    """How the spine was given; None for a dataframe."""

    warehouse: LockedWarehouse
    sql: str


def request_of(
    features: str | FeatureService | Sequence[str | FeatureReference], event_timestamp: str, full_feature_names: bool
) -> LockedRequest:
    """A request as its caller put it: a service by its name, or references."""
    if isinstance(features, FeatureService):
        return LockedRequest(features.name, (), event_timestamp, full_feature_names)
    if isinstance(features, str) and ":" not in features:
        return LockedRequest(features, (), event_timestamp, full_feature_names)
    references = (features,) if isinstance(features, str) else tuple(map(str, features))
    return LockedRequest(None, references, event_timestamp, full_feature_names)


def make_lock(origin: Origin, views: Sequence[RequestedView], answered: Answered) -> Lock:
    """The lock of an answer."""
    asked = [(part.view, feature) for part in views for feature in part.features]
    width = len(answered.columns) - len(asked)
    spine, columns = answered.columns[:width], answered.columns[width:]
    kind, text = _given(answered.given)
    return Lock(
        format=FORMAT,
        featurestore=version("featurestore"),
        created_at=origin.at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        project=origin.project,
        request=origin.request,
        warehouse=answered.warehouse,
        rows=answered.rows,
        spine=LockedSpine(kind, text, answered.rows, rows_digest({column.name: column.digest for column in spine}), tuple(spine)),
        features=tuple(
            LockedFeature(column.name, view.name, feature.name, column.type, column.digest, _defined(feature))
            for (view, feature), column in zip(asked, columns, strict=True)
        ),
        views=tuple(LockedView(part.view.name, origin.models[part.view.name], _defined(part.view)) for part in views),
        sql=LockedStatement(answered.sql, text_digest(answered.sql)),
    )


def holds_credential(sql: str) -> bool:
    """Whether a text seems to say a password, a token or the like: it is not written down then. It may err, and then withholds."""
    return _CREDENTIAL.search(sql) is not None


def to_json(lock: Lock) -> bytes:
    """A lock as it is written."""
    return msgspec.json.format(msgspec.json.encode(lock), indent=2) + b"\n"


def read_lock(path: Path) -> Lock:
    """Read the lock at that path. Raises LockError where there is none, or none that this version understands."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        made = f"Write the training set with `fsdbt train … --output {data_path(path)}`: that makes one."
        raise LockError(f"There is no lock {path}. {made}") from None
    except OSError as error:
        raise LockError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        written = msgspec.json.decode(content, type=_Format).format
        if written > FORMAT:
            raise LockError(f"{path} has format {written}, and this version reads up to {FORMAT}. Upgrade featurestore here.")
        return msgspec.json.decode(content, type=Lock)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        reason = str(error).rstrip(".")
        raise LockError(f"{path} is no lock of a training set: {reason}. Take it from version control, or make the set anew.") from None


@dataclass(frozen=True, slots=True)
class _Format:
    format: int


def _given(given: Ref | str | None) -> tuple[str, str | None]:
    if given is None:
        return DATAFRAME, None
    if isinstance(given, Ref):
        return MODEL, given.model
    return SQL, None if holds_credential(given) else given


def _defined(record: FeatureView | Feature) -> dict[str, Any]:
    plain = {name: value for name, value in plain_record(record).items() if name not in _DESCRIBING}
    if isinstance(record, FeatureView):
        plain.update((name, format_duration(getattr(record, name))) for name in ("ttl", "available_after") if name in plain)
    elif record.aggregation is not None:
        plain["aggregation"] = str(record.aggregation)
    elif record.on_demand is not None:
        tree = msgspec.json.encode(plain_record(record.on_demand)["tree"], order="sorted")
        plain["on_demand"] = {"expression": record.on_demand.expression, "tree": text_digest(tree.decode())}
    return plain
