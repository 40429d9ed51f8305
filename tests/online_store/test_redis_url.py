"""What the URL of a Redis store may say, and that nothing of a wrong one is told."""

from __future__ import annotations

import pytest

from featurestore.errors import SettingsError
from featurestore.online_store.redis_url import READS_RETRIED_FOR, Server, Topology, parse_redis_url


@pytest.mark.parametrize(
    ("url", "topology", "servers", "tls", "login"),
    [
        ("redis://", Topology.SINGLE, [Server("localhost", 6379)], False, {"db": 0}),
        ("redis://cache", Topology.SINGLE, [Server("cache", 6379)], False, {"db": 0}),
        ("valkey://cache:7000/3", Topology.SINGLE, [Server("cache", 7000)], False, {"db": 3}),
        ("redis://cache/?db=4", Topology.SINGLE, [Server("cache")], False, {"db": 4}),
        ("rediss://:pw@[::1]:7000/", Topology.SINGLE, [Server("::1", 7000)], True, {"password": "pw", "db": 0}),
        ("valkeys://u:p%40w@cache", Topology.SINGLE, [Server("cache")], True, {"username": "u", "password": "p@w", "db": 0}),
        ("redis://u:p@ss,w:rd@cache", Topology.SINGLE, [Server("cache")], False, {"username": "u", "password": "p@ss,w:rd", "db": 0}),
        ("unix:///run/re%20dis.sock?db=2", Topology.SINGLE, [Server("", path="/run/re dis.sock")], False, {"db": 2}),
        ("unix://u:pw@/r.sock", Topology.SINGLE, [Server("", path="/r.sock")], False, {"username": "u", "password": "pw", "db": 0}),
        ("redis+cluster://a:1,b,[::2]:3/", Topology.CLUSTER, [Server("a", 1), Server("b"), Server("::2", 3)], False, {"db": 0}),
        ("rediss+cluster://u:pw@a/0", Topology.CLUSTER, [Server("a")], True, {"username": "u", "password": "pw", "db": 0}),
        ("valkey+cluster://a", Topology.CLUSTER, [Server("a")], False, {"db": 0}),
        (
            "redis+sentinel://:pw@a,b:7/mymaster/2",
            Topology.SENTINEL,
            [Server("a", 26379, sentinel=True), Server("b", 7, sentinel=True)],
            False,
            {"password": "pw", "db": 2},
        ),
        ("valkeys+sentinel://a/my%2Fmaster", Topology.SENTINEL, [Server("a", 26379, sentinel=True)], True, {"db": 0}),
    ],
)
def test_every_way_to_reach_redis_has_its_url(url, topology, servers, tls, login):
    said = parse_redis_url(url)
    assert (said.topology, list(said.servers), said.tls, dict(said.login)) == (topology, servers, tls, login)


def test_options_say_how_long_to_wait_and_whom_to_trust():
    said = parse_redis_url(
        "rediss+sentinel://a/main?socket_timeout=0.5&socket_keepalive=yes&ssl_ca_certs=/ca.pem&ssl_check_hostname=false&client_name=shop"
        "&sentinel_username=s&sentinel_password=p%26w&retry_reads_for=1.5&retry_writes_for=90"
    )
    assert dict(said.options) == {
        "socket_timeout": 0.5,
        "socket_connect_timeout": 0.5,
        "socket_keepalive": True,
        "ssl_ca_certs": "/ca.pem",
        "ssl_check_hostname": False,
    }
    assert (said.service, dict(said.login)) == ("main", {"client_name": "shop", "db": 0})
    assert dict(said.sentinel_login) == {"username": "s", "password": "p&w"}
    assert (said.retry_reads_for, said.retry_writes_for) == (1.5, 90)
    assert parse_redis_url("redis+cluster://a").retry_reads_for == READS_RETRIED_FOR
    assert parse_redis_url("redis://a").retry_reads_for == 0, "nobody takes a single server's place"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://a,b", r"For several write redis\+cluster://"),
        ("redis://a:99999", "cannot be read"),
        ("redis://a:0", "cannot be read"),
        ("redis://u:s3cret", "cannot be read"),
        ("redis://a/s3cret", "cannot be read"),
        ("redis://a/1/2", "cannot be read"),
        ("redis://[s3cret", "cannot be read"),
        ("redis://a?s3cret=s3cret", r"an option does not exist .* There is: socket_timeout, .*, ssl_ciphers"),
        ("redis://a?socket_timeout=s3cret", "cannot have the value"),
        ("redis://a?socket_timeout=nan", "cannot have the value"),
        ("redis://a?socket_timeout=0", "cannot have the value"),
        ("redis://a?socket_timeout=", "cannot have the value"),
        ("redis://a?socket_keepalive=s3cret", "cannot have the value"),
        ("redis://a?ssl_ca_certs=/s3cret.pem", "speaks none. Write rediss://"),
        ("redis+cluster://a/1", "one database only"),
        ("redis+cluster://a/?db=1", "one database only"),
        ("redis+sentinel://:s3cret@a", "followed by the name under which the Sentinels know the master"),
        ("redis+sentinel://a/main/s3cret", "cannot be read"),
        ("unix:///run/redis.sock?socket_keepalive=true", "has the option socket_keepalive, which a socket file has no use for"),
        ("unix://", "followed by the path of a socket"),
        ("unix://s3cret/redis.sock", "followed by the path of a socket"),
    ],
)
def test_a_wrong_url_is_a_setting_to_mend_of_which_nothing_is_told(url, said):
    with pytest.raises(SettingsError, match=said) as caught:
        parse_redis_url(url)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_what_was_read_shows_no_secret():
    shown = repr(parse_redis_url("redis+sentinel://u:s3cret@a/main?sentinel_password=s3cret"))
    assert "s3cret" not in shown
