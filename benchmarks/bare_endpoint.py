"""The floor under the feature server: an ASGI endpoint that makes one MGET by redis-py and answers bytes that it holds in memory.

    BARE_ENDPOINT=FILE python benchmarks/bare_endpoint.py PORT

Served by the same uvicorn with the same settings, and with its own httptools protocol: our bounds on what comes before a request are
ours to pay. What it reads and answers stands in that file: one of some hundred lists of keys, as they would be looked up for a request,
and always the same answer, of the size of a real one.
"""

from __future__ import annotations

import itertools
import os
import sys

import msgspec
import redis.asyncio
import uvicorn


class Held(msgspec.Struct):
    """What the endpoint knows."""

    url: str
    keys: list[list[bytes]]
    answer: bytes


def create_app():
    """The application of each worker."""
    with open(os.environ["BARE_ENDPOINT"], "rb") as file:
        held = msgspec.msgpack.decode(file.read(), type=Held)
    store = redis.asyncio.Redis.from_url(held.url, protocol=2)
    turns = itertools.cycle(held.keys)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(held.answer))]
    start = {"type": "http.response.start", "status": 200, "headers": headers}
    body = {"type": "http.response.body", "body": held.answer}

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            while True:
                event = (await receive())["type"]
                await send({"type": f"{event}.complete"})
                if event == "lifespan.shutdown":
                    return
        await receive()
        await store.mget(next(turns))
        await send(start)
        await send(body)

    return app


if __name__ == "__main__":
    uvicorn.run(
        create_app,
        factory=True,
        port=int(sys.argv[1]),
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        http="httptools",
        ws="none",
    )
