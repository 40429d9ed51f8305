"""An entity value, whatever is in it, reaches its own entity's row and no other: over HTTP, on a real Redis."""

from __future__ import annotations

from collections.abc import Iterator

import codec_cases as cases
import pytest
import redis
from feature_server import FeatureServer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from published_shop import Shop
from redis_server import RedisServer

from featurestore.codec.keys import encode_key
from featurestore.registry.definitions import Column
from featurestore.registry.value_types import INT64, STRING

ACCOUNTS = cases.feature_view("accounts", {"balance": INT64}, join_keys=[Column("account", STRING)], entity="account")
SAFES = cases.feature_view("safes", {"content": INT64}, join_keys=[Column("bank", STRING), Column("safe", STRING)], entity="safe")

SECRET = ["alice", "alice,bob", "b}:accounts", "", "*", "{a}", "%2C", "line\r\nend", "ünï", "a" * 300]
PAIRS = [("a", "b"), ("a,b", "c"), ("", "a,b,c"), ("%2C", "}"), ("x}:safes", "y")]

PIECES = st.sampled_from(
    [
        *SECRET,
        *(part for pair in PAIRS for part in pair),
        "shop:{account/s:alice}:accounts",
        "}:accounts",
        "shop:{",
        "account/s:",
        "\r\n$5\r\nalice\r\n",
        "*2\r\n$3\r\nGET\r\n$5\r\nalice\r\n",
        "\r\nFLUSHALL\r\n",
        "' or '1'='1",
        '"; drop table accounts; --',
        "\x00",
        "\x7f",
        "%",
        "%25",
        "%7D",
        ",",
        "{",
        "}",
        ":",
        "/",
        "\\",
        "..",
        "\u202e",
        "\u0130",
        "\ufeff",
        "é",
        "e\u0301",
    ]
)
VALUES = st.lists(PIECES | st.text(max_size=5), max_size=4).map("".join)


@pytest.fixture(scope="module")
def redis_server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="module")
def server(redis_server: RedisServer) -> Iterator[FeatureServer]:
    shop = Shop(redis_server.url)
    shop.publish(ACCOUNTS, SAFES)
    shop.write(ACCOUNTS, *({"account": account, "balance": number} for number, account in enumerate(SECRET)))
    shop.write(SAFES, *({"bank": bank, "safe": safe, "content": number} for number, (bank, safe) in enumerate(PAIRS)))
    shop.store.close()
    with FeatureServer(redis_server.url, "shop") as running:
        yield running


def read(server: FeatureServer, features: list[str], columns: dict[str, list[str]]) -> list[int | None]:
    answer = server.client.post("/v1/features", json={"features": features, "columns": columns})
    assert answer.status_code == 200, answer.text
    found = answer.json()["columns"]
    assert {name: found[name] for name in columns} == columns
    return found["balance" if "balance" in found else "content"]


RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@RELAXED
@given(st.lists(VALUES, min_size=1, max_size=40))
def test_a_value_reaches_its_own_row_and_no_other(server, redis_server, values) -> None:
    with redis.Redis(port=redis_server.port) as client:
        before = client.dbsize()
        assert read(server, ["accounts:balance"], {"account": values}) == [
            SECRET.index(value) if value in SECRET else None for value in values
        ]
        assert client.dbsize() == before, "reading wrote or deleted something"


@RELAXED
@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=40))
def test_of_two_values_none_takes_over_a_part_of_the_other(server, pairs) -> None:
    columns = {"bank": [bank for bank, _ in pairs], "safe": [safe for _, safe in pairs]}
    assert read(server, ["safes:content"], columns) == [PAIRS.index(pair) if pair in PAIRS else None for pair in pairs]


@settings(max_examples=500)
@given(st.tuples(VALUES, VALUES), st.tuples(VALUES, VALUES))
def test_no_two_keys_are_spelled_alike_and_none_leaves_its_braces(one, other) -> None:
    spelled = [encode_key(SAFES.join_keys, {"bank": bank, "safe": safe}) for bank, safe in (one, other)]
    assert (spelled[0] == spelled[1]) is (one == other)
    assert not any(byte in b"{}\r\n\x00" for text in spelled for byte in text)


def test_the_values_that_are_there_are_found(server) -> None:
    assert read(server, ["accounts:balance"], {"account": SECRET}) == list(range(len(SECRET)))
    columns = {"bank": [bank for bank, _ in PAIRS], "safe": [safe for _, safe in PAIRS]}
    assert read(server, ["safes:content"], columns) == list(range(len(PAIRS)))
