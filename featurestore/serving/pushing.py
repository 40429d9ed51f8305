"""How checked rows reach the store, whatever materializations do meanwhile.

A pushed row is ordered after the run that began last (see `featurestore.online_store.base`), so pushes use up no numbers: they read the
last one. It may be that a run begins between reading and writing; so it is read again after the write, and where it is another one by now
the rows are written once more, under that one. What a push has read at its end the next one begins with: in between, a push costs one
write and one reading.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from featurestore.codec.keys import key_space
from featurestore.codec.layout import RowSchema
from featurestore.timestamps import duration_micros

from .push import CheckedRows
from .store_steps import ReadLastSequence, StoreStep, WriteDocuments, WriteRows


class Pushing:
    """Of one project. Remembers, from push to push, what it has read and which schemas it has written."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._number: int | None = None
        self._schemas: set[str] = set()

    def steps(self, checked: CheckedRows) -> Generator[StoreStep, Any, int]:
        """Write the rows; return how many were newer than what was there."""
        if not checked.newest:
            return 0
        schema, kept_for = RowSchema.of(checked.view), checked.view.kept_for
        if schema.document_name not in self._schemas:
            yield WriteDocuments(self._project, {schema.document_name: schema.to_document()})
            self._schemas.add(schema.document_name)
        expires_after = None if kept_for is None else duration_micros(kept_for)
        space = key_space(self._project, checked.view)
        number: int = (yield ReadLastSequence(self._project)) if self._number is None else self._number
        while True:
            written: int = yield WriteRows(checked.encoded(space, number), expires_after)
            last: int = yield ReadLastSequence(self._project)
            self._number = last
            if last == number:
                return written
            number = last
