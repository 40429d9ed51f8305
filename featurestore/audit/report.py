"""What an audit found, for machines: an Arrow table, and Prometheus' text for a collector that reads files."""

from __future__ import annotations

import pyarrow as pa

from .outcomes import Outcome
from .run import AuditReport

_LABEL_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def to_arrow(report: AuditReport) -> pa.Table:
    """One row per feature: its view, its name, the instant, and how many keys had each outcome."""
    rows = [
        {
            "feature_view": each.reference.view,
            "feature": each.reference.feature,
            "at": report.at,
            **{of.value: n for of, n in each.counts.items()},
        }
        for view in report.views
        for each in view.features
    ]
    names = [("feature_view", pa.string()), ("feature", pa.string()), ("at", pa.timestamp("us", "UTC"))]
    return pa.Table.from_pylist(rows, pa.schema([*names, *((outcome.value, pa.int64()) for outcome in Outcome)]))


def to_prometheus(report: AuditReport) -> str:
    """The same as gauges, and of each view whether online and offline agree. Their label `of` tells what is online from what was served."""
    lines = [
        "# HELP featurestore_audit_values Values by how the online answer compares with training's.",
        "# TYPE featurestore_audit_values gauge",
    ]
    of = f'of="{"online" if report.served is None else "served"}"'
    for view in report.views:
        for each in view.features:
            labels = f'{of},feature_view="{_label(each.reference.view)}",feature="{_label(each.reference.feature)}"'
            lines += [f'featurestore_audit_values{{{labels},outcome="{outcome.value}"}} {count}' for outcome, count in each.counts.items()]
    lines += ["# HELP featurestore_audit_agrees Whether online and offline say the same.", "# TYPE featurestore_audit_agrees gauge"]
    lines += [f'featurestore_audit_agrees{{{of},feature_view="{_label(view.view)}"}} {int(view.agrees)}' for view in report.views]
    lines += ["# HELP featurestore_audit_timestamp_seconds When it was audited.", "# TYPE featurestore_audit_timestamp_seconds gauge"]
    lines += [f"featurestore_audit_timestamp_seconds{{{of}}} {report.at.timestamp()}"]
    if report.served is not None:
        lines += ["# HELP featurestore_audit_unreadable_lines Lines of the log that could not be read."]
        lines += ["# TYPE featurestore_audit_unreadable_lines gauge"]
        lines += [f"featurestore_audit_unreadable_lines{{{of}}} {report.served.log.unreadable}"]
    return "\n".join(lines) + "\n"


def _label(text: str) -> str:
    return text.translate(_LABEL_ESCAPES)
