"""The reference project's training set as a dbt model holds what Python answers, and dbt knows what it is made of."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from dbt_command import DbtRun

from featurestore import FeatureStore, ref

pytestmark = pytest.mark.xdist_group("reference_project")


def test_the_model_holds_what_python_answers(built: DbtRun, tmp_path: Path) -> None:
    with FeatureStore(built.project, profiles_dir=built.project / "profiles", online_store=f"sqlite:///{tmp_path / 'unused.db'}") as store:
        python = store.get_historical_features(ref("departures"), features="departure_delay_model").to_arrow()
    with duckdb.connect(built.project / "featurestore.duckdb", read_only=True) as connection:
        model = connection.sql("select * from departures_training_set").to_arrow_table()
    assert python.num_rows > 10_000, "or nothing was compared"
    assert in_order(model).equals(in_order(python))


def in_order(training_set: pa.Table) -> pa.Table:
    """The same rows by flight: a table has no order of its own."""
    flight = ("event_timestamp", "carrier", "flight_number", "origin", "tailnum")
    return training_set.sort_by([(name, "ascending") for name in flight])


def test_dbt_knows_what_the_training_set_is_made_of(built: DbtRun) -> None:
    made_of = built.manifest["nodes"]["model.featurestore.departures_training_set"]["depends_on"]["nodes"]
    service = built.manifest["exposures"]["exposure.featurestore.departure_delay_model"]
    assert {*made_of} == {*service["depends_on"]["nodes"], "model.featurestore.departures"}
