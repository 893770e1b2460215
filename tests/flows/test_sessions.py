"""Which session a scheduled run is for, whose rows it waits for, and who is missing."""

from __future__ import annotations

import shutil
import threading
import time
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from daily_forecast_flows import sessions
from daily_forecast_flows.options import Options
from daily_forecast_flows.outcome import Outcome
from daily_forecast_flows.sessions import find_session
from daily_forecast_flows.tasks import ingest
from forecasting.config import ForecastConfig
from forecasting.ingest.prices import read_prices
from forecasting.monitoring.due import notice_missing, sessions_due, settle
from forecasting.pipeline import forecast
from forecasting.publish import publish
from forecasting.store.store import Store

NEW_YORK = ZoneInfo("America/New_York")
FRIDAY, THURSDAY = date(2024, 6, 28), date(2024, 6, 27)
TICK = "2024-06-28T18:30"


def tick(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


def due(scheduled: str, now: str | None = None):
    return sessions_due("XNYS", tick(scheduled), tick(now or scheduled))


@pytest.fixture(autouse=True)
def _without_prefect(monkeypatch):
    """The task's own function, which needs no server."""
    monkeypatch.setattr(sessions, "ingest", ingest.fn)


class Market:
    """Tickers' files, which may end on different days, and the store that is made from them."""

    def __init__(self, folder: Path, price_file) -> None:
        self.files, self.store = folder / "prices", Store(folder / "store")
        self.files.mkdir(exist_ok=True)
        self._write = price_file

    def deliver(self, ticker: str, last: date) -> None:
        """Put a ticker's file there, its rows up to a date."""
        whole = self._write(self.files / f".{ticker}", ticker, rows=40, end=str(FRIDAY))
        frame = pd.read_csv(whole).query(f"date <= '{last}'")
        draft = self.files / f".{ticker}.draft"
        frame.to_csv(draft, index=False)
        draft.replace(self.files / f"{ticker}.csv")

    def options(self, **given) -> Options:
        return Options(prices=str(self.files), output=str(self.store.root), as_of="scheduled", **given)

    def publish(self, day: date) -> None:
        """Publish what the files hold as of a date."""
        read = read_prices(self.files, as_of=day)
        read = notice_missing(read, self.store, self.options().config(), day)
        publish(self.store, forecast(read, ForecastConfig(horizon=1), day))

    def find(self, at: str = TICK, now: str | None = None, **given):
        return find_session(self.options(**given), self.store, tick(at), tick(now or at))


@pytest.fixture(scope="module")
def thursday(tmp_path_factory, price_file):
    """Three tickers, published as of Thursday."""
    market = Market(tmp_path_factory.mktemp("thursday"), price_file)
    for ticker in ("AAA", "BBB", "CCC"):
        market.deliver(ticker, THURSDAY)
    market.publish(THURSDAY)
    return market.store.root.parent


@pytest.fixture
def market(thursday, tmp_path, price_file):
    """A copy of the same, for one test."""
    shutil.copytree(thursday, tmp_path, dirs_exist_ok=True)
    return Market(tmp_path, price_file)


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
def test_a_holidays_tick_has_nothing_to_do_and_a_session_that_it_leaves_unpublished_is_overdue(market, at):
    newest = due(at).newest
    assert not due(at).fell_due
    found = market.find(at)
    assert (found.overdue, f"run with as_of {newest}" in found.message) == (True, True)
    assert market.find("2024-06-30T18:30").overdue
    market.publish(FRIDAY)
    found = market.find("2024-06-30T18:30")
    assert (found.overdue, "is published" in found.message) == (False, True)


def test_a_late_tick_is_for_the_newest_session_by_now(market):
    for ticker in ("AAA", "BBB", "CCC"):
        market.deliver(ticker, FRIDAY)
    assert market.find("2024-06-26T18:30", TICK)[1] == FRIDAY
    market.publish(FRIDAY)
    assert "published already" in market.find("2024-06-26T18:30", TICK).message


def test_one_fresh_ticker_does_not_end_the_wait_for_the_others(market):
    market.deliver("AAA", FRIDAY)
    for after, ticker in ((0.3, "BBB"), (0.9, "CCC")):
        threading.Timer(after, market.deliver, (ticker, FRIDAY)).start()
    began = time.monotonic()
    read, as_of = market.find(data_deadline=1)
    assert 0.9 <= time.monotonic() - began < 30
    assert as_of == FRIDAY
    assert set(read.prices.groupby("ticker")["date"].max().dt.date) == {FRIDAY}


def test_a_share_of_the_tickers_ends_the_wait_and_so_does_the_deadline(market):
    market.deliver("AAA", FRIDAY)
    market.deliver("BBB", FRIDAY)
    assert market.find(data_deadline=10, data_share=0.6)[1] == FRIDAY
    began = time.monotonic()
    assert market.find(data_deadline=0.01)[1] == FRIDAY
    assert time.monotonic() - began > 0.6


def test_a_ticker_that_was_stale_already_is_not_waited_for(market):
    market.store = Store(market.store.root.with_name("another"))
    market.deliver("CCC", date(2024, 6, 25))
    market.publish(THURSDAY)
    market.deliver("AAA", FRIDAY)
    market.deliver("BBB", FRIDAY)
    began = time.monotonic()
    assert market.find(data_deadline=10)[1] == FRIDAY
    assert time.monotonic() - began < 30


def test_on_the_first_day_the_tickers_of_the_data_are_waited_for(market):
    market.store = Store(market.store.root.with_name("empty"))
    market.deliver("AAA", FRIDAY)
    began = time.monotonic()
    assert market.find(data_deadline=0.02)[1] == FRIDAY
    assert time.monotonic() - began > 1.2


def test_a_date_published_with_stale_tickers_is_completed_when_their_rows_come(market):
    market.deliver("AAA", FRIDAY)
    market.publish(FRIDAY)
    found = market.find(data_deadline=10)
    assert isinstance(found, Outcome), "nothing has come, and what is published is not waited for"
    assert "no more of its rows have come" in found.message
    market.deliver("BBB", FRIDAY)
    read, as_of = market.find(data_deadline=10)
    assert as_of == FRIDAY
    assert (read.prices.query("ticker == 'BBB'")["date"].max().date()) == FRIDAY


def test_a_ticker_that_vanished_is_named_and_its_return_completes_the_date(market):
    (market.files / "BBB.csv").unlink()
    for ticker in ("AAA", "CCC"):
        market.deliver(ticker, FRIDAY)
    read, as_of = market.find(data_deadline=0.01)
    (missing,) = [
        one
        for one in notice_missing(read, market.store, market.options().config(), as_of).findings
        if one.kind == "missing"
    ]
    assert missing.ticker == "BBB"
    assert missing.message == "was published as of 2024-06-27, and is not in the input any more"
    assert notice_missing(read, market.store, market.options(tickers="AAA,CCC").config(), as_of) is read
    market.publish(FRIDAY)
    market.deliver("BBB", FRIDAY)
    assert market.find()[1] == FRIDAY


@pytest.mark.parametrize(
    ("last", "as_of"),
    [
        (date(2024, 3, 8), date(2024, 3, 8)),
        (date(2024, 3, 7), date(2024, 3, 7)),  # the newest is not there yet, the run's own session is
        (date(2024, 3, 5), date(2024, 3, 5)),
        (date(2024, 3, 4), date(2024, 3, 8)),  # four sessions behind the newest: published for it, as stale
        (date(2024, 2, 29), date(2024, 3, 5)),  # too stale for the newest
        (None, date(2024, 3, 8)),
    ],
)
def test_the_date_is_what_the_data_can_carry(last, as_of):
    late = due("2024-03-05T18:30", "2024-03-08T19:00")
    assert settle(late, last, "XNYS", stale_after=5) == as_of
