"""How the views of a project stand in the online store, read at one time, and changed only if nobody else changed it meanwhile.

Everything that says so is documents beside the rows, so that every machine sees the same, and a run takes up what a killed one left.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import msgspec

from featurestore.codec.keys import KeySpace
from featurestore.codec.versions import Building, building_document_name, watermark_document_name
from featurestore.online_store.base import OnlineStore
from featurestore.registry.definitions import FeatureView
from featurestore.registry.registry import Registry
from featurestore.registry.snapshot import SNAPSHOT, from_json

from .watermarks import Watermark, decoded

RETIRED = "retired"
"""The document that says which key spaces nobody is to read any more, until their rows are gone."""


_WATERMARK = watermark_document_name("")


class RetiredSpace(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version of a view's keys that is served no more, or that a run was killed building."""

    view: str
    version: int
    prefix: str
    suffix: str
    gone_at: datetime | None = None
    """When the last of its rows expires. None: they have not been told to yet."""

    @classmethod
    def of(cls, view: str, version: int, space: KeySpace) -> RetiredSpace:
        """That version of that view."""
        return cls(view, version, space.prefix.decode(), space.suffix.decode())

    @property
    def space(self) -> KeySpace:
        """Its keys."""
        return KeySpace(self.prefix.encode(), self.suffix.encode())


@dataclass(frozen=True)
class StoreState:
    """The documents of some views, and of the project."""

    project: str
    documents: Mapping[str, bytes | None]

    @classmethod
    def read(cls, store: OnlineStore, project: str, views: Iterable[str]) -> StoreState:
        """As they are now."""
        names = [SNAPSHOT, RETIRED]
        for view in views:
            names += (watermark_document_name(view), building_document_name(view))
        return cls(project, dict(zip(names, store.read_documents(project, names), strict=True)))

    @cached_property
    def served(self) -> Registry:
        """What readers are told exists."""
        document = self.documents[SNAPSHOT]
        return Registry(self.project) if document is None else from_json(document)

    @cached_property
    def retired(self) -> tuple[RetiredSpace, ...]:
        """The key spaces whose rows are to go."""
        document = self.documents[RETIRED]
        return () if document is None else tuple(msgspec.json.decode(document, type=list[RetiredSpace]))

    @property
    def watermarks(self) -> dict[str, Watermark]:
        """Those of the views that are online, by view name."""
        read = (name.removeprefix(_WATERMARK) for name in self.documents if name.startswith(_WATERMARK))
        return {view: watermark for view in read if (watermark := self.watermark(view)) is not None}

    def watermark(self, view: str) -> Watermark | None:
        """Up to where a view is online; None where it is not."""
        document = self.documents[watermark_document_name(view)]
        return None if document is None else decoded(document)

    def building(self, view: str) -> Building | None:
        """The version of the view's keys that a run is building, or was when it was killed."""
        document = self.documents[building_document_name(view)]
        return None if document is None else msgspec.json.decode(document, type=Building)

    def served_view(self, name: str) -> FeatureView | None:
        """The definition that a view is served by; None where it has not been published."""
        if self.watermark(name) is None:
            return None
        return next((view for view in self.served.views if view.name == name), None)

    def next_version(self, view: str) -> int:
        """A version of the view's keys under which nothing stands: a new one is never written over what may still be read or removed."""
        served, building = self.watermark(view), self.building(view)
        used = [space.version for space in self.retired if space.view == view]
        used += ([served.key_version] if served else []) + ([building.version] if building else [])
        return max(used, default=0) + 1

    def expected(self, documents: Iterable[str]) -> dict[str, bytes | None]:
        """What those documents, each of which was read, were."""
        return {name: self.documents[name] for name in documents}

    def exchange(self, store: OnlineStore, documents: Mapping[str, bytes | None]) -> bool:
        """Write these documents, each of which was read, if all of them still are what they were."""
        return store.exchange_documents(self.project, self.expected(documents), documents)


def retired_document(spaces: Iterable[RetiredSpace]) -> bytes | None:
    """The document that names them. None where there is nothing to name."""
    kept = list(spaces)
    return msgspec.json.encode(kept) if kept else None
