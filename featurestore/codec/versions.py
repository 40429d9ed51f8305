"""Which versions of a view's keys a single row is written to: the one that is served, and beside it the one that is being built.

A changed definition is built under the next version of the view's keys while readers use the one before, and is then served all at once.
Two documents of the store say where a view stands: its watermark, which is written in one exchange with the registry snapshot and so
never differs from it, and `building/<view>`, which is there as long as a version is built.

Whoever writes rows beside the materializations (a push) does so in three steps, and loses none whatever happens meanwhile:

1. read both documents, and write to each of `write_spaces`;
2. read both again;
3. where `write_spaces` names others now, write to those too, and go on with 2; where it says that another definition is served, begin anew.

Why that is enough: a version that was announced before the second reading is named by it. One that is announced later takes over the
pushed rows of the served version before it is served itself, and this row is among them already.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from featurestore.registry.definitions import FeatureView
from featurestore.registry.value_types import DecimalType

from .keys import KeySpace, key_space, letter
from .resolve import readable


class Building(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version of a view's keys that is not served yet."""

    version: int
    prefix: str
    suffix: str
    """How its keys begin and end."""

    takes_rows: bool = False
    """Whether rows of the served definition are rows of this one, too: see `takes_rows`."""

    @property
    def space(self) -> KeySpace:
        """Its keys."""
        return KeySpace(self.prefix.encode(), self.suffix.encode())


class _Served(msgspec.Struct, frozen=True):
    """What matters here of a watermark."""

    key_version: int = 1


def watermark_document_name(view: str) -> str:
    """The name under which the online store keeps a view's watermark."""
    return f"watermark/{view}"


def building_document_name(view: str) -> str:
    """The name under which it keeps which version of the view's keys is being built."""
    return f"building/{view}"


def version_documents(view: str) -> tuple[str, str]:
    """The documents that `write_spaces` decides from, to be read in one round trip."""
    return watermark_document_name(view), building_document_name(view)


def write_spaces(project: str, view: FeatureView, documents: Sequence[bytes | None]) -> tuple[KeySpace, ...] | None:
    """Where to write a row of that view, as the snapshot has it: the same bytes under the same entity key in each of these.

    Args:
        documents: the contents of `version_documents`, as they are now.

    None where another version is served by now than the view's record says, or none: the snapshot is to be read again.
    """
    watermark, building = documents
    if watermark is None or msgspec.json.decode(watermark, type=_Served).key_version != view.key_version:
        return None
    spaces = [key_space(project, view)]
    if building is not None:
        beside = msgspec.json.decode(building, type=Building)
        if beside.takes_rows:
            spaces.append(beside.space)
    return tuple(spaces)


def takes_rows(served: FeatureView, built: FeatureView) -> bool:
    """Whether a row written under one definition may stand under the keys of another.

    It may where the entity keys are the same columns, spelled alike, where a row counts from the same time on, and where no feature that
    both have became something that its values cannot be read as. A feature that the row does not have reads as null there. Rows of
    aggregations are made by materializations alone, and until when a row of a snapshot counts only dbt says.
    """
    if served.aggregated or built.aggregated or built.valid_to is not None or _spelling(served) != _spelling(built):
        return False
    if (served.event_timestamp, served.available_after) != (built.event_timestamp, built.available_after):
        return False
    kept = ((served.feature(feature.name), feature) for feature in built.features)
    return all(readable(before.value_type, feature.value_type) for before, feature in kept if before is not None)


def _spelling(view: FeatureView) -> list[tuple[str, str, int | None]]:
    """Which columns its entity keys are made of, in their order, and what decides how their values are spelled; not the entity's name."""
    return [(key.name, letter(key), key.value_type.scale if isinstance(key.value_type, DecimalType) else None) for key in view.join_keys]
