"""Asks an HTTP server as fast as it answers, or at a given rate, with a compiled generator (wrk) on a processor of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_SCRIPT = """\
local bodies = {}
for line in io.lines(os.getenv("WRK_BODIES")) do bodies[#bodies + 1] = line end
local turn = 0
function init(args) wrk.method = "POST"; wrk.headers["Content-Type"] = "application/json" end
function request() turn = turn + 1; return wrk.format(nil, nil, nil, bodies[turn % #bodies + 1]) end
local pause = tonumber(os.getenv("WRK_PAUSE_MS"))
if pause > 0 then function delay() return math.random(0, 2 * pause) end end
function done(summary, latency, requests)
  io.write(string.format("FIGURES %d %d %d %d %d\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""

GENERATOR_PROCESSOR, SERVER_PROCESSOR = "1", "0"


@dataclass(frozen=True)
class Load:
    """What came of asking for some seconds. Times in milliseconds."""

    requests: int
    per_second: float
    failed: int
    p50_ms: float
    p99_ms: float


def on_processor(number: str, *command: object) -> list[str]:
    """That command, held to one processor where there are two and taskset is there."""
    pinned = ["taskset", "-c", number] if (os.cpu_count() or 1) > 1 and shutil.which("taskset") else []
    return [*pinned, *map(str, command)]


def post(url: str, bodies: list[bytes], *, connections: int, seconds: float, per_second: float | None = None, pinned: bool = True) -> Load:
    """Post those bodies in turn, over so many connections, each as soon as the one before was answered.

    Args:
        per_second: or about so many, by pauses of random length.
        pinned: whether the generator keeps to its own processor.
    """
    program = shutil.which("wrk")
    if program is None:
        raise SystemExit("This benchmark needs wrk. On Debian or Ubuntu: apt-get install wrk. On macOS: brew install wrk")
    with tempfile.TemporaryDirectory() as folder:
        script, lines = Path(folder) / "post.lua", Path(folder) / "bodies"
        script.write_text(_SCRIPT, encoding="utf-8")
        lines.write_bytes(b"\n".join(bodies))
        command: list[str] = [
            program,
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            "--timeout",
            "20s",
            "-s",
            str(script),
            url,
        ]
        told = {"WRK_BODIES": str(lines), "WRK_PAUSE_MS": f"{0 if per_second is None else connections / per_second * 1000:.0f}"}
        output = subprocess.run(
            on_processor(GENERATOR_PROCESSOR, *command) if pinned else command,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, **told},
        ).stdout
    found = re.search(r"FIGURES (.*)", output)
    assert found is not None, output
    requests, micros, failed, p50, p99 = map(int, found[1].split())
    return Load(requests, requests / micros * 1e6, failed, p50 / 1000, p99 / 1000)


def processor_seconds(pid: int) -> float:
    """What a process and its children have used so far."""
    total = 0.0
    for each in (pid, *_children(pid)):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return total


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [child for number in path.read_text().split() for child in (int(number), *_children(int(number)))]
