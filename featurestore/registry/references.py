"""How people write features down: `customer_orders:orders_7d`, or `customer_orders:*`."""

from __future__ import annotations

from featurestore.errors import RequestError

from .definitions import FeatureReference


def parse_reference(text: str) -> FeatureReference:
    """Read `view:feature` or `view:*`. Raises RequestError saying how a reference is written."""
    view, colon, feature = text.strip().partition(":")
    if not (view and colon and feature) or ":" in feature:
        raise RequestError(f"{text!r} is no feature reference. Write it like 'customer_orders:orders_7d' or 'customer_orders:*'.")
    return FeatureReference(view, feature)
