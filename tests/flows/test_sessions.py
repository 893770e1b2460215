"""Which session a scheduled run is for."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from daily_forecast_flows.sessions import nothing_to_do, sessions_due, settle

NEW_YORK = ZoneInfo("America/New_York")


def tick(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def due(scheduled: str, now: str | None = None):
    return sessions_due("XNYS", tick(scheduled), tick(now or scheduled))


def store_with(*published: date, cutoff: date | None = None):
    """A store in which these dates are published, from their own rows unless told otherwise."""

    def forecasts(as_of: date) -> pa.Table:
        return pa.table({"cutoff": pa.array([cutoff or as_of], pa.date32())})

    return SimpleNamespace(published=lambda as_of: as_of in published, forecasts=forecasts, root=Path())


@pytest.mark.parametrize(
    ("at", "session"),
    [
        ("2024-03-08T18:30", date(2024, 3, 8)),
        ("2024-03-08T15:59", date(2024, 3, 7)),
        ("2024-03-11T18:30", date(2024, 3, 11)),  # the Monday after the clocks went forward
        ("2024-11-04T18:30", date(2024, 11, 4)),  # the Monday after they went back
        ("2024-11-29T18:30", date(2024, 11, 29)),  # the Friday after Thanksgiving closes at 13:00
        ("2024-03-09T12:00", date(2024, 3, 8)),  # a Saturday, by hand
    ],
)
def test_a_tick_is_for_the_session_that_closed_before_it(at, session):
    found = due(at)
    assert (found.own, found.newest, found.fell_due) == (session, session, True)


@pytest.mark.parametrize("at", ["2024-11-28T18:30", "2024-12-25T18:30", "2025-01-09T18:30"])
def test_a_holidays_tick_has_nothing_to_do(at):
    found = due(at)
    assert not found.fell_due
    assert "is published" in nothing_to_do(found, "XNYS", store_with(found.newest))
    assert f"run with as_of {found.newest}" in nothing_to_do(found, "XNYS", store_with())


def test_a_late_tick_is_for_the_newest_session_by_now():
    late = due("2024-03-05T18:30", "2024-03-08T19:00")
    assert (late.own, late.newest) == (date(2024, 3, 5), date(2024, 3, 8))
    assert nothing_to_do(late, "XNYS", store_with(late.own)) is None
    assert "published already" in nothing_to_do(late, "XNYS", store_with(late.newest))


def test_what_was_published_as_stale_may_be_done_again():
    found = due("2024-03-08T18:30")
    assert nothing_to_do(found, "XNYS", store_with(found.newest, cutoff=date(2024, 3, 7))) is None


@pytest.mark.parametrize(
    ("last", "as_of", "held"),
    [
        (date(2024, 3, 8), date(2024, 3, 8), True),
        (date(2024, 3, 7), date(2024, 3, 7), True),  # the newest is not there yet, the run's own session is
        (date(2024, 3, 5), date(2024, 3, 5), True),
        (date(2024, 3, 4), date(2024, 3, 8), False),  # four sessions behind the newest: published for it, as stale
        (date(2024, 2, 29), date(2024, 3, 5), False),  # too stale for the newest
        (None, date(2024, 3, 8), False),
    ],
)
def test_the_date_is_what_the_data_can_carry(last, as_of, held):
    late = due("2024-03-05T18:30", "2024-03-08T19:00")
    assert settle(late, last, "XNYS", stale_after=5) == (as_of, held)
