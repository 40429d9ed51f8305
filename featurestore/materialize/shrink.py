"""A source that suddenly lost many of its entity keys is more likely broken than right: nothing of it is published before somebody says so.

Like is compared with like. The last full run counted the entity keys in the warehouse whose rows were young enough to be published;
now those are counted that still have a row as young as that. So keys that aged out by their TTL are no shrinking, and keys that are
gone, or whose rows moved back in time, are.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from featurestore.codec.keys import key_space
from featurestore.errors import ShrinkError
from featurestore.registry.definitions import FeatureView
from featurestore.sql.latest import entity_key_counts
from featurestore.warehouse.base import WarehouseSession

from .watermarks import Watermark


@dataclass(frozen=True, slots=True)
class EntityKeys:
    """How many entity keys the warehouse has of a view. None: nobody counted."""

    now: int | None
    """Those that can be published now."""

    counted_from: datetime | None
    """They have a row from this instant or later; None: of any age."""

    of_then: int | None
    """Those that the last full run would have counted, too."""


def entity_keys(session: WarehouseSession, dialect: str, view: FeatureView, at: datetime, online: Watermark | None) -> EntityKeys:
    """Ask the warehouse how many entity keys the view has."""
    counted_from = _counted_from(view, at)
    then = online.entity_keys_from if online is not None else None
    answer = session.query(entity_key_counts(view, at, dialect, not_before=counted_from, not_before_then=then)).read_all()
    return EntityKeys(int(answer["entity_keys"][0].as_py()), counted_from, int(answer["entity_keys_then"][0].as_py()))


def keys_of_last_full_run(online: Watermark) -> EntityKeys:
    """What an incremental run hands on: where rows are only added, no key goes."""
    return EntityKeys(online.entity_keys, online.entity_keys_from, None)


def refuse_shrunk(view: FeatureView, keys: EntityKeys, online: Watermark | None, project: str) -> None:
    """Raise ShrinkError where more entity keys are gone since the last publication than the view's `max_shrink` lets go."""
    before = 0 if online is None else _before(view, online, project)
    if keys.of_then is None or before - keys.of_then <= view.max_shrink * before:
        return
    gone = f"{before - keys.of_then:,} of {before:,} entity keys are gone" if keys.of_then else "no entity key is left"
    raise ShrinkError(
        f"{gone} from {view.relation} since it was published last, and max_shrink is {100 * view.max_shrink:g}%. "
        "Nothing of it was published, and what is online stays. If that is right, run the same again with --allow-shrink, or set "
        "max_shrink in the model's meta.feature_view."
    )


def _before(view: FeatureView, online: Watermark, project: str) -> int:
    """How many there were; where that is not known, or they were keys of something else, one if there were any."""
    if online.entity_keys is None or online.key_prefix != key_space(project, view).prefix.decode():
        return min(online.rows if online.entity_keys is None else online.entity_keys, 1)
    return online.entity_keys


def _counted_from(view: FeatureView, at: datetime) -> datetime | None:
    if view.aggregated:
        return at - view.windows[-1]
    return None if view.kept_for is None else at - view.kept_for
