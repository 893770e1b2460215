"""What forecasts and scores are summed up to."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from forecasting.formatting import MINUS
from forecasting.reports.summary import headline, ladder, most_telling, overview, pooled_scores

TICKERS = ("A", "B", "C")


def some_forecasts() -> pd.DataFrame:
    """Three tickers, two steps; the LSTM is published for A's both and B's first; C is stale."""
    published = {"A": ("lstm", "lstm"), "B": ("lstm", "last_close"), "C": ("last_close", "last_close")}
    return pd.DataFrame(
        [
            {
                "ticker": ticker,
                "step": step,
                "model": published[ticker][step - 1],
                "reason": "stale by 3 sessions" if ticker == "C" else None,
                "anchor_price": 100.0,
                "forecast": 101.0,
            }
            for ticker in TICKERS
            for step in (2, 1)
        ]
    )


def some_metrics() -> pd.DataFrame:
    crps = {"persistence": (2.0, 4.0, 8.0), "last_close": (1.2, 2.0, 4.0), "lstm": (1.0, 2.0, 8.0)}
    return pd.DataFrame(
        [
            {
                "ticker": ticker,
                "step": step,
                "model": model,
                "n": n,
                "mae": 2 * crps[model][place],
                "mase": 0.5,
                "crps": crps[model][place],
                "coverage_50": 0.5,
                "coverage_80": (0.7, 0.8, 0.9)[place],
                "coverage_90": 0.9,
                "chosen": model == ("lstm", "lstm", "last_close")[place],
            }
            for place, (ticker, n) in enumerate(zip(TICKERS, (100, 100, 300), strict=True))
            for step in (1, 2)
            for model in crps
        ]
    )


def test_the_overview_is_of_the_nearest_step_and_the_published_model():
    table = overview(some_forecasts(), some_metrics()).set_index("ticker")
    assert list(table.index) == list(TICKERS)
    assert table["step"].tolist() == [1, 1, 1]
    assert table["crps_ratio"].tolist() == [0.5, 0.5, 0.5]
    assert table["best_baseline_ratio"].tolist() == pytest.approx([1 / 1.2, 1.0, 1.0])
    assert table["skill"].tolist() == [0.5, 0.5, 0.5]
    assert table["lstm_steps"].tolist() == [2, 1, 0]
    assert table["stale"].tolist() == [False, False, True]
    assert table["change"].tolist() == pytest.approx([0.01] * 3)
    assert table["reason"].tolist() == ["", "", "stale by 3 sessions"]


def test_the_headline_counts_forecasts_and_pools_coverage_over_rows():
    summary = headline(overview(some_forecasts(), some_metrics()), withheld=4)
    assert (summary.tickers, summary.forecasts, summary.lstm, summary.baseline) == (3, 6, 3, 3)
    assert (summary.stale, summary.withheld, summary.step) == (1, 4, 1)
    assert summary.crps_ratio == 0.5
    assert summary.coverage_80 == pytest.approx((0.7 * 100 + 0.8 * 100 + 0.9 * 300) / 500)


def test_without_scores_nothing_is_claimed():
    table = overview(some_forecasts(), some_metrics().iloc[:0])
    summary = headline(table, withheld=0)
    assert np.isnan([summary.crps_ratio, summary.best_baseline_ratio, summary.coverage_80]).all()


def test_a_perfect_persistence_has_no_ratio():
    metrics = some_metrics().assign(crps=0.0)
    assert overview(some_forecasts(), metrics)["crps_ratio"].isna().all()
    assert pooled_scores(metrics)["crps_ratio"].isna().all()


def test_models_are_pooled_as_geometric_means_of_ratios():
    pooled = pooled_scores(some_metrics()).set_index(["step", "model"])
    assert pooled.loc[(1, "persistence"), "crps_ratio"] == 1.0
    assert pooled.loc[(1, "lstm"), "crps_ratio"] == pytest.approx((0.5 * 0.5 * 1.0) ** (1 / 3))
    assert pooled.loc[(1, "lstm"), "published"] == 2
    assert pooled.loc[(2, "lstm"), "coverage_80"] == pytest.approx(0.84)


def test_a_missing_score_of_one_ticker_leaves_the_others_pooled():
    metrics = some_metrics()
    metrics = metrics.assign(coverage_80=metrics["coverage_80"].where(metrics["ticker"] != "C"))
    assert pooled_scores(metrics)["coverage_80"].tolist() == pytest.approx([0.75] * 6)


def test_each_model_is_put_beside_the_one_before_it():
    said = ladder(pooled_scores(some_metrics()), 1)
    assert said.startswith(f"CRPS compared with the model before: persistence, then last_close {MINUS}4")
    assert ladder(pooled_scores(some_metrics().iloc[:0]), 1) == ""


def telling(**changes: object) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "ticker": ["A", "B", "C"],
            "n": [300, 300, 20],
            "stale": False,
            "anchor_price": 100.0,
            "forecast": [100.5, 99.0, 120.0],
            "q10": [99.0, 90.0, 119.0],
            "q90": [101.0, 110.0, 121.0],
        }
    )
    return table.assign(**changes)


@pytest.mark.parametrize(
    ("changes", "chosen"),
    [
        ({}, "A"),
        ({"stale": [True, False, False]}, "B"),
        ({"n": np.nan}, "C"),
        ({"stale": True}, "C"),
    ],
)
def test_the_picture_is_of_a_well_tested_ticker_whose_forecast_says_something(changes, chosen):
    assert most_telling(telling(**changes)) == chosen


def test_without_tickers_there_is_none_to_show():
    assert most_telling(telling().iloc[:0]) is None
