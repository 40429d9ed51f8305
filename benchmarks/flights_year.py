"""Brings the flights of the whole year 2013 into benchmarks/data/: the reference project, on six times its own data.

    python benchmarks/flights_year.py

The seeds are made as the repository's own are, for twelve months instead of two, and dbt builds the same models over them into
benchmarks/data/flights_year/featurestore.duckdb. Needs dbt, and the network for the source. What is there already is kept; remove the
folder after a change to the models.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = Path(__file__).resolve().parent / "data" / "flights_year"
PARTS = ("dbt_project.yml", "macros", "models", "profiles", "snapshots")
DATABASE = "featurestore.duckdb"
BUILT = PROJECT / "built"


def flights_year() -> Path:
    """The folder of a built dbt project over the whole year."""
    if not BUILT.exists():
        shutil.rmtree(PROJECT, ignore_errors=True)
        PROJECT.mkdir(parents=True)
        for part in PARTS:
            _copy(ROOT / part, PROJECT / part)
        _make_seeds(PROJECT / "seeds")
        _build()
        BUILT.touch()
    return PROJECT


def _make_seeds(folder: Path) -> None:
    _copy(ROOT / "seeds" / "seeds.yml", folder / "seeds.yml")
    maker = [sys.executable, str(ROOT / "seeds" / "make_seeds.py"), "--months", "1-12", "--into", str(folder)]
    subprocess.run(maker, check=True)


def _build() -> None:
    dbt = shutil.which("dbt", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if dbt is None:
        raise SystemExit("dbt is not installed. Run: pip install 'featurestore[dbt]'")
    environment = {**os.environ, "FEATURESTORE_DUCKDB": str(PROJECT / DATABASE), "DBT_TARGET_PATH": str(PROJECT / "target")}
    subprocess.run([dbt, "build", "--profiles-dir", "profiles"], cwd=PROJECT, check=True, env=environment)


def _copy(source: Path, to: Path) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, to)
    else:
        shutil.copy2(source, to)


if __name__ == "__main__":
    print(flights_year())
