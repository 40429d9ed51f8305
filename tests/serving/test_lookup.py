"""What an online request means, decided without a store."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal

import codec_cases as cases
import pytest

from featurestore.codec.encode import RowEncoder
from featurestore.codec.layout import RowSchema
from featurestore.errors import EntityKeyError, RequestError
from featurestore.registry.aggregations import AggregateFunction
from featurestore.registry.definitions import Aggregation, Column, Feature
from featurestore.registry.registry import Registry
from featurestore.registry.value_types import FLOAT64, INT64, STRING, DecimalType
from featurestore.serving.lookup import assemble, plan_lookup, prepare_request
from featurestore.serving.online_features import Status
from featurestore.timestamps import to_micros

NOON = cases.NOON.replace(tzinfo=timezone.utc)
TTL = timedelta(days=1)
HOUR, DAY, TICK = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
ORDERS = cases.feature_view("orders", {"orders_7d": INT64, "spent": FLOAT64})
PROFILE = cases.feature_view("profile", {"city": STRING}, ttl=TTL)
VISITS = cases.feature_view("visits", {"visits_1d": INT64}, join_keys=(Column("shop_id", STRING), Column("visitor", INT64)), entity="visit")
PRESENT, NULL, NOT_FOUND, TOO_OLD = Status.PRESENT, Status.NULL_VALUE, Status.NOT_FOUND, Status.OUTSIDE_MAX_AGE


def request(*features, views=(ORDERS, PROFILE, VISITS), full_feature_names=False):
    registry = Registry("shop", views)
    return prepare_request("shop", registry.resolve(features, full_feature_names=full_feature_names), registry)


def answer(prepared, entity_rows, stored, now=NOON):
    """The answer where the store holds these rows, by view."""
    rows = {}
    for view, view_rows in stored:
        rows.update(RowEncoder("shop", view, 1).encode(cases.batch_of(view, view_rows)).pairs())
    lookup = plan_lookup(prepared, entity_rows)
    return assemble(lookup, [rows.get(key) for key in lookup.keys], now)


def test_columns_come_back_with_the_entity_rows_own_first():
    online = answer(
        request("orders:spent", "orders:orders_7d", "profile:city"),
        [{"customer_id": 1, "basket": "a"}, {"customer_id": 2, "basket": "b"}],
        [
            (ORDERS, [{"customer_id": 1, "orders_7d": 3, "spent": 9.5}, {"customer_id": 2, "orders_7d": 4}]),
            (PROFILE, [{"customer_id": 1, "city": "Riga"}]),
        ],
    )
    assert online.to_dict() == {
        "customer_id": [1, 2],
        "basket": ["a", "b"],
        "spent": [9.5, None],
        "orders_7d": [3, 4],
        "city": ["Riga", None],
    }
    assert list(online.to_dict()) == ["customer_id", "basket", "spent", "orders_7d", "city"]
    assert online.statuses() == {"spent": [PRESENT, NULL], "orders_7d": [PRESENT, PRESENT], "city": [PRESENT, NOT_FOUND]}
    assert online.event_timestamps() == {"spent": [NOON, NOON], "orders_7d": [NOON, NOON], "city": [NOON, None]}
    assert online.rows()[1] == {"customer_id": 2, "basket": "b", "spent": None, "orders_7d": 4, "city": None}


def test_columns_as_lists_mean_the_same_as_rows():
    stored = [(ORDERS, [{"customer_id": 1, "orders_7d": 3}])]
    as_rows = answer(request("orders:*"), [{"customer_id": 1}, {"customer_id": 2}], stored)
    as_columns = answer(request("orders:*"), {"customer_id": (1, 2)}, stored)
    assert as_rows.to_dict() == as_columns.to_dict()


@pytest.mark.parametrize(
    ("age", "status"),
    [(TTL - timedelta(microseconds=1), PRESENT), (TTL, PRESENT), (TTL + timedelta(microseconds=1), TOO_OLD), (-TTL, PRESENT)],
)
def test_a_value_counts_until_it_is_older_than_its_ttl(age, status):
    written = (NOON - age).replace(tzinfo=None)
    stored = [(PROFILE, [{"customer_id": 1, "city": "Riga", "event_timestamp": written}])]
    online = answer(request("profile:city"), [{"customer_id": 1}, {"customer_id": 2}], stored)
    assert online.statuses() == {"city": [status, NOT_FOUND]}
    assert online.to_dict()["city"] == ["Riga" if status is PRESENT else None, None]
    assert online.event_timestamps() == {"city": [NOON - age, None]}


@pytest.mark.parametrize(
    ("ends_in", "status"), [(timedelta(microseconds=1), PRESENT), (timedelta(0), NOT_FOUND), (-timedelta(days=1), NOT_FOUND)]
)
def test_a_row_that_has_stopped_counting_is_not_found(ends_in, status):
    row = {"customer_id": 1, "city": "Riga", "valid_to": (NOON + ends_in).replace(tzinfo=None)}
    online = answer(request("profile:city"), [{"customer_id": 1}], [(PROFILE, [row])])
    assert online.statuses() == {"city": [status]}
    assert online.event_timestamps()["city"] == [NOON if status is PRESENT else None]


def test_a_row_that_has_stopped_counting_is_not_found_however_old_it_is():
    row = {"customer_id": 1, "city": "Riga", "event_timestamp": datetime(2000, 1, 1), "valid_to": datetime(2001, 1, 1)}
    assert answer(request("profile:city"), [{"customer_id": 1}], [(PROFILE, [row])]).statuses() == {"city": [NOT_FOUND]}


def test_a_null_key_finds_nothing_and_the_others_are_found():
    stored = [
        (ORDERS, [{"customer_id": 2, "orders_7d": 4}]),
        (VISITS, [{"shop_id": "a", "visitor": 1, "visits_1d": 7}]),
    ]
    rows = [
        {"customer_id": None, "shop_id": "a", "visitor": 1},
        {"customer_id": 2, "shop_id": "a", "visitor": None},
        {"customer_id": 2, "shop_id": None, "visitor": 1},
    ]
    online = answer(request("orders:orders_7d", "visits:*"), rows, stored)
    assert online.to_dict()["orders_7d"] == [None, 4, 4]
    assert online.to_dict()["visits_1d"] == [7, None, None]
    assert online.statuses()["orders_7d"] == [NOT_FOUND, PRESENT, PRESENT]
    only_nulls = answer(request("orders:orders_7d"), [{"customer_id": None}], stored)
    assert only_nulls.statuses() == {"orders_7d": [NOT_FOUND]}


def test_the_same_key_twice_is_answered_twice():
    online = answer(request("orders:orders_7d"), {"customer_id": [2, 1, 2]}, [(ORDERS, [{"customer_id": 2, "orders_7d": 4}])])
    assert online.to_dict()["orders_7d"] == [4, None, 4]


@pytest.mark.parametrize("nothing", [[], {"customer_id": []}, {}])
def test_no_entity_rows_are_no_answers(nothing):
    online = answer(request("orders:orders_7d"), nothing, [])
    assert online.to_dict() == {"customer_id": [], "orders_7d": []}
    assert online.statuses() == {"orders_7d": []}
    assert online.rows() == []


def test_views_of_one_entity_share_one_spelling_and_one_request():
    lookup = plan_lookup(request("orders:orders_7d", "profile:city"), {"customer_id": [1, 2]})
    assert lookup.keys == [
        b"shop:{customer/i:1}:orders",
        b"shop:{customer/i:2}:orders",
        b"shop:{customer/i:1}:profile",
        b"shop:{customer/i:2}:profile",
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"customer_id": "1"}], "'customer_id' takes int64 values, not '1' (str)"),
        ([{"customer": 1}], "'customer_id' is missing. The entity rows have: customer. Did you mean 'customer'?"),
        ([{"customer_id": 1}, {"basket": 2}], "'customer_id' is missing from entity row 1"),
        ([{}], "'customer_id' is missing. The entity rows have: nothing"),
    ],
)
def test_a_key_that_is_wrong_is_named(rows, said):
    with pytest.raises(EntityKeyError) as caught:
        plan_lookup(request("orders:orders_7d"), rows)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([1, 2], "Entity rows are a list of dicts"),
        ("customer_id", "Entity rows are a list of dicts"),
        ({"customer_id": 1}, "'customer_id' of the entity rows is no list"),
        ({"customer_id": "abc"}, "'customer_id' of the entity rows is no list"),
        ({"customer_id": [1, 2], "basket": [1]}, "differ in length: customer_id 2, basket 1"),
        ({"customer_id": [1], "orders_7d": [1]}, "'orders_7d', which is the name of a feature too"),
    ],
)
def test_rows_of_another_shape_are_refused(rows, said):
    with pytest.raises(RequestError) as caught:
        plan_lookup(request("orders:orders_7d"), rows)
    assert said in str(caught.value)


def test_rows_may_lack_columns_that_are_no_keys():
    online = answer(request("orders:orders_7d"), [{"customer_id": 1}, {"customer_id": 2, "basket": "b"}], [])
    assert online.to_dict()["basket"] == [None, "b"]


def test_a_view_that_is_for_training_only_is_refused():
    offline = cases.feature_view("labels", {"churned": INT64}, online=False)
    with pytest.raises(RequestError, match=r"'labels' is not online: its meta says `online: false`"):
        request("labels:churned", views=(offline,))


def test_full_names_tell_views_apart():
    online = answer(request("orders:orders_7d", full_feature_names=True), [{"customer_id": 1, "orders_7d": "own"}], [])
    assert online.to_dict() == {"customer_id": [1], "orders_7d": ["own"], "orders__orders_7d": [None]}


COUNTS = replace(
    cases.feature_view("visits", {"count_1h": INT64}),
    features=(
        Feature(
            "amount_sum_1h", DecimalType(38, 2), aggregation=Aggregation(AggregateFunction.SUM, HOUR, Column("amount", DecimalType(10, 2)))
        ),
        Feature("count_1d", INT64, aggregation=Aggregation(AggregateFunction.COUNT, DAY)),
        Feature("count_1h", INT64, aggregation=Aggregation(AggregateFunction.COUNT, HOUR)),
    ),
)
STEPPED = {
    "customer_id": 1,
    "event_timestamp": cases.NOON - HOUR / 2,
    "exact_until": to_micros(NOON + DAY),
    "counted_from": [to_micros(NOON), to_micros(NOON + 12 * HOUR)],
    "newest_event": [to_micros(NOON - HOUR / 2), None],
    "from_1h": [to_micros(NOON), to_micros(NOON + HOUR / 2)],
    "from_1d": [to_micros(NOON), to_micros(NOON + 3 * HOUR), to_micros(NOON + 12 * HOUR)],
    "amount_sum_1h": [Decimal("2.50"), None],
    "count_1d": [2, 1, None],
    "count_1h": [1, 0],
}


@pytest.mark.parametrize(
    ("now", "values", "statuses"),
    [
        (NOON - HOUR, [Decimal("2.50"), 2, 1], [PRESENT] * 3),
        (NOON, [Decimal("2.50"), 2, 1], [PRESENT] * 3),
        (NOON + HOUR / 2 - TICK, [Decimal("2.50"), 2, 1], [PRESENT] * 3),
        (NOON + HOUR / 2, [None, 2, 0], [NULL, PRESENT, PRESENT]),
        (NOON + 3 * HOUR, [None, 1, 0], [NULL, PRESENT, PRESENT]),
        (NOON + 12 * HOUR - TICK, [None, 1, 0], [NULL, PRESENT, PRESENT]),
        (NOON + 12 * HOUR, [None] * 3, [NOT_FOUND] * 3),
        (NOON + DAY, [None] * 3, [NOT_FOUND] * 3),
        (NOON + DAY + TICK, [None] * 3, [TOO_OLD] * 3),
    ],
)
def test_of_a_row_of_aggregations_that_counts_which_holds_now(now, values, statuses):
    online = answer(request("visits:*", views=(COUNTS,)), [{"customer_id": 1}, {"customer_id": 2}], [(COUNTS, [STEPPED])], now)
    assert [column[0] for name, column in online.to_dict().items() if name != "customer_id"] == values
    assert [column[0] for column in online.statuses().values()] == statuses
    assert {column[1] for column in online.statuses().values()} == {NOT_FOUND}
    counted = statuses[0] in (PRESENT, NULL)
    assert {column[0] for column in online.event_timestamps().values()} == {NOON - HOUR / 2 if counted else None}


def test_one_of_its_features_is_read_without_the_others():
    stored = [(COUNTS, [STEPPED])]
    online = answer(request("visits:count_1d", views=(COUNTS,)), [{"customer_id": 1}], stored, NOON + 3 * HOUR)
    assert online.to_dict() == {"customer_id": [1], "count_1d": [1]}


def test_a_window_that_the_row_was_written_without_reads_as_null():
    longer = replace(
        COUNTS, features=(*COUNTS.features, Feature("count_7d", INT64, aggregation=Aggregation(AggregateFunction.COUNT, 7 * DAY)))
    )
    row = next(iter(dict(RowEncoder("shop", COUNTS, 1).encode(cases.batch_of(COUNTS, [STEPPED])).pairs()).values()))
    prepared = request("visits:*", views=(longer,))
    prepared.parts[0].decoder.learn(RowSchema.of(COUNTS))
    lookup = plan_lookup(prepared, [{"customer_id": 1}])
    assert assemble(lookup, [row], NOON).to_dict() == {
        "customer_id": [1], "amount_sum_1h": [Decimal("2.50")], "count_1d": [2], "count_1h": [1], "count_7d": [None]
    }  # fmt: skip


def test_a_row_from_before_the_view_had_aggregations_says_nothing():
    plain = cases.feature_view("visits", {"count_1d": INT64})
    row = next(iter(dict(RowEncoder("shop", plain, 1).encode(cases.batch_of(plain, [{"customer_id": 1, "count_1d": 7}])).pairs()).values()))
    prepared = request("visits:count_1d", views=(COUNTS,))
    prepared.parts[0].decoder.learn(RowSchema.of(plain))
    online = assemble(plan_lookup(prepared, [{"customer_id": 1}]), [row], NOON)
    assert online.statuses() == {"count_1d": [TOO_OLD]}
