"""Sessions: known dates of real exchanges, and laws of any calendar."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.calendars import (
    count_sessions,
    newest_due_session,
    require_calendar,
    sessions_between,
    target_sessions,
)
from forecasting.errors import InputError


@pytest.mark.parametrize(
    ("calendar", "cutoff", "expected"),
    [
        ("XNYS", "2013-03-01", ["2013-03-04", "2013-03-05", "2013-03-06"]),
        ("XNYS", "2012-10-26", ["2012-10-31", "2012-11-01", "2012-11-02"]),  # closed for a hurricane
        ("XNYS", "2015-12-31", ["2016-01-04", "2016-01-05", "2016-01-06"]),
        ("XNYS", "1970-01-01", ["1970-01-02", "1970-01-05", "1970-01-06"]),
        ("XNYS", "2035-12-21", ["2035-12-24", "2035-12-26", "2035-12-27"]),
        ("XTKS", "2019-04-26", ["2019-05-07", "2019-05-08", "2019-05-09"]),  # ten days of holidays
        ("24/7", "2024-12-30", ["2024-12-31", "2025-01-01", "2025-01-02"]),
    ],
)
def test_target_sessions_of_real_exchanges(calendar: str, cutoff: str, expected: list[str]) -> None:
    assert [str(day) for day in target_sessions(calendar, date.fromisoformat(cutoff), 3)] == expected


def test_outside_a_calendars_records_weekdays_are_assumed() -> None:
    # XBOM's holidays are recorded from 1997 to 2026.
    assert target_sessions("XBOM", date(1990, 1, 5), 2) == (date(1990, 1, 8), date(1990, 1, 9))
    later = target_sessions("XBOM", date(2040, 1, 5), 3)
    assert later == (date(2040, 1, 6), date(2040, 1, 9), date(2040, 1, 10))
    assert newest_due_session("XBOM", datetime(2040, 1, 7, 12, tzinfo=UTC)) == date(2040, 1, 6)


# Few years, because building a calendar is what takes the time.
@given(
    cutoff=st.dates(date(2012, 7, 1), date(2013, 12, 31)),
    horizon=st.integers(1, 60),
    calendar=st.sampled_from(["XNYS", "24/7"]),
)
def test_target_sessions_follow_the_cutoff_without_a_gap(cutoff: date, horizon: int, calendar: str) -> None:
    sessions = target_sessions(calendar, cutoff, horizon)
    assert len(sessions) == horizon
    between = [cutoff + timedelta(days=days) for days in range(1, (sessions[-1] - cutoff).days + 1)]
    assert tuple(day for day in between if count_sessions(calendar, day - timedelta(days=1), day)) == sessions


@given(st.dates(date(2015, 2, 1), date(2016, 6, 1)), st.integers(1, 40), st.sampled_from(["XNYS", "XLON", "24/7"]))
def test_as_many_sessions_are_counted_as_were_listed(after: date, horizon: int, calendar: str) -> None:
    targets = target_sessions(calendar, after, horizon)
    assert count_sessions(calendar, after, targets[-1]) == horizon
    assert count_sessions(calendar, after, targets[-1] - timedelta(days=1)) == horizon - 1
    assert count_sessions(calendar, targets[-1], after) == 0


def test_what_is_asked_does_not_depend_on_what_was_asked_before() -> None:
    once = target_sessions("XLON", date(2019, 12, 24), 5)
    target_sessions("XLON", date(1999, 12, 24), 60)
    assert target_sessions("XLON", date(2019, 12, 24), 5) == once


@pytest.mark.parametrize(
    ("wrong", "meant"), [("xnys", "XNYS"), ("NYSEE", "NYSE"), ("24-7", "24/7"), ("nonsense", "XLON")]
)
def test_an_unknown_calendar_is_refused_with_similar_names(wrong: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"{wrong}.*--calendar.*{meant}"):
        require_calendar(wrong)
    with pytest.raises(InputError):
        target_sessions(wrong, date(2020, 1, 1), 1)


def test_a_session_is_due_from_its_close_on() -> None:
    close = datetime(2026, 11, 24, 21, tzinfo=UTC)
    assert newest_due_session("XNYS", close - timedelta(seconds=1)) == date(2026, 11, 23)
    assert newest_due_session("XNYS", close) == date(2026, 11, 24)


def test_an_early_close_is_due_early() -> None:
    after_thanksgiving = datetime(2026, 11, 27, 18, tzinfo=UTC)
    assert newest_due_session("XNYS", after_thanksgiving) == date(2026, 11, 27)


def test_the_newest_due_session_reaches_back_over_the_new_year() -> None:
    assert newest_due_session("XNYS", datetime(2026, 1, 2, 12, tzinfo=UTC)) == date(2025, 12, 31)
    assert newest_due_session("24/7", datetime(2026, 1, 1, tzinfo=UTC)) == date(2025, 12, 31)


def test_a_moment_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        newest_due_session("XNYS", datetime(2026, 1, 2, 12))  # noqa: DTZ001  # the missing zone is what is shown


def test_a_range_holds_the_exchanges_sessions_with_both_ends():
    assert sessions_between("XNYS", date(2024, 7, 3), date(2024, 7, 8)) == [
        date(2024, 7, 3),
        date(2024, 7, 5),
        date(2024, 7, 8),
    ]
    with pytest.raises(InputError, match="no session"):
        sessions_between("XNYS", date(2024, 7, 4), date(2024, 7, 4))
    with pytest.raises(InputError, match="no session"):
        sessions_between("XNYS", date(2024, 7, 8), date(2024, 7, 3))
