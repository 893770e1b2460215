"""The report of a run that lacks something: the rest is shown."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_cases import Page, data_of, fake_run, random_prices, several

from forecasting.evaluation.heldout_summary import Calibration, HeldoutSummary
from forecasting.reports.run_page import build_report
from forecasting.run import Run
from forecasting.store.manifest import WithheldRecord


def without_rows(run: Run) -> Run:
    nothing = {name: rows[:0] for name, rows in run.summaries["T00"].newest.items()}
    return replace(run, summaries={"T00": HeldoutSummary(nothing, Calibration())})


def with_prices(run: Run, prices: pd.DataFrame) -> Run:
    return replace(run, ingested=replace(run.ingested, prices=prices))


def without_lstm(run: Run) -> Run:
    return replace(
        run,
        curves=run.curves.iloc[:0],
        forecasts=run.forecasts.assign(model="last_close", reason="120 rows, under 150"),
        metrics=run.metrics[run.metrics["model"] != "lstm"],
    )


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        pytest.param(without_lstm, {"g"}, id="no LSTM"),
        pytest.param(
            lambda run: replace(run, curves=pd.DataFrame(columns=run.curves.columns)), {"g"}, id="nothing was trained"
        ),
        pytest.param(lambda run: replace(run, metrics=run.metrics.iloc[:0]), set(), id="no scores"),
        pytest.param(
            lambda run: replace(run, metrics=run.metrics.assign(crps=np.nan, mae=np.nan, coverage_80=np.nan)),
            set(),
            id="NaN",
        ),
        pytest.param(
            without_rows,
            {"e", "k"},
            id="no held-out rows",
        ),
        pytest.param(
            lambda run: replace(run, curves=run.curves.assign(train_loss=np.nan)), {"g"}, id="diverged training"
        ),
        pytest.param(lambda run: with_prices(run, run.ingested.prices.iloc[:0]), set(), id="no prices"),
        pytest.param(lambda run: with_prices(run, run.ingested.prices.assign(high=np.nan)), set(), id="no High"),
        pytest.param(lambda run: replace(run, forecasts=run.forecasts.assign(reason=None)), set(), id="no reasons"),
        pytest.param(lambda run: replace(run, forecasts=run.forecasts.assign(reason=np.nan)), set(), id="NaN reasons"),
        pytest.param(lambda run: replace(run, forecasts=run.forecasts.head(1)), set(), id="one step"),
    ],
)
def test_what_is_missing_is_left_out(change, missing):
    html = build_report(change(fake_run(several(1))))
    record = data_of(html)["tickers"][0]
    assert {"e", "k", "g"} - record.keys() == missing
    assert "nan" not in re.findall(r"[a-z]+", Page(html).text.replace("NaN", "nan"))


def test_a_file_without_close_is_reported():
    run = fake_run([random_prices("OPENONLY").assign(close=np.nan)])
    assert data_of(build_report(run))["tickers"][0]["c"] == "Open"


def test_nothing_published_is_a_page_too():
    run = fake_run(several(1))
    empty = replace(
        run,
        forecasts=run.forecasts.iloc[:0],
        metrics=run.metrics.iloc[:0],
        curves=run.curves.iloc[:0],
        withheld=(WithheldRecord(ticker="T00", reason="five rows"),),
    )
    assert "T00 five rows" in Page(build_report(empty)).text
