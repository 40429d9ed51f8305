from __future__ import annotations

import itertools
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featurestore.backfill.batches import BatchSize, Span, aligned, batches, chunks, coarsest, joined, remaining

INSTANTS = st.datetimes(datetime(1990, 1, 1), datetime(2040, 1, 1), timezones=st.just(timezone.utc))
SIZES = st.sampled_from(list(BatchSize))
HOUR = timedelta(hours=1)


@st.composite
def spans(draw: st.DrawFn, most: int = 60) -> tuple[Span, BatchSize]:
    """A stretch of time, and a size that cuts it into few batches."""
    start, size = draw(INSTANTS), draw(SIZES)
    hours = {BatchSize.HOUR: 1, BatchSize.DAY: 24, BatchSize.MONTH: 700, BatchSize.YEAR: 8000}[size]
    return Span(start, start + timedelta(seconds=draw(st.integers(1, hours * most * 3600)))), size


@settings(deadline=None)  # The first example imports dbt.
@given(spans())
def test_time_is_cut_as_dbt_cuts_it(case: tuple[Span, BatchSize]) -> None:
    from dbt.artifacts.resources.types import BatchSize as DbtBatchSize
    from dbt.materializations.incremental.microbatch import MicrobatchBuilder

    span, size = case
    config = SimpleNamespace(batch_size=DbtBatchSize(size.value), incremental_strategy="microbatch")
    builder = MicrobatchBuilder(SimpleNamespace(name="m", config=config), True, span.start, span.end)  # type: ignore[arg-type]
    start = MicrobatchBuilder.truncate_timestamp(span.start, config.batch_size)
    theirs = builder.build_batches(start, builder.build_end_time())
    assert [(batch.start, batch.end) for batch in batches(aligned(span, size), size)] == theirs
    assert size.label(start) == MicrobatchBuilder.format_batch_start(start, config.batch_size)


@given(spans())
def test_batches_cover_the_span_without_gap_or_overlap(case: tuple[Span, BatchSize]) -> None:
    span, size = case
    whole = aligned(span, size)
    found = list(batches(whole, size))
    assert whole.holds(span)
    assert (found[0].start, found[-1].end) == (whole.start, whole.end)
    assert all(before.end == after.start for before, after in itertools.pairwise(found))
    assert joined(found) == (whole,)


@given(spans(), st.randoms(use_true_random=False))
def test_what_remains_is_what_is_not_done(case: tuple[Span, BatchSize], random: object) -> None:
    span, size = case
    wanted = list(batches(aligned(span, size), size))
    done = {batch for batch in wanted if random.random() < 0.5}  # type: ignore[attr-defined]
    assert remaining(wanted, joined(done)) == tuple(batch for batch in wanted if batch not in done)


@given(spans(), st.one_of(st.none(), st.integers(1, 7)))
def test_chunks_hold_every_batch_once_and_no_more_than_the_most(case: tuple[Span, BatchSize], most: int | None) -> None:
    span, size = case
    whole = aligned(span, size)
    pieces = list(chunks([whole], size, most))
    assert [batch for piece in pieces for batch in batches(piece, size)] == list(batches(whole, size))
    assert most is None or all(len(list(batches(piece, size))) <= most for piece in pieces)


def test_a_batch_that_is_done_only_in_part_remains() -> None:
    day = next(batches(aligned(Span(at("2024-02-29"), at("2024-03-01")), BatchSize.DAY), BatchSize.DAY))
    assert remaining([day], (Span(day.start, day.end - HOUR),)) == (day,)
    assert remaining([day], (Span(day.start - HOUR, day.end),)) == ()


@pytest.mark.parametrize(
    ("size", "start", "end"),
    [
        (BatchSize.MONTH, "2024-02-01", "2024-03-01"),
        (BatchSize.MONTH, "2024-12-01", "2025-01-01"),
        (BatchSize.YEAR, "2024-01-01", "2025-01-01"),
        (BatchSize.DAY, "2024-02-28", "2024-02-29"),
    ],
)
def test_months_and_years_are_as_long_as_the_calendar_has_them(size: BatchSize, start: str, end: str) -> None:
    assert size.after(at(start)) == at(end)


def test_the_coarsest_size_is_found() -> None:
    assert coarsest([BatchSize.DAY, BatchSize.YEAR, BatchSize.HOUR]) is BatchSize.YEAR


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)
