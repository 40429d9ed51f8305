"""Feature views and spines for the training benchmarks: random, and the same on every machine.

Each view has its own key over the same number of entities; timestamps are spread over a year in microseconds, so no two rows of one
key share one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb

from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.registry import RequestedView
from featurestore.registry.value_types import FLOAT64, INT64, TIMESTAMP

DATA = Path(__file__).resolve().parent / "data"
ENTITIES = 200_000
YEAR = 366 * 86_400_000_000
TTL = timedelta(days=30)


@dataclass(frozen=True)
class Workload:
    """A DuckDB file with `spine` and the views `v1`, `v2`, …"""

    spine_rows: int
    feature_rows: int
    """Of all views together."""

    views: int = 3
    features: int = 10

    @property
    def path(self) -> Path:
        return DATA / f"training-{self.spine_rows}-{self.feature_rows}-{self.views}-{self.features}.duckdb"

    def keys(self) -> list[str]:
        """The spine's join keys, one for each view."""
        return [f"k{view}" for view in range(1, self.views + 1)]

    def feature_names(self, view: int) -> list[str]:
        """The features of one view."""
        return [f"v{view}_f{feature}" for feature in range(self.features)]

    def requested(self) -> tuple[RequestedView, ...]:
        """All features of all views, as the product is asked for them."""
        return tuple(
            RequestedView(view, view.features, tuple(feature.name for feature in view.features))
            for view in map(self._view, range(1, self.views + 1))
        )

    def make(self) -> None:
        """Make the file, unless it is there."""
        if self.path.exists():
            return
        DATA.mkdir(exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        with duckdb.connect(str(unfinished)) as connection:
            for view in range(1, self.views + 1):
                values = ", ".join(
                    f"(hash(i * 97 + {1000 * view + place}) % 1000000) / 100 AS {name}"
                    for place, name in enumerate(self.feature_names(view))
                )
                connection.execute(
                    f"CREATE TABLE v{view} AS SELECT {_entity(f'i * 7 + {view}')} AS k{view}, {_moment(f'i * 13 + {view}')} AS happened_at, {values} "
                    f"FROM range({self.feature_rows // self.views}) AS rows(i)"
                )
            keys = ", ".join(f"{_entity(f'i * 11 + {100 + place}')} AS {key}" for place, key in enumerate(self.keys()))
            connection.execute(
                f"CREATE TABLE spine AS SELECT {keys}, {_moment('i * 17 + 5')} AS event_timestamp, i % 2 = 0 AS label "
                f"FROM range({self.spine_rows}) AS rows(i)"
            )
        unfinished.rename(self.path)

    def _view(self, view: int) -> FeatureView:
        key = Column(f"k{view}", INT64)
        return FeatureView(
            name=f"v{view}",
            unique_id=f"model.benchmark.v{view}",
            path=f"models/v{view}.sql",
            relation=Relation(f"v{view}", "main"),
            entities=(Entity(key.name, (key,)),),
            event_timestamp=Column("happened_at", TIMESTAMP),
            features=tuple(Feature(name, FLOAT64) for name in self.feature_names(view)),
            ttl=TTL,
        )


def _entity(seed: str) -> str:
    return f"CAST(hash({seed}) % {ENTITIES} AS BIGINT)"


def _moment(seed: str) -> str:
    return f"TIMESTAMP '2024-01-01' + to_microseconds(CAST(hash({seed}) % {YEAR} AS BIGINT))"
