from __future__ import annotations

import pytest

from featurestore.errors import RequestError
from featurestore.registry.definitions import FeatureReference
from featurestore.registry.references import parse_reference


@pytest.mark.parametrize("text", ["customer_orders:orders_7d", " customer_orders:orders_7d "])
def test_a_reference_names_a_view_and_a_feature(text: str) -> None:
    assert parse_reference(text) == FeatureReference("customer_orders", "orders_7d")


def test_a_reference_is_shown_as_it_is_written() -> None:
    assert str(parse_reference("merchant_risk.v2:*")) == "merchant_risk.v2:*"


@pytest.mark.parametrize("text", ["", "customer_orders", ":orders_7d", "customer_orders:", "a:b:c"])
def test_anything_else_says_how_a_reference_is_written(text: str) -> None:
    with pytest.raises(RequestError, match="Write it like 'customer_orders:orders_7d'"):
        parse_reference(text)
