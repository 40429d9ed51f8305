from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from featurestore.timestamps import (
    as_utc,
    duration_micros,
    format_duration,
    from_micros,
    parse_duration,
    parse_instant,
    to_micros,
)

LONGEST = datetime.max - datetime.min


def test_naive_readings_are_utc_and_dates_their_midnight() -> None:
    noon = datetime(2013, 1, 31, 12, tzinfo=timezone.utc)
    assert as_utc(datetime(2013, 1, 31, 12)) == noon
    assert as_utc(datetime(2013, 1, 31, 7, tzinfo=timezone(timedelta(hours=-5)))) == noon
    assert as_utc(date(2013, 1, 31)) == datetime(2013, 1, 31, tzinfo=timezone.utc)
    assert as_utc(noon).tzinfo is timezone.utc


@given(st.datetimes(timezones=st.just(timezone.utc)))
def test_an_instant_travels_as_microseconds_and_comes_back(instant: datetime) -> None:
    assert from_micros(to_micros(instant)) == instant


def test_the_epoch_is_zero_and_what_was_before_it_negative() -> None:
    assert to_micros(datetime(1970, 1, 1)) == 0
    assert to_micros(datetime(1969, 12, 31, 23, 59, 59, 999999)) == -1


@pytest.mark.parametrize(
    "text",
    ["2013-01-31T14:00:00Z", "2013-01-31 14:00", "2013-01-31T14:00:00+00:00", " 2013-01-31 09:00:00-05:00 ", "2013-01-31 14:00:00.000000"],
)
def test_an_instant_is_read_in_these_forms(text: str) -> None:
    assert parse_instant(text) == datetime(2013, 1, 31, 14, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["", "yesterday", "2013-02-30", "14:00"])
def test_what_is_no_instant_says_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no instant\. Write it like 2013-01-31 or 2013-01-31T14:00:00Z"):
        parse_instant(text)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("7 days", timedelta(days=7)),
        ("1 day", timedelta(days=1)),
        ("7d", timedelta(days=7)),
        ("90m", timedelta(minutes=90)),
        ("90 min", timedelta(minutes=90)),
        ("2 WEEKS", timedelta(weeks=2)),
        ("1 day 12 hours", timedelta(hours=36)),
        ("1d12h", timedelta(hours=36)),
        ("5 ms", timedelta(milliseconds=5)),
        ("3 us", timedelta(microseconds=3)),
        ("0 seconds", timedelta(0)),
        (" 1  hour ", timedelta(hours=1)),
    ],
)
def test_a_duration_is_read_as_people_write_it(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", " ", "7", "days", "seven days", "-1 day", "1.5 days", "7 dayss", "7 days!", "1 month", "7 days 3"])
def test_what_is_no_duration_says_how_one_is_written(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no duration\. Write a whole number and a unit, like '7 days', '12 hours' or '90 minutes'"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["999999999999 weeks", "9999999 weeks", "5000000 days"])
def test_a_duration_beyond_the_calendar_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is longer than any calendar"):
        parse_duration(text)


@given(st.timedeltas(min_value=timedelta(0), max_value=LONGEST))
def test_every_duration_is_shown_as_it_can_be_written(duration: timedelta) -> None:
    assert parse_duration(format_duration(duration)) == duration
    assert timedelta(microseconds=duration_micros(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "text"), [(timedelta(days=7), "7 days"), (timedelta(hours=36), "1 day 12 hours"), (timedelta(0), "0 seconds")]
)
def test_a_duration_is_shown_as_people_write_it(duration: timedelta, text: str) -> None:
    assert format_duration(duration) == text
