"""What is sent again and what is not, and which error an answer means: decided without a server."""

from __future__ import annotations

import httpx
import msgspec
import numpy
import pytest

from featurestore.client.calls import Call, Pause, call_steps, encoded, written
from featurestore.errors import (
    EntityKeyError,
    FeatureServerError,
    FeatureServerUnavailableError,
    NotAllowedError,
    NotMaterializedError,
    OnlineStoreUnavailableError,
    PushError,
    RequestError,
    UnknownNameError,
)

READ = Call("/v1/features", b"{}", "*/*", repeatable=True)
PUSH = Call("/v1/push", b"{}", "*/*", repeatable=False)
DONE = httpx.Response(200, content=b"done")


def refusal(status: int, code: str, message: str = "because") -> httpx.Response:
    return httpx.Response(status, content=msgspec.json.encode({"error": {"code": code, "message": message, "request_id": "1"}}))


def run(call: Call, *outcomes: object, retries: int = 2) -> tuple[object, list[float]]:
    """What the steps end in when these are the outcomes of one try after the other, and the pauses in between."""
    steps, pauses, left = call_steps(call, retries, "https://features.test"), [], list(outcomes)
    try:
        step = next(steps)
        while True:
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                step = steps.send(None)
            else:
                assert step is call
                step = steps.send(left.pop(0))  # type: ignore[arg-type]
    except StopIteration as end:
        assert not left
        return end.value, pauses
    except Exception as error:
        assert not left, f"gave up before {left}"
        return error, pauses


PAGE = "<html>bad gateway</html>"
BAD_GATEWAY, UNREACHED = httpx.Response(502, text=PAGE), httpx.Response(503, text=PAGE)
REFUSED, BROKEN, LATE = httpx.ConnectError("refused"), httpx.RemoteProtocolError("closed"), httpx.ReadTimeout("late")
BUSY, STORE_DOWN = refusal(503, "overloaded"), refusal(503, "online_store_unavailable")


@pytest.mark.parametrize("trouble", [REFUSED, BROKEN, BUSY, STORE_DOWN, BAD_GATEWAY, UNREACHED], ids=str)
def test_a_read_is_sent_again_after_a_passing_trouble(trouble):
    assert run(READ, trouble, trouble, DONE) == (b"done", [0.05, 0.1])


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (REFUSED, FeatureServerUnavailableError),
        (BROKEN, FeatureServerUnavailableError),
        (BUSY, FeatureServerUnavailableError),
        (STORE_DOWN, OnlineStoreUnavailableError),
    ],
    ids=str,
)
def test_it_is_given_up_after_so_many_tries(trouble, kind):
    for retries in (0, 1, 3):
        error, pauses = run(READ, *[trouble] * (retries + 1), retries=retries)
        assert type(error) is kind
        assert len(pauses) == retries


def test_what_took_too_long_is_not_asked_again():
    assert isinstance(run(READ, LATE)[0], FeatureServerUnavailableError)
    assert isinstance(run(READ, refusal(504, "timeout"))[0], FeatureServerUnavailableError)


@pytest.mark.parametrize("trouble", [REFUSED, BUSY], ids=str)
def test_a_push_is_sent_again_only_where_nothing_was_done(trouble):
    assert run(PUSH, trouble, DONE) == (b"done", [0.05])


@pytest.mark.parametrize("trouble", [BROKEN, STORE_DOWN, LATE, BAD_GATEWAY, UNREACHED], ids=str)
def test_a_push_that_may_have_arrived_is_not_sent_again(trouble):
    assert isinstance(run(PUSH, trouble)[0], FeatureServerUnavailableError | OnlineStoreUnavailableError)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refusal(404, "unknown_name"), UnknownNameError),
        (refusal(422, "entity_key"), EntityKeyError),
        (refusal(422, "push"), PushError),
        (refusal(422, "invalid_request"), RequestError),
        (refusal(413, "too_many_keys"), RequestError),
        (refusal(403, "not_allowed"), NotAllowedError),
        (refusal(503, "not_materialized"), NotMaterializedError),
        (refusal(404, "not_found"), FeatureServerError),
        (refusal(500, "internal"), FeatureServerError),
    ],
    ids=str,
)
def test_an_error_is_of_the_class_that_it_has_in_process(answer, kind):
    error, pauses = run(READ, answer)
    assert type(error) is kind
    assert "because" in str(error)
    assert pauses == []


def test_what_a_proxy_says_is_told_from_what_the_server_says():
    for status in (502, 503, 504):
        assert isinstance(run(READ, httpx.Response(status, text=PAGE), retries=0)[0], FeatureServerUnavailableError)
    error, _ = run(READ, httpx.Response(404, text=PAGE))
    assert type(error) is FeatureServerError
    assert "Is it the right URL?" in str(error)


@pytest.mark.parametrize(("said", "pause"), [("0", 0.05), ("1", 1.0), ("86400", 1.0), ("9" * 5000, 1.0), ("soon", 0.05), ("-1", 0.05)])
def test_a_server_that_asks_to_be_left_alone_is_within_bounds(said, pause):
    busy = httpx.Response(503, content=BUSY.content, headers={"retry-after": said})
    assert run(READ, busy, DONE) == (b"done", [pause])


@pytest.mark.parametrize("call", [READ, PUSH], ids=["read", "push"])
def test_what_cannot_be_written_as_http_is_not_sent_again_and_not_repeated(call):
    error, pauses = run(call, httpx.LocalProtocolError("Illegal header value b'Bearer fsdbt_secret'"))
    assert type(error) is RequestError
    assert "secret" not in str(error)
    assert pauses == []


@pytest.mark.parametrize(
    ("code", "attributes"),
    [
        ("unknown_name", {"kind": "", "name": "", "known": frozenset()}),
        ("feature_name_collision", {"feature": ""}),
        ("not_authenticated", {"given": None}),
        ("not_allowed", {"scope": ""}),
        ("push", {"view": "", "problems": ()}),
    ],
)
def test_an_error_of_a_server_has_the_attributes_of_its_class(code, attributes):
    error, _ = run(READ, refusal(422, code))
    assert {name: getattr(error, name) for name in attributes} == attributes


def test_values_are_sent_as_the_server_reads_them():
    assert msgspec.json.decode(encoded({"x": written([float("nan"), float("inf"), {"a": -float("inf")}, 1.5, None])})) == {
        "x": ["NaN", "Infinity", {"a": "-Infinity"}, 1.5, None]
    }
    numbers = [numpy.float32("nan"), numpy.float64("inf"), numpy.float32(0.5), numpy.int64(2**60)]
    assert msgspec.json.decode(encoded({"x": written(numbers)})) == {"x": ["NaN", "Infinity", 0.5, 2**60]}
    with pytest.raises(RequestError, match="cannot be sent"):
        encoded({"x": object()})
