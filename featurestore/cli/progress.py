"""A progress display for people at a terminal; nothing at all elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def shown_progress() -> Iterator[Callable[[str, int], None] | None]:
    """A function to be called with a view's name and how many more of its rows are online; None where nobody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), MofNCompleteColumn(), TextColumn("rows"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        shown: dict[str, object] = {}

        def advance(view: str, rows: int) -> None:
            if view not in shown:
                shown[view] = display.add_task(view, total=None)
            display.advance(shown[view], rows)  # type: ignore[arg-type]

        yield advance
