"""How far the values of features may drift: `drift: {psi: 0.2, jensen_shannon: 0.1}` in a model's `meta.feature_view`, or a column's meta.

What a column says goes before what its view says, limit by limit; `none` takes a limit away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from featurestore.errors import did_you_mean
from featurestore.registry.definitions import FeatureView

from .artifacts import Manifest
from .problems import Problems, Report

DRIFT_KEYS = ("psi", "jensen_shannon")


@dataclass(frozen=True, slots=True)
class DriftLimits:
    """What may be exceeded by nobody. None: no limit."""

    psi: float | None = None
    jensen_shannon: float | None = None


def drift_limits(manifest: Manifest, view: FeatureView) -> Mapping[str, DriftLimits]:
    """The limits of each feature of a view, by its name. Raises DeclarationError naming every limit that is none."""
    node = manifest.nodes[view.unique_id]
    problems = Problems()
    report = problems.about(lambda: (node.patch_path or node.original_file_path).rpartition("://")[2], view.name)
    meta = node.meta.get("feature_view")
    of_view = read_drift(meta.get("drift") if isinstance(meta, Mapping) else None, "meta.feature_view.drift", report)
    of_columns = {name.casefold(): column.meta.get("drift") for name, column in node.columns().items()}
    found = {}
    for feature in view.features:
        said = {**of_view, **read_drift(of_columns.get(feature.name.casefold()), f"columns.{feature.name}.meta.drift", report)}
        found[feature.name] = DriftLimits(said.get("psi"), said.get("jensen_shannon"))
    problems.raise_any()
    return found


def read_drift(said: Any, path: str, report: Report) -> dict[str, float | None]:
    """The limits that a `drift` names, None for one that is taken away."""
    if said is None:
        return {}
    if not isinstance(said, Mapping):
        report(path, f"must be a mapping like `{{psi: 0.2}}`, not {said!r}.")
        return {}
    limits: dict[str, float | None] = {}
    for key, value in said.items():
        if key not in DRIFT_KEYS:
            report(f"{path}.{key}", f"there is no such measure.{did_you_mean(str(key), DRIFT_KEYS)} There are {' and '.join(DRIFT_KEYS)}.")
        elif value in (None, "none"):
            limits[key] = None
        elif isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < inf:
            report(f"{path}.{key}", f"must be a number greater than 0, or `none`, not {value!r}.")
        elif key == "jensen_shannon" and value >= 1:
            report(f"{path}.{key}", f"must be less than 1, which the distance is never past, not {value!r}.")
        else:
            limits[key] = float(value)
    return limits
