"""Files whose dates do not fit the calendar: what is reported of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import exchange_calendars
import numpy as np
import pandas as pd
import pytest

from forecasting.calendar_fit import calendar_findings
from forecasting.errors import InputError

SEED = Path(__file__).resolve().parents[2] / "shared" / "data" / "Google_Stock_Price_Train.csv"


@cache
def sessions_of(calendar: str, start: str = "2015-01-05", end: str = "2019-12-20") -> np.ndarray:
    return exchange_calendars.get_calendar(calendar, start=start, end=end).sessions.to_numpy()


def test_dates_that_fit_give_no_finding() -> None:
    fitting = sessions_of("XNYS")
    one_day_short = np.delete(fitting, 300)
    young = fitting[-40:]
    assert calendar_findings({"AA": fitting, "BB": one_day_short, "CC": young}, "XNYS") == ()
    assert calendar_findings({"AA": fitting[:0]}, "XNYS") == ()


@pytest.mark.skipif(not SEED.exists(), reason="the tutorial's history is missing")
def test_a_real_history_gives_no_finding() -> None:
    dates = pd.to_datetime(pd.read_csv(SEED)["Date"], format="%m/%d/%Y").to_numpy()
    assert calendar_findings({"GOOG": dates}, "XNYS") == ()


@pytest.mark.parametrize(
    ("true", "set_to"),
    [("XBOM", "XNYS"), ("XLON", "XNYS"), ("XETR", "XLON"), ("XTSE", "XNYS"), ("24/7", "XNYS"), ("XNYS", "24/7")],
)
def test_a_wrong_calendar_is_reported_with_the_right_one(true: str, set_to: str) -> None:
    (finding,) = calendar_findings({"AA": sessions_of(true)}, set_to)
    assert (finding.ticker, finding.kind, finding.rows) == ("AA", "calendar", 0)
    assert f"set --calendar {true}" in finding.message


def test_each_ticker_is_judged_alone() -> None:
    (finding,) = calendar_findings({"AA": sessions_of("XNYS"), "SAP": sessions_of("XETR")}, "XNYS")
    assert finding.ticker == "SAP"
    assert "XETR" in finding.message


def test_one_finding_covers_many_tickers_with_the_same_message() -> None:
    (finding,) = calendar_findings({f"T{number}": sessions_of("XBOM") for number in range(20)}, "XNYS")
    assert finding.ticker == ""
    assert "20 tickers (T0, T1, T2 and 17 more)" in finding.message
    assert "set --calendar XBOM" in finding.message


def test_a_stray_date_is_named_with_its_weekday() -> None:
    dates = np.sort(np.append(sessions_of("XNYS"), np.datetime64("2018-01-06", "ns")))
    (finding,) = calendar_findings({"AA": dates}, "XNYS")
    assert "1 of 1,252 dates are not sessions of XNYS (2018-01-06, a Saturday)" in finding.message


def test_a_long_gap_is_reported_with_its_first_and_last_session() -> None:
    dates = sessions_of("XNYS")
    (finding,) = calendar_findings({"AA": np.delete(dates, slice(300, 330))}, "XNYS")
    assert f"30 sessions of XNYS in a row are missing, {dates[300]:.10} to {dates[329]:.10}" in finding.message


def test_a_weekly_history_is_questioned() -> None:
    (finding,) = calendar_findings({"AA": sessions_of("XNYS")[::5]}, "XNYS")
    assert "is it a daily history?" in finding.message


def test_the_end_of_a_calendars_records_is_reported() -> None:
    dates = sessions_of("XBOM", "2025-01-01", "2026-12-20")
    (finding,) = calendar_findings({"AA": dates}, "XBOM")
    assert "recorded up to 2026-12-31" in finding.message


def test_an_unknown_calendar_is_refused() -> None:
    with pytest.raises(InputError, match="NYSEE"):
        calendar_findings({}, "NYSEE")
