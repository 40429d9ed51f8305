"""From a URL to a store, and nothing secret in what is shown."""

from __future__ import annotations

import pytest

from featurestore.errors import SettingsError
from featurestore.online_store.connect import open_async_store, open_store, without_secrets
from featurestore.online_store.embedded import EmbeddedStore
from featurestore.online_store.redis import RedisStore


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "rediss://user:pw@cache.example.com:6380/2",
        "unix:///run/redis.sock",
        "redis+cluster://a,b",
        "valkeys+sentinel://a/main",
    ],
)
def test_redis_urls_open_redis_without_reaching_it(url):
    store = open_store(url)
    assert isinstance(store, RedisStore)
    store.close()


def test_a_relative_file_starts_from_the_projects_folder(tmp_path):
    store = open_store("sqlite:///online/store.db", tmp_path)
    assert isinstance(store, EmbeddedStore)
    (tmp_path / "online").mkdir()
    store.next_sequence("shop")
    store.close()
    assert (tmp_path / "online" / "store.db").is_file()


def test_a_whole_path_is_taken_as_it_is(tmp_path):
    store = open_store(f"sqlite:///{tmp_path}/store.db", "/nowhere")
    store.next_sequence("shop")
    store.close()
    assert (tmp_path / "store.db").is_file()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgres://user:s3cret@host/db", "postgres://…"),
        ("rediss:/host", "without a scheme"),
        ("redi://:s3cret@host", "Did you mean 'redis'"),
        ("online_store.db", "without a scheme"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite://store.db", "names no file"),
    ],
)
def test_a_url_of_no_store_is_told_without_its_secrets(url, said):
    for opening in (open_store, open_async_store):
        with pytest.raises(SettingsError) as caught:
            opening(url)
        assert said in str(caught.value)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:p@ss@host:6379/0", "redis://host:6379/0"),
        ("redis://host/0?password=secret", "redis://host/0"),
        ("sqlite:///store.db", "sqlite:///store.db"),
    ],
)
def test_what_is_shown_of_a_url_holds_no_secret(url, shown):
    assert without_secrets(url) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:pa/ss@cache:6379/0", "redis://cache:6379/0"),
        ("redis://user:p@ss@cache:6379/0", "redis://cache:6379/0"),
        ("rediss://cache:6379/0?password=pass", "rediss://cache:6379/0"),
        ("redis://user:pa?ss@cache:6379/0", "redis://…"),
        ("redis://cache:6379/0?password=p@ss", "redis://…"),
        ("redis://user:pa#ss@cache:6379/0", "redis://cache:6379/0"),
        ("redis://user:pass", "redis://…"),
        ("redis+cluster://user:p@ss@a:1,[::1]:2/?password=pass", "redis+cluster://a:1,[::1]:2/"),
        ("rediss+sentinel://:pass@a:26379,b/main/0?sentinel_password=pass", "rediss+sentinel://a:26379,b/main/0"),
        ("redis+sentinel://a/main?sentinel_password=p@ss", "redis+sentinel://…"),
        ("valkey+cluster://user:pass,a:1", "valkey+cluster://…"),
        ("unix://user:pass@/run/redis.sock?db=1", "unix:///run/redis.sock"),
    ],
)
def test_no_part_of_a_password_is_shown_however_it_is_written(url: str, shown: str) -> None:
    assert without_secrets(url) == shown
