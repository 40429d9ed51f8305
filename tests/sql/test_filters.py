"""A filter is a condition on the columns of one event, and whatever else somebody writes is refused with the remedy."""

from __future__ import annotations

import pytest

from featurestore.sql.dialects import dialect_named
from featurestore.sql.filters import FilterError, filter_columns, filter_over, is_column, parse_filter


@pytest.mark.parametrize(
    ("text", "over"),
    [
        ("status = 'paid'", "\"orders\".status = 'paid'"),
        ('"Unit Price" > 3 or status is null', '("orders"."Unit Price" > 3 OR "orders".status IS NULL)'),
        ("lower(status) in ('a', 'b') and not refunded", "(LOWER(\"orders\".status) IN ('a', 'b') AND NOT \"orders\".refunded)"),
        ("amount between 1 and 2 -- cheap", '"orders".amount BETWEEN 1 AND 2 /* cheap */'),
    ],
)
def test_its_columns_are_those_of_the_model_as_they_were_spelled(text: str, over: str) -> None:
    assert filter_over(text, "orders", dialect_named("duckdb")).sql("duckdb") == over


def test_it_is_read_in_the_warehouses_own_sql() -> None:
    assert filter_over("`a b` = 1", "orders", dialect_named("bigquery")).sql("bigquery") == "`orders`.`a b` = 1"


def test_it_names_its_columns() -> None:
    assert sorted(filter_columns(parse_filter("status = 'paid' and (amount > 1 or amount < -1)", "duckdb"))) == ["amount", "status"]
    assert is_column(parse_filter("(refunded)", "duckdb"))
    assert not is_column(parse_filter("not refunded", "duckdb"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("status =", "is no condition in the SQL of duckdb"),
        (" ", "is no single condition"),
        ("1", "is a value and no condition"),
        ("amount + 1", "is a value and no condition"),
        ("a = 1) or (b = 2", "is no single condition"),
        ("a = 1; drop table orders", "is no condition"),
        ("amount > (select max(amount) from orders)", "reads other rows"),
        ("exists (select 1)", "reads other rows"),
        ("sum(amount) > 3", "which is about many events"),
        ("row_number() over (order by a) = 1", "which is about many events"),
        ("paid_at > now()", "another one every time"),
        ("paid_at > current_date", "another one every time"),
        ("random() < 0.5", "another one every time"),
        ("clock_timestamp() > paid_at", "another one every time"),
        ("amount > ?", "has a parameter in it"),
        ("amount > $limit", "has a parameter in it"),
        ("orders.amount > 1", "without its table"),
    ],
)
def test_what_is_no_condition_on_one_event_is_refused(text: str, why: str) -> None:
    with pytest.raises(FilterError, match=why):
        parse_filter(text, "duckdb")
