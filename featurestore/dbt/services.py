"""Makes feature services of exposures, and checks that what they name exists."""

from __future__ import annotations

from collections.abc import Mapping, Set

from featurestore.errors import did_you_mean
from featurestore.registry.definitions import FeatureReference, FeatureService, FeatureView

from .meta import SERVICE, read_feature_service
from .nodes import ExposureNode, owner_of
from .problems import Report


def build_service(
    exposure: ExposureNode, views: Mapping[str, FeatureView], absent: Mapping[str, str], open_views: Set[str], report: Report
) -> FeatureService:
    """The feature service that an exposure declares.

    Args:
        views: by every name that a reference may use.
        absent: why a model that a reference may name is no feature view, by its name.
        open_views: views whose columns are not all known yet; any feature is believed to be there.
    """
    if exposure.type != "ml":
        report("type", f"an exposure with a feature service must be of type ml, not {exposure.type or 'none'}.")
    references = read_feature_service(exposure.meta["feature_service"], report)
    for reference in references:
        _check(reference, views, absent, open_views, report)
    return FeatureService(
        name=exposure.name,
        unique_id=exposure.unique_id,
        path=exposure.original_file_path,
        features=references,
        description=(exposure.description or "").strip(),
        tags=tuple(sorted(set(exposure.tags))),
        owner=owner_of(exposure.owner),
        maturity=exposure.maturity,
        url=exposure.url,
    )


def _check(
    reference: FeatureReference,
    views: Mapping[str, FeatureView],
    absent: Mapping[str, str],
    open_views: Set[str],
    report: Report,
) -> None:
    path = f"{SERVICE}.features"
    view = views.get(reference.view)
    if view is None:
        if reference.view in absent:
            report(path, f"{str(reference)!r}: {absent[reference.view]}")
        else:
            report(path, f"{str(reference)!r}: there is no feature view {reference.view!r}.{did_you_mean(reference.view, views)}")
    elif reference.feature != "*" and view.feature(reference.feature) is None and view.name not in open_views:
        known = [feature.name for feature in view.all_features]
        report(path, f"{str(reference)!r}: {view.name} has no feature {reference.feature!r}.{did_you_mean(reference.feature, known)}")
