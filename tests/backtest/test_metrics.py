"""The scores of a backtest, and that no more is claimed than is proved."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from backtest_cases import QUANTILES, STUDY, run
from hypothesis import given
from hypothesis import strategies as st

from forecasting.backtest.metrics import (
    PUBLISHED,
    count_claims,
    holm,
    q_values,
    score_backtest,
)
from forecasting.backtest.study import (
    judge,
)
from forecasting.evaluation.baselines import BASELINES
from forecasting.evaluation.scoring_rules import crps, diebold_mariano

P_VALUES = st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=30)


@given(P_VALUES)
def test_holm_rejects_step_by_step(given_values):
    p, adjusted = np.array(given_values, dtype=float), holm(given_values)
    known = np.sort(p[np.isfinite(p)])
    m = len(known)
    assert np.array_equal(np.isnan(p), np.isnan(adjusted))
    for level in (0.01, 0.05, 0.3):
        # Holm: the smallest against level / m, the next against level / (m - 1), until one is not below.
        claims = 0
        while claims < m and known[claims] * (m - claims) < level:
            claims += 1
        assert (adjusted < level).sum() == claims


@given(P_VALUES)
def test_q_values_reject_up_to_the_last_below_its_line(given_values):
    p, adjusted = np.array(given_values, dtype=float), q_values(given_values)
    known = np.sort(p[np.isfinite(p)])
    m = len(known)
    assert np.array_equal(np.isnan(p), np.isnan(adjusted))
    for level in (0.01, 0.05, 0.3):
        below = [k for k in range(1, m + 1) if known[k - 1] * m / k <= level]
        assert (adjusted <= level).sum() == (max(below) if below else 0)


def test_scores_are_those_of_the_rows(judged, backtest):
    metrics = backtest.metrics.set_index(["ticker", "step", "model"])
    rows = judged.rows.assign(loss=crps(judged.rows["actual"], judged.rows[QUANTILES]))
    own = rows[(rows["ticker"] == "AAA") & (rows["step"] == 2)]
    losses = own.pivot_table(index="cutoff", columns="model", values="loss", observed=True)
    best = losses[list(BASELINES)].mean().idxmin()
    row = metrics.loc[("AAA", 2, "lstm")]
    assert row["n"] == STUDY.origins
    assert row["best_baseline"] == best
    assert row["crps"] == pytest.approx(losses["lstm"].mean())
    assert row["crps_ratio"] == pytest.approx(losses["lstm"].mean() / losses[best].mean())
    assert row["dm_p_value"] == pytest.approx(diebold_mariano(losses["lstm"], losses[best], 2), nan_ok=True)
    published = own[own["chosen"]].set_index("cutoff")["loss"]
    assert metrics.loc[("AAA", 2, PUBLISHED), "crps"] == pytest.approx(published.mean())
    chosen = metrics.loc[("AAA", 2)].drop(PUBLISHED)["chosen_share"]
    assert chosen.sum() == pytest.approx(1)
    assert metrics.loc[("AAA", 2, PUBLISHED), "chosen_share"] == 1


def test_models_are_scored_on_the_origins_that_all_of_them_have(make_prices):
    prices = pd.concat([make_prices("AAA", 220, 0), make_prices("NEW", 155, 1)], ignore_index=True)
    judged = judge(run(prices), prices)
    metrics = score_backtest(judged.rows, judged.scales)
    new = judged.rows[(judged.rows["ticker"] == "NEW") & (judged.rows["step"] == 1)]
    assert new["model"].value_counts().to_dict() == {"lstm": 3, "combination": 3} | dict.fromkeys(
        BASELINES, 6
    )  # from 150 rows on
    assert set(metrics.loc[metrics["ticker"] == "NEW", "n"]) == {3}
    assert set(metrics.loc[metrics["ticker"] == "AAA", "n"]) == {6}


def test_families_of_tests_are_all_tickers_of_a_step(backtest):
    for _, family in backtest.metrics.dropna(subset=["best_baseline"]).groupby(["step", "model"]):
        np.testing.assert_array_equal(family["dm_p_holm"], holm(family["dm_p_value"]))
        np.testing.assert_array_equal(family["dm_q_value"], q_values(family["dm_p_value"]))
    assert backtest.metrics.loc[backtest.metrics["model"].isin(BASELINES), "dm_p_value"].isna().all()


def test_what_chance_gives_is_claimed_raw_but_not_corrected():
    stream = np.random.default_rng(0)
    tickers = [f"T{k:03d}" for k in range(100)]
    days = pd.date_range("2024-01-01", periods=40)
    frames = []
    for ticker in tickers:
        actual = 100 + stream.standard_normal(len(days))
        for model in ("lstm", "persistence"):
            centre = 100 + 0.3 * stream.standard_normal(len(days))
            spread = centre[:, None] + np.linspace(-2, 2, 19)
            frames.append(
                pd.DataFrame(spread.astype(np.float32), columns=QUANTILES).assign(
                    ticker=ticker,
                    cutoff=days,
                    target_date=days + pd.Timedelta(days=1),
                    step=1,
                    model=model,
                    fitted=days,
                    chosen=model == "lstm",
                    actual=actual,
                    forecast=centre,
                )
            )
    claims = count_claims(score_backtest(pd.concat(frames, ignore_index=True), {})).set_index("model").loc["lstm"]
    assert claims["tickers"] == len(tickers)
    assert claims["better_raw"] + claims["worse_raw"] >= 3
    assert claims["better_holm"] + claims["worse_holm"] == 0
    assert claims["better_bh"] + claims["worse_bh"] == 0
