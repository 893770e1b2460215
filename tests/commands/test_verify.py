"""The command that runs a published date again, with the real walk behind it."""

from __future__ import annotations

from datetime import date

import exchange_calendars
import numpy as np
import pandas as pd
import pytest

from forecasting.commands.cli import run_verify
from forecasting.config import ForecastConfig
from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices
from forecasting.pipeline import forecast
from forecasting.publish import publish
from forecasting.store.store import Store

AS_OF = date(2016, 12, 30)


def history(rows, seed):
    """Daily prices up to the as-of date and some sessions after it."""
    stream = np.random.default_rng(seed)
    opened = 50 * np.exp(np.cumsum(stream.normal(0, 0.01, rows)))
    close = opened * np.exp(stream.normal(0, 0.005, rows))
    frame = pd.DataFrame({"Open": opened, "High": opened * 1.02, "Low": opened * 0.98, "Close": close, "Volume": 1000})
    sessions = exchange_calendars.get_calendar("XNYS", start="2015-01-02", end="2017-01-13").sessions[-rows:]
    return frame.round(4).set_index(sessions.strftime("%Y-%m-%d").rename("Date"))


def write(folder, frames, until="2016-12-30"):
    folder.mkdir(exist_ok=True)
    for ticker, frame in frames.items():
        frame[frame.index <= until].to_csv(folder / f"{ticker}.csv")


@pytest.fixture(scope="module")
def frames():
    return {"AAA": history(260, 1), "BBB": history(200, 2)}


@pytest.fixture
def published(tmp_path, frames):
    """A store with one published date, and the folder of its prices."""
    prices = tmp_path / "prices"
    write(prices, frames)
    store = Store(tmp_path / "store")
    config = ForecastConfig(horizon=2, members=1, epochs=2)
    publish(store, forecast(read_prices(str(prices), as_of=AS_OF), config, AS_OF))
    return store.root, prices


def test_a_published_date_comes_out_the_same(published, frames, capsys):
    store, prices = published
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    assert run_verify(store, as_of=str(AS_OF)) == 0
    assert capsys.readouterr().out == "as of 2016-12-30: identical\n"
    write(prices, frames, until="2017-01-13")  # the files grow
    assert run_verify(store, as_of="latest") == 0
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_a_restated_history_is_named(published, frames, capsys):
    store, prices = published
    restated = frames["BBB"].copy()
    restated.loc["2016-12-05", "Close"] += 0.01
    write(prices.with_name("restated"), {"AAA": frames["AAA"], "BBB": restated})
    assert run_verify(store, as_of=str(AS_OF), prices=str(prices.with_name("restated"))) == 1
    out = capsys.readouterr().out
    row = list(restated.index).index("2016-12-05") + 1
    assert f"BBB: history restated: row {row} (2016-12-05) is the first that differs" in out
    assert "AAA" not in out


def test_nothing_to_verify_is_said(published, tmp_path):
    with pytest.raises(InputError, match="no store"):
        run_verify(tmp_path / "absent", as_of=str(AS_OF))
    with pytest.raises(InputError, match="no manifest"):
        run_verify(published[0], as_of="2001-01-01")
    with pytest.raises(InputError, match="absent"):
        run_verify(published[0], as_of=str(AS_OF), prices=str(tmp_path / "absent"))
