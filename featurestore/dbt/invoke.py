"""Runs dbt, whichever one is installed, as a process of its own: importing it takes seconds, and dbt v2 is no Python at all."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from featurestore.errors import NotInstalledError, RequestError

from .project import DbtProject, environment_option
from .run_results import RunResults, read_run_results

_OFF = frozenset({"0", "false", "no", "n", "f", "off"})


def run_dbt(args: Sequence[str], cwd: Path | str) -> int:
    """Run `dbt <args>` in that folder and return its exit code.

    Its output goes to stderr unchanged, for stdout is for data. Interrupted, by Ctrl-C or SIGTERM, it waits until dbt has cancelled
    what it was running, and raises KeyboardInterrupt; a second Ctrl-C does not wait. Raises NotInstalledError where there is no dbt.
    """
    sys.stderr.flush()
    with subprocess.Popen([str(find_dbt()), *args], cwd=cwd, stdout=_stderr()) as dbt, _terminated_gently(dbt):
        try:
            return dbt.wait()
        except KeyboardInterrupt:
            try:
                dbt.wait()
            except KeyboardInterrupt:
                dbt.kill()
            raise


class DbtRuns:
    """Runs of dbt in one project, each with what it wrote about itself.

    Args:
        options: what every run is told besides its own arguments.
    """

    def __init__(self, project: DbtProject, options: Sequence[str]) -> None:
        self._project, self._options = project, tuple(options)
        self._before: str | None = None

    def run(self, args: Sequence[str]) -> int:
        """Run `dbt <args>` as `run_dbt` does and return its exit code."""
        before = read_run_results(self._project.run_results_path)
        self._before = before.invocation_id if before else None
        return run_dbt([*args, *self._options], self._project.directory)

    def written(self) -> RunResults | None:
        """The results that the last run wrote; None where it ended before it wrote any and an earlier run's are still there."""
        results = read_run_results(self._project.run_results_path)
        return None if results is None or results.invocation_id == self._before else results


def project_options(project_dir: Path, profiles_dir: Path | None, profile: str | None, target: str | None) -> list[str]:
    """The options by which dbt finds the same project, profile and target."""
    options = {
        "--project-dir": project_dir.resolve(),
        "--profiles-dir": profiles_dir and profiles_dir.resolve(),
        "--profile": profile,
        "--target": target,
    }
    return [str(word) for pair in options.items() if pair[1] for word in pair]


def refuse_options_from_environment(*names: str) -> None:
    """Raise RequestError where the environment switches one of those options of dbt on, such as `FULL_REFRESH` by `DBT_FULL_REFRESH`."""
    for name in names:
        said = environment_option(name)
        if said is not None and said.casefold() not in _OFF:
            raise RequestError(f"DBT_{name}={said} is in the environment, and dbt would drop or leave out rows for it. Unset it.")


def find_dbt() -> Path:
    """The `dbt` on the PATH, else the one beside this Python. Raises NotInstalledError."""
    beside = Path(sys.executable).parent
    found = shutil.which("dbt") or shutil.which("dbt", path=str(beside))
    if found is None:
        raise NotInstalledError("dbt", "dbt", "Running dbt")
    return Path(found)


@contextmanager
def _terminated_gently(dbt: subprocess.Popen[bytes]) -> Iterator[None]:
    """While dbt runs, pass SIGTERM on as the interrupt on which dbt cancels its queries: it has no such manners for SIGTERM itself."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        dbt.send_signal(signal.SIGINT)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stderr() -> int:
    """The file that stderr is now, which a test or a notebook may have put elsewhere."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError):
        return 2
