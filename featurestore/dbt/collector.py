"""Keeps Python's garbage collector from scanning records while they are built.

A large manifest becomes hundreds of thousands of small records, none of them part of a cycle. With the usual threshold the collector
looks through all of them again and again, which takes longer than building them.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_THRESHOLD = 1_000_000


@contextmanager
def rare_collections() -> Iterator[None]:
    """Collect only after a million new objects, for as long as the block runs."""
    before = gc.get_threshold()
    gc.set_threshold(_THRESHOLD, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
