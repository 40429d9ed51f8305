"""Makes the manifests of this folder: what each version of dbt makes of tests/dbt_package/documented_forms.

    python tests/dbt/manifests/make.py --venvs /tmp/dbts [VERSION …]

Each version is installed into a virtual environment of its own below --venvs, once, and parses a copy of the project. What a version
does not know is left out of its copy. The files are as dbt wrote them except for what TRIMMED and VOLATILE name (the former is most of
the bytes, the latter differs from run to run) and disabled seeds and tests.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parents[2]
FORMS = REPOSITORY / "tests" / "dbt_package" / "documented_forms"

REQUIREMENTS = {
    "1.8": ["dbt-core==1.8.10", "dbt-duckdb==1.8.4", "duckdb==1.1.3"],
    "1.9": ["dbt-core==1.9.11", "dbt-duckdb==1.9.6", "duckdb==1.2.2"],
    "1.10": ["dbt-core==1.10.23", "dbt-duckdb==1.10.1", "duckdb==1.4.5"],
    "1.11": ["dbt-core==1.11.16", "dbt-duckdb==1.11.1", "duckdb==2.0.0"],
    # The last 1.12 whose parser comes as a wheel; later ones build it from a download.
    "1.12": ["dbt-core==1.12.0", "dbt-core-experimental-parser==2.0.0a4", "dbt-duckdb==1.11.1", "duckdb==2.0.0"],
    "2.0": ["dbt==2.0.0rc196"],
}
UNKNOWN_TO = {
    "1.8": ["models/with_arguments", "models/semantic_columns", "snapshots/yaml_form"],
    "1.9": ["models/with_arguments", "models/semantic_columns"],
    "1.10": ["models/semantic_columns"],
    "1.11": ["models/semantic_columns"],
    # v2 takes semantic models from the columns only: of these it warns, and leaves them out of its manifest.
    "2.0": ["models/semantic_models"],
}
TRIMMED = ("macros", "docs", "parent_map", "child_map", "selectors")
DISABLED = ("model.", "snapshot.", "exposure.")
VOLATILE = ("created_at", "root_path", "generated_at", "invocation_id", "invocation_started_at", "user_id", "env", "run_started_at")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venvs", type=Path, required=True, help="where the virtual environments are, or are to be")
    parser.add_argument("versions", nargs="*", default=list(REQUIREMENTS), metavar="VERSION")
    arguments = parser.parse_args()
    for version in arguments.versions:
        write(version, parsed(version, installed(version, arguments.venvs)))


def installed(version: str, venvs: Path) -> Path:
    """The dbt executable of that version."""
    folder = venvs / version
    dbt = folder / "bin" / "dbt"
    if not dbt.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", *REQUIREMENTS[version]], check=True)
    return dbt


def parsed(version: str, dbt: Path) -> dict[str, Any]:
    """The manifest that `dbt parse` writes for the forms that this version knows."""
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch) / "shop"
        shutil.copytree(FORMS, project)
        for folder in UNKNOWN_TO.get(version, ()):
            shutil.rmtree(project / folder)
        (project / "packages.yml").write_text(f"packages:\n  - local: {REPOSITORY}\n")
        for command in ("deps", "parse"):
            subprocess.run([str(dbt), command, "--profiles-dir", "."], cwd=project, check=True, env={**os.environ, "DO_NOT_TRACK": "1"})
        manifest: dict[str, Any] = json.loads((project / "target" / "manifest.json").read_text())
    return manifest


def write(version: str, manifest: dict[str, Any]) -> None:
    """Keep the manifest, trimmed, with sorted keys."""
    kept = _without_volatile({key: value for key, value in manifest.items() if key not in TRIMMED})
    kept["disabled"] = {key: value for key, value in kept["disabled"].items() if key.startswith(DISABLED)}
    path = HERE / version / "manifest.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n")
    print(f"{path.relative_to(REPOSITORY)}: {path.stat().st_size:,} bytes")


def _without_volatile(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_volatile(item) for key, item in value.items() if key not in VOLATILE}
    if isinstance(value, list):
        return [_without_volatile(item) for item in value]
    return value


if __name__ == "__main__":
    main()
