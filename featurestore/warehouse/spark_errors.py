"""What Spark says when something goes wrong, in a sentence: its own words, without its plans and the path of its stack."""

from __future__ import annotations

import re
from typing import Any

from featurestore import errors
from featurestore.errors import FeatureStoreError, OnlineStoreError, UnsupportedTypeError, WarehouseError, WarehouseLockedError

from .spark_profile import SparkProfile

_MISSING = re.compile(r"(?:table or view|relation) (`[^`]+`(?:\.`[^`]+`)*) cannot be found", re.IGNORECASE)
_LOCKED = ("Another instance of Derby", "XSDB6")
_NOT_INSTALLED = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")
_OURS = re.compile(r"^featurestore\.errors\.(\w+): (.+)$", re.MULTILINE)
_LONGEST = 2_000


def refused(error: Exception, profile: SparkProfile) -> FeatureStoreError:
    """The error to raise instead."""
    everything = _with_causes(error)
    if any(sign in everything for sign in _LOCKED):
        return WarehouseLockedError(
            f"{profile.directory / 'metastore_db'} is held by another process, and Spark's embedded metastore lets nobody else in "
            "meanwhile. Wait for it to end, or close it there, and try again."
        )
    ours = _OURS.findall(everything)
    if ours:
        name, words = ours[-1]
        return _named(name, f"{words} This was on an executor of Spark.")
    words = profile.without_secrets(_words(error))
    missing = _MISSING.search(words)
    if missing is not None:
        return WarehouseError(f"The warehouse has no table or view {missing.group(1)}. Run `dbt build`: it makes it.\n{words}")
    absent = _NOT_INSTALLED.search(everything)
    if absent is not None:
        return WarehouseError(
            f"The executors have no package {absent.group(1)}: install featurestore in the Python that they run.\n{words}"
        )
    return WarehouseError(f"The warehouse refused the query: {words}")


def _named(name: str, message: str) -> FeatureStoreError:
    """An error of ours that was raised elsewhere."""
    kind = getattr(errors, name)
    return kind(message) if issubclass(kind, OnlineStoreError | UnsupportedTypeError) else WarehouseError(message)


def _words(error: Exception) -> str:
    said = getattr(error, "getMessage", None)
    text = str((said() if said is not None else None) or error)
    if _origin(error) is not None and said is None:
        text = _causes(error)[-1]
    text = re.split(r"\n(?:\s*at |\s*JVM stacktrace|Driver stacktrace|== SQL|'?Project|'?With|Traceback)", text, maxsplit=1)[0].strip()
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _with_causes(error: Exception) -> str:
    """All that is said anywhere in the chain of causes."""
    return "\n".join([str(error), *_causes(error)])


def _causes(error: Exception) -> list[str]:
    """What each exception of the Java process says, from the one that was seen to the first one."""
    said: list[str] = []
    exception = _origin(error)
    while exception is not None:
        said.append(str(exception.toString()))
        exception = exception.getCause()
    return said


def _origin(error: Exception) -> Any:
    """The exception of the Java process that this one stands for."""
    return getattr(error, "_origin", None) or getattr(error, "java_exception", None)
