"""Which batches of a backfill are done, kept in dbt's target folder, so that the same command continues where it stopped.

What is kept holds for one model, one dbt target and one range, and for as long as the model's definition is the same: a batch that
another definition built is not done.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from featurestore.errors import ProjectError

from .batches import Span, joined

FILE_NAME = "fsdbt_backfill.json"


class ModelProgress(msgspec.Struct, frozen=True):
    """How far the backfill of one model has come."""

    start: datetime
    end: datetime
    """The range, in whole batches."""

    definition: str
    done: tuple[tuple[datetime, datetime], ...] = ()
    """The time whose batches are done, in as few spans as it takes."""

    finished_at: datetime | None = None
    """When every batch was done, its tests had passed, and it was published."""

    downstream: bool = False
    """Whether what depends on it was built and published then, too."""

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)

    @property
    def spans_done(self) -> tuple[Span, ...]:
        return tuple(Span(start, end) for start, end in self.done)

    def with_done(self, spans: Iterable[Span]) -> ModelProgress:
        """The same, with those batches done too."""
        merged = joined((*self.spans_done, *spans))
        return msgspec.structs.replace(self, done=tuple((span.start, span.end) for span in merged))


class _File(msgspec.Struct, frozen=True):
    version: int = 1
    targets: dict[str, dict[str, ModelProgress]] = {}
    """By the dbt target's name and the model's unique id."""


@dataclass(frozen=True)
class ProgressFile:
    """The file, as one dbt target sees it."""

    path: Path
    target: str

    def read(self) -> Mapping[str, ModelProgress]:
        """The progress of each model, by unique id. Raises ProjectError where the file cannot be understood."""
        return self._all().targets.get(self.target, {})

    def write(self, models: Mapping[str, ModelProgress]) -> None:
        """Put these models' progress in place of what is kept of them. The file is old or new, never half written."""
        kept = self._all().targets
        content = _File(targets={**kept, self.target: {**kept.get(self.target, {}), **models}})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        beside.write_bytes(msgspec.json.format(msgspec.json.encode(content), indent=1))
        beside.replace(self.path)

    def _all(self) -> _File:
        try:
            file = msgspec.json.decode(self.path.read_bytes(), type=_File)
        except FileNotFoundError:
            return _File()
        except OSError as error:
            raise ProjectError(f"{self.path} cannot be read: {error.strerror}.") from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            reason = str(error).rstrip(".")
            raise ProjectError(f"{self.path} cannot be understood: {reason}. Remove it: the next backfill then starts anew.") from None
        if file.version != 1:
            raise ProjectError(f"{self.path} is of another version of this package. Remove it: the next backfill then starts anew.")
        return file
