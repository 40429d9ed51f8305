"""The keys file is followed while it changes; what is wrong in it is named, and never quoted."""

from __future__ import annotations

import logging
import os
import resource
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest

from featurestore.errors import SettingsError, UnknownNameError
from featurestore.server.access.api_keys import ApiKey, new_key
from featurestore.server.access.grants import read_scopes
from featurestore.server.access.keys_file import KeysFile, add_key, read_keys, remove_key

GOOD_ID, GOOD_HASH = "0123456789abcdef", "sha256:" + "ab" * 32
ENTRY = f"- id: '{GOOD_ID}'\n  name: checkout\n  hash: {GOOD_HASH}\n  scopes: [service:churn]\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.yml"


def made(name: str, **more) -> ApiKey:
    _, key_id, key_hash = new_key()
    return ApiKey(key_id, name, key_hash, read_scopes(["service:churn", "metrics"]), **more)


def test_what_is_added_is_read_back(path) -> None:
    noon = datetime(2026, 5, 1, 12, tzinfo=timezone.utc)
    keys = [made("checkout", created=noon, expires=noon.replace(year=2027)), made("search")]
    for key in keys:
        add_key(path, key)
    assert list(read_keys(path).values()) == keys
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_by_hand_keeps_its_comments_and_its_mode(path) -> None:
    path.write_text(f"# whose keys these are\nkeys:\n{ENTRY}")
    path.chmod(0o640)
    add_key(path, made("search"))
    assert "# whose keys these are" in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o640
    remove_key(path, "search")
    assert list(read_keys(path)) == [GOOD_ID]


def test_json_is_a_keys_file_too(path) -> None:
    path.write_text(f'{{"keys": [{{"id": "{GOOD_ID}", "name": "a", "hash": "{GOOD_HASH}", "scopes": ["group:*"]}}]}}')
    assert read_keys(path)[GOOD_ID].grant.groups == {"*"}


@pytest.mark.parametrize("text", ["", "keys:\n", "keys: []\n", "{}"])
def test_a_file_may_hold_no_keys(path, text) -> None:
    path.write_text(text)
    assert read_keys(path) == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[]", "object"),
        ("keys: 3", "keys"),
        ("users: []", "users"),
        ("keys: [{id: a}]", "keys[0]"),
        (f"keys:\n{ENTRY}  expire: 2027-01-01\n", "expire"),
        (f"keys:\n{ENTRY}  expires: soon\n", "expires"),
        (f"keys:\n{ENTRY}{ENTRY}", "twice"),
        (f"keys:\n{ENTRY.replace('service:churn', 'services:churn')}", "service"),
        (f"keys:\n{ENTRY.replace(GOOD_HASH, 'fsdbt_0123456789abcdef_secret')}", "hash"),
        (f"keys:\n{ENTRY.replace(GOOD_ID, 'checkout')}", "id"),
        ("keys: [\nfsdbt_secret", "line"),
        ("keys: &a [*a]", "keys"),
        ("\x00", "YAML"),
    ],
)
def test_what_is_wrong_is_named_and_not_quoted(path, text, names) -> None:
    path.write_text(text)
    with pytest.raises(SettingsError) as wrong:
        read_keys(path)
    assert str(path) in str(wrong.value)
    assert names in str(wrong.value)
    assert "secret" not in str(wrong.value)


def test_bytes_that_are_no_text_are_an_error(path) -> None:
    path.write_bytes(b"keys: \xff\xfe\x00")
    with pytest.raises(SettingsError, match="YAML"):
        read_keys(path)


def test_a_missing_file_is_an_error_at_the_start(path) -> None:
    with pytest.raises(SettingsError, match="fsdbt keys create"):
        KeysFile(path)


def test_a_running_server_follows_the_file(path) -> None:
    add_key(path, made("checkout"))
    file = KeysFile(path)
    first = file.keys()
    add_key(path, made("search"))
    assert len(file.keys()) == 2
    remove_key(path, "search")
    assert file.keys() == first
    path.unlink()
    assert file.keys() == {}
    add_key(path, made("back"))
    assert [key.name for key in file.keys().values()] == ["back"]


def test_a_file_that_cannot_be_understood_leaves_the_keys_of_before_in_force_and_is_told_of_once(path, caplog) -> None:
    add_key(path, made("checkout"))
    file = KeysFile(path)
    before = file.keys()
    path.write_text("keys: [")
    with caplog.at_level(logging.ERROR):
        assert file.keys() == before
        assert file.keys() == before
    assert len(caplog.records) == 1
    assert str(path) in caplog.text


def test_a_file_replaced_within_the_same_instant_and_of_the_same_size_is_noticed(path) -> None:
    path.write_text(f"keys:\n{ENTRY}")
    file = KeysFile(path)
    instant = path.stat().st_mtime_ns
    other = path.with_name("other")
    other.write_text(path.read_text().replace(GOOD_ID, "f" * 16))
    os.utime(other, ns=(instant, instant))
    other.replace(path)
    assert list(file.keys()) == ["f" * 16]


def test_a_file_written_over_within_the_same_instant_and_of_the_same_size_is_noticed(path) -> None:
    path.write_text(f"keys:\n{ENTRY}")
    file = KeysFile(path)
    instant = path.stat().st_mtime_ns
    time.sleep(0.02)
    path.write_text(path.read_text().replace(GOOD_ID, "f" * 16))
    os.utime(path, ns=(instant, instant))
    assert list(file.keys()) == ["f" * 16]


def test_a_key_revoked_while_no_file_could_be_opened_is_refused_as_soon_as_one_can(path, caplog) -> None:
    add_key(path, made("checkout"))
    file = KeysFile(path)
    before = file.keys()
    remove_key(path, "checkout")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with caplog.at_level(logging.ERROR):
            kept = [file.keys() for _ in range(3)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert kept == [before] * 3
    assert len(caplog.records) == 1
    assert file.keys() == {}


def test_a_name_of_two_keys_does_not_say_which_to_revoke(path) -> None:
    keys = [made("checkout"), made("checkout")]
    for key in keys:
        add_key(path, key)
    with pytest.raises(SettingsError, match=keys[0].id):
        remove_key(path, "checkout")
    assert remove_key(path, keys[0].id) == keys[0]
    assert remove_key(path, "checkout") == keys[1]
    with pytest.raises(UnknownNameError):
        remove_key(path, "checkout")


def test_two_who_write_at_once_do_not_lose_a_key(path) -> None:
    add_key(path, made("checkout"))
    lock = path.with_name("keys.yml.new")
    lock.touch()
    with pytest.raises(SettingsError, match=r"keys\.yml\.new"):
        add_key(path, made("search"))
    assert lock.exists()
    lock.unlink()
    add_key(path, made("search"))
    assert not lock.exists()
    assert len(read_keys(path)) == 2


def test_a_file_that_is_wrong_is_not_written_over(path) -> None:
    path.write_text("keys: 3")
    with pytest.raises(SettingsError):
        add_key(path, made("search"))
    assert path.read_text() == "keys: 3"
    assert [file.name for file in path.parent.iterdir()] == ["keys.yml"]
