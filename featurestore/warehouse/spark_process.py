"""One Spark for a Python process, started where dbt would start it, and given up soon after the last job.

A process can run one Spark only. Where the caller runs one already (a notebook, a Databricks job), that one is used, in sessions of our
own, and left running. Otherwise one is started in the project's folder, where dbt-spark's embedded metastore lies: as with DuckDB, one
process can hold that and nobody else meanwhile, so it ends when nobody has used it for a few seconds.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from featurestore.errors import NotInstalledError, WarehouseError

from .spark_profile import ALWAYS, STARTS_WITH, SparkProfile, is_secret

IDLE = timedelta(seconds=3)
"""How long a Spark of ours stays up for the next session of the same job. Starting one takes seconds."""

_LOG_TAIL = 2_000


@dataclass
class _Spark:
    """A Spark that we started."""

    profile: SparkProfile
    root: Any = field(repr=False)
    log: Path
    sessions: int = 0
    ending: threading.Timer | None = None


_lock = threading.RLock()
_ours: _Spark | None = None


@contextmanager
def spark_session(profile: SparkProfile) -> Iterator[Any]:
    """A `pyspark.sql.SparkSession` with settings and temporary views of its own. Raises WarehouseError, NotInstalledError."""
    session, of_ours = _opened(profile)
    try:
        yield session
    finally:
        if of_ours:
            _released()


def _opened(profile: SparkProfile) -> tuple[Any, bool]:
    global _ours
    _pyspark()
    with _lock:
        running = _ours.root if _ours is not None else None
        callers = _callers_own(running)
        if callers is not None:
            return _prepared(callers.newSession(), profile), False
        if _ours is not None and _ours.profile != profile:
            if _ours.sessions:
                raise WarehouseError("This process runs Spark for another target already, and it can run one only. Close that job first.")
            end()
        if _ours is None:
            _ours = _started(profile)
        if _ours.ending is not None:
            _ours.ending.cancel()
            _ours.ending = None
        session = _prepared(_ours.root.newSession(), profile)
        _ours.sessions += 1
        return session, True


def _released() -> None:
    with _lock:
        if _ours is None:
            return
        _ours.sessions -= 1
        if _ours.sessions == 0:
            _ours.ending = threading.Timer(IDLE.total_seconds(), _end_if_idle)
            _ours.ending.daemon = True
            _ours.ending.start()


def _end_if_idle() -> None:
    with _lock:
        if _ours is not None and _ours.sessions == 0:
            end()


@atexit.register
def end() -> None:
    """Stop our Spark, if there is one, and its Java process: while that lives, it holds the embedded metastore."""
    global _ours
    with _lock:
        ours, _ours = _ours, None
        if ours is None:
            return
        ours.root.stop()
        if ours.profile.remote is None:
            _end_java()
        shutil.rmtree(ours.log.parent, ignore_errors=True)


def _end_java() -> None:
    from pyspark import SparkContext

    gateway = SparkContext._gateway
    SparkContext._gateway = SparkContext._jvm = None
    if gateway is None:
        return
    process = getattr(gateway, "proc", None)
    gateway.shutdown()
    if process is not None:
        process.stdin.close()
        process.wait()


def _pyspark() -> None:
    try:
        import pyspark  # noqa: F401
    except ImportError:
        raise NotInstalledError("pyspark", "spark", "A Spark warehouse") from None


def _callers_own(ours: Any) -> Any:
    """The Spark that the caller's program runs, if it is not ours."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    context = SparkContext._active_spark_context
    if context is not None:
        return None if ours is not None and getattr(ours, "sparkContext", None) is context else SparkSession.builder.getOrCreate()
    connect = sys.modules.get("pyspark.sql.connect.session")
    remote = connect.SparkSession.getActiveSession() if connect is not None else None
    return None if remote is ours else remote


def _started(profile: SparkProfile) -> _Spark:
    log = Path(tempfile.mkdtemp(prefix="featurestore-spark-")) / "spark.log"
    settings = {**STARTS_WITH, **profile.parameters, **ALWAYS}
    try:
        with warnings.catch_warnings():
            # What pyspark thinks of the caller's pandas is no matter of ours: nothing goes through pandas.
            warnings.simplefilter("ignore")
            if profile.remote is not None:
                return _Spark(profile, _connected(settings), log)
            return _Spark(profile, _launched(profile, settings, log), log)
    except Exception as error:
        tail = _tail(log)
        shutil.rmtree(log.parent, ignore_errors=True)
        raise WarehouseError(profile.without_secrets(f"Spark cannot be started as the dbt profile says: {_why(error, tail)}")) from error


def _connected(settings: Mapping[str, str]) -> Any:
    from pyspark.sql import SparkSession

    of_a_server = {"spark.remote", "spark.master", *STARTS_WITH}
    builder: Any = SparkSession.builder.remote(settings["spark.remote"])
    return builder.config(map={name: value for name, value in settings.items() if name not in of_a_server}).create()


def _launched(profile: SparkProfile, settings: Mapping[str, str], log: Path) -> Any:
    """Spark in a Java process of its own, in the project's folder."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    _require_java()
    # The command line, which anybody on the machine can read, gets what the Java process needs to start, and no secret.
    shown = SparkConf(loadDefaults=False).setAll([(name, value) for name, value in settings.items() if not is_secret(name)])
    with log.open("wb") as output:
        launch: Any = launch_gateway
        gateway = launch(shown, {"cwd": str(profile.directory), "stdout": output, "stderr": output})
    SparkContext._ensure_initialized(gateway=gateway)
    root = SparkSession.builder.config(map=dict(settings)).getOrCreate()
    context = root.sparkContext
    if str(context.master).startswith("local") and "PYSPARK_PYTHON" not in os.environ:
        # The executors are on this machine, and what they run is installed where this Python is.
        context.pythonExec = sys.executable
    return root


def _require_java() -> None:
    if "JAVA_HOME" not in os.environ and not shutil.which("java"):
        raise WarehouseError(
            "Spark needs Java 17 or newer, and there is none: install it (apt-get install openjdk-17-jre-headless) or set JAVA_HOME."
        )


def _prepared(session: Any, profile: SparkProfile) -> Any:
    own = {name: value for name, value in profile.parameters.items() if name.startswith("spark.sql.") and session.conf.isModifiable(name)}
    for name, value in {**own, **ALWAYS}.items():
        session.conf.set(name, value)
    return session


def _tail(log: Path) -> str:
    try:
        return log.read_text(errors="replace")[-_LOG_TAIL:].strip()
    except OSError:
        return ""


def _why(error: Exception, tail: str) -> str:
    if isinstance(error, WarehouseError):
        return str(error)
    return f"{error}\n{tail}" if tail else str(error)
