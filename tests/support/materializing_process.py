"""Materializes in processes of their own that a test may kill: forked from one that has everything imported, so each starts at once.

python materializing_process.py    and on its input, line by line:  run DIRECTORY URL VERSION LEASE_SECONDS  |  wait PID
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from types import TracebackType

import pyarrow as pa
from duckdb_file import DuckDBFile
from history_project import HistoryProject, at_hour

from featurestore.errors import FeatureStoreError
from featurestore.registry.definitions import Column, Entity, Feature, FeatureView, Relation
from featurestore.registry.value_types import INT64, STRING, TIMESTAMP

READINGS = FeatureView(
    name="readings",
    unique_id="model.lawful.readings",
    path="models/readings.sql",
    relation=Relation("readings"),
    entities=(Entity("sensor", (Column("sensor_id", INT64),)),),
    event_timestamp=Column("read_at", TIMESTAMP),
    features=(Feature("value", INT64), Feature("unit", STRING)),
)
SENSORS = 5_000
"""In every version. As many come and go."""

COMING_AND_GOING = 500
DONE, FAILED = 0, 3


def project_of(directory: Path, url: str, version: int) -> HistoryProject:
    """The project whose table holds that version of its rows."""
    return HistoryProject(DuckDBFile(directory), url, READINGS, runs=version)


def build(directory: Path, version: int) -> None:
    """Put a version's rows into a new warehouse. A row says twice which version it is of, so that a mixed one would show."""
    directory.mkdir()
    sensors = [*range(SENSORS), *(SENSORS + COMING_AND_GOING * version + place for place in range(COMING_AND_GOING))]
    # Its event time may as well move back: a full run leaves what the warehouse says.
    read_at = at_hour(version % 7).replace(tzinfo=None)
    columns = {
        "sensor_id": pa.array(sensors, pa.int64()),
        "read_at": pa.array([read_at] * len(sensors), pa.timestamp("us")),
        "value": pa.array([sensor * version for sensor in sensors], pa.int64()),
        "unit": pa.array([f"v{version}"] * len(sensors)),
    }
    running = DuckDBFile(directory)
    running.load(running.relation("readings"), pa.table(columns))


class MaterializingProcess:
    """The process that forks. Each run is a child of it, known by its id."""

    def __init__(self) -> None:
        support = Path(__file__).parent
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(support), str(support.parents[1])])}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def start(self, directory: Path, url: str, version: int, lease: timedelta) -> int:
        """Begin to publish a version; the id of the process that does."""
        return int(self._asked("run", str(directory), url, str(version), str(lease.total_seconds())))

    def wait(self, pid: int) -> tuple[int, str]:
        """How a run ended (DONE, FAILED, or the negative number of the signal that killed it), and what it said."""
        code, _, said = self._asked("wait", str(pid)).partition(" ")
        return int(code), said

    def __enter__(self) -> MaterializingProcess:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def _asked(self, *words: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write("\t".join(words) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


def _publish(directory: Path, url: str, version: int, lease: timedelta) -> str | None:
    """Why it could not be published, or None."""
    try:
        project_of(directory, url, version).materialize(at_hour(1000), everything=True, lease=lease)
    except FeatureStoreError as error:
        return str(error).replace("\n", " ")
    return None


def _main() -> None:
    said = {}
    while line := sys.stdin.readline():
        order, *words = line.rstrip("\n").split("\t")
        if order == "run":
            read_end, write_end = os.pipe()
            pid = os.fork()
            if pid == 0:
                os.close(read_end)
                why = _publish(Path(words[0]), words[1], int(words[2]), timedelta(seconds=float(words[3])))
                os.write(write_end, (why or "").encode()[:2000])
                os._exit(FAILED if why else DONE)
            os.close(write_end)
            said[pid] = read_end
            print(pid, flush=True)
        else:
            pid = int(words[0])
            _, status = os.waitpid(pid, 0)
            with os.fdopen(said.pop(pid)) as pipe:
                print(os.waitstatus_to_exitcode(status), pipe.read(), flush=True)
    for pid in said:
        os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    _main()
