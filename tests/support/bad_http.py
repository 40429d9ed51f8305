"""Requests that are no HTTP/1.1, or that two programs could read differently: where each of them ends is what request smuggling is
made of. Each with the status that it is answered with.
"""

from __future__ import annotations

from raw_http import post

PATH = "/v1/features"
GOOD = b'{"features":"churn","rows":[{"customer_id":1}]}'
SIZE = b"%x" % len(GOOD)
SMUGGLED = b"GET /ready HTTP/1.1\r\nhost: features\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked"


def _post(*headers: bytes, body: bytes = GOOD, length: bool = True) -> bytes:
    return post(PATH, body, *headers, length=length)


def _get(line: bytes, *headers: bytes) -> bytes:
    return b"\r\n".join((line, b"host: features", *headers)) + b"\r\n\r\n"


def _chunked(body: bytes, *headers: bytes) -> bytes:
    return _post(CHUNKED, *headers, body=body, length=False)


BAD_HTTP: dict[str, tuple[int, bytes]] = {
    "a length and chunks": (400, _post(CHUNKED, body=b"0\r\n\r\n" + SMUGGLED)),
    "chunks and a length": (400, _post(CHUNKED, b"content-length: 6", body=b"0\r\n\r\n" + SMUGGLED, length=False)),
    "two lengths": (400, _post(b"content-length: 5", body=GOOD + SMUGGLED)),
    "the same length twice": (400, _post(b"content-length: %d" % len(GOOD))),
    "a list of lengths": (400, _post(b"content-length: 47, 47", length=False)),
    "a length with a sign": (400, _post(b"content-length: +47", length=False)),
    "a negative length": (400, _post(b"content-length: -1", length=False)),
    "a length in hex": (400, _post(b"content-length: 0x2f", length=False)),
    "a length beyond 64 bits": (400, _post(b"content-length: 18446744073709551617", length=False)),
    "an empty length": (400, _post(b"content-length:", length=False)),
    "an unknown transfer coding": (400, _post(b"transfer-encoding: xchunked", length=False)),
    "no transfer coding by name": (400, _post(b"transfer-encoding: identity", length=False)),
    "chunks that are not last": (400, _post(b"transfer-encoding: chunked, identity", length=False)),
    "chunks twice": (400, _chunked(b"0\r\n\r\n", CHUNKED)),
    "compressed chunks": (400, _post(b"transfer-encoding: gzip, chunked", body=b"0\r\n\r\n", length=False)),
    "a space before the colon": (400, _post(b"transfer-encoding : chunked", body=b"0\r\n\r\n", length=False)),
    "a control character in a coding": (400, _post(b"transfer-encoding:\x0bchunked", body=b"0\r\n\r\n", length=False)),
    "a size of a chunk that is none": (400, _chunked(b"zz\r\nabc\r\n0\r\n\r\n")),
    "a size of a chunk beyond 64 bits": (400, _chunked(b"1" + b"0" * 16 + b"\r\nabc\r\n0\r\n\r\n")),
    "a negative size of a chunk": (400, _chunked(b"-1\r\nabc\r\n0\r\n\r\n")),
    "a chunk longer than its size": (400, _chunked(SIZE + b"\r\n" + GOOD + b"XX0\r\n\r\n")),
    "chunks ended by line feeds": (400, _chunked(SIZE + b"\n" + GOOD + b"\n0\n\n")),
    "a length behind the chunks": (400, _chunked(SIZE + b"\r\n" + GOOD + b"\r\n0\r\ncontent-length: 3\r\n\r\n")),
    "a folded header": (400, _post(b"x-a: b\r\n c")),
    "lines ended by line feeds": (400, b"POST /v1/features HTTP/1.1\nhost: x\ncontent-length: 2\n\n{}"),
    "lines ended by carriage returns": (400, b"POST /v1/features HTTP/1.1\r\nhost: x\rcontent-length: 2\r\n\r\n{}"),
    "a zero byte in a header": (400, _post(b"x-a: a\x00b")),
    "a header without a colon": (400, _post(b"x-a")),
    "a header without a name": (400, _post(b": a")),
    "a header with a space in its name": (400, _post(b"x a: b")),
    "no host": (400, b"GET /ready HTTP/1.1\r\n\r\n"),
    "two hosts": (400, _get(b"GET /ready HTTP/1.1", b"host: other")),
    "HTTP/0.9": (400, b"GET /ready\r\n\r\n"),
    "HTTP/2": (400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "HTTP/3.0": (400, _get(b"GET /ready HTTP/3.0")),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50),
    "Redis": (400, b"*1\r\n$4\r\nPING\r\n"),
    "no HTTP at all": (400, b"hello there\r\n\r\n"),
    "an unknown method": (400, _get(b"FOO /ready HTTP/1.1")),
    "a method in small letters": (400, _get(b"get /ready HTTP/1.1")),
    "a tunnel": (400, _get(b"CONNECT features:80 HTTP/1.1")),
    "an upgrade to WebSocket": (400, _post(b"connection: upgrade", b"upgrade: websocket")),
    "an upgrade to HTTP/2": (400, _post(b"connection: upgrade, http2-settings", b"upgrade: h2c")),
    "a space in the path": (400, _get(b"GET /rea dy HTTP/1.1")),
    "a path that is no ASCII": (400, _get(b"GET /\xff\xfe HTTP/1.1")),
    "no path": (400, _get(b"GET  HTTP/1.1")),
    "a large header": (431, _get(b"GET /ready HTTP/1.1", b"x: " + b"a" * 200_000)),
    "a header that never ends": (431, b"GET /ready HTTP/1.1\r\nhost: x\r\nx: " + b"a" * 2_000_000),
    "many headers": (431, _get(b"GET /ready HTTP/1.1", *[b"x: a"] * 20_000)),
    "a long path": (431, _get(b"GET /" + b"a" * 200_000 + b" HTTP/1.1")),
    "every server": (404, _get(b"OPTIONS * HTTP/1.1")),
    "a path with escapes": (404, _get(b"GET /%00%ff%0d%0a HTTP/1.1")),
    "a path with dots": (404, _get(b"GET /v1/../ready HTTP/1.1")),
    "a path with two slashes": (404, _get(b"GET //ready HTTP/1.1")),
}
