"""The program that `clickhouse_server` starts: the engine of ClickHouse (chdb), behind the part of its HTTP interface that clients use.

Queries run in the real engine, each HTTP session in a connection of its own, with temporary tables and settings of its own. What is
written here is only what stands between a client and that: requests, sessions, users, settings that come in the URL, streamed answers
and how an error is told.
"""

from __future__ import annotations

import argparse
import base64
import json
import re
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

import chdb
import pyarrow as pa
from chdb._exceptions import ChdbError

OF_THE_REQUEST = ("query", "database", "session_id", "session_timeout", "session_check", "query_id", "wait_end_of_query")
OF_THE_TRANSPORT = ("compress", "client_protocol_version", "enable_http_compression", "cancel_http_readonly_queries_on_client_close")
OF_THE_PROGRESS = ("send_progress_in_http_headers", "http_headers_progress_interval_ms")
NO_SETTINGS = frozenset((*OF_THE_REQUEST, *OF_THE_TRANSPORT, *OF_THE_PROGRESS))
"""What a URL may say that is about the request and not a setting of the query, or that only a server knows."""

ANSWERS = re.compile(r"\s*(WITH|SELECT|SHOW|DESCRIBE|DESC|EXISTS|EXPLAIN|\()", re.IGNORECASE)
FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
INSERT = re.compile(rb"\s*INSERT\s+INTO\s.*?\sFORMAT\s+(?!Values\b)\w+[ \t]*\r?\n?", re.IGNORECASE | re.DOTALL)
CODE = re.compile(r"Code: (\d+)\.")


class Session:
    """One connection to the engine, used by one request at a time."""

    def __init__(self, path: str, user_settings: Mapping[str, str]) -> None:
        self.lock = threading.Lock()
        self.connection = chdb.connect(path)
        self.database: str | None = None
        self.settings: Mapping[str, str] = {}
        self.undo: list[str] = []
        # The order matters: nothing can be set any more once `readonly` is.
        for name, value in sorted(user_settings.items(), key=lambda item: item[0] == "readonly"):
            self.connection.query(f"SET {name} = {literal(value)}")

    def apply(self, database: str | None, settings: Mapping[str, str]) -> None:
        """Set what a request asks for, and take back what the one before asked for. Most ask for the same."""
        if database is not None and database != self.database:
            self.connection.query(f"USE {quoted(database)}")
            self.database = database
        if settings == self.settings:
            return
        if self.undo:
            self.connection.query(f"SET {', '.join(self.undo)}")
        self.settings, self.undo = {}, []
        if settings:
            named = ", ".join(map(literal, settings))
            rows = self.connection.query(f"SELECT name, value, changed FROM system.settings WHERE name IN ({named})", "JSONCompact")
            before = {name: literal(value) if changed else "DEFAULT" for name, value, changed in json.loads(rows.bytes())["data"]}
            self.connection.query(f"SET {', '.join(f'{quoted(name)} = {literal(value)}' for name, value in settings.items())}")
            self.settings, self.undo = settings, [f"{quoted(name)} = {value}" for name, value in before.items()]


class Front(ThreadingHTTPServer):
    """The sessions, the users, and where the tables are."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: str, users: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.path, self.users = path, users
        self.sessions: dict[str, Session] = {}
        self.guard = threading.Lock()
        # As long as one connection is open, the engine keeps its tables loaded.
        self.first = chdb.connect(path)

    def session(self, session_id: str | None, user: str) -> Session:
        with self.guard:
            if session_id is not None and session_id in self.sessions:
                return self.sessions[session_id]
            session = Session(self.path, self.users[user].get("settings", {}))
            if session_id is not None:
                self.sessions[session_id] = session
            return session


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True
    server: Front

    def log_message(self, *words: object) -> None:
        """Nobody reads it."""

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n", {})
        else:
            self.do_POST()

    def do_POST(self) -> None:
        asked = {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query, keep_blank_values=True).items()}
        with self._body() as body:
            user = self._user()
            if user is None:
                message = "Authentication failed: password is incorrect, or there is no user with such name."
                self._refuse(516, f"Code: 516. DB::Exception: {message} (AUTHENTICATION_FAILED)")
                return
            session = self.server.session(asked.get("session_id"), user)
            if not session.lock.acquire(blocking=False):
                self._refuse(373, "Code: 373. DB::Exception: Session is locked by a concurrent client. (SESSION_IS_LOCKED)")
                return
            try:
                settings = {name: value for name, value in asked.items() if name not in NO_SETTINGS and not name.startswith("param_")}
                parameters = {name.removeprefix("param_"): value for name, value in asked.items() if name.startswith("param_")}
                session.apply(asked.get("database"), settings)
                self._run(session, asked.get("query", ""), body, parameters)
            except ChdbError as error:
                text = str(error)
                code = CODE.search(text)
                self._refuse(int(code[1]) if code else 1002, text[text.find("Code: ") :] if code else text)
            finally:
                session.lock.release()

    def _run(self, session: Session, query: str, body: IO[bytes], parameters: dict[str, str]) -> None:
        head = body.read(1 << 20) if not query else b""
        insert = INSERT.match(query.encode() + b"\n") if query else INSERT.match(head)
        if insert is not None:
            statement = query or head[: insert.end()].decode()
            if not query:
                body.seek(insert.end())
            self._insert(session, statement, body)
            return
        text = query or (head + body.read()).decode()
        found = FORMAT.search(text)
        kind = found[1] if found else self.headers.get("X-ClickHouse-Format") or "TabSeparated"
        text = text[: found.start()] if found else text
        if kind == "ArrowStream" and ANSWERS.match(text):
            self._stream(session, text, parameters)
            return
        answer = session.connection.query(text, kind, params=parameters)
        self._answer(200, answer.bytes(), {"X-ClickHouse-Format": kind} if ANSWERS.match(text) else {})

    def _insert(self, session: Session, statement: str, body: IO[bytes]) -> None:
        with tempfile.NamedTemporaryFile(prefix="insert") as file:
            while part := body.read(1 << 20):
                file.write(part)
            file.flush()
            source = f" FROM INFILE {literal(file.name)} FORMAT "
            session.connection.query(re.sub(r"\s+FORMAT\s+(?=\w+\s*$)", source, statement.strip(), flags=re.IGNORECASE))
        self._answer(200, b"", {})

    def _stream(self, session: Session, text: str, parameters: dict[str, str]) -> None:
        """The answer as it comes. The engine makes a stream of each block, and here they become one."""
        blocks = session.connection.send_query(text, "ArrowStream", params=parameters)
        first = None
        try:
            first = next(iter(blocks), None)
            if first is None:
                # There are no rows, and so no block to say which columns there are.
                self._answer(200, session.connection.query(text, "ArrowStream", params=parameters).bytes(), {})
                return
            self._head(200, {"Transfer-Encoding": "chunked"})
            reader = pa.ipc.open_stream(first.bytes())
            writer = pa.ipc.new_stream(_Chunks(self.wfile), reader.schema)
            for batch in _batches(reader, blocks):
                writer.write_batch(batch)
            # Only now: an end of the stream would pass for the end of the answer.
            writer.close()
            self.wfile.write(b"0\r\n\r\n")
        except ChdbError as error:
            if first is None:
                raise
            # As the server does: what went wrong follows what was sent, and the connection breaks.
            _Chunks(self.wfile).write(str(error).encode())
            self.close_connection = True
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            blocks.close()

    def _body(self) -> IO[bytes]:
        body = tempfile.SpooledTemporaryFile(1 << 20)  # noqa: SIM115 - whoever asked for it closes it
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body.write(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers.get("Content-Length") or 0)
            while left and (part := self.rfile.read(min(left, 1 << 20))):
                body.write(part)
                left -= len(part)
        body.seek(0)
        return body

    def _user(self) -> str | None:
        kind, _, said = self.headers.get("Authorization", "").partition(" ")
        name, _, password = base64.b64decode(said).decode().partition(":") if kind == "Basic" else ("default", "", "")
        known = self.server.users.get(name)
        return name if known is not None and known.get("password", "") == password else None

    def _refuse(self, code: int, text: str) -> None:
        self._answer(500, f"{text} (version {chdb.engine_version})\n".encode(), {"X-ClickHouse-Exception-Code": str(code)})

    def _answer(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self._head(status, {**headers, "Content-Length": str(len(content))})
        self.wfile.write(content)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"X-ClickHouse-Summary": "{}", "X-ClickHouse-Timezone": "UTC", **headers}.items():
            self.send_header(name, value)
        self.end_headers()


class _Chunks:
    """A file that writes what it is given as chunks of an HTTP answer."""

    closed = False

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def write(self, content: Any) -> int:
        size = memoryview(content).nbytes
        if size:
            self._file.write(f"{size:x}\r\n".encode())
            self._file.write(content)
            self._file.write(b"\r\n")
        return size

    def flush(self) -> None:
        self._file.flush()


def _batches(first: pa.RecordBatchReader, blocks: Iterator[Any]) -> Iterator[pa.RecordBatch]:
    yield from first
    for block in blocks:
        yield from pa.ipc.open_stream(block.bytes())


def literal(text: str) -> str:
    return "'" + str(text).replace("\\", "\\\\").replace("'", "\\'") + "'"


def quoted(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", help="the folder of the tables")
    parser.add_argument("users", help="JSON: name to {password, settings}")
    arguments = parser.parse_args()
    with Front(arguments.path, json.loads(arguments.users)) as front:
        print(front.server_address[1], flush=True)
        # Whoever started it holds the other end of its input: it ends when they do.
        threading.Thread(target=lambda: (sys.stdin.read(), front.shutdown()), daemon=True).start()
        front.serve_forever()


if __name__ == "__main__":
    main()
