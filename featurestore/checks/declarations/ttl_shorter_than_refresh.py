"""Values expire before the next ones can be there.

A feature view whose TTL is shorter than the time between two builds of its model serves nothing for the rest of that time: every value
has expired, and the ML model falls back to whatever it does without. How often a model is built is taken from, whichever is longest: its
`freshness.build_after`, the `batch_size` of a microbatch model, the `target_lag` of a dynamic table, and the `freshness` of its sources,
whose `warn_after` (else `error_after`) allows rows to be that old. A row counts only from `available_after` on, so that is added. A
project that declares none of these is not judged. Give the view a TTL of at least two builds, or build more often.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from featurestore.checks.finding import Declared, Rule, Severity
from featurestore.checks.subject import Project
from featurestore.dbt.freshness import Promise, duration_of, promises
from featurestore.dbt.nodes import Node
from featurestore.timestamps import format_duration, parse_duration

RULE = Rule("ttl_shorter_than_refresh", "Values expire before the next ones can be there", Severity.WARNING)
_BATCHES = {"hour": timedelta(hours=1), "day": timedelta(days=1), "month": timedelta(days=31), "year": timedelta(days=366)}


def find(project: Project) -> Iterator[Declared]:
    """Each view with such a TTL."""
    promised = promises(project.manifest, project.lineage.graph)
    for view in project.registry.views:
        refresh, said = _refresh(project.manifest.nodes[view.unique_id], promised[view.unique_id])
        if view.ttl is None or view.ttl >= refresh + view.available_after:
            continue
        delay = f" and counts {format_duration(view.available_after)} later" if view.available_after else ""
        yield Declared(
            view.unique_id,
            view.name,
            frozenset(),
            f"ttl: {format_duration(view.ttl)}",
            f"Values expire after {format_duration(view.ttl)}, and the next may take {format_duration(refresh)} ({said}){delay}.",
            "Give the view a TTL of at least two builds, or build its model more often.",
        )


def _refresh(node: Node, promise: Promise) -> tuple[timedelta, str]:
    """The longest time between two builds that anything says, and what says it."""
    config = node.config
    said = {
        "freshness.build_after": duration_of(node.freshness.build_after),
        "batch_size": _BATCHES.get(config.batch_size or "") if node.is_microbatch else None,
        "target_lag": _lag(config.target_lag),
        f"freshness of {promise.source}": promise.warn_after or promise.error_after,
    }
    return max(((each or timedelta(0), name) for name, each in said.items()), key=lambda each: each[0])


def _lag(said: object) -> timedelta | None:
    """What Snowflake's `target_lag` says; None for `downstream`."""
    try:
        return parse_duration(said) if isinstance(said, str) else None
    except ValueError:
        return None
