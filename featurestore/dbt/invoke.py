"""Runs dbt, whichever one is installed, as a process of its own: importing it takes seconds, and dbt v2 is no Python at all."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from featurestore.errors import NotInstalledError


def run_dbt(args: Sequence[str], cwd: Path | str) -> int:
    """Run `dbt <args>` in that folder and return its exit code.

    Its output goes to stderr unchanged, for stdout is for data. Raises NotInstalledError where there is no dbt.
    """
    sys.stderr.flush()
    return subprocess.run([str(find_dbt()), *args], cwd=cwd, stdout=_stderr(), check=False).returncode


def find_dbt() -> Path:
    """The `dbt` on the PATH, else the one beside this Python. Raises NotInstalledError."""
    beside = Path(sys.executable).parent
    found = shutil.which("dbt") or shutil.which("dbt", path=str(beside))
    if found is None:
        raise NotInstalledError("dbt", "dbt", "Running dbt")
    return Path(found)


def _stderr() -> int:
    """The file that stderr is now, which a test or a notebook may have put elsewhere."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError):
        return 2
