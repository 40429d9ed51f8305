"""docs/guides/backfill.md is true: its edits are made on the reference project, its commands run, and what it shows is what they say."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from dbt_command import REPOSITORY, copy_package

pytestmark = pytest.mark.xdist_group("reference_project")

GUIDE = (REPOSITORY / "docs/guides/backfill.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(console|diff)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
WAIT = 900.0


@pytest.mark.timeout(1800)
def test_the_walk_through_is_what_happens(tmp_path: Path) -> None:
    project = copy_package(tmp_path / "featurestore")
    before: list[tuple[object, ...]] = []
    for kind, text in BLOCK.findall(GUIDE):
        if kind == "diff":
            before = before or days(project)
            edit(project, text)
            continue
        for command, shown in commands(text):
            said = interrupted(project, command) if "^C" in shown else run(project, command)
            for line in shown:
                assert line == "^C" or squeezed(line) in squeezed(said), f"$ {command}\n{said}\nlacks: {line}"
    progress = json.loads((project / "target" / "fsdbt_backfill.json").read_text())["targets"]["duckdb"]["model.featurestore.carrier_daily"]
    assert progress["finished_at"]
    after = days(project)
    same = [slice(0, -1), slice(-1, None)]
    assert [row[same[0]] for row in after] == [row[same[0]] for row in before], "nothing but the share of late flights is another"
    assert sum(now[-1] < then[-1] for now, then in zip(after, before, strict=True)) > 500
    assert all(now[-1] <= then[-1] for now, then in zip(after, before, strict=True)), "fewer are late by 30 minutes than by 15"


def days(project: Path) -> list[tuple[object, ...]]:
    with duckdb.connect(project / "featurestore.duckdb", read_only=True) as connection:
        return connection.sql("select * exclude (late_share_1d), late_share_1d from carrier_daily order by carrier, landed_on").fetchall()


def edit(project: Path, diff: str) -> None:
    """Make an edit that the guide shows: lines that stay and go are replaced by lines that stay and come."""
    first, *lines = diff.splitlines()
    path = project / first.removeprefix("--- ")
    old = "\n".join(line[1:] for line in lines if not line.startswith("+"))
    new = "\n".join(line[1:] for line in lines if not line.startswith("-"))
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path.name} has not once:\n{old}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def commands(block: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a console block with the lines shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, *shown = part.splitlines()
        yield command, [line for line in shown if line.strip()]


def squeezed(text: str) -> str:
    """Without what dbt colours, and with every run of spaces as one."""
    return re.sub(r"[ \t]+", " ", re.sub(r"\x1b\[\d+m", "", text)).strip()


def run(project: Path, command: str) -> str:
    done = subprocess.run(program(command), cwd=project, env=environment(project), stdin=subprocess.DEVNULL, text=True, capture_output=True)
    assert (done.returncode == 0) is ("error:" not in done.stderr), done.stderr
    return done.stdout + done.stderr


def interrupted(project: Path, command: str) -> str:
    """Run a command and press Ctrl-C during its second run of dbt: the whole foreground group gets the signal."""
    said = project.parent / "said.txt"
    with said.open("w") as output:
        process = subprocess.Popen(
            program(command),
            cwd=project,
            env=environment(project),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
        )
        deadline = time.monotonic() + WAIT
        while said.read_text().count("Batch 2 of 20 START") < 2:
            assert process.poll() is None, said.read_text()
            assert time.monotonic() < deadline, said.read_text()
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(WAIT) == 130, said.read_text()
    return said.read_text()


def program(command: str) -> list[str]:
    name, *arguments = shlex.split(command)
    return [str(Path(sys.executable).with_name(name)), *arguments]


def environment(project: Path) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "FSDBT_", "FEATURESTORE_"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "DO_NOT_TRACK": "1", "DBT_PROFILES_DIR": str(project / "profiles")}
