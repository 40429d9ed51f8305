"""What tests/server/feast/shop.json describes, published to our online store: the same rows as Feast's own server had."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from datetime import datetime
from typing import Any

import codec_cases as cases
from published_shop import Shop

from featurestore.registry.definitions import Column, Entity, Feature, FeatureReference, FeatureService, FeatureView
from featurestore.registry.value_types import FLOAT64, INT64, TIMESTAMP, ValueType, parse_value_type
from featurestore.sql.on_demand.grammar import parse_expression

RATED = replace(
    cases.feature_view("rated", {"usual": FLOAT64}, join_keys=(Column("driver_id", INT64),), entity="driver_id"),
    on_demand=(
        Feature(
            "times_usual", FLOAT64, on_demand=parse_expression("amount / nullif(usual, 0)", {"usual": FLOAT64}, {"amount": FLOAT64}, {})
        ),
    ),
)
"""What Feast has no like of: a feature worked out of what the request brings. It is not in shop.json."""


def feast_shop(url: str, described: dict[str, Any]) -> Shop:
    """The shop, with everything published."""
    views = {view["name"]: feature_view(view) for view in described["views"]}
    services = tuple(
        FeatureService(name, f"exposure.shop.{name}", "models/services.yml", tuple(_references(references)))
        for name, references in described["services"].items()
    )
    shop = Shop(url)
    shop.publish(*views.values(), RATED, services=services)
    shop.write(RATED, {"driver_id": 1, "usual": 10.0})
    for view in described["views"]:
        types: dict[str, ValueType] = {name: parse_value_type(kind) for name, kind in view["features"].items()}
        types["event_timestamp"] = TIMESTAMP
        rows = [{name: _value(types.get(name), given) for name, given in row.items()} for row in view["rows"]]
        shop.write(views[view["name"]], *rows)
    return shop


def feature_view(described: dict[str, Any]) -> FeatureView:
    keys = tuple(Column(name, parse_value_type(kind)) for name, kind in described["join_keys"].items())
    features = {name: parse_value_type(kind) for name, kind in described["features"].items()}
    return replace(cases.feature_view(described["name"], features), entities=tuple(Entity(key.name, (key,)) for key in keys))


def _references(references: list[str]) -> list[FeatureReference]:
    return [FeatureReference(*reference.split(":")) for reference in references]


def _value(value_type: ValueType | None, given: Any) -> Any:
    """A value of shop.json as a reader of ours gets it."""
    match str(value_type):
        case "float64" if given is not None:
            return float(given)
        case "bytes" if given is not None:
            return b64decode(given)
        case "list<bytes>" if given is not None:
            return [b64decode(item) for item in given]
        case "timestamp_utc" if given is not None:
            return datetime.fromisoformat(given)
        case "timestamp":
            return datetime.fromisoformat(given).replace(tzinfo=None)
    return given
