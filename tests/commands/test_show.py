"""``python -m forecasting show``: what a person sees of a store in a terminal."""

from __future__ import annotations

import io
import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from forecasting.__main__ import main
from forecasting.commands.cli import run_show
from forecasting.commands.show import look_at, quantile_bar, show
from forecasting.config import QUANTILE_COLUMNS
from forecasting.errors import InputError
from forecasting.store import paths
from forecasting.store.manifest import Manifest
from forecasting.store.store import Store

AS_OF = date(2013, 3, 1)
HOSTILE = "[red]\x1b[2J"


def some_forecasts(tickers: tuple[str, ...], as_of: date) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "ticker": ticker,
                "cutoff": as_of,
                "target_date": as_of + timedelta(days=2 + step),
                "step": step,
                "model": "lstm" if step == 1 else "last_close",
                "reason": None if step == 1 else "lost to last_close on validation",
                "anchor": "close",
                "anchor_price": 100.0,
                "forecast": 101.0,
                **dict(zip(QUANTILE_COLUMNS, np.linspace(92.0, 110.0, 19), strict=True)),
            }
            for ticker in tickers
            for step in (1, 2)
        ]
    )


def some_metrics(tickers: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "ticker": ticker,
                "model": model,
                "step": step,
                "n": 300,
                "mae": crps * 1.4,
                "rmse": crps * 2,
                "mape": 0.01,
                "mase": 0.6,
                "crps": crps,
                "coverage_50": 0.5,
                "coverage_80": 0.81,
                "coverage_90": 0.9,
                "dm_p_value": np.nan if model == "persistence" else 0.01,
                "chosen": model == "lstm",
            }
            for ticker in tickers
            for step in (1, 2)
            for model, crps in (("persistence", 2.0), ("last_close", 0.95), ("lstm", 0.9))
        ]
    )


def publish(folder: Path, as_of: date = AS_OF, tickers: tuple[str, ...] = ("AAPL", "IBM")) -> Store:
    store = Store(folder)
    manifest = Manifest.model_validate(
        {
            "as_of": as_of,
            "config": {},
            "findings": [{"ticker": "AAPL", "kind": "set_aside", "message": "line 7: High below Low", "rows": 1}],
            "withheld": [{"ticker": "GONE", "reason": "its last row is a year old"}],
        }
    )
    with store.publication(as_of) as publication:
        publication.metrics(some_metrics(tickers))
        publication.commit(some_forecasts(tickers, as_of), manifest)
    return store


def shown(folder: Path, ticker: str | None = None, as_of: date | None = None, width: int = 200) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    show(look_at(Store(folder, create=False), ticker, as_of=as_of), console)
    return console.file.getvalue()


def test_all_tickers_are_listed_with_their_next_forecast(tmp_path):
    publish(tmp_path)
    text = shown(tmp_path)
    lines = [line.split() for line in text.splitlines() if line.startswith(("AAPL", "IBM"))]
    assert [line[0] for line in lines] == ["AAPL", "IBM"]
    assert lines[0][1:4] == ["2013-03-01", "2013-03-04", "1"]
    assert lines[0][4:10] == ["100.00", "92.00", "96.00", "101.00", "106.00", "110.00"]
    assert "As of 1 Mar 2013" in text
    assert "2 tickers, 4 forecasts, 2 of them with the LSTM" in text
    assert "withheld: GONE: its last row is a year old" in text


def test_the_newest_date_is_shown_unless_one_is_named(tmp_path):
    publish(tmp_path, date(2013, 2, 28))
    publish(tmp_path, AS_OF)
    assert "As of 1 Mar 2013" in shown(tmp_path)
    assert "As of 28 Feb 2013" in shown(tmp_path, as_of=date(2013, 2, 28))


def test_one_ticker_is_shown_with_steps_scores_and_findings(tmp_path):
    publish(tmp_path)
    text = shown(tmp_path, "aapl")
    assert "AAPL: after 1 Mar 2013, last Close 100.00" in text
    assert text.count("┃") == 3  # a bar a step, and the legend
    assert "lost to last_close on validation" in text
    assert "0.450" in text  # the LSTM's CRPS over persistence's
    assert "set aside, 1 row: line 7: High below Low" in text
    assert "IBM" not in text


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_drops_columns_and_cuts_no_number(tmp_path, width):
    publish(tmp_path)
    wide, narrow = shown(tmp_path, "AAPL").split(), shown(tmp_path, "AAPL", width=width).split()
    numbers = [word for word in narrow if word[0].isdigit()]
    assert len(numbers) > 20
    assert set(numbers) <= set(wide)


def test_a_withheld_ticker_is_answered_with_the_reason(tmp_path):
    publish(tmp_path)
    assert "GONE was withheld: its last row is a year old" in shown(tmp_path, "GONE")


def test_files_are_held_to_the_manifest(tmp_path):
    store = publish(tmp_path)
    assert "files verified" in shown(tmp_path)
    path = store.root / paths.metrics(AS_OF)
    path.write_bytes(path.read_bytes() + b"x")
    text = shown(tmp_path)
    assert "metrics.parquet: changed" in text
    assert "files verified" not in text


def test_forecasts_alone_can_be_shown(tmp_path):
    store = publish(tmp_path)
    (store.root / paths.manifest(AS_OF)).unlink()
    (store.root / paths.metrics(AS_OF)).unlink()
    assert "not verified" in shown(tmp_path)
    assert "AAPL: after" in shown(tmp_path, "AAPL")


def test_a_hostile_name_is_only_text(tmp_path):
    publish(tmp_path, tickers=(HOSTILE, "X" * 300))
    for text in (shown(tmp_path), shown(tmp_path, HOSTILE)):
        assert "\x1b" not in text
        assert "[red]\\x1b[2J" in text


@pytest.mark.parametrize(
    ("ticker", "as_of", "message"),
    [
        ("APPL", None, 'no forecast of "APPL" is published as of this date; did you mean AAPL'),
        ("\x1b[2J", None, "x1b"),
        (None, date(1999, 1, 1), "nothing is published as of 1999-01-01"),
    ],
)
def test_what_is_not_there_is_said(tmp_path, ticker, as_of, message):
    publish(tmp_path)
    with pytest.raises(InputError) as caught:
        shown(tmp_path, ticker, as_of)
    assert message in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_no_store_and_an_empty_store_are_said(tmp_path):
    with pytest.raises(InputError, match="no store here"):
        shown(tmp_path / "absent")
    with pytest.raises(InputError, match="nothing is published here yet"):
        shown(tmp_path)


def test_a_bar_draws_the_bands_in_order():
    quantiles = {"q05": 0.0, "q10": 1.0, "q25": 3.0, "q50": 5.0, "q75": 7.0, "q90": 9.0, "q95": 10.0}
    assert quantile_bar(quantiles, 0, 10, 11) == "·──▒▒┃▒▒──·"
    assert quantile_bar(dict.fromkeys(quantiles, 5.0), 5, 5, 3) == "┃  "


def test_the_command_prints_and_ends_with_zero(tmp_path, capsys):
    publish(tmp_path)
    assert run_show(tmp_path) == 0
    assert "AAPL" in capsys.readouterr().out


def test_it_is_told_to_programs_as_json(tmp_path, capsys):
    publish(tmp_path, tickers=("AAPL", HOSTILE))
    assert run_show(tmp_path, "AAPL", json=True) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["as_of"], printed["verified"], printed["differing"]) == ("2013-03-01", True, {})
    assert [row["target_date"] for row in printed["forecasts"]] == ["2013-03-04", "2013-03-05"]
    assert printed["forecasts"][0]["q05"] == 92.0
    assert {row["model"] for row in printed["scores"]} == {"persistence", "last_close", "lstm"}
    assert [row["dm_p_value"] for row in printed["scores"] if row["model"] == "persistence"] == [None, None]
    assert printed["withheld"][0]["ticker"] == "GONE"
    assert printed["findings"][0]["rows"] == 1
    assert run_show(tmp_path, json=True) == 0
    assert [row["ticker"] for row in json.loads(capsys.readouterr().out)["forecasts"]] == ["AAPL"] * 2 + [HOSTILE] * 2


def test_the_command_line_has_it(tmp_path, capsys):
    publish(tmp_path)
    assert main(["show", str(tmp_path), "AAPL", "--as-of", "2013-03-01"]) == 0
    assert "AAPL: after 1 Mar 2013" in capsys.readouterr().out
    assert main(["show", str(tmp_path / "absent")]) == 2
    assert "no store here" in capsys.readouterr().err
