"""What exists: entities, feature views, features and feature services, as small frozen records in the field's words."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum

from .aggregations import EXACT_FOR, AggregateFunction, window_name
from .expressions import OnDemand
from .value_types import UNRESOLVED, ValueType

CLEANED_UP_AFTER = timedelta(days=7)
"""A row whose TTL has passed stays online for as long as that TTL again, and for this long at least, so that a reader is told that it
expired. Older ones are not published, and the store may drop one that was not written again for so long. Expiry itself is decided
at read, so late or failed runs never empty the store."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a model that the feature store reads, and the type it was declared or found with."""

    name: str
    value_type: ValueType
    stored_as: str | None = field(default=None, compare=False)
    """What the warehouse calls it, where that is another name: `CUSTOMER_ID` in a warehouse that folds `customer_id` so."""

    @property
    def stored_name(self) -> str:
        """What the warehouse calls it."""
        return self.stored_as or self.name


@dataclass(frozen=True, slots=True)
class Entity:
    """What features describe, and the columns that identify one of it."""

    name: str
    join_keys: tuple[Column, ...]
    """In the order of their names, so that every view spells a key alike."""


@dataclass(frozen=True, slots=True)
class Aggregation:
    """How the value of one feature is worked out from events.

    At the instant t the window holds the events that count then and whose timestamp is greater than t - window: an event exactly as old
    as the window has left it.
    """

    function: AggregateFunction
    window: timedelta
    column: Column | None = None
    """Whose values are aggregated. None: the events themselves are counted."""

    filter: str | None = None
    """A condition in the warehouse's SQL over the model's columns: only events that meet it take part."""

    def __str__(self) -> str:
        over = f"{self.function.value}({self.column.name if self.column else '*'})"
        where = f" where {self.filter}" if self.filter else ""
        return f"{over}{where} over {window_name(self.window)}"


@dataclass(frozen=True, slots=True)
class Feature:
    """One column of a feature view, what an aggregation makes of one, or what an expression makes of several."""

    name: str
    value_type: ValueType
    description: str = ""
    tags: tuple[str, ...] = ()
    stored_as: str | None = field(default=None, compare=False)
    """What the warehouse calls it, where that is another name."""

    aggregation: Aggregation | None = None
    """How its value is worked out from events. None: it is a column."""

    on_demand: OnDemand | None = None
    """How its value is worked out when it is asked for, of other features and of what the request brings. None: it is kept."""

    @property
    def stored_name(self) -> str:
        """What the warehouse calls it."""
        return self.stored_as or self.name


@dataclass(frozen=True, slots=True)
class Relation:
    """Where the warehouse keeps a model's rows, each name as it stores it, without quotes."""

    identifier: str
    schema: str | None = None
    database: str | None = None

    def __str__(self) -> str:
        return ".".join(part for part in (self.database, self.schema, self.identifier) if part)


MAX_SHRINK = 0.5
"""Where nothing else is said: a source that lost more than half of its entity keys is more likely broken than right."""


class LateData(str, Enum):
    """From when on a row counts."""

    AS_EVENT = "as_event"
    """From its event timestamp (plus `available_after`) on, whenever it was written."""

    AS_KNOWN = "as_known"
    """From its created timestamp on, if that is later: training sees what serving would have answered then."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Whom to ask. Either part may be empty."""

    name: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class FeatureView:
    """A dbt model, or snapshot, whose rows are feature values for one entity key at one event time."""

    name: str
    """The model's name; a versioned model's is `name.v2`."""

    unique_id: str
    """dbt's own id, such as `model.shop.customer_orders`."""

    path: str
    """The file that defines it, relative to its dbt project."""

    relation: Relation
    entities: tuple[Entity, ...]
    """In the order of their names."""

    event_timestamp: Column
    features: tuple[Feature, ...]
    """Those that are kept: in the warehouse, and in the online store."""

    created_timestamp: Column | None = None
    """Breaks ties between rows of equal event time: the row created last wins."""

    valid_to: Column | None = None
    """Of a snapshot: a row stops counting at this instant. Null means it still counts."""

    is_deleted: Column | None = None
    """Of a snapshot with `hard_deletes: new_record`: a text column that says 'True' in the row dbt adds when an entity key is deleted.

    Such a row holds no values and is left out of the view's history: the row before it ends, by its `valid_to`, at that instant.
    """

    disjoint_validity: bool = True
    """Of a snapshot: whether its rows of one entity key never overlap, so that a newer row always ends the older one."""

    ttl: timedelta | None = None
    """Values older than this at lookup time read as null. None: they never expire."""

    available_after: timedelta = timedelta(0)
    """A row counts from its event timestamp plus this on."""

    late_data: LateData = LateData.AS_EVENT
    exact_for: timedelta = EXACT_FOR
    """Of a view of aggregations: how long after a materialization the online answer is exact. After it there is none."""

    online: bool = True
    max_shrink: float = MAX_SHRINK
    """The part of its entity keys, from 0 to 1, that may be gone from one publication to the next without being asked about."""

    description: str = ""
    tags: tuple[str, ...] = ()
    group: str | None = None
    access: str | None = None
    owner: Owner = Owner()
    version: str | None = None
    is_latest_version: bool = True
    deprecation_date: str | None = None
    """As an ISO date."""

    materialized: str = "table"
    """How dbt builds it: `table`, `view`, `incremental`, `snapshot`, …"""

    incremental_strategy: str | None = None
    incremental_key: tuple[str, ...] = ()
    """The `unique_key` by which dbt replaces rows of an incremental model or a snapshot."""

    landing: Relation | None = None
    """Where rows that are pushed offline are appended to: a table that the model reads."""

    key_version: int = 1
    """Of a view that is served: which version of its keys its rows are under. The project does not say it; a publication does."""

    on_demand: tuple[Feature, ...] = ()
    """Features that are worked out when they are asked for, and kept nowhere."""

    @property
    def deprecated(self) -> str | None:
        """What dbt's `deprecation_date` of its model says, in words; None where it has none."""
        return f"{self.name} is deprecated from {self.deprecation_date[:10]} on" if self.deprecation_date else None

    @property
    def join_keys(self) -> tuple[Column, ...]:
        """All columns that identify a row's entity key: the entities in the order of their names, each one's keys in that of theirs."""
        return tuple(key for entity in self.entities for key in entity.join_keys)

    @property
    def kept_for(self) -> timedelta | None:
        """How long a row is kept online: after its event time, or of a view of aggregations after it was written.

        Well longer than it counts (`CLEANED_UP_AFTER`). None: for ever, as under a TTL of more than a century.
        """
        counts_for = self.exact_for if self.aggregated else self.ttl
        return None if counts_for is None or counts_for > timedelta(days=36_500) else counts_for + max(counts_for, CLEANED_UP_AFTER)

    @property
    def windows(self) -> tuple[timedelta, ...]:
        """The windows that its features look back over, shortest first. None for a view whose features are columns."""
        return tuple(sorted({feature.aggregation.window for feature in self.features if feature.aggregation}))

    @property
    def aggregated(self) -> bool:
        """Whether its rows are events, and its features aggregations over windows of them."""
        return any(feature.aggregation for feature in self.features)

    @property
    def unresolved(self) -> tuple[str, ...]:
        """The columns whose type is known neither from a declaration nor, since the model is not built, from the warehouse."""
        columns: tuple[Column | Feature, ...] = (*self.join_keys, self.event_timestamp, *self.features)
        return tuple(column.name for column in columns if column.value_type == UNRESOLVED)

    @property
    def all_features(self) -> tuple[Feature, ...]:
        """What can be asked for by name: the features that are kept, which `view:*` means, then those on demand.

        A star leaves the latter out: what they need of a request is theirs to say, and may change with an expression.
        """
        return (*self.features, *self.on_demand)

    @property
    def request_inputs(self) -> tuple[Column, ...]:
        """What requests have to bring for its features on demand, in the order of the names."""
        found = {name: kind for feature in self.on_demand if feature.on_demand for name, kind in feature.on_demand.inputs.items()}
        return tuple(Column(name, found[name]) for name in sorted(found))

    def feature(self, name: str) -> Feature | None:
        """The feature of that name, or None. Its case matters only where two features differ by nothing else."""
        exact = next((feature for feature in self.all_features if feature.name == name), None)
        if exact is not None:
            return exact
        folded = [feature for feature in self.all_features if feature.name.casefold() == name.casefold()]
        return folded[0] if len(folded) == 1 else None


@dataclass(frozen=True, slots=True)
class FeatureReference:
    """`customer_orders:orders_7d`, or `customer_orders:*` for all of a view."""

    view: str
    feature: str

    def __str__(self) -> str:
        return f"{self.view}:{self.feature}"


@dataclass(frozen=True, slots=True)
class FeatureService:
    """The features that one ML model uses: a dbt exposure of type `ml`."""

    name: str
    unique_id: str
    path: str
    features: tuple[FeatureReference, ...]
    """As declared; `view:*` is not expanded."""

    description: str = ""
    tags: tuple[str, ...] = ()
    owner: Owner = Owner()
    maturity: str | None = None
    url: str | None = None
