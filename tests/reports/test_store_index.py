"""The store's first page: every day's report, and how it went."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pandas as pd
import pytest

from forecasting.config import QUANTILE_COLUMNS
from forecasting.monitoring.realised import SCORES
from forecasting.reports.store_index import LISTED, PAGE, publish_index, published_dates
from forecasting.reports.track_record import publish_score_page
from forecasting.schemas import FORECASTS, as_table, parquet_bytes
from forecasting.store import paths
from forecasting.store.store import Store

DAYS = [day.date() for day in pd.bdate_range("2020-01-01", periods=12)]
TICKERS = ("AAA", "<b>")


def forecasts(as_of: date) -> pd.DataFrame:
    """Two tickers, one of which is stale and has no LSTM."""
    frame = pd.DataFrame({"ticker": TICKERS, "cutoff": as_of, "target_date": as_of, "step": 1, "anchor": "close"})
    return frame.assign(
        model=["combination", "har"],
        reason=[None, "stale by 3 sessions"],
        anchor_price=100.0,
        forecast=100.0,
        **dict.fromkeys(QUANTILE_COLUMNS, 100.0),
    )


def scores(as_of: date, target: date) -> pd.DataFrame:
    frame = pd.DataFrame({"ticker": TICKERS, "cutoff": as_of, "target_date": target, "step": 1, "model": "combination"})
    return frame.assign(
        actual=101.0,
        unit=1.0,
        forecast=100.0,
        error=1.0,
        pinball=0.2,
        crps=0.4,
        inside_50=False,
        inside_80=[True, False],
        inside_90=True,
        crps_persistence=0.5,
        crps_last_close=np.nan,
    )


@pytest.fixture
def store(tmp_path) -> Store:
    """Twelve dates, of which all but the newest have been scored; the report of the oldest has been pruned."""
    store = Store(tmp_path / "store")
    with store.lock():
        for day, following in zip(DAYS, [*DAYS[1:], None], strict=True):
            rows = as_table(forecasts(day)[list(FORECASTS.names)], FORECASTS)
            store.write(paths.forecasts(day), parquet_bytes(rows, FORECASTS))
            if day != DAYS[0]:
                store.write(paths.report(day), b"<!doctype html>")
            if following is not None:
                rows = as_table(scores(day, following)[list(SCORES.names)], SCORES)
                store.write(paths.scores(day), parquet_bytes(rows, SCORES))
    return store


def test_each_date_has_its_report_and_a_line_on_how_it_went(store):
    publish_index(store, publish_score_page(store))
    page = (store.root / PAGE).read_text("utf-8")
    links = re.findall(r'href="(as_of=[^"]+)"', page)
    assert links[0] == f"as_of={DAYS[-1]}/report.html"
    assert [(store.root / "reports" / link).is_file() for link in links] == [True] * 12
    assert f"as_of={DAYS[0]}/" not in page
    rows = re.findall(r'<td class="prose">(.*?)</td>', page)
    assert len(rows) == 12
    assert rows[0].startswith("none of its sessions has come yet")
    assert rows[1].replace("\N{NO-BREAK SPACE}", " ").startswith("CRPS 20 % below repeating the last Open, 50 % inside")
    assert "1 stale ticker" in rows[1]
    assert 'href="scores.html"' in page
    assert "Their CRPS was 0.80 of what repeating the last Open would have scored" in page


def test_what_was_published_is_counted(store):
    newest, before = published_dates(store, publish_score_page(store))[:2]
    assert (newest.tickers, newest.forecasts, newest.with_lstm, newest.stale, newest.due) == (2, 2, 1, 1, 0)
    assert (before.due, before.coverage) == (2, 0.5)
    assert before.ratio == pytest.approx(0.8)


def test_the_scores_are_read_where_they_are_not_given_and_the_page_is_the_same_again(store):
    publish_index(store, publish_score_page(store))
    first = (store.root / PAGE).read_bytes()
    publish_index(store)
    assert (store.root / PAGE).read_bytes() == first


def test_only_the_newest_dates_are_read_and_listed(store, monkeypatch):
    monkeypatch.setattr("forecasting.reports.store_index.LISTED", 5)
    read = []
    table = Store.table
    monkeypatch.setattr(Store, "table", lambda self, name, *rest: read.append(name) or table(self, name, *rest))
    publish_index(store)
    assert len([name for name in read if name.startswith("forecasts")]) == 5
    assert len([name for name in read if name.startswith("scores")]) <= 5
    assert "And 7 older dates" in (store.root / PAGE).read_text("utf-8")
    assert LISTED == 60


def test_a_damaged_date_is_left_out(store):
    (store.root / paths.forecasts(DAYS[3])).write_bytes(b"no Parquet")
    assert DAYS[3] not in [one.as_of for one in published_dates(store, None)]


def test_a_store_without_forecasts_has_no_page(tmp_path):
    store = Store(tmp_path / "store")
    publish_index(store)
    assert not (store.root / PAGE).exists()
