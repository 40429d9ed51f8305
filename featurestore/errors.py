"""Every error a caller can act on, as one tree.

    FeatureStoreError
    ├── ProjectError                  the dbt project, its artifacts, profile or settings cannot be used
    │   ├── ManifestError             target/manifest.json is missing, unreadable or another project's
    │   ├── DeclarationError          what the models' meta declares is wrong; carries every problem found
    │   ├── ProfileError              no usable target in profiles.yml
    │   └── SettingsError             a setting has a value that it cannot have
    ├── UnknownNameError              no feature view, feature or feature service of that name
    ├── RequestError                  what was asked for cannot be answered as asked
    │   ├── EntityDataframeError      the spine lacks a column or has one of the wrong type
    │   ├── EntityKeyError            an online key is incomplete or of the wrong type
    │   ├── FeatureNameCollisionError two features would come back under one name
    │   ├── PushError                 rows to push are not of their view; carries every problem found
    │   └── LockError                 the lock of a training set is missing or cannot be understood
    ├── AccessError                   who asks may not have what was asked for
    │   ├── NotAuthenticatedError     no key or token came with the request, or none that counts
    │   ├── NotAllowedError           the key or token is good, and does not reach that far
    │   └── IssuerUnavailableError    the keys of the tokens' issuer cannot be read, so that no token can be judged
    ├── UnsupportedTypeError          a column's type has no place among the value types
    ├── WarehouseError                the warehouse refused a query or cannot be reached
    │   └── WarehouseLockedError      another process holds the DuckDB file
    ├── OnlineStoreError              the online store refused or answered nonsense
    │   ├── OnlineStoreUnavailableError   it cannot be reached
    │   ├── ServersReplacedError      one of its servers was restarted or replaced while a view was written
    │   ├── WrittenTooLateError       rows arrived after the time until which they were to be written
    │   └── NotMaterializedError      it holds no snapshot of this project
    ├── FeatureServerError            a feature server answered something unexpected
    │   └── FeatureServerUnavailableError   it cannot be reached, or is too busy
    ├── MaterializeError              at least one feature view could not be published
    ├── ShrinkError                   a view's source lost more entity keys than it may
    ├── LeaseError                    another run is publishing the view, or has taken over
    ├── BackfillError                 a batch, a test or a model of a backfill failed
    └── NotInstalledError             an optional package is needed

A message says what is wrong, where, and what to do now. Bugs stay plain Python errors.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")

if TYPE_CHECKING:
    from featurestore.backfill.run import BackfillReport
    from featurestore.materialize.run import MaterializationReport


_LONGEST_NAME = 200
"""Characters of a wrong name that are shown, and looked for among the right ones: a name may come from anywhere."""


class FeatureStoreError(Exception):
    """Base class of everything that this package raises on purpose."""

    exit_code = 1
    http_status = 500


class ProjectError(FeatureStoreError):
    """The dbt project, its artifacts, profile or settings cannot be used."""

    exit_code = 3


class ManifestError(ProjectError):
    """`target/manifest.json` is missing, unreadable or belongs to another project."""


class ProfileError(ProjectError):
    """No usable target in `profiles.yml`."""


class SettingsError(ProjectError):
    """A setting has a value that it cannot have."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a declaration: where it stands and how to mend it."""

    file: str
    """Path of the file that declares it, relative to the dbt project."""

    resource: str
    """The model, snapshot or exposure."""

    key: str
    """The path of the key inside that resource, such as `meta.feature_view.ttl`."""

    message: str

    def __str__(self) -> str:
        return f"{self.file}: {self.resource}: {self.key}: {self.message}"


class DeclarationError(ProjectError):
    """The declared metadata is wrong. `problems` holds all that was found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        head = "1 problem" if count == 1 else f"{count} problems"
        super().__init__("\n".join([f"{head} in the declared features:", *(f"  {problem}" for problem in self.problems)]))


class UnknownNameError(FeatureStoreError):
    """No feature view, feature or feature service of that name. The attributes are empty where it came from a feature server."""

    exit_code = 2
    http_status = 404
    kind: str = ""
    name: str = ""
    known: frozenset[str] = frozenset()

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, frozenset(known)
        shown = name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…"
        super().__init__(f"No {kind} named {shown!r}.{did_you_mean(name, self.known)}")


class RequestError(FeatureStoreError):
    """What was asked for cannot be answered as asked."""

    exit_code = 2
    http_status = 422


class EntityDataframeError(RequestError):
    """The entity dataframe lacks a column or has one of the wrong type."""


class EntityKeyError(RequestError):
    """An online key is incomplete or of the wrong type."""


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One thing wrong with the rows of a push."""

    row: int | None
    """Which one, from 0 on. None: all of them."""

    column: str
    message: str

    def __str__(self) -> str:
        return f"{'every row' if self.row is None else f'row {self.row}'}: {self.column}: {self.message}"


class PushError(RequestError):
    """Rows to push are not of their feature view; `problems` tells all that is wrong. Nothing was written, but for the rows before them
    where they came as a stream that can be read but once."""

    MOST_SHOWN = 100

    view: str = ""
    problems: tuple[RowProblem, ...] = ()
    """Empty where the error came from a feature server, whose message names them."""

    def __init__(self, view: str, problems: Iterable[RowProblem], *, written: int = 0) -> None:
        """Args: written: how many rows of the same stream were written before these."""
        self.view, self.problems = view, tuple(problems)
        count = len(self.problems)
        done = f"of the stream {written:,} rows were written before" if written else "nothing was written"
        lines = [f"{'1 problem' if count == 1 else f'{count} problems'} in the rows for {view!r}; {done}:"]
        lines += [f"  {problem}" for problem in self.problems[: self.MOST_SHOWN]]
        if count > self.MOST_SHOWN:
            lines.append(f"  … and {count - self.MOST_SHOWN} more")
        super().__init__("\n".join(lines))


class FeatureNameCollisionError(RequestError):
    """Two features would come back under one name. `feature` is that name, empty where the error came from a feature server."""

    feature: str = ""

    def __init__(self, feature: str, owner: str, other: str) -> None:
        self.feature = feature
        super().__init__(
            f"Feature {feature!r} is asked for from both {owner!r} and {other!r}. Ask with full_feature_names=True to tell them apart."
        )


class LockError(RequestError):
    """The lock of a training set is missing, or this version does not understand it."""


class AccessError(FeatureStoreError):
    """Who asks may not have what was asked for."""

    exit_code = 2
    http_status = 403


class NotAuthenticatedError(AccessError):
    """No key or token came with the request, or none that counts. `given` says whether there was one at all, None where the error came
    from a feature server, whose message says it.
    """

    http_status = 401
    given: bool | None = None

    def __init__(self, message: str, *, given: bool) -> None:
        self.given = given
        super().__init__(message)


class NotAllowedError(AccessError):
    """The key or token is good, and does not reach that far. `scope` is one that would, empty where the error came from a feature server,
    whose message names it.
    """

    http_status = 403
    scope: str = ""

    def __init__(self, message: str, scope: str) -> None:
        self.scope = scope
        super().__init__(message)


class IssuerUnavailableError(AccessError):
    """The keys of the tokens' issuer cannot be read, so that no token can be judged."""

    http_status = 503


class UnsupportedTypeError(FeatureStoreError):
    """A column's type has no place among the value types."""

    exit_code = 3


class WarehouseError(FeatureStoreError):
    """The warehouse refused a query or cannot be reached."""

    exit_code = 4


class WarehouseLockedError(WarehouseError):
    """Another process holds the DuckDB file open for writing."""


class OnlineStoreError(FeatureStoreError):
    """The online store refused a command or answered something unexpected."""

    exit_code = 5
    http_status = 502


class OnlineStoreUnavailableError(OnlineStoreError):
    """The online store cannot be reached."""

    http_status = 503


class ServersReplacedError(OnlineStoreError):
    """A server that held rows was restarted or replaced while a view was written; some of what was written may be gone with it."""

    http_status = 503


class WrittenTooLateError(OnlineStoreError):
    """Rows arrived after the time until which they were to be written; they, and all that came after, were left out."""


class NotMaterializedError(OnlineStoreError):
    """The online store holds no snapshot of this project: nothing was materialized into it yet."""

    http_status = 503


class FeatureServerError(FeatureStoreError):
    """A feature server answered something unexpected."""

    exit_code = 5
    http_status = 502


class FeatureServerUnavailableError(FeatureServerError):
    """The feature server cannot be reached, is too busy, or took too long."""

    http_status = 503


class MaterializeError(FeatureStoreError):
    """At least one feature view could not be published; the others were. `report` tells of each."""

    def __init__(self, message: str, report: MaterializationReport) -> None:
        self.report = report
        super().__init__(message)


class ShrinkError(FeatureStoreError):
    """A view's source lost more of its entity keys since the last publication than it may without being asked about."""


class LeaseError(FeatureStoreError):
    """Another run is publishing the feature view, or has taken over from this one. What that run publishes is right."""


class BackfillError(FeatureStoreError):
    """A batch, a test or a model of a backfill failed, or a view could not be published. `report` tells what was done."""

    def __init__(self, message: str, report: BackfillReport) -> None:
        self.report = report
        super().__init__(message)


class NotInstalledError(FeatureStoreError):
    """An optional package is needed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs {package}. Run: pip install 'featurestore[{extra}]'")


def error_code(kind: type[FeatureStoreError]) -> str:
    """What a class of errors is called where there are no classes: `unknown_name`."""
    return _CAPITAL.sub("_", kind.__name__.removesuffix("Error")).lower()


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest valid word, or lists the few there are; empty when nothing helps."""
    words = sorted(set(known))
    near = difflib.get_close_matches(name, words, n=1, cutoff=0.6) if len(name) <= _LONGEST_NAME else []
    if near:
        return f" Did you mean {near[0]!r}?"
    if 0 < len(words) <= 12:
        return f" There is: {', '.join(words)}."
    return ""
