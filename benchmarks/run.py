"""Every benchmark, one after the other, each beside its floor; the figures are kept with the machine and the versions.

    python benchmarks/run.py [--feast] [--only NAME]

What counts are the ratios of one run: machines are shared and noisy. The figures go to benchmarks/results/, one file a day, which
is never edited.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
BENCHMARKS = ("registry", "training", "aggregations", "lock", "materialize", "online_read", "serving")
PACKAGES = ("duckdb", "hiredis", "msgspec", "pyarrow", "redis", "sqlglot")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--feast", action="store_true", help="also beside Feast, in an environment of its own")
    parser.add_argument("--only", choices=BENCHMARKS, help="one of them")
    arguments = parser.parse_args()
    wanted = (arguments.only,) if arguments.only else BENCHMARKS
    measured = {name: run(name) for name in wanted}
    if arguments.feast:
        subprocess.run([sys.executable, HERE / "feast/run.py"], check=True)
    keep(measured)
    return 0


def run(name: str) -> Any:
    """Run one benchmark, its table on our stdout; its figures."""
    print(f"\n# {name}\n", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        figures = Path(scratch) / "figures.json"
        subprocess.run([sys.executable, HERE / f"{name}.py", "--json", figures], check=True)
        return json.loads(figures.read_text(encoding="utf-8"))


def keep(measured: dict[str, Any]) -> None:
    """Write the figures down beside what they were measured on."""
    redis_server = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "redis-server": redis_server.split()[2].removeprefix("v="),
        **{package: version(package) for package in PACKAGES},
    }
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    path = results / f"{date.today().isoformat()}.json"
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    path.write_text(json.dumps({**before, "machine": machine, **measured}, indent=2) + "\n", encoding="utf-8")
    print(f"\nkept in {path.relative_to(HERE.parent)}")


if __name__ == "__main__":
    sys.exit(main())
