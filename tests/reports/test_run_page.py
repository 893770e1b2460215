"""The report: what a reader finds in it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from report_cases import Page, data_of, fake_run, many, random_prices, several

from forecasting.config import ForecastConfig
from forecasting.findings import Finding
from forecasting.formatting import MINUS
from forecasting.model.tutorial_report import TutorialReport
from forecasting.reports import run_page
from forecasting.reports.run_page import build_report, verdict
from forecasting.reports.summary import Headline, most_telling, overview
from forecasting.run import Run
from forecasting.store.manifest import WithheldRecord


@pytest.fixture(scope="module")
def two_tickers() -> Run:
    findings = (
        Finding("T00", "split", "2:1 on 28 Feb 2005, adjusted inside the model"),
        Finding("T01", "set_aside", "High stands below Low", 3),
        Finding("", "calendar", "two sessions are none of XNYS"),
    )
    gone = WithheldRecord(ticker="GONE", reason="its last row is a year old")
    return fake_run(several(2), findings=findings, withheld=(gone,))


@pytest.fixture(scope="module")
def page(two_tickers) -> Page:
    return Page(build_report(two_tickers))


def test_every_ticker_is_in_the_table_and_has_a_record(two_tickers, page):
    data = data_of(build_report(two_tickers))
    assert [record["n"] for record in data["tickers"]] == ["T00", "T01"]
    for record in data["tickers"]:
        assert {"o", "h", "l", "q", "e", "k", "g", "r"} <= record.keys()
    for words in ("As of 1 Mar 2013", "T00", "T01", "last_close", "What each model adds", "Calibration"):
        assert words in page.text


def test_it_says_what_each_model_adds(page):
    assert re.search(rf"persistence, then last_close {MINUS}[\d.]+.%, lstm [+{MINUS}][\d.]+.%", page.text)


def test_findings_and_withheld_are_reported(page):
    for words in (
        "2:1 on 28 Feb 2005, adjusted inside the model",
        "High stands below Low set aside 3",
        "two sessions are none of XNYS",
        "GONE its last row is a year old",
    ):
        assert words in page.text


def test_the_same_run_gives_the_same_bytes(two_tickers):
    assert build_report(two_tickers) == build_report(two_tickers)


def test_of_many_tickers_all_are_listed_and_each_has_its_chart():
    html = build_report(fake_run(several(12, 150)))
    names = [f"T{place:02d}" for place in range(12)]
    assert [record["n"] for record in data_of(html)["tickers"]] == names
    assert all(name in Page(html).text for name in names)
    for control in ('data-searches="all"', "best first", "worst first"):
        assert control in html


def test_where_not_all_charts_fit_the_best_and_the_worst_have_theirs(monkeypatch):
    monkeypatch.setattr(run_page, "_PAGE_BYTES", 12 * 150 + 4 * 1200)
    run = fake_run(several(12, 150))
    html = build_report(run)
    data = data_of(html)
    charted = [record["n"] for record in data["tickers"] if record]
    table = overview(run.forecasts, run.metrics).sort_values("crps_ratio", kind="stable")["ticker"].tolist()
    assert set(charted) == {*table[:2], *table[-2:], most_telling(overview(run.forecasts, run.metrics))}
    assert data["tickers"][data["first"]]
    assert len(data["tickers"]) == 12
    assert all(f"T{place:02d}" in Page(html).text for place in range(12))
    assert f"The page has room for {len(charted)} charts" in Page(html).text


@pytest.mark.slow
@pytest.mark.parametrize("amount", [2000, 10_000])
def test_thousands_of_tickers_fit_in_three_megabytes(amount):
    run = fake_run([random_prices("T", 300, level=400.0)])
    alike = run.metrics[run.metrics["model"] == "lstm"]
    models = [run.metrics, *(alike.assign(model=name) for name in ("ewma_range", "har", "combination"))]
    assert len(build_report(many(replace(run, metrics=pd.concat(models)), amount)).encode()) < 3_000_000


def test_the_tutorial_is_held_to_account():
    stream = np.random.default_rng(0)
    truth = 700 + np.cumsum(stream.normal(size=375))
    tutorial = TutorialReport(
        ticker="T00",
        losses={1000: 0.0012, 2000: 0.0009},
        truth=truth,
        predictions={1000: truth - 60, 2000: truth - 40},
        mae_scaled=0.0756,
        mae_price=40.63,
        mae_price_without_leak=52.1,
        persistence_two_ahead=11.12,
        persistence_one_ahead=7.90,
    )
    html = build_report(fake_run(several(1), tutorial=tutorial, config=ForecastConfig(preset="tutorial")))
    found = Page(html)
    for words in (
        "40.63",
        "0.0756",
        "11.12",
        "7.90",
        "3.7 times as far as doing nothing",
        "makes it look better by 11.47",
        "0.001200",
        "2,000",
    ):
        assert words in found.text
    assert {"epoch 1,000", "epoch 2,000"} <= data_of(html)["charts"].keys()


@pytest.mark.parametrize(
    ("crps_ratio", "best_baseline_ratio", "expected"),
    [
        (0.45, 0.97, "held 80.0 % of the actual Opens."),
        (0.45, 1.004, "A simple baseline would have done as well."),
        (1.02, 1.02, "That is worse than repeating the last Open."),
        (1.0, 1.3, "That is no better than repeating the last Open."),
        (float("nan"), float("nan"), "could be scored"),
    ],
)
def test_the_verdict_flatters_nobody(crps_ratio, best_baseline_ratio, expected):
    summary = Headline(5, 25, 12, 13, 0, 0, 1, crps_ratio, best_baseline_ratio, 0.8)
    assert expected in verdict(summary)
