"""What is no HTTP is refused by its own status, and nothing behind it is taken for another request. A real server, bytes by bytes."""

from __future__ import annotations

import socket
import threading
import time

import pytest
from bad_http import BAD_HTTP, GOOD, PATH, SMUGGLED
from feature_server import FeatureServer
from raw_http import exchange, post


@pytest.mark.parametrize(("status", "request_bytes"), BAD_HTTP.values(), ids=BAD_HTTP)
def test_what_is_no_http_gets_one_answer_and_what_follows_gets_none(server, status, request_bytes) -> None:
    answers = exchange(server.port, request_bytes + SMUGGLED * (status != 404), quiet=0.05)
    assert [answer.status for answer in answers] == [status]
    assert answers[0].headers["content-type"] == "application/json"
    assert set(answers[0].json()["error"]) == {"code", "message", "request_id"}
    assert status == 404 or answers[0].headers["connection"] == "close"


def test_it_still_serves_and_has_nothing_to_say_of_itself(server, client) -> None:
    assert exchange(server.port, post(PATH, GOOD))[0].status == 200
    assert "Traceback" not in server.errors


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (b"POST /nope HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(SMUGGLED), SMUGGLED), 404),
        (b"GET /ready HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n%b" % (len(SMUGGLED), SMUGGLED), 200),
        (post(PATH, b"{" + SMUGGLED), 400),
        (post(PATH, SMUGGLED + b" " * (1 << 20)), 413),
    ],
    ids=["nobody reads it", "of a GET", "no JSON", "too large"],
)
def test_a_body_is_never_taken_for_a_request(server, first, status) -> None:
    assert [answer.status for answer in exchange(server.port, first, quiet=0.1)] == [status]


def test_requests_one_behind_the_other_are_answered_in_order(server) -> None:
    many = b"".join(post(PATH, GOOD, b"x-request-id: %d" % number) for number in range(20))
    answers = exchange(server.port, many)
    assert [answer.headers["x-request-id"] for answer in answers] == list(map(str, range(20)))
    assert {answer.status for answer in answers} == {200}


def test_a_request_before_one_that_is_none_is_answered(server) -> None:
    assert [answer.status for answer in exchange(server.port, post(PATH, GOOD) + b"what now?\r\n\r\n" + SMUGGLED)] == [200]


def test_a_request_in_many_small_pieces_is_a_request(server) -> None:
    whole = post(PATH, GOOD, b"x-padding: " + b"a" * 3000)
    assert [answer.status for answer in exchange(server.port, [whole[at : at + 97] for at in range(0, len(whole), 97)])] == [200]


def test_who_has_sent_everything_and_says_so_still_gets_the_answer(server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(post(PATH, GOOD))
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while more := connection.recv(65_536):
            received += more
    assert received.startswith(b"HTTP/1.1 200 ")


def _closed_after(port: int, pieces, every: float) -> tuple[float, bytes]:
    """How long the server keeps a connection on which a byte arrives now and then, and what it says at the end."""
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        stop = threading.Event()

        def trickle() -> None:
            for piece in pieces:
                try:
                    connection.sendall(piece)
                except OSError:
                    return
                if stop.wait(every):
                    return

        thread = threading.Thread(target=trickle)
        thread.start()
        received = b""
        try:
            while more := connection.recv(65_536):
                received += more
        except ConnectionResetError:
            pass
        stop.set()
        thread.join()
    return time.monotonic() - started, received


def test_a_body_that_does_not_come_is_not_waited_for(shop) -> None:
    head, _, body = post(PATH, GOOD).partition(b"\r\n\r\n")
    with FeatureServer(shop.url, "shop", "--request-timeout", "1") as server:
        (answer,) = exchange(server.port, head + b"\r\n\r\n" + body[:10])
        assert (answer.status, answer.json()["error"]["code"], answer.headers["connection"]) == (408, "timeout", "close")
        (answer,) = exchange(server.port, [head + b"\r\n\r\n", *(body[at : at + 1] for at in range(len(body)))], pause=0.1)
        assert answer.status == 408
        assert server.client.get("/ready").status_code == 200


def test_chunks_without_a_length_are_counted(server) -> None:
    head = post(PATH, b"", b"transfer-encoding: chunked", length=False)
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    assert [answer.status for answer in exchange(server.port, [head, *[chunk] * 40])] == [413]
    whole = b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)
    assert [answer.status for answer in exchange(server.port, head + whole)] == [200]


def test_a_head_that_does_not_come_to_an_end_and_a_connection_without_a_request_are_ended(shop) -> None:
    slow = [b"GET /ready HTTP/1.1\r\n", *[b"x: a\r\n"] * 1000]
    results: dict[str, tuple[float, bytes]] = {}

    def run(name: str, pieces: list[bytes]) -> None:
        results[name] = _closed_after(server.port, pieces, 0.1)

    threads = [threading.Thread(target=run, args=each) for each in (("slow", slow), ("silent", []))]
    with FeatureServer(shop.url, "shop", "--request-timeout", "1") as server:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results["slow"][1].startswith(b"HTTP/1.1 408 ")
    assert results["silent"][1] == b""
    assert all(0.9 < seconds < 60 for seconds, _ in results.values())
