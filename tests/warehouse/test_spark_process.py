"""One Spark in a process, and one process in an embedded metastore."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.xdist_group("warehouse spark")


def test_the_embedded_metastore_is_held_by_one_process_and_named(tmp_path: Path) -> None:
    """As long as one is in, another is told what is held; when it is out, the other gets in."""
    with in_another_process(tmp_path, "input()") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "in\n"
        with in_another_process(tmp_path) as refused:
            told, _ = refused.communicate(timeout=400)
        assert f"WarehouseLockedError {tmp_path / 'metastore_db'} is held by another process" in told
        holder.communicate("\n", timeout=100)
    with in_another_process(tmp_path) as welcome:
        assert welcome.communicate(timeout=400)[0].startswith("in\n")


def test_a_spark_that_the_caller_runs_is_used_and_left_running(tmp_path: Path) -> None:
    """As in a notebook: its tables are there, its settings stay as they are, and it lives on."""
    code = """
        from pyspark.sql import SparkSession
        own = SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false").getOrCreate()
        own.conf.set("spark.sql.session.timeZone", "America/New_York")
        own.sql("create table numbers using parquet as select 7 as n, timestamp '2024-01-01 00:00:00' as at")
        own.range(3).createOrReplaceTempView("entity_df")
        with SparkWarehouse(SparkProfile(Path("."), "default")).session() as session:
            print(session.query("select n, hour(at) as hour from numbers").read_all().to_pylist())
        print(own.conf.get("spark.sql.session.timeZone"), own.table("entity_df").count())
    """
    with in_another_process(tmp_path, code, opening=False) as process:
        assert process.communicate(timeout=400)[0] == "[{'n': 7, 'hour': 5}]\nAmerica/New_York 3\n"


@contextmanager
def in_another_process(directory: Path, then: str = "pass", *, opening: bool = True) -> Iterator[subprocess.Popen[str]]:
    """Python that opens a session there, says so or why not, and then runs that code in it."""
    program = """
from pathlib import Path
from featurestore.errors import WarehouseError
from featurestore.warehouse.spark import SparkWarehouse
from featurestore.warehouse.spark_profile import SparkProfile
"""
    if opening:
        program += f"""
profile = SparkProfile(Path({str(directory)!r}), "default", {{"spark.master": "local[1]", "spark.driver.memory": "512m"}})
try:
    with SparkWarehouse(profile).session():
        print("in", flush=True)
        {then}
except WarehouseError as error:
    print(type(error).__name__, error)
"""
    else:
        program += textwrap.dedent(then)
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([sys.executable, "-c", program], cwd=directory, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def test_without_java_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    with in_another_process(tmp_path) as process:
        assert "needs Java 17 or newer" in process.communicate(timeout=100)[0]
