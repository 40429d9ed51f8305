"""Virtual environments of their own, for programs whose requirements do not go together with those of the tests.

Each is made once and kept for the next run, in `FSDBT_TEST_CACHE` or the home folder's cache.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import venv
from pathlib import Path


def environment(name: str, *packages: str) -> Path:
    """The folder of an environment's programs, with those packages installed. Test processes that run side by side wait for it."""
    cache = Path(os.environ.get("FSDBT_TEST_CACHE") or Path.home() / ".cache" / "fsdbt-tests")
    folder = cache / name
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            venv.create(folder, with_pip=True, clear=True)
            install = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*install, *packages], check=True)
            (folder / "installed").touch()
    return folder / "bin"
