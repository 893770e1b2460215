from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from forecasting.config import LEVELS, QUANTILE_COLUMNS, ForecastConfig, Reason
from forecasting.evaluation.baselines import BASELINES
from forecasting.evaluation.candidates import Candidate, choose, first_judged
from forecasting.evaluation.evaluate import evaluate
from forecasting.features.series import engineer
from forecasting.features.windows import window
from forecasting.model.training import train

PRICES = ["open", "high", "low", "close"]


def config(**changes):
    given = {"epochs": 2, "members": 1, "hidden": 3, "horizon": 3, "context": 5, "calendar": "24/7", "device": "cpu"}
    return ForecastConfig(**{**given, **changes})


def windows_of(frames, asked, as_of="2024-06-28"):
    series = engineer(pd.concat(frames, ignore_index=True), asked, pd.Timestamp(as_of).date()).series
    return window(series, asked)


def evaluated_of(frames, asked=None):
    asked = asked or config()
    windows = windows_of(frames, asked)
    return evaluate(windows, train(windows, asked), asked)


def split_in_half(rows, index):
    """The same history, with twice the price before a split."""
    rows = rows.copy()
    rows.loc[: index - 1, PRICES] *= 2
    return rows


@pytest.fixture(scope="module")
def frames(make_prices):
    """A long ticker, one with a split among its test rows, and one that is too short for an LSTM."""
    return [make_prices("A", 260), split_in_half(make_prices("B", 200, seed=1), 180), make_prices("C", 60, seed=2)]


@pytest.fixture(scope="module")
def evaluated(frames):
    return evaluated_of(frames)


@pytest.fixture(scope="module")
def heldout(evaluated):
    return pd.concat([table.to_pandas() for table in evaluated.heldout.values()], ignore_index=True)


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


@pytest.mark.parametrize("seed", range(3))
def test_the_choice_is_made_on_validation_alone(make_prices, seed) -> None:
    asked = config(publish="best")
    rows = make_prices("A", 260, seed=seed)
    changed = rows.copy()
    wild = np.exp(0.02 * np.cumsum(np.random.default_rng(seed).standard_normal(int(0.3 * 259))))
    for name in PRICES:
        changed.loc[260 - len(wild) :, name] *= wild
    one, other = (evaluated_of([each], asked) for each in (rows, changed))
    assert one.forecasts["model"].tolist() == other.forecasts["model"].tolist()
    assert one.forecasts["reason"].equals(other.forecasts["reason"])
    assert not np.isclose(one.metrics["crps"], other.metrics["crps"]).any()


def made_up(windows, start, spreads):
    """Candidates whose forecasts are the truth give or take a spread of their own."""
    truth = (windows.log_anchor[:, start:, None] + windows.targets[:, start:])[..., None]
    fan = np.linspace(-1, 1, 19)
    return tuple(
        Candidate(
            model,
            np.zeros_like(windows.log_open[:, start:]),
            np.where(np.isfinite(truth), truth, 4.6) + spread * fan,
            np.ones((len(windows.series), windows.horizon)),
        )
        for model, spread in spreads.items()
    )


@pytest.mark.parametrize(
    ("lstm", "chosen", "reason"),
    [(0.1, "lstm", None), (0.2, "last_close", "lost on validation"), (0.3, "last_close", "lost on validation")],
)
def test_the_best_is_the_lstm_only_where_it_beats_the_best_baseline(frames, lstm, chosen, reason) -> None:
    asked = config(publish="best")
    windows = windows_of(frames[:1], asked)
    start = first_judged(windows)
    models = made_up(windows, start, {"lstm": lstm, "persistence": 0.4, "last_close": 0.2, "ewma_range": 0.3})
    (choices,) = choose(windows, models, {}, asked, start)
    assert [(one.model, one.reason) for one in choices] == [(chosen, reason)] * 3


def test_anchor_open_leaves_close_out_of_the_choice_but_not_of_the_scores(frames) -> None:
    asked = config(anchor="open", publish="best")
    windows = windows_of(frames[:1], asked)
    start = first_judged(windows)
    models = made_up(windows, start, {"lstm": 0.5, "persistence": 0.4, "last_close": 0.1, "ewma_range": 0.3})
    (choices,) = choose(windows, models, {}, asked, start)
    assert {one.model for one in choices} == {"ewma_range"}
    evaluated = evaluated_of(frames[:1], asked)
    assert set(evaluated.forecasts["anchor"]) == {"open"}
    assert "last_close" not in set(evaluated.forecasts["model"])
    assert "last_close" in set(evaluated.metrics["model"])


def test_the_best_is_chosen_for_each_step_by_itself(frames) -> None:
    asked = config(publish="best")
    windows = windows_of(frames[:1], asked)
    start = first_judged(windows)
    models = list(made_up(windows, start, {"lstm": 0.2, "persistence": 0.3, "last_close": 0.3, "ewma_range": 0.3}))
    models[0].change[:, :, 1] += 1.0  # the second step is off
    (choices,) = choose(windows, tuple(models), {}, asked, start)
    assert [one.model for one in choices] == ["lstm", "last_close", "lstm"]


def test_a_step_without_validation_rows_has_no_best_model(make_prices) -> None:
    evaluated = evaluated_of([make_prices("A", 160)], config(horizon=40, publish="best"))
    late = evaluated.forecasts[evaluated.forecasts["step"] > int(0.15 * (159 - int(0.3 * 159)))]
    assert len(late) > 10
    assert set(late["model"]) == {"har"}
    assert set(late["reason"]) == {"no validation rows"}


@pytest.mark.parametrize("publish", ["combination", "lstm"])
def test_what_is_asked_for_is_published_for_all_steps(frames, publish) -> None:
    rows = evaluated_of(frames[:1], config(publish=publish)).forecasts
    assert set(rows["model"]) == {publish}
    assert rows["reason"].isna().all()


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


def test_who_has_no_lstm_gets_har_with_the_reason(evaluated, frames) -> None:
    rows = evaluated.forecasts.query("ticker == 'C'")
    assert set(rows["reason"]) == {"under 150 rows"}
    assert set(rows["model"]) == {"har"}
    asked = config()
    windows = windows_of(frames, asked)
    trained = train(windows, asked)
    skipped = {**trained.skip_reasons, "A": Reason.NOT_CONVERGED}
    lost = evaluate(windows, replace(trained, skip_reasons=skipped), asked)
    mine = lost.forecasts.query("ticker == 'A'")
    assert set(mine["reason"]) == {"did not converge"}
    assert set(mine["model"]) == {"har"}
    assert set(lost.heldout["A"].to_pandas()["model"]) == set(BASELINES)
    for ticker in "BC":
        assert lost.heldout[ticker].equals(evaluated.heldout[ticker])


def test_without_har_the_next_plainer_model_is_published(frames) -> None:
    asked = config()
    windows = windows_of(frames[:1], asked)
    start = first_judged(windows)
    models = made_up(windows, start, {"har": 0.1, "ewma_range": 0.2, "last_close": 0.3, "persistence": 0.4})
    expected = ["har", "ewma_range", "last_close", "persistence"]
    for k, name in enumerate(expected):
        (choices,) = choose(windows, models[k:], {"A": Reason.OUT_OF_TIME}, asked, start)
        assert {(one.model, one.reason) for one in choices} == {(name, "time budget spent")}
        models[k].change[...] = np.nan


def test_a_stale_ticker_says_so_whatever_is_published(make_prices) -> None:
    asked = config(publish="best")
    windows = windows_of([make_prices("A", 200)], asked, as_of="2024-07-02")
    start = first_judged(windows)
    for lstm, reason in ((0.1, "stale"), (0.9, "stale; lost on validation")):
        models = made_up(windows, start, {"lstm": lstm, "persistence": 0.4, "last_close": 0.2, "ewma_range": 0.3})
        (choices,) = choose(windows, models, {}, asked, start)
        assert {one.reason for one in choices} == {reason}


def test_without_a_close_everything_starts_from_where_the_range_says_that_it_was(make_prices) -> None:
    rows = make_prices("A", 200).assign(close=np.nan)
    evaluated = evaluated_of([rows])
    last = rows.iloc[-1]
    estimate = last["open"] * (last["high"] / last["open"]) ** 0.8 * (last["low"] / last["open"]) ** 0.75
    assert set(evaluated.forecasts["anchor"]) == {"range"}
    np.testing.assert_allclose(evaluated.forecasts["anchor_price"], estimate)
    assert set(evaluated.metrics["model"]) == {"lstm", "combination", "har", "persistence", "ewma_range"}
    crps = evaluated.metrics.query("step == 1").set_index("model")["crps"]
    assert crps["har"] < 0.8 * crps["persistence"]
    asked = evaluated_of([rows], config(anchor="open"))
    assert set(asked.forecasts["anchor"]) == {"open"}


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
