from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from featurestore.dbt.invoke import find_dbt, refuse_options_from_environment, run_dbt
from featurestore.errors import NotInstalledError, RequestError


def script(folder: Path, text: str) -> Path:
    path = folder / "dbt"
    folder.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_whatever_dbt_is_on_the_path_runs_in_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    script(tmp_path / "bin", 'echo "out: $@ in $(pwd)"; echo "err" >&2; exit 2')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    project = tmp_path / "project"
    project.mkdir()
    assert run_dbt(["build", "--select", "a b"], project) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err == f"out: build --select a b in {project}\nerr\n"


def test_the_dbt_beside_this_python_is_found_without_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = script(tmp_path / "bin", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    assert find_dbt() == beside


def test_without_any_dbt_the_command_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(NotInstalledError, match=r"Running dbt needs dbt\. Run: pip install 'featurestore\[dbt\]'"):
        run_dbt(["build"], tmp_path)


@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_waits_until_dbt_has_wound_down(tmp_path: Path, by: signal.Signals) -> None:
    """Ctrl-C reaches dbt itself; SIGTERM, which a scheduler sends to one process only, is passed on as an interrupt."""
    script(tmp_path / "bin", "trap 'sleep 0.5; touch wound_down; exit 1' INT\ntouch begun\nwhile :; do sleep 0.05; done")
    program = "import sys; from featurestore.dbt.invoke import run_dbt\ntry: run_dbt(['run'], '.')\nexcept KeyboardInterrupt: sys.exit(130)"
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
        start_new_session=True,
    )
    while not (tmp_path / "begun").exists():
        assert process.poll() is None
        time.sleep(0.02)
    if by is signal.SIGINT:
        os.killpg(process.pid, by)
    else:
        process.send_signal(by)
    assert process.wait(60) == 130
    assert (tmp_path / "wound_down").exists()


def test_options_are_refused_from_the_environment_only_where_they_are_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBT_FULL_REFRESH", "False")
    refuse_options_from_environment("FULL_REFRESH", "EMPTY")
    monkeypatch.setenv("DBT_ENGINE_EMPTY", "true")
    with pytest.raises(RequestError, match=r"DBT_EMPTY=true is in the environment"):
        refuse_options_from_environment("FULL_REFRESH", "EMPTY")
