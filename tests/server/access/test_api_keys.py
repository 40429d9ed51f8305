"""A key is long, made by chance, kept only as its hash, and refused when it is another, revoked or expired."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.errors import NotAuthenticatedError
from featurestore.server.access.api_keys import ApiKey, hash_of, holder_of, new_key
from featurestore.server.access.grants import read_scopes

NOW = datetime(2026, 5, 1, tzinfo=timezone.utc)
KEY, ID, HASH = new_key()
GRANT = read_scopes(["group:*"])


def record(**more) -> ApiKey:
    return ApiKey(**{"id": ID, "name": "checkout", "hash": HASH, "grant": GRANT, **more})


def test_a_key_finds_its_record() -> None:
    assert holder_of(KEY, {ID: record()}, NOW).name == "checkout"


def test_keys_differ_and_their_records_do_not_hold_them() -> None:
    made = [new_key() for _ in range(50)]
    assert len({key for key, _, _ in made}) == len({key_id for _, key_id, _ in made}) == 50
    secret = KEY.split("_", 2)[2]
    assert secret not in repr(record())


def test_a_key_counts_until_it_expires() -> None:
    keys = {ID: record(expires=NOW)}
    assert holder_of(KEY, keys, NOW - timedelta(microseconds=1))
    with pytest.raises(NotAuthenticatedError, match="expired"):
        holder_of(KEY, keys, NOW)


def test_a_wrong_secret_an_unknown_id_and_a_revoked_key_are_told_alike() -> None:
    other, _, _ = new_key()
    wrong = f"fsdbt_{ID}_{other.split('_', 2)[2]}"
    messages = set()
    for presented, keys in ((wrong, {ID: record()}), (other, {ID: record()}), (KEY, {})):
        with pytest.raises(NotAuthenticatedError) as refused:
            holder_of(presented, keys, NOW)
        messages.add(str(refused.value))
        assert presented not in str(refused.value)
    assert len(messages) == 1


@pytest.mark.parametrize(
    "chosen",
    ["", "secret", "hunter2", f"fsdbt_{ID}_secret", f"fsdbt_{ID}_{'a' * 42}", f"fsdbt_{ID}_{'a' * 44}"],
    ids=["nothing", "a word", "another word", "a word after an id", "too short", "too long"],
)
def test_a_key_that_somebody_chose_never_counts_even_with_its_hash_in_the_file(chosen) -> None:
    with pytest.raises(NotAuthenticatedError):
        holder_of(chosen, {ID: record(hash=hash_of(chosen))}, NOW)


@given(st.text() | st.text(alphabet=KEY).map(lambda text: f"fsdbt_{text}"))
def test_no_other_text_is_taken_for_a_key(text) -> None:
    if text != KEY:
        with pytest.raises(NotAuthenticatedError):
            holder_of(text, {ID: record()}, NOW)


@given(st.integers(0, len(KEY) - 1), st.characters(codec="ascii"))
def test_a_key_changed_in_one_place_is_another(place, character) -> None:
    changed = KEY[:place] + character + KEY[place + 1 :]
    if changed != KEY:
        with pytest.raises(NotAuthenticatedError):
            holder_of(changed, {ID: record()}, NOW)
