"""How checked rows reach the store, whatever materializations do meanwhile.

A pushed row is ordered after the run that began last (see `featurestore.online_store.base`), so pushes use up no numbers: they read the
last one. It may be that a run begins between reading and writing; so it is read again after the write, and where it is another one by now
the rows are written once more, under that one. So it is with the versions of the view's keys (see `featurestore.codec.versions`): rows go
to the one that is served and to one that is being built beside it.

Nothing of that is remembered from push to push. A number of hours ago would order the rows before runs that are long over, and a version
of hours ago may be one whose rows were removed and that nobody looks after any more. So a push costs one write and four short readings.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from featurestore.codec.layout import RowSchema
from featurestore.codec.versions import version_documents, write_spaces
from featurestore.errors import NotMaterializedError
from featurestore.timestamps import duration_micros

from .push import CheckedRows
from .store_steps import ReadDocuments, ReadLastSequence, StoreStep, WriteDocuments, WriteRows


class Pushing:
    """Of one project. Remembers, from push to push, which schemas it has written: they never change."""

    def __init__(self, project: str) -> None:
        self._project = project
        self._schemas: set[str] = set()

    def steps(self, checked: CheckedRows) -> Generator[StoreStep, Any, int | None]:
        """Write the rows; return how many were newer than what was there. None: another definition of the view is served by now, or none.

        Raises NotMaterializedError where nothing of the view was ever published, before anything is written.
        """
        if not checked.newest:
            return 0
        name, documents = checked.view.name, version_documents(checked.view.name)
        number: int = yield ReadLastSequence(self._project)
        versions: Sequence[bytes | None] = yield ReadDocuments(self._project, documents)
        if versions[0] is None:
            raise NotMaterializedError(f"Nothing of {name!r} is online yet, so nobody could read what is pushed. Run: fsdbt materialize")
        schema, kept_for = RowSchema.of(checked.view), checked.view.kept_for
        if schema.document_name not in self._schemas:
            yield WriteDocuments(self._project, {schema.document_name: schema.to_document()})
            self._schemas.add(schema.document_name)
        expires_after = None if kept_for is None else duration_micros(kept_for)
        while (spaces := write_spaces(self._project, checked.view, versions)) is not None:
            counts = []
            for space in spaces:
                counts.append((yield WriteRows(checked.encoded(space, number), expires_after)))
            last: int = yield ReadLastSequence(self._project)
            versions = yield ReadDocuments(self._project, documents)
            if last == number and write_spaces(self._project, checked.view, versions) == spaces:
                return int(counts[0])
            number = last
        return None
