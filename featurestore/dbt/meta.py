"""What `meta.feature_view` and `meta.feature_service` may say, and what each word means.

Every wrong word is reported, with the nearest right one; reading goes on, so that all problems are named at once. Nothing here knows
which columns a model has: that is checked where the view is built.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from featurestore.errors import RequestError, did_you_mean
from featurestore.registry.aggregations import EXACT_FOR
from featurestore.registry.definitions import MAX_SHRINK, FeatureReference, LateData
from featurestore.registry.references import parse_reference
from featurestore.timestamps import parse_duration

from .aggregations import AggregationDeclaration, read_aggregations
from .drift import read_drift
from .problems import Report
from .table_references import ModelReference, SourceReference, parse_table_reference

VIEW = "meta.feature_view"
SERVICE = "meta.feature_service"

VIEW_KEYS = (
    "entities",
    "entity",
    "timestamp",
    "created_timestamp",
    "ttl",
    "available_after",
    "online",
    "features",
    "aggregations",
    "exact_for",
    "late_data",
    "max_shrink",
    "landing",
    "ignore",
    "drift",
)
SERVICE_KEYS = ("features", "label")
DEFAULTS_KEYS = ("ttl", "available_after", "online", "late_data", "max_shrink")

_NOT_WITH_AGGREGATIONS = {
    "features": "stands beside `aggregations`, which are the features. Keep one of them.",
    "ttl": "stands beside `aggregations`, whose windows say how old an event may be. Leave it out.",
}
_ENTITY_NAME = re.compile(r"[^\W\d]\w*", re.ASCII)
_PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)
_ENTITIES_FORM = "Write it like `entities: {customer: customer_id}`, or `{trip: [vendor_id, trip_no]}` for a composite key"


def lists_features(meta: Mapping[str, Any]) -> bool:
    """Whether a model's meta names the features one by one, so that its other columns are none."""
    view = meta.get("feature_view")
    return isinstance(view, Mapping) and bool(view.get("features"))


@dataclass(frozen=True, slots=True)
class FeatureViewDefaults:
    """What holds for every feature view that does not say otherwise."""

    ttl: timedelta | None = None
    available_after: timedelta = timedelta(0)
    online: bool = True
    late_data: LateData = LateData.AS_EVENT
    max_shrink: float = MAX_SHRINK


@dataclass(frozen=True, slots=True)
class ViewDeclaration:
    """What one model's `feature_view` says. None: it does not say."""

    entities: Mapping[str, tuple[str, ...]] | None = None
    """The join key columns of each entity."""

    timestamp: str | None = None
    created_timestamp: str | None = None
    ttl: timedelta | None = None
    available_after: timedelta = timedelta(0)
    online: bool = True
    features: tuple[str, ...] | None = None
    aggregations: tuple[AggregationDeclaration, ...] | None = None
    """What the features are instead, where rows are events."""

    exact_for: timedelta = EXACT_FOR
    late_data: LateData = LateData.AS_EVENT
    max_shrink: float = MAX_SHRINK
    landing: ModelReference | SourceReference | None = None
    """Which table takes pushed rows."""

    @property
    def says_no_features(self) -> bool:
        """Whether its features are whatever columns the model has."""
        return self.features is None and self.aggregations is None


def read_feature_view(said: object, defaults: FeatureViewDefaults, report: Report) -> ViewDeclaration | None:
    """What a model's `meta.feature_view` declares; None where it says that the model is no feature view."""
    if said is None or said is False:
        return None
    if said is True:
        said = {}
    if not isinstance(said, Mapping):
        report(VIEW, f"must be `true` or a mapping of keys to values, not {_shown(said)}.")
        return None
    reader = _Reader(said, VIEW, VIEW_KEYS, report)
    reader.ignore()
    created_timestamp = reader.name("created_timestamp")
    late_data = reader.late_data(defaults.late_data if created_timestamp else LateData.AS_EVENT)
    if late_data is LateData.AS_KNOWN and created_timestamp is None:
        report(f"{VIEW}.late_data", "as_known needs a created_timestamp: the column that says when a row was written.")
    aggregations = read_aggregations(said.get("aggregations"), report)
    read_drift(said.get("drift"), f"{VIEW}.drift", report)  # A profile reads them again; a slip is told at once.
    aggregates = said.get("aggregations") is not None
    if aggregates:
        for key, why in _NOT_WITH_AGGREGATIONS.items():
            if said.get(key) is not None:
                report(f"{VIEW}.{key}", why)
    elif said.get("exact_for") is not None:
        report(f"{VIEW}.exact_for", "is for `aggregations`: values that are columns do not change as time goes by.")
    return ViewDeclaration(
        entities=reader.entities(),
        timestamp=reader.name("timestamp"),
        created_timestamp=created_timestamp,
        ttl=None if aggregates else reader.ttl(defaults.ttl),
        available_after=reader.duration("available_after", defaults.available_after),
        online=reader.flag("online", defaults.online),
        features=reader.names("features"),
        aggregations=aggregations,
        exact_for=reader.exact_for(),
        late_data=late_data,
        max_shrink=reader.part("max_shrink", defaults.max_shrink),
        landing=reader.landing(),
    )


def read_defaults(said: object, report: Report) -> FeatureViewDefaults:
    """What `vars: {featurestore: {defaults: …}}` declares."""
    if said is None:
        return FeatureViewDefaults()
    if not isinstance(said, Mapping):
        report("defaults", f"must be a mapping of keys to values, not {_shown(said)}.")
        return FeatureViewDefaults()
    reader = _Reader(said, "defaults", DEFAULTS_KEYS, report)
    return FeatureViewDefaults(
        ttl=reader.ttl(None),
        available_after=reader.duration("available_after", timedelta(0)),
        online=reader.flag("online", True),
        late_data=reader.late_data(LateData.AS_EVENT),
        max_shrink=reader.part("max_shrink", MAX_SHRINK),
    )


def read_feature_service(said: object, report: Report) -> tuple[FeatureReference, ...]:
    """The references that an exposure's `meta.feature_service` lists."""
    if not isinstance(said, Mapping):
        report(SERVICE, f'must be a mapping like `{{features: ["customer_orders:orders_7d"]}}`, not {_shown(said)}.')
        return ()
    reader = _Reader(said, SERVICE, SERVICE_KEYS, report)
    if "features" not in said:
        report(SERVICE, 'names no features. Add a list like `features: ["customer_orders:orders_7d", "customer_profile:*"]`.')
        return ()
    reader.label()
    found = []
    for text in reader.names("features") or ():
        try:
            found.append(parse_reference(text))
        except RequestError as error:
            report(f"{SERVICE}.features", str(error))
    return tuple(found)


class _Reader:
    """Reads the values of one mapping, and reports those of the wrong kind."""

    def __init__(self, said: Mapping[str, Any], path: str, known: Sequence[str], report: Report) -> None:
        self._said, self._path, self._report = said, path, report
        for key in said:
            if key not in known:
                report(f"{path}.{key}", f"there is no such key.{did_you_mean(str(key), known)}")

    def name(self, key: str) -> str | None:
        """A column's name."""
        value = self._said.get(key)
        if value is None or (isinstance(value, str) and value):
            return value
        self._wrong(key, "must be the name of a column", value)
        return None

    def landing(self) -> ModelReference | SourceReference | None:
        """A reference to another model, or to a source."""
        value = self._said.get("landing")
        found = parse_table_reference(value) if isinstance(value, str) else None
        if value is None or found is not None:
            return found
        self._wrong("landing", "must be a reference like ref('pushed_orders') or source('app', 'pushed_orders')", value)
        return None

    def ignore(self) -> None:
        """Rules that are waived, each with the reason; what reads them is the check."""
        value = self._said.get("ignore")
        if value is not None and not isinstance(value, Mapping):
            self._wrong("ignore", "must map each rule that is waived to the reason, like {float_key: kept as the source has it}", value)

    def label(self) -> None:
        """The column that the ML model learns to predict; what reads it is the check."""
        value = self._said.get("label")
        if value is not None and not (isinstance(value, str) and value):
            self._wrong("label", "must be the name of a column, or `model.column`", value)

    def names(self, key: str) -> tuple[str, ...] | None:
        """A list of names, none of them twice."""
        value = self._said.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self._wrong(key, "must be a list of names", value)
            return None
        if not value:
            self._report(f"{self._path}.{key}", "lists nothing.")
            return None
        for name in sorted({name for name in value if value.count(name) > 1}):
            self._report(f"{self._path}.{key}", f"lists {name!r} twice.")
        return tuple(dict.fromkeys(value))

    def flag(self, key: str, default: bool) -> bool:
        value = self._said.get(key, default)
        if isinstance(value, bool):
            return value
        self._wrong(key, "must be true or false", value)
        return default

    def duration(self, key: str, default: timedelta) -> timedelta:
        value = self._said.get(key)
        if value is None:
            return default
        try:
            return parse_duration(value if isinstance(value, str) else str(value))
        except ValueError as error:
            self._report(f"{self._path}.{key}", str(error))
            return default

    def part(self, key: str, default: float) -> float:
        """A part of the whole, from 0 to 1, written in percent."""
        value = self._said.get(key)
        if value is None:
            return default
        match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
        if match is None or float(match[1]) > 100:
            self._wrong(key, "must be a percentage from 0% to 100%, like 50%", value)
            return default
        return float(match[1]) / 100

    def ttl(self, default: timedelta | None) -> timedelta | None:
        """A duration; `none` says that values never expire, whatever the default is."""
        if self._said.get("ttl", "") in (None, "none"):
            return None
        if "ttl" not in self._said:
            return default
        ttl = self.duration("ttl", timedelta.max)
        if not ttl:
            self._report(f"{self._path}.ttl", "must be longer than nothing. Leave it out, or write `none`, where values never expire.")
        return ttl

    def exact_for(self) -> timedelta:
        exact_for = self.duration("exact_for", EXACT_FOR)
        if not exact_for:
            self._report(f"{self._path}.exact_for", "must be longer than nothing.")
        return exact_for

    def late_data(self, default: LateData) -> LateData:
        value = self._said.get("late_data")
        if value is None:
            return default
        words = [each.value for each in LateData]
        if value in words:
            return LateData(value)
        self._wrong("late_data", f"must be {' or '.join(words)}", value, did_you_mean(str(value), words))
        return default

    def entities(self) -> Mapping[str, tuple[str, ...]] | None:
        """The join keys of each entity, from `entities` or from its short form `entity`."""
        entity, entities = self._said.get("entity"), self._said.get("entities")
        if entity is not None and entities is not None:
            self._report(f"{self._path}.entity", "is short for `entities`. Keep one of them.")
        if entities is None:
            return self._short_entity(entity)
        if not isinstance(entities, Mapping) or not entities:
            self._report(f"{self._path}.entities", f"must map each entity to its join key. {_ENTITIES_FORM}; not {_shown(entities)}.")
            return {}
        return {str(name): self._join_keys(str(name), keys) for name, keys in entities.items()}

    def _short_entity(self, entity: object) -> Mapping[str, tuple[str, ...]] | None:
        if entity is None:
            return None
        if isinstance(entity, str) and entity:
            return {entity: self._join_keys(entity, entity, key="entity")}
        self._report(f"{self._path}.entity", f"must be the name of one column, not {_shown(entity)}. {_ENTITIES_FORM}.")
        return {}

    def _join_keys(self, entity: str, said: object, key: str = "entities") -> tuple[str, ...]:
        path = f"{self._path}.{key}"
        if not _ENTITY_NAME.fullmatch(entity):
            self._report(path, f"{entity!r} cannot name an entity. Use letters, digits and underscores.")
        keys = [said] if isinstance(said, str) else said
        if not isinstance(keys, list) or not keys or not all(isinstance(column, str) and column for column in keys):
            self._report(f"{path}.{entity}", f"must be the name of a column, or a list of them, not {_shown(said)}.")
            return ()
        for column in sorted({column for column in keys if keys.count(column) > 1}):
            self._report(f"{path}.{entity}", f"lists {column!r} twice.")
        return tuple(dict.fromkeys(keys))

    def _wrong(self, key: str, rule: str, value: object, hint: str = "") -> None:
        self._report(f"{self._path}.{key}", f"{rule}, not {_shown(value)}.{hint}")


def _shown(value: object) -> str:
    """A YAML value, short, as its author would write it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
