from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from featurestore.dbt.invoke import find_dbt, run_dbt
from featurestore.errors import NotInstalledError


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
