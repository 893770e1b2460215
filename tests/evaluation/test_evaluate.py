"""None"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from evaluate_cases import PRICES, evaluated_of

from forecasting.config import LEVELS, QUANTILE_COLUMNS
from forecasting.evaluation.baselines import BASELINES
from forecasting.evaluation.candidates import first_judged


def test_every_model_is_scored_on_the_same_rows(heldout) -> None:
    for ticker, rows in heldout.groupby("ticker"):
        expected = {*BASELINES, "lstm", "combination"} if ticker != "C" else {*BASELINES}
        assert set(rows["model"]) == expected
        keys = [frozenset(zip(one["cutoff"], one["step"], strict=True)) for _, one in rows.groupby("model")]
        assert len(set(keys)) == 1
        assert not rows.duplicated(["model", "cutoff", "step"]).any()


def test_the_last_thirty_percent_of_targets_are_held_out(heldout, frames) -> None:
    rows = heldout[(heldout["ticker"] == "A") & (heldout["model"] == "lstm")]
    dates = frames[0]["date"].dt.date
    count = int(0.3 * 259)
    for step in (1, 2, 3):
        some = rows[rows["step"] == step]
        assert some["target_date"].tolist() == dates.iloc[260 - count + step - 1 :].tolist()
        assert some["cutoff"].tolist() == dates.iloc[260 - count - 1 : 260 - step].tolist()


def test_actual_is_always_the_files_open(heldout, frames) -> None:
    opens = pd.concat(frames).assign(target_date=lambda rows: rows["date"].dt.date)
    joined = heldout.merge(opens[["ticker", "target_date", "open"]], on=["ticker", "target_date"], how="left")
    np.testing.assert_array_equal(joined["actual"], joined["open"])


def test_rows_with_a_split_between_cutoff_and_target_are_left_out_and_counted(heldout, evaluated, frames) -> None:
    when = frames[1]["date"].dt.date.iloc[180]
    rows = heldout[heldout["ticker"] == "B"]
    assert not ((rows["cutoff"] < when) & (rows["target_date"] >= when)).any()
    left_out = 1 + 2 + 3  # of steps 1, 2 and 3
    (finding,) = (one for one in evaluated.findings if one.kind == "split")
    assert (finding.ticker, finding.kind) == ("B", "split")
    assert f"{left_out} held-out forecasts" in finding.message
    whole = heldout[heldout["ticker"] == "A"].groupby("model").size()["lstm"]
    assert whole == sum(int(0.3 * 259) - step for step in range(3))
    assert rows.groupby("model").size()["lstm"] == sum(int(0.3 * 199) - step for step in range(3)) - left_out


def test_a_forecast_is_in_the_unit_of_its_own_cutoff(heldout) -> None:
    np.testing.assert_allclose(heldout["forecast"], heldout["actual"], rtol=0.15)


def test_a_split_changes_no_forecast_but_its_unit(evaluated, frames, make_prices) -> None:
    plain = evaluated_of([make_prices("B", 200, seed=1)])
    mine = evaluated.forecasts.query("ticker == 'B'").reset_index(drop=True)
    for name in ("forecast", *QUANTILE_COLUMNS):
        np.testing.assert_allclose(mine[name], plain.forecasts[name], rtol=1e-5)
    assert mine["model"].tolist() == plain.forecasts["model"].tolist()


def test_quantiles_do_not_decrease_and_the_forecast_is_their_median(heldout, evaluated) -> None:
    for frame in (heldout, evaluated.forecasts):
        assert (np.diff(frame[list(QUANTILE_COLUMNS)], axis=1) >= 0).all()
        np.testing.assert_array_equal(frame["forecast"], frame["q50"])
        assert np.isfinite(frame[list(QUANTILE_COLUMNS)]).all(axis=None)


def test_metrics_are_those_of_the_rows_as_written(evaluated, heldout) -> None:
    metrics = evaluated.metrics.set_index(["ticker", "model", "step"])
    groups = heldout.groupby(["ticker", "model", "step"])
    assert set(metrics.index) == set(groups.groups)
    for key, rows in groups:
        got, error = metrics.loc[key], rows["forecast"].astype(float) - rows["actual"]
        quantiles = rows[list(QUANTILE_COLUMNS)].to_numpy(float)
        miss = rows["actual"].to_numpy()[:, None] - quantiles
        pinball = np.maximum(np.array(LEVELS) * miss, (np.array(LEVELS) - 1) * miss)
        assert got["n"] == len(rows)
        assert got["mae"] == pytest.approx(error.abs().mean())
        assert got["rmse"] == pytest.approx(np.sqrt((error**2).mean()))
        assert got["mase"] == pytest.approx(got["mae"] / evaluated.scales[key[0]], nan_ok=True)
        assert got["crps"] == pytest.approx(2 * pinball.mean(), rel=1e-6)
        inside = (rows["actual"] >= rows["q10"]) & (rows["actual"] <= rows["q90"])
        assert got["coverage_80"] == pytest.approx(inside.mean())
    chosen = evaluated.metrics[evaluated.metrics["chosen"]].set_index(["ticker", "step"])["model"]
    published = evaluated.forecasts.set_index(["ticker", "step"])["model"]
    pd.testing.assert_series_equal(chosen.sort_index(), published.sort_index())


def test_the_scale_is_the_mean_change_of_open_over_training_rows(evaluated, frames) -> None:
    training = 260 - int(0.3 * 259) - int(0.15 * (259 - int(0.3 * 259)))
    assert evaluated.scales["A"] == pytest.approx(frames[0]["open"][:training].diff().abs().mean())


def test_where_the_test_rows_are_in_two_units_there_is_no_scale_and_it_is_reported(evaluated) -> None:
    assert np.isnan(evaluated.scales["B"])
    assert evaluated.metrics.query("ticker == 'B'")["mase"].isna().all()
    assert "there is no MASE" in evaluated.findings[0].message


def test_a_ticker_is_evaluated_as_if_alone(evaluated, frames) -> None:
    for rows in frames:
        ticker = rows["ticker"].iloc[0]
        alone = evaluated_of([rows])
        mine = evaluated.forecasts[evaluated.forecasts["ticker"] == ticker].reset_index(drop=True)
        pd.testing.assert_frame_equal(mine, alone.forecasts, rtol=1e-6)
        one, other = (each.heldout[ticker].to_pandas() for each in (evaluated, alone))
        pd.testing.assert_frame_equal(one, other, rtol=1e-5)
        np.testing.assert_equal(evaluated.scales[ticker], alone.scales[ticker])


@pytest.mark.parametrize("known", [240, 255])
def test_a_held_out_forecast_sees_nothing_after_its_cutoff(evaluated, frames, known) -> None:
    changed = frames[0].copy()
    wild = np.exp(0.03 * np.random.default_rng(5).standard_normal(260 - known))
    for name in PRICES:
        changed.loc[known:, name] *= wild
    cutoff = frames[0]["date"].dt.date.iloc[known - 1]
    rows = [each.heldout["A"].to_pandas().drop(columns="actual") for each in (evaluated, evaluated_of([changed]))]
    before, after = (each[each["cutoff"] <= cutoff] for each in rows)
    pd.testing.assert_frame_equal(before, after, rtol=1e-6)  # an adjusted unit may cost the last bit


def test_the_combination_is_the_mean_of_its_members_calibrated(heldout, frames) -> None:
    """Calibration stretches about the median, so the median is the mean of the members', and the shape is theirs."""
    rows = heldout[(heldout["ticker"] == "A") & (heldout["step"] == 1)]
    own = {name: one.set_index("cutoff") for name, one in rows.groupby("model")}
    close = pd.Series(frames[0]["close"].to_numpy(), index=frames[0]["date"].dt.date).loc[own["lstm"].index]
    logs = {name: np.log(one["forecast"].astype(float) / close) for name, one in own.items()}
    np.testing.assert_allclose(logs["combination"], (logs["lstm"] + logs["har"]) / 2, atol=1e-6)
    width = {name: np.log((one["q95"] / one["q05"]).astype(float)) for name, one in own.items()}
    assert (width["combination"] < 1.3 * np.maximum(width["lstm"], width["har"])).all()
    assert (width["combination"] > 0.7 * np.minimum(width["lstm"], width["har"])).all()


def test_a_day_without_its_close_is_scored_for_no_model(make_prices) -> None:
    rows = make_prices("A", 260)
    rows.loc[240, "close"] = np.nan
    heldout = evaluated_of([rows]).heldout["A"].to_pandas()
    assert rows["date"].dt.date[240] not in set(heldout["cutoff"])
    assert len(set(heldout.groupby("model").size())) == 1


@pytest.mark.parametrize("scale", [1e-10, 1e-2, 1e6, 1e12])
def test_the_unit_of_the_price_does_not_matter(evaluated, frames, scale) -> None:
    other = frames[0].copy()
    other[PRICES] *= scale
    rescaled = evaluated_of([other])
    mine = evaluated.forecasts.query("ticker == 'A'").reset_index(drop=True)
    np.testing.assert_allclose(rescaled.forecasts["forecast"], scale * mine["forecast"], rtol=1e-4)
    for name in ("mase", "mape"):
        ours, theirs = (each.metrics.query("ticker == 'A'")[name] for each in (evaluated, rescaled))
        np.testing.assert_allclose(ours, theirs, rtol=1e-3)


def test_a_forecast_run_wild_is_still_a_number(frames, monkeypatch) -> None:
    wild = lambda windows, *_: np.full((1, windows.time - first_judged(windows), 3, 19), 1e9)  # noqa: E731
    monkeypatch.setattr("forecasting.evaluation.evaluate.lstm_quantiles", wild)
    evaluated = evaluated_of(frames[:1])
    rows = evaluated.heldout["A"].to_pandas().query("model == 'lstm'")
    assert np.isfinite(rows[list(QUANTILE_COLUMNS)]).all(axis=None)
    assert np.isfinite(evaluated.metrics["crps"]).all()
