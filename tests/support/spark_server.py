"""A Spark of two cores with its tables in a folder, which stays up between the sessions of the tests.

A process can run one Spark only, so it gives way when a test opens a target of its own, and comes back for the next one.
"""

from __future__ import annotations

import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.registry.definitions import Relation
from featurestore.warehouse import spark_process
from featurestore.warehouse.spark_process import spark_session
from featurestore.warehouse.spark_profile import SparkProfile

PARAMETERS: Mapping[str, str] = {
    # Two cores, and a task that fails is tried once more.
    "spark.master": "local[2, 2]",
    # One process runs every test of Spark. What it keeps of ended queries, for pages that nobody looks at, would fill it.
    "spark.driver.memory": "2g",
    "spark.sql.ui.retainedExecutions": "1",
    "spark.ui.retainedJobs": "1",
    "spark.ui.retainedStages": "1",
    "spark.ui.retainedTasks": "1",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    # The embedded metastore takes as long to start as Spark does; tests of it have their own.
    "spark.sql.catalogImplementation": "in-memory",
    # Compiling a query takes longer than running it over a few rows.
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    # What a session must not depend on.
    "spark.sql.session.timeZone": "America/New_York",
    "spark.sql.ansi.enabled": "false",
    "spark.sql.timestampType": "TIMESTAMP_NTZ",
}


@dataclass(frozen=True)
class LocalSpark:
    """A Spark that runs for as long as the tests do."""

    directory: Path
    schema: str = "shop"

    @property
    def output(self) -> Mapping[str, Any]:
        return {"type": "spark", "method": "session", "host": "NA", "schema": self.schema, "server_side_parameters": dict(PARAMETERS)}

    @property
    def profile(self) -> SparkProfile:
        return SparkProfile(self.directory, self.schema, PARAMETERS)

    def run(self, *statements: str) -> None:
        """Run statements, as dbt would."""
        with spark_session(self.profile) as spark:
            for statement in statements:
                spark.sql(statement)

    def relation(self, name: str) -> Relation:
        """Of the letters that Spark's catalog takes in a table's name: dbt could not make it otherwise."""
        return Relation(re.sub(r"[^A-Za-z0-9_]", "_", name), self.schema)

    def load(self, relation: Relation, rows: pa.Table) -> None:
        """Through a Parquet file, which says of each instant whether it has a zone."""
        file = self.directory / f"{uuid.uuid4().hex}.parquet"
        pq.write_table(rows, file)
        with spark_session(self.profile) as spark:
            spark.sql(f"create database if not exists `{relation.schema}`")
            spark.sql(f"drop table if exists `{relation.schema}`.`{relation.identifier}`")
            # A Spark that gave way in between forgot its tables, and their files stayed.
            shutil.rmtree(self.directory / "spark-warehouse" / f"{relation.schema}.db" / relation.identifier.lower(), ignore_errors=True)
            spark.read.option("datetimeRebaseMode", "CORRECTED").parquet(str(file)).createOrReplaceTempView("loaded_rows")
            spark.sql(f"create table `{relation.schema}`.`{relation.identifier}` using parquet as select * from loaded_rows")
        file.unlink()


@contextmanager
def local_spark(directory: Path) -> Iterator[LocalSpark]:
    """A Spark whose metastore is in that folder."""
    running = LocalSpark(directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spark_process, "IDLE", timedelta(hours=1))
        yield running
        spark_process.end()
