"""What scores say over time: ratios that can be checked by hand, and judgements that noise does not move."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from forecasting.config import LEVELS
from forecasting.evaluation.scoring_rules import crps
from forecasting.monitoring.health import by_group, judge, rolling, trend, worst_misses


def scored(sessions=60, tickers=5, steps=3, *, width=1.0, bias=0.0, seed=0):
    """Scores of a forecaster of random walks, whose shocks are half shared; an honest one by default."""
    stream = np.random.default_rng(seed)
    total = sessions + steps
    shocks = 0.01 * (0.7 * stream.normal(size=(total, 1)) + 0.7 * stream.normal(size=(total, tickers)))
    path = np.cumsum(shocks, axis=0)
    normal = norm.ppf(LEVELS)
    frames = []
    for step in range(1, steps + 1):
        target = np.arange(steps, total)
        actual = 100 * np.exp(path[target] - path[target - step]).ravel()
        quantiles = 100 * np.exp(bias + 0.01 * width * step**0.5 * normal) * np.ones((len(actual), 1))
        naive = 100 * np.exp(0.013 * step**0.5 * normal) * np.ones((len(actual), 1))
        frames.append(
            pd.DataFrame(
                {
                    "ticker": np.tile([f"T{k}" for k in range(tickers)], len(target)),
                    "cutoff": np.repeat(pd.Timestamp("2020-01-01") + pd.to_timedelta(target - step, "D"), tickers),
                    "target_date": np.repeat(pd.Timestamp("2020-01-01") + pd.to_timedelta(target, "D"), tickers),
                    "step": step,
                    "model": "lstm" if step == 1 else "ewma_range",
                    "actual": actual,
                    "forecast": quantiles[:, 9],
                    "error": actual - quantiles[:, 9],
                    "crps": crps(actual, quantiles),
                    "inside_50": (quantiles[:, 4] <= actual) & (actual <= quantiles[:, 14]),
                    "inside_80": (quantiles[:, 1] <= actual) & (actual <= quantiles[:, 17]),
                    "inside_90": (quantiles[:, 0] <= actual) & (actual <= quantiles[:, 18]),
                    "crps_persistence": crps(actual, naive),
                    "crps_last_close": np.nan,
                }
            )
        )
    return pd.concat(frames, ignore_index=True)


def test_rolling_measures_are_ratios_of_what_the_window_holds():
    scores = scored(sessions=12)
    found = rolling(scores, 5)
    days = np.sort(scores["target_date"].unique())
    for last in (2, 11):
        rows = scores[scores["target_date"].isin(days[max(0, last - 4) : last + 1])]
        line = found.loc[days[last]]
        assert line["n"] == len(rows)
        for share in (50, 80, 90):
            assert line[f"coverage_{share}"] == pytest.approx(rows[f"inside_{share}"].mean())
        own, other = rows["crps"] / rows["forecast"], rows["crps_persistence"] / rows["forecast"]
        assert line["crps"] == pytest.approx(own.mean())
        assert line["crps_persistence"] == pytest.approx(other.mean())
        assert line["skill"] == pytest.approx(1 - own.sum() / other.sum())
    assert found["crps_last_close"].isna().all()
    assert found["skill_last_close"].isna().all()


def test_a_reference_is_compared_where_it_has_a_forecast():
    scores = scored(sessions=30)
    half = scores.assign(crps_last_close=scores["crps_persistence"].where(scores["ticker"] < "T2"))
    own = half[half["ticker"] < "T2"]
    skill = 1 - (own["crps"] / own["forecast"]).sum() / (own["crps_last_close"] / own["forecast"]).sum()
    line = rolling(half, 30).iloc[-1]
    assert line["skill_last_close"] == pytest.approx(skill)
    assert line["crps"] / line["crps_last_close"] == pytest.approx(1 - skill)


def test_tickers_of_any_price_count_alike():
    scores = scored()
    prices = ["forecast", "actual", "error", "crps", "crps_persistence"]
    dear = scores.assign(**{name: scores[name] * np.where(scores["ticker"] == "T0", 1e4, 1.0) for name in prices})
    pd.testing.assert_frame_equal(rolling(dear), rolling(scores))
    assert judge(dear).skill == pytest.approx(judge(scores).skill)


def test_an_honest_forecaster_is_not_called_degraded():
    judged = [judge(scored(tickers=tickers, seed=seed)) for seed in range(20) for tickers in (1, 20)]
    assert sum(health.status == "degraded" for health in judged) <= 1


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"width": 0.5}, "too narrow"),
        ({"width": 2.0}, "too wide"),
        ({"bias": 0.03}, "worse than repeating the last Open"),
    ],
)
def test_a_fault_is_found_and_named(fault, said):
    health = judge(scored(tickers=20, **fault))
    assert health.status == "degraded"
    assert any(said in reason for reason in health.reasons)


def test_an_old_fault_is_forgotten():
    early, late = scored(sessions=60, width=0.4), scored(sessions=60, seed=1)
    later = late.assign(target_date=late["target_date"] + pd.Timedelta(days=100))
    assert judge(early).status == "degraded"
    assert judge(pd.concat([early, later], ignore_index=True)).status == "good"


def test_too_few_sessions_are_not_judged():
    health = judge(scored(sessions=15, width=0.2))
    assert health.status == "too early"
    assert not health.reasons


def test_publishing_persistence_itself_is_not_a_fault():
    scores = scored()
    itself = scores.assign(crps_persistence=scores["crps"] * (1 + 1e-13))
    health = judge(itself)
    assert health.skill == pytest.approx(0)
    assert health.status == "good"


def test_no_scores_are_too_early_to_tell():
    empty = scored().iloc[:0]
    assert judge(empty).status == "too early"
    assert trend(empty).word == "too early"
    assert rolling(empty).empty


@pytest.mark.parametrize(
    ("before", "after", "word"),
    [(0.0, 0.0, "no clear change"), (0.04, 0.0, "better"), (0.0, 0.04, "worse")],
)
def test_the_trend_is_named_where_it_is_clear(before, after, word):
    late = scored(tickers=20, bias=after, seed=1)
    later = late.assign(target_date=late["target_date"] + pd.Timedelta(days=100))
    found = trend(pd.concat([scored(tickers=20, bias=before), later], ignore_index=True))
    assert found.word == word


def test_the_trend_needs_sessions_before():
    assert trend(scored(sessions=70)).word == "too early"


def test_groups_are_measured_each_for_itself():
    scores = scored()
    table = by_group(scores, "model").set_index("model")
    rows = scores[scores["model"] == "lstm"]
    assert table.loc["lstm", "n"] == len(rows)
    assert table.loc["lstm", "coverage_80"] == pytest.approx(rows["inside_80"].mean())
    assert table.loc["lstm", "bias"] == pytest.approx((rows["error"] / rows["forecast"]).mean())
    categorical = by_group(scores.astype({"model": "category"}), "model")
    assert categorical["model"].astype(str).tolist() == ["ewma_range", "lstm"]


def test_the_worst_misses_come_first_and_once_a_session():
    scores = scored()
    found = worst_misses(scores, 5)
    relative = (scores["error"] / scores["forecast"]).abs()
    assert abs(found["miss"].iloc[0]) == relative.max()
    assert found["miss"].abs().is_monotonic_decreasing
    assert not found.duplicated(["ticker", "target_date"]).any()
    assert len(found) == 5
