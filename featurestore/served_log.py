"""Where served values are logged: lines of JSON in the files of a folder, written beside the requests and never at their cost.

A request hands over finished lines and goes on. They wait in memory, up to a limit, for a thread that writes them; what comes when the
limit is reached, or cannot be written, is dropped and counted. A file is ended and the next begun when it is large or old enough, so
that whoever collects them may take all but the newest. Each is whole lines; a process that is killed may leave a part of one at its end.
"""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import random
from time import monotonic
from typing import BinaryIO

from featurestore.errors import SettingsError
from featurestore.timestamps import Clock, utc_now

log = logging.getLogger("featurestore.served_log")

SUFFIX = ".jsonl"
DEFAULT_RATE = 0.01
MOST_WAITING = 16 << 20
"""Bytes of lines that may wait to be written."""

FILE_BYTES = 64 << 20
FILE_AGE = timedelta(hours=1)
RETRY_AFTER = 5.0
"""Seconds after which a folder that could not be written to is tried again."""

_LINGER = 1.0
"""Seconds that a thread waits for more before it looks whether its file is old enough to be ended."""


class ServedLog:
    """The log of one process. May be shared by readers and by threads.

    Args:
        folder: where its files are; made at the first line.
        rate: the part of the requests that are logged, from 0 to 1.
        most_waiting: how many bytes may wait to be written.
        file_bytes: how large a file gets.
        file_age: how old.
        clock: names the files; for tests.

    Raises SettingsError for a rate that is none.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        rate: float = DEFAULT_RATE,
        most_waiting: int = MOST_WAITING,
        file_bytes: int = FILE_BYTES,
        file_age: timedelta = FILE_AGE,
        clock: Clock = utc_now,
    ) -> None:
        if not 0 <= rate <= 1:
            raise SettingsError(f"The rate of a log of served values is a number from 0 to 1, and not {rate}.")
        self.folder, self.rate = Path(folder), rate
        self.written = 0
        """Lines that are in files."""

        self.dropped = 0
        """Lines that are not, and will not be: too many waited, or they could not be written."""

        self._most_waiting = most_waiting
        self._files = _Files(self.folder, file_bytes, file_age, clock)
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._process = 0
        self._closing = False

    def chosen(self) -> bool:
        """Whether this request is one that is logged."""
        return random() < self.rate

    def add(self, lines: Callable[[], list[bytes]]) -> None:
        """Log what `lines` gives, each without its end. Whatever goes wrong is no error of the request."""
        self._forget_parent()
        try:
            self._put([line + b"\n" for line in lines()])
        except Exception as error:
            self._drop(1, error)

    def close(self) -> None:
        """Write what waits, and end the file. A line that is added later begins a new one."""
        self._forget_parent()
        with self._changed:
            thread = self._thread
            self._closing = True
            self._changed.notify()
        if thread is not None:
            thread.join()
        atexit.unregister(self.close)

    def _put(self, lines: list[bytes]) -> None:
        size = sum(map(len, lines))
        with self._changed:
            if self._waiting_bytes + size > self._most_waiting:
                self.dropped += len(lines)
                return
            self._waiting.extend(lines)
            self._waiting_bytes += size
            if self._thread is None:
                self._start()
            self._changed.notify()

    def _start(self) -> None:
        """Begin the thread that writes: at the first line after the log was made or closed."""
        self._process, self._closing = os.getpid(), False
        self._thread = threading.Thread(target=self._write_all, name="featurestore-served-log", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def _forget_parent(self) -> None:
        """In a process that was forked off: it has no such thread, its lock may be held by nobody who is here, and what waits is the
        parent's to write."""
        if self._process not in (0, os.getpid()):
            self._process, self._thread, self._changed = 0, None, threading.Condition()
            self._waiting.clear()
            self._waiting_bytes = 0
            self._files.forget()

    def _write_all(self) -> None:
        while True:
            with self._changed:
                if not self._waiting and not self._closing:
                    self._changed.wait(_LINGER)
                lines = list(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
                if not lines and self._closing:
                    self._thread = None
                    self._files.end()
                    return
            try:
                self._files.write(lines)
            except OSError as error:
                self._drop(len(lines), error)
            else:
                with self._changed:
                    self.written += len(lines)

    def _drop(self, lines: int, error: Exception) -> None:
        with self._changed:
            self.dropped += lines
        if not isinstance(error, _StillFailing):
            log.warning("%d lines of served values could not be logged to %s: %s", lines, self.folder, error)


class _StillFailing(OSError):
    """The folder could not be written to a short while ago."""


class _Files:
    """The files of one process, one after the other. Used by one thread."""

    def __init__(self, folder: Path, most_bytes: int, longest: timedelta, clock: Clock) -> None:
        self._folder, self._most_bytes, self._longest, self._clock = folder, most_bytes, longest.total_seconds(), clock
        self._file: BinaryIO | None = None
        self._bytes, self._begun, self._number = 0, 0.0, 0
        self._failed_at: float | None = None

    def write(self, lines: list[bytes]) -> None:
        """Add lines, and end the file that is large or old enough. Raises OSError."""
        if self._failed_at is not None and monotonic() - self._failed_at < RETRY_AFTER:
            raise _StillFailing()
        try:
            if self._file is not None and monotonic() - self._begun >= self._longest:
                self.end()
            if lines:
                self._append(b"".join(lines))
        except OSError:
            self._failed_at = monotonic()
            self.end()
            raise
        self._failed_at = None

    def end(self) -> None:
        """Close the file."""
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def forget(self) -> None:
        """Leave the file to the process that this one was forked from."""
        self._file = None

    def _append(self, piece: bytes) -> None:
        if self._file is None:
            self._file = self._new()
        # One piece of whole lines, without a buffer of Python's: what was written stays when the process is killed.
        while piece:
            piece = piece[self._file.write(piece) :]
        self._bytes = self._file.tell()
        if self._bytes >= self._most_bytes:
            self.end()

    def _new(self) -> BinaryIO:
        """A new file, that only its owner may read: it holds what is known of people."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._number += 1
        begun = self._clock().strftime("%Y%m%dT%H%M%S")
        name = f"{begun}-{socket.gethostname()}-{os.getpid()}-{self._number}{SUFFIX}"
        descriptor = os.open(self._folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._begun = monotonic()
        return open(descriptor, "ab", buffering=0)
