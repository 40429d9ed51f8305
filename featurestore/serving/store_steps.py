"""What the steps of a request may ask of the online store: each step is written once, and carried out with or without asyncio.

`on(store)` gives the answer of an `OnlineStore`, and of an `AsyncOnlineStore` what is to be awaited for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from featurestore.online_store.base import EncodedRows, WriteMode


@dataclass(frozen=True, slots=True)
class ReadRows:
    """Answers with the row of each key, or None."""

    keys: Sequence[bytes]

    def on(self, store: Any) -> Any:
        return store.read(self.keys)


@dataclass(frozen=True, slots=True)
class ReadDocuments:
    """Answers with the content of each document, or None."""

    project: str
    names: Sequence[str]

    def on(self, store: Any) -> Any:
        return store.read_documents(self.project, self.names)


@dataclass(frozen=True, slots=True)
class ReadLastSequence:
    """Answers with the number of the run that began last."""

    project: str

    def on(self, store: Any) -> Any:
        return store.last_sequence(self.project)


@dataclass(frozen=True, slots=True)
class WriteRows:
    """Answers with how many of the rows are newer than what was there."""

    rows: EncodedRows
    expires_after: int | None
    """Microseconds."""

    def on(self, store: Any) -> Any:
        return store.write(self.rows, WriteMode.NEWEST_WINS, expires_after=self.expires_after)


@dataclass(frozen=True, slots=True)
class WriteDocuments:
    """Answers with None."""

    project: str
    documents: Mapping[str, bytes]

    def on(self, store: Any) -> Any:
        return store.write_documents(self.project, self.documents)


StoreStep = ReadRows | ReadDocuments | ReadLastSequence | WriteRows | WriteDocuments
