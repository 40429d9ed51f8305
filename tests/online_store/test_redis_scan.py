"""Going through a key space takes as long as it takes: how long a server may be away is counted anew each time that it was there."""

from __future__ import annotations

from time import sleep
from typing import Any

import codec_cases as cases
import pytest
import redis

from featurestore.codec.keys import key_space
from featurestore.errors import OnlineStoreUnavailableError
from featurestore.online_store.redis_scan import Sweep
from featurestore.online_store.redis_steps import Answers, Knowledge, Pause
from featurestore.online_store.redis_url import Server, parse_redis_url

SPACE = key_space("shop", cases.feature_view())
SERVER = Server("a")
AWAY = redis.TimeoutError("Timeout reading")
PATIENCE = 0.05


def given(steps: Any, *answers: Any) -> Any:
    """What the steps come to where that server answers so, one after the other, and nobody waits as long as is said."""
    try:
        step = next(steps)
        for answer in answers:
            if isinstance(step, Pause):
                step = steps.send({})
            told: Answers = {SERVER: [answer]}
            step = steps.send(told)
    except StopIteration as end:
        return end.value
    return step


def sweep() -> Sweep:
    return Sweep(SPACE, Knowledge.of(parse_redis_url(f"redis://a?retry_writes_for={PATIENCE}")))


def test_a_server_that_was_back_meanwhile_may_be_away_as_long_again() -> None:
    going = sweep()
    assert given(going.next_keys(), AWAY, [b"7", [b"one"]]) == [b"one"]
    sleep(2 * PATIENCE)
    assert given(going.next_keys(), AWAY, [b"0", [b"one"]]) == [b"one"]
    assert given(going.next_keys()) is None
    assert going.passes == 3, "its cursor means nothing to the one that is there now"


def test_a_server_that_stays_away_is_given_up() -> None:
    steps = sweep().next_keys()
    assert isinstance(given(steps, AWAY), Pause)
    sleep(2 * PATIENCE)
    steps.send({})
    with pytest.raises(OnlineStoreUnavailableError):
        steps.send({SERVER: [AWAY]})
