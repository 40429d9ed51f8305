"""Runs the real dbt on copies of projects, and reads back what it wrote."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
DBT = Path(sys.executable).parent / "dbt"
PACKAGE_PARTS = ("dbt_project.yml", "macros", "models", "profiles", "seeds", "snapshots", "tests/singular")
"""What of this repository dbt reads, at home and where it is installed as a package."""


@dataclass(frozen=True)
class DbtRun:
    """One dbt command and what it left behind."""

    project: Path
    returncode: int
    output: str

    @property
    def manifest(self) -> dict[str, Any]:
        return self._artifact("manifest.json")

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """The result of each node by its unique id."""
        return {result["unique_id"]: result for result in self._artifact("run_results.json")["results"]}

    def _artifact(self, name: str) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.project / "target" / name).read_text(encoding="utf-8"))
        return content


def run_dbt(project: Path, *arguments: str, dbt: Path = DBT, check: bool = True, environment: Mapping[str, str] | None = None) -> DbtRun:
    """Run a dbt command in the project, with the profiles that lie in it. Fails with dbt's own words unless told not to check."""
    profiles = project / "profiles" if (project / "profiles").is_dir() else project
    untouched = {name: value for name, value in os.environ.items() if not name.startswith(("DBT_", "FEATURESTORE_"))}
    done = subprocess.run(
        [str(dbt), *arguments, "--profiles-dir", str(profiles)],
        cwd=project,
        env={**untouched, "DO_NOT_TRACK": "1", "NO_COLOR": "1", **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    run = DbtRun(project, done.returncode, done.stdout)
    assert not check or run.returncode == 0, run.output
    return run


def copy_package(to: Path) -> Path:
    """A copy of what dbt reads of this repository: the reference project, which is the package too."""
    for part in PACKAGE_PARTS:
        source, target = REPOSITORY / part, to / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target)
        else:
            shutil.copy2(source, target)
    return to


def copy_project(source: Path, to: Path, packages: str | None = None) -> Path:
    """A copy of a project that installs this package: from this repository, or as `packages` (the text of packages.yml) says."""
    shutil.copytree(source, to)
    (to / "packages.yml").write_text(packages or f"packages:\n  - local: {json.dumps(str(REPOSITORY))}\n", encoding="utf-8")
    return to


_OF_OTHERS = ("incubator modules", "PySpark does not yet fully support pandas", "resource_tracker", "warnings.warn(")
"""Words of what Java and Python say in a dbt that runs Spark, and dbt has no part in."""


def warnings_of(run: DbtRun) -> list[str]:
    """The lines of dbt's output that warn, deprecate or complain."""
    words = ("warning", "deprecat", "error:", "unused")
    lines = (line for line in run.output.splitlines() if not any(word in line for word in _OF_OTHERS))
    return [line for line in lines if any(word in line.lower() for word in words)]
