"""``daily-forecast scores``: how published forecasts turned out, in a terminal and for programs."""

from __future__ import annotations

import io
import json

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from forecasting.__main__ import main
from forecasting.commands.cli import run_scores
from forecasting.commands.scores import print_scores
from forecasting.errors import InputError
from forecasting.monitoring.realised import SCORES
from forecasting.reports.track_record import track_record
from forecasting.schemas import parquet_bytes
from forecasting.store import paths
from forecasting.store.store import Store

HOSTILE = "[red]\x1b[2J"


def some_scores(tickers: tuple[str, ...], sessions: int = 30) -> pd.DataFrame:
    """Scores of the first step, each session published on the day before; the CRPS is 0.8 of persistence's."""
    days = pd.bdate_range("2020-01-01", periods=sessions + 1)
    frame = pd.MultiIndex.from_product([days[1:], tickers], names=["target_date", "ticker"]).to_frame(index=False)
    errors = np.random.default_rng(0).normal(0, 1, len(frame))
    return frame.assign(
        cutoff=days[:-1].repeat(len(tickers)),
        as_of=days[:-1].repeat(len(tickers)),
        step=np.int32(1),
        model="combination",
        actual=100 + errors,
        unit=1.0,
        forecast=100.0,
        error=errors,
        pinball=0.2,
        crps=0.4,
        inside_50=True,
        inside_80=np.arange(len(frame)) % 5 > 0,
        inside_90=True,
        crps_persistence=0.5,
        crps_last_close=np.nan,
    )


@pytest.fixture
def store(tmp_path) -> Store:
    store = Store(tmp_path)
    with store.lock():
        for day, rows in some_scores(("AAPL", HOSTILE)).groupby("as_of"):
            store.write(paths.scores(day.date()), parquet_bytes(rows.drop(columns="as_of"), SCORES))
    return store


def test_it_says_how_published_forecasts_turned_out(store, capsys):
    assert run_scores(store.root) == 0
    text = capsys.readouterr().out
    assert "Of the last 30 sessions, 60 published forecasts came due." in text
    assert "Their CRPS was 0.80 of what repeating the last Open would have scored" in text
    for heading in ("By step", "By the model that was published", "By ticker", "Worst misses"):
        assert heading in text
    assert "\x1b" not in text
    assert "[red]\\x1b[2J" in text


def test_programs_get_every_ticker_and_no_nan(store, capsys):
    assert main(["scores", str(store.root), "--json", "--sessions", "20"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["sessions"] == 20
    assert printed["forecasts"] == 40
    assert printed["skill"] == pytest.approx(0.2)
    assert printed["to"] == "2020-02-12"
    assert {row["ticker"] for row in printed["tickers"]} == {"AAPL", HOSTILE}
    assert printed["steps"][0]["skill_last_close"] is None


def test_of_many_tickers_both_ends_are_printed():
    console = Console(file=io.StringIO(), width=200)
    print_scores(track_record(some_scores(tuple(f"T{place:02d}" for place in range(50)))), console)
    assert "the 10 least and the 10 most skilful of 50" in console.file.getvalue()


def test_nothing_scored_yet_and_no_store_are_said(tmp_path, capsys):
    with pytest.raises(InputError, match="no published forecast has come due yet"):
        run_scores(Store(tmp_path / "store").root)
    assert main(["scores", str(tmp_path / "absent")]) == 2
    assert "no store here" in capsys.readouterr().err
