"""A file and its lock: whenever the writer is killed, no lock lies beside rows that it does not speak of."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from featurestore.errors import EntityDataframeError
from featurestore.training.parquet_files import ParquetRows, data_path, lock_path, write_parquet

KILLED_AT = """
import os, signal, sys
import pyarrow as pa
from pathlib import Path
from featurestore.training.parquet_files import write_parquet

target, left = Path(sys.argv[1]), int(sys.argv[2])

def step(event, arguments):
    global left
    if event in ("open", "os.remove", "os.rename") and str(target.parent) in str(arguments[0]):
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(step)
rows = pa.table({"value": ["new"]})
write_parquet(target, rows.schema, rows.to_batches(), lambda: b"new")
"""


def write(target: Path, value: str) -> None:
    rows = pa.table({"value": [value]})
    write_parquet(target, rows.schema, rows.to_batches(), value.encode)


def test_a_writer_killed_at_any_step_leaves_no_lock_beside_other_rows(tmp_path: Path) -> None:
    seen = []
    for step in range(1, 100):
        target = tmp_path / str(step) / "train.parquet"
        target.parent.mkdir()
        write(target, "old")
        ended = subprocess.run([sys.executable, "-c", KILLED_AT, str(target), str(step)], check=False).returncode
        lock = lock_path(target).read_text() if lock_path(target).exists() else None
        seen.append((pq.read_table(target).column("value")[0].as_py(), lock))
        if ended != -signal.SIGKILL:
            assert ended == 0
            break
    assert list(dict.fromkeys(seen)) == [("old", "old"), ("old", None), ("new", None), ("new", "new")]
    assert seen[-1] == ("new", "new")


def test_rows_that_fail_leave_both_as_they_were(tmp_path: Path) -> None:
    target = tmp_path / "train.parquet"
    write(target, "old")

    def broken() -> bytes:
        raise OSError("the warehouse went away")

    rows = pa.table({"value": ["new"]})
    with pytest.raises(OSError, match="went away"):
        write_parquet(target, rows.schema, rows.to_batches(), broken)
    assert (pq.read_table(target).to_pydict(), lock_path(target).read_text()) == ({"value": ["old"]}, "old")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_written_without_a_lock_keeps_no_other_ones(tmp_path: Path) -> None:
    target = tmp_path / "train.parquet"
    write(target, "old")
    rows = pa.table({"value": ["new"]})
    write_parquet(target, rows.schema, rows.to_batches())
    assert [path.name for path in tmp_path.iterdir()] == ["train.parquet"]


def test_a_path_speaks_of_the_file_or_of_its_lock() -> None:
    path = Path("out/train.parquet")
    assert lock_path(path) == Path("out/train.parquet.lock.json")
    assert data_path(lock_path(path)) == data_path(path) == path


def test_rows_of_a_file_are_read_as_often_as_asked_in_the_order_of_columns_asked_for(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2], "b": pa.array(["x", "y"]).dictionary_encode(), "c": pa.array([1, 2], pa.timestamp("ns"))})
    pq.write_table(table, tmp_path / "spine.parquet")
    rows = ParquetRows(tmp_path / "spine.parquet", ("c", "b"))
    for _ in range(2):
        assert rows.open().read_all().equals(table.select(["c", "b"]))
    with pytest.raises(EntityDataframeError, match=r"has no column 'd'\. There is: a, b, c\."):
        ParquetRows(tmp_path / "spine.parquet", ("d",)).open()
    with pytest.raises(EntityDataframeError, match="cannot be read as a Parquet file"):
        ParquetRows(tmp_path / "nowhere.parquet").open()
