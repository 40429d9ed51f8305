"""What a dbt-spark target may say, and what of it is never shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from featurestore.dbt.profiles import Target
from featurestore.errors import WarehouseError
from featurestore.warehouse.open import open_warehouse
from featurestore.warehouse.spark import SparkWarehouse


def target(directory: Path, **changes: Any) -> Target:
    settings = {"type": "spark", "method": "session", "host": "NA", "schema": "shop", **changes}
    return Target("shop", "dev", "spark", settings, directory)


@pytest.mark.parametrize("method", ["thrift", "http", "odbc", None])
def test_a_method_that_carries_no_arrow_is_refused_with_the_one_that_does(tmp_path: Path, method: str | None) -> None:
    with pytest.raises(WarehouseError, match="Use `method: session`"):
        open_warehouse(target(tmp_path, method=method))


def test_parameters_are_read_as_dbt_reads_them(tmp_path: Path) -> None:
    warehouse = open_warehouse(target(tmp_path, server_side_parameters={"spark.sql.shuffle.partitions": 7, "spark.eventLog.enabled": True}))
    assert isinstance(warehouse, SparkWarehouse)
    assert warehouse.profile.parameters == {"spark.sql.shuffle.partitions": "7", "spark.eventLog.enabled": "true"}


def test_parameters_that_are_no_mapping_are_named(tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match="server_side_parameters"):
        open_warehouse(target(tmp_path, server_side_parameters=["spark.master"]))


def test_no_secret_is_shown(tmp_path: Path) -> None:
    parameters = {"spark.hadoop.fs.s3a.secret.key": "hunter2", "spark.remote": "sc://host/;token=hunter3", "spark.master": "local[2]"}
    warehouse = open_warehouse(target(tmp_path, server_side_parameters=parameters))
    assert isinstance(warehouse, SparkWarehouse)
    assert "hunter" not in repr(warehouse)
    assert warehouse.profile.without_secrets("hunter2 at sc://host/;token=hunter3 on local[2]") == "… at … on local[2]"
