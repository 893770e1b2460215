"""The doubts: a clean history raises none, whatever it is like; and each is raised where it should be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.calendars import recorded_sessions
from forecasting.ingest.checks import DOUBTS, check_rows
from forecasting.ingest.names import Role
from forecasting.ingest.prices import read_prices
from forecasting.ingest.table import Report, Table, Verdict

ROOT = Path(__file__).resolve().parents[2]
PANEL = ROOT.parent / "shared" / "panel"
ROLES: Sequence[Role] = ("open", "high", "low", "close", "volume")
MARKETS = {"western": "01234", "gulf": "60123", "tehran": "56012", "old": "012345", "fx": "601234", "coins": "0123456"}


def history(random: np.random.Generator, days: Sequence[date], volatility: float) -> dict[Role, np.ndarray]:
    steps = random.standard_t(4, (2, len(days))) * volatility / 1.4
    close = 100 * np.exp(np.cumsum(steps.sum(axis=0)))
    opens = close * np.exp(-steps[1])
    wicks = np.abs(random.normal(0, volatility / 2, (2, len(days))))
    high, low = np.maximum(opens, close) * (1 + wicks[0]), np.minimum(opens, close) * (1 - wicks[1])
    volume = np.exp(random.normal(13, 0.4, len(days)))
    return dict(zip(ROLES, (opens, high, low, close, volume), strict=True))


def table(days: Sequence[date], prices: dict[Role, np.ndarray], unsure: str = "") -> Table:
    numbers = np.array(days, dtype="datetime64[D]").astype(np.int64)
    places = np.arange(len(days))
    names = {role: role for role in ("date", *ROLES)}
    codes = np.zeros(len(days), np.int64)
    return Table(["A"], codes, numbers, places, places + 2, prices, names, ["A.csv"], unsure=unsure)


def doubted(days: Sequence[date], prices: dict[Role, np.ndarray], unsure: str = "") -> list[str]:
    report = Report("A.csv")
    verdict = Verdict(table(days, prices, unsure), report)
    for doubt in DOUBTS:
        if len(verdict.table):
            doubt(verdict)
    return [error.what for error in report.refused.values()] + [finding.message for finding in report.findings]


def checked(own: Table) -> Report:
    report = Report("A.csv")
    check_rows(own, report)
    return report


def sessions(first: date, count: int, week: str, holidays: np.random.Generator) -> list[date]:
    days = [first + timedelta(days=at) for at in range(8 * count)]
    days = [day for day in days if str(day.weekday()) in week]
    if week != MARKETS["coins"]:
        days = [day for day in days if holidays.random() > 0.03]
    return days[:count]


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    first=st.dates(date(1930, 1, 1), date(2024, 1, 1)),
    count=st.integers(1, 500),
    market=st.sampled_from(sorted(MARKETS)),
    volatility=st.floats(0.002, 0.04),
)
def test_clean_history_raises_no_doubt(seed: int, first: date, count: int, market: str, volatility: float) -> None:
    random = np.random.default_rng(seed)
    days = sessions(first, count, MARKETS[market], random)
    assert doubted(days, history(random, days, volatility)) == []


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    first=st.dates(date(1930, 1, 1), date(2024, 1, 1)),
    count=st.integers(1, 500),
    market=st.sampled_from(["western", "coins"]),
)
def test_clean_history_gives_no_finding(seed: int, first: date, count: int, market: str) -> None:
    random = np.random.default_rng(seed)
    days = sessions(first, count, MARKETS[market], random)
    report = checked(table(days, history(random, days, 0.01)))
    assert (report.refused, report.findings) == ({}, [])


@pytest.mark.parametrize("market", ["old", "fx"])
def test_week_of_six_days_is_warned_of_only_while_the_history_is_short_or_its_dates_are_not_plain(market: str) -> None:
    random = np.random.default_rng(0)
    days = sessions(date(2015, 1, 5), 300, MARKETS[market], random)
    prices = history(random, days, 0.01)
    assert checked(table(days, prices)).findings == []
    for count, unsure in ((30, ""), (300, "another epoch")):
        own = {role: values[:count] for role, values in prices.items()}
        (finding,) = checked(table(days[:count], own, unsure)).findings
        assert "a weekend's date" in finding.message


@pytest.mark.parametrize(("early", "week"), [(1, "Sun Mon Tue Wed Thu"), (2, "Sat Sun Mon Tue Wed")])
def test_dates_a_day_or_two_early_are_refused_by_the_holidays_and_warned_of_without_them(early: int, week: str) -> None:
    random = np.random.default_rng(early)
    sessions = [np.datetime64(int(day - early), "D").item() for day in recorded_sessions("XNYS", 2019, 2020).days]
    prices = history(random, sessions, 0.01)

    def report(count: int, declared: str | None = None) -> Report:
        own = {role: values[:count] for role, values in prices.items()}
        return checked(replace(table(sessions[:count], own), weekdays=declared and declared.split()))

    error = report(250).refused["A"]
    assert "the sessions of XNYS" in error.what
    assert "weekdays" in str(error.setting)
    (finding,) = report(12).findings
    assert "the dates are early" in finding.message
    for count in (12, 250):
        assert (report(count, week).refused, report(count, week).findings) == ({}, [])


@pytest.mark.parametrize("market", ["gulf", "tehran"])
def test_market_that_keeps_such_a_week_is_never_refused(market: str) -> None:
    for seed in range(20):
        random = np.random.default_rng(seed)
        days = sessions(date(2015, 1, 1), 20 * seed + 20, MARKETS[market], random)
        assert checked(table(days, history(random, days, 0.01))).refused == {}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(20, 300), shift=st.sampled_from([1, 2, 3, 4]))
def test_weekdays_that_no_market_has_are_always_refused(seed: int, count: int, shift: int) -> None:
    random = np.random.default_rng(seed)
    days = [day + timedelta(days=shift) for day in sessions(date(2020, 1, 6), count, MARKETS["western"], random)]
    assert any("no market has" in what for what in doubted(days, history(random, days, 0.01)))


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    before=st.integers(15, 200),
    after=st.integers(15, 200),
    shift=st.sampled_from([-1, 1]),
)
def test_week_that_changes_part_way_is_always_refused(seed: int, before: int, after: int, shift: int) -> None:
    random = np.random.default_rng(seed)
    days = sessions(date(2020, 1, 6), before + after, MARKETS["western"], random)
    days = [*days[:before], *(day + timedelta(days=shift) for day in days[before:])]
    days = sorted(set(days))
    assert any("week" in what for what in doubted(days, history(random, days, 0.01)))


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(30, 200), shift=st.sampled_from([-1, -2, 1, 2]))
def test_dates_that_are_not_plainly_dates_are_refused_on_any_other_weekdays(seed: int, count: int, shift: int) -> None:
    random = np.random.default_rng(seed)
    days = [day + timedelta(days=shift) for day in sessions(date(2020, 1, 6), count, MARKETS["western"], random)]
    assert any("weekend" in what for what in doubted(days, history(random, days, 0.01), unsure="another epoch"))


def panels() -> list[Path]:
    return [*sorted((ROOT / "data").glob("*.csv.gz")), *sorted(PANEL.glob("*.csv.gz"))]


@pytest.mark.parametrize("path", panels(), ids=lambda path: path.name)
def test_real_clean_histories_raise_no_doubt(path: Path) -> None:
    read = read_prices(path)
    assert read.findings == ()
    assert read.refused == ()


@pytest.mark.parametrize("path", panels()[:1], ids=lambda path: path.name)
def test_real_histories_raise_no_doubt_wherever_they_end(path: Path) -> None:
    prices = read_prices(path).prices
    for _, rows in prices.groupby("ticker"):
        for end in range(60, len(rows), 97):
            own = rows.iloc[:end]
            days = [when.date() for when in own["date"]]
            assert doubted(days, {role: own[role].to_numpy() for role in ROLES}) == [], own["ticker"].iloc[0]


def test_history_that_is_not_daily_is_not_held_to_a_week() -> None:
    random = np.random.default_rng(0)
    for step in (7, 30):
        days = [date(2010, 1, 2) + timedelta(days=step * at) for at in range(60)]
        assert doubted(days, history(random, days, 0.01)) == []


def test_frame_is_sorted_after_doubts(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    days = sessions(date(2020, 1, 6), 60, MARKETS["western"], random)
    frame = pd.DataFrame({"Date": days, **history(random, days, 0.01)})
    frame.iloc[::-1].to_csv(tmp_path / "a.csv", index=False)
    assert read_prices(tmp_path / "a.csv").prices["date"].is_monotonic_increasing
