"""What Prometheus may ask of a server, all its workers together. Labels are names that are known to exist: an endpoint of ours, a
published feature service or view; what a caller makes up is no label.

Several workers keep their numbers in files beside one another (`PROMETHEUS_MULTIPROC_DIR`, set before this module is imported), and
whichever is asked adds them up.
"""

from __future__ import annotations

import os
import platform
from collections import defaultdict
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

from featurestore.registry.registry import RequestedView
from featurestore.served_log import ServedLog
from featurestore.serving.online_features import Status, ViewAnswer

CONTENT_TYPE = CONTENT_TYPE_LATEST.encode()
FILES = "PROMETHEUS_MULTIPROC_DIR"

_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Freshness:
    """Of one feature view: the instants, in seconds since the epoch, that tell how old what is online is."""

    __slots__ = ("materialized_at", "newest_event", "view")

    def __init__(self, view: str, newest_event: float | None, materialized_at: float) -> None:
        self.view, self.newest_event, self.materialized_at = view, newest_event, materialized_at


class Metrics:
    """The numbers of one worker."""

    def __init__(self) -> None:
        # Several workers' files are read by a collector of their own, so nothing is registered for collecting twice.
        self._registry = CollectorRegistry()
        registry = self._registry
        self._requests = Counter("featurestore_requests", "Requests answered.", ("endpoint", "service", "status"), registry=registry)
        self._durations = Histogram(
            "featurestore_request_duration_seconds",
            "Time to answer a request.",
            ("endpoint", "service"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "featurestore_requests_in_flight", "Requests at work or waiting.", multiprocess_mode="livesum", registry=registry
        )
        self._rows = Counter(
            "featurestore_feature_rows", "Entity rows looked up in a view, by what was found.", ("view", "status"), registry=registry
        )
        self._store_durations = Histogram(
            "featurestore_store_read_duration_seconds", "Time the online store took to answer a read.", buckets=_SECONDS, registry=registry
        )
        self._store_errors = Counter(
            "featurestore_store_errors", "Reads or writes that the online store failed.", ("error",), registry=registry
        )
        self._served_lines = Counter(
            "featurestore_served_log_lines", "Lines of the log of served values, by what became of them.", ("outcome",), registry=registry
        )
        self._counted_lines = {"written": 0, "dropped": 0}
        self._counted: dict[tuple[str, Status], int] = defaultdict(int)
        self._labelled: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count_request(self, endpoint: str, service: str, status: int, seconds: float) -> None:
        """A request was answered."""
        labels = (endpoint, service, status)
        found = self._labelled.get(labels)
        if found is None:
            found = self._requests.labels(endpoint, service, str(status)), self._durations.labels(endpoint, service)
            self._labelled[labels] = found
        found[0].inc()
        found[1].observe(seconds)

    def count_rows(self, asked: Sequence[RequestedView], answers: Sequence[ViewAnswer], rows: int) -> None:
        """Each view answered so many entity rows. They are added up here first, and by row: a request may have thousands of values."""
        counted = self._counted
        for wanted, answer in zip(asked, answers, strict=True):
            view, present = wanted.view.name, rows
            for status in filter(None, answer.without_values or ()):
                counted[view, status] += 1
                present -= 1
            counted[view, Status.PRESENT] += present

    def count_store_read(self, seconds: float) -> None:
        """The store answered a read."""
        self._store_durations.observe(seconds)

    def count_store_error(self, error: str) -> None:
        """The store failed: the name of an error class."""
        self._store_errors.labels(error).inc()

    def publish(self, in_flight: int) -> None:
        """Give what was added up here to whoever is asked: called every second, and before an answer."""
        self._in_flight.set(in_flight)
        for (view, status), count in self._counted.items():
            self._rows.labels(view, status.value).inc(count)
        self._counted.clear()

    def publish_served_log(self, log: ServedLog) -> None:
        """Count what became of the lines of the log of served values since the last time."""
        for outcome, lines in (("written", log.written), ("dropped", log.dropped)):
            self._served_lines.labels(outcome).inc(lines - self._counted_lines[outcome])
            self._counted_lines[outcome] = lines

    def text(self, freshness: Sequence[Freshness]) -> bytes:
        """The answer to Prometheus: of all workers, with the freshness of each view as the store says it now."""
        registry = self._registry
        if FILES in os.environ:
            registry = CollectorRegistry()
            MultiProcessCollector(registry)
        of_the_moment = CollectorRegistry()
        of_the_moment.register(_Families(freshness))
        return generate_latest(registry) + generate_latest(of_the_moment)


class _Families:
    """What is no worker's own."""

    def __init__(self, freshness: Sequence[Freshness]) -> None:
        self._freshness = freshness

    def collect(self) -> list[GaugeMetricFamily]:
        newest = GaugeMetricFamily(
            "featurestore_newest_event_timestamp_seconds", "The newest event time of a view that is online.", labels=("view",)
        )
        materialized = GaugeMetricFamily(
            "featurestore_materialized_timestamp_seconds", "When a view was last materialized.", labels=("view",)
        )
        for each in self._freshness:
            materialized.add_metric((each.view,), each.materialized_at)
            if each.newest_event is not None:
                newest.add_metric((each.view,), each.newest_event)
        build = GaugeMetricFamily("featurestore_build_info", "What runs here.", labels=("version", "python"))
        build.add_metric((version("featurestore"), platform.python_version()), 1)
        return [newest, materialized, build]


def forget_dead_workers() -> None:
    """Take what ended workers had in flight out of the sum: a worker that was killed could not."""
    folder = os.environ.get(FILES)
    if folder is None:
        return
    for path in Path(folder).glob("gauge_live*_*.db"):
        pid = int(path.stem.rpartition("_")[2])
        if not _alive(pid):
            mark_process_dead(pid)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
