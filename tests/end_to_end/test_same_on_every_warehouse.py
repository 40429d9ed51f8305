"""The reference project answers identically wherever it is built: the same types, training sets and online answers as on DuckDB.

`dbt build` makes it from profiles/profiles.yml, as a user would. Every row of the spine is compared and every key that any view ever
had, to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from dbt_command import DbtRun, copy_package, run_dbt, warnings_of
from sqlglot import exp
from warehouses import RunningWarehouse, of_its_own

from featurestore import FeatureStore, ref
from featurestore.registry.definitions import FeatureView, Relation
from featurestore.registry.value_types import ValueType
from featurestore.sql.expressions import relation
from featurestore.warehouse.open import open_warehouse

SERVICE = "departure_delay_model"
# DuckDB is what the others are compared with.
pytestmark = pytest.mark.parametrize("warehouse_name", of_its_own(but="duckdb"), indirect=True)
INSTANTS = [datetime(2013, 1, 20, tzinfo=timezone.utc), datetime(2013, 2, 14, 17, 30, tzinfo=timezone.utc)]

ENVIRONMENTS: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, str]]] = {
    "clickhouse": lambda output: {
        "FEATURESTORE_CLICKHOUSE_HOST": output["host"],
        "FEATURESTORE_CLICKHOUSE_PORT": str(output["port"]),
        "FEATURESTORE_CLICKHOUSE_SCHEMA": "reference_project",
    },
    "postgres": lambda output: {
        "FEATURESTORE_POSTGRES_HOST": output["host"],
        "FEATURESTORE_POSTGRES_PORT": str(output["port"]),
        "FEATURESTORE_POSTGRES_USER": output["user"],
        "FEATURESTORE_POSTGRES_DATABASE": output["dbname"],
        "FEATURESTORE_POSTGRES_SCHEMA": "reference project",
        "DBT_ENV_SECRET_POSTGRES_PASSWORD": output["password"],
    },
    # Its metastore is in the project's folder.
    "spark": lambda _: {"FEATURESTORE_SPARK_MASTER": "local[2]"},
}
"""By warehouse, the variables by which profiles/profiles.yml reaches the one that the test started."""


@dataclass(frozen=True)
class Elsewhere:
    """The reference project, built on another warehouse."""

    name: str
    run: DbtRun
    variables: Mapping[str, str]

    def store(self, at: datetime, folder: Path) -> FeatureStore:
        """It and an online store of its own."""
        return feature_store(self.run, self.name, at, folder)


@pytest.fixture(scope="module")
def elsewhere(running: RunningWarehouse, warehouse_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    variables = ENVIRONMENTS[warehouse_name](running.output)
    project = copy_package(tmp_path_factory.mktemp("elsewhere") / "featurestore")
    run = run_dbt(project, "build", "--target", warehouse_name, environment=variables)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield Elsewhere(warehouse_name, run, variables)


def feature_store(run: DbtRun, target: str, at: datetime, folder: Path) -> FeatureStore:
    online = f"sqlite:///{folder / f'{target}.db'}"
    return FeatureStore(run.project, profiles_dir=run.project / "profiles", target=target, online_store=online, clock=lambda: at)


@contextmanager
def both(built: DbtRun, elsewhere: Elsewhere, at: datetime, folder: Path) -> Iterator[tuple[FeatureStore, FeatureStore]]:
    """The project on DuckDB and on the other warehouse."""
    with feature_store(built, "duckdb", at, folder) as here, elsewhere.store(at, folder) as there:
        yield here, there


def rows_of(built: DbtRun, query: str) -> pa.Table:
    with duckdb.connect(built.project / "featurestore.duckdb", read_only=True) as connection:
        return connection.sql(query).to_arrow_table()


def in_order(answer: pa.Table) -> pa.Table:
    """The rows of a spine that a warehouse gave in an order of its own, in one order, and its instants (zoned on Spark) as naive UTC."""
    spine = ["event_timestamp", "carrier", "flight_number", "origin", "destination", "tailnum"]
    naive = answer.column("event_timestamp").cast(pa.timestamp("us"))
    answer = answer.set_column(answer.column_names.index("event_timestamp"), "event_timestamp", naive)
    return answer.sort_by([(name, "ascending") for name in spine]).combine_chunks()


def types_of(view: FeatureView) -> dict[str, ValueType]:
    return {feature.name: feature.value_type for feature in view.features}


def differences(here: pa.Table, there: pa.Table) -> dict[str, Any]:
    """The columns that are not the same, with the first pair of values that is not."""
    assert here.column_names == there.column_names
    found = {}
    for name in here.column_names:
        ours, theirs = here.column(name), there.column(name)
        if ours.type != theirs.type:
            found[name] = (ours.type, theirs.type)
        elif ours != theirs:
            pairs = list(zip(ours.to_pylist(), theirs.to_pylist(), strict=True))
            found[name] = (sum(left != right for left, right in pairs), next(pair for pair in pairs if pair[0] != pair[1]))
    return found


def as_stored(answer: pa.Table, warehouse: str) -> pa.Table:
    """An answer as a table of the warehouse can hold it: in ClickHouse no list is null, but empty."""
    if warehouse == "clickhouse":
        for index, field in enumerate(answer.schema):
            if pa.types.is_list(field.type):
                lists = pa.array([value or [] for value in answer.column(index).to_pylist()], field.type)
                answer = answer.set_column(index, field, lists)
    return answer


def test_dbt_build_succeeds_without_a_warning(elsewhere: Elsewhere) -> None:
    assert warnings_of(elsewhere.run) == []
    assert {result["status"] for result in elsewhere.run.results.values()} <= {"success", "pass", "no-op"}


def test_features_have_the_same_types(built: DbtRun, elsewhere: Elsewhere, tmp_path: Path) -> None:
    with both(built, elsewhere, INSTANTS[0], tmp_path) as stores:
        here, there = ({view.name: (view.entities, types_of(view)) for view in store.registry.views} for store in stores)
    assert there == here


def test_every_view_holds_the_same_history(built: DbtRun, elsewhere: Elsewhere, tmp_path: Path) -> None:
    """Asked at each instant at which any of its rows begins to count, for each key."""
    with both(built, elsewhere, INSTANTS[0], tmp_path) as (here, there):
        for view in here.registry.views:
            keys = ", ".join(f'"{key.name}"' for key in view.join_keys)
            moment = f"cast(\"{view.event_timestamp.name}\" as timestamp) + interval '{int(view.available_after.total_seconds())} seconds'"
            asked = rows_of(built, f"select {keys}, {moment} as event_timestamp from {view.relation.identifier} order by all")
            answers = [store.get_historical_features(asked, [f"{view.name}:*"]).to_arrow() for store in (here, there)]
            assert differences(*answers) == {}, view.name
            assert asked.num_rows > 500, "or nothing was compared"


def test_the_service_has_the_same_training_set(built: DbtRun, elsewhere: Elsewhere, tmp_path: Path) -> None:
    """Whether the spine is a model of the warehouse's own or comes from the caller."""
    with both(built, elsewhere, INSTANTS[0], tmp_path) as (here, there):
        expected = here.get_historical_features(ref("departures"), features=SERVICE).to_arrow()
        departures = rows_of(built, "select * from departures")
        uploaded = there.get_historical_features(departures, features=SERVICE).to_arrow()
        queried = there.get_historical_features(ref("departures"), features=SERVICE).to_arrow()
    assert expected.num_rows == 50_173
    assert differences(expected, uploaded) == {}
    assert differences(in_order(expected), in_order(queried)) == {}


def test_what_is_worked_out_on_demand_is_the_same(built: DbtRun, elsewhere: Elsewhere, tmp_path: Path) -> None:
    with both(built, elsewhere, INSTANTS[0], tmp_path) as stores:
        here, there = (store.get_historical_features(ref("departures"), features="arrival_delay_model").to_arrow() for store in stores)
    assert differences(in_order(here), in_order(there)) == {}
    assert here.column("distance_ratio").null_count < here.num_rows // 10, "or nothing was compared"


def test_the_training_set_that_dbt_builds_is_the_one_that_python_answers(elsewhere: Elsewhere, tmp_path: Path) -> None:
    node = elsewhere.run.manifest["nodes"]["model.featurestore.departures_training_set"]
    built_there = relation(Relation(node["alias"], node["schema"], node["database"] or None))
    with elsewhere.store(INSTANTS[0], tmp_path) as there:
        with open_warehouse(there.target).session() as session:
            modelled = session.query(exp.select("*").from_(built_there)).read_all()
        answered = there.get_historical_features(ref("departures"), features=SERVICE).to_arrow()
    assert modelled.num_rows == 50_173
    assert differences(in_order(as_stored(answered, elsewhere.name)), in_order(modelled)) == {}


@pytest.mark.parametrize("at", INSTANTS, ids=["a midnight", "an afternoon"])
def test_every_key_has_the_same_online_answer(built: DbtRun, elsewhere: Elsewhere, tmp_path: Path, at: datetime) -> None:
    with both(built, elsewhere, at, tmp_path) as (here, there):
        published = [{view.view: view.rows for view in store.materialize(everything=True).published} for store in (here, there)]
        assert published[0] == published[1]
        for view in here.registry.views:
            keys = ", ".join(f'"{key.name}"' for key in view.join_keys)
            asked = rows_of(built, f"select distinct {keys} from {view.relation.identifier} where ({keys}) is not null order by all")
            answers = [store.get_online_features(asked.to_pylist(), [f"{view.name}:*"]).to_arrow() for store in (here, there)]
            assert differences(*answers) == {}, view.name
        flights = rows_of(built, "select distinct tailnum, carrier, origin from departures where tailnum is not null order by all")
        service = [store.get_online_features(flights.to_pylist(), SERVICE).to_arrow() for store in (here, there)]
    assert differences(*service) == {}
    assert service[0].num_rows > 5_000, "or nothing was compared"
