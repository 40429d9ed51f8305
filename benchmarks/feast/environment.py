"""Feast's own environment: made once, outside what git tracks, so that nothing of it is installed beside the product.

    python benchmarks/feast/environment.py        makes it, if it is not there, and prints its interpreter

Standard library only. The versions that decide Feast's figures are pinned: those that `feast[redis,duckdb]==0.67.0` resolved to when
the comparison was written.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "data" / "feast-venv"

REQUIREMENTS = (
    "feast[redis,duckdb]==0.67.0",
    "duckdb==2.0.0",
    "hiredis==3.5.0",
    "ibis-framework==12.0.0",
    "numpy==2.4.6",
    "pandas==2.3.3",
    "protobuf==7.36.2",
    "pyarrow==26.0.1",
    "redis==7.4.1",
    "sqlglot==30.30.0",
)


def interpreter() -> Path:
    """The Python of Feast's environment, which is made when it is missing or was made for other requirements."""
    python = FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted, done = "\n".join(REQUIREMENTS), FOLDER / "installed.txt"
    if done.is_file() and done.read_text(encoding="utf-8") == wanted:
        return python
    if sys.version_info < (3, 11):
        raise SystemExit(f"Feast's pinned packages need Python 3.11 or newer; this is {sys.version.split()[0]}.")
    print(f"Installing {REQUIREMENTS[0]} into {FOLDER} (a minute or two, once)", file=sys.stderr, flush=True)
    venv.create(FOLDER, with_pip=True, clear=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS], check=True, stdout=sys.stderr)
    done.write_text(wanted, encoding="utf-8")
    return python


if __name__ == "__main__":
    print(interpreter())
