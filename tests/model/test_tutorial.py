"""The tutorial preset: its data to the digit, its training in kind."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest

from forecasting.config import ForecastConfig
from forecasting.evaluation.evaluate import evaluate
from forecasting.features.series import TickerSeries, engineer
from forecasting.features.windows import window
from forecasting.ingest.prices import read_prices
from forecasting.model.training import train
from forecasting.model.training_loop import TrainingStoppedError, Watch
from forecasting.model.tutorial import PRINT_EVERY, STEP, fit_tutorial, tutorial_data, tutorial_report


@pytest.fixture(scope="module")
def google(shared) -> TickerSeries:
    """Give the tutorial's own ticker, where its file is at hand."""
    prices = read_prices(shared / "data" / "Google_Stock_Price_Train.csv").prices
    as_of = prices["date"].max().date()
    return engineer(prices, ForecastConfig(preset="tutorial"), as_of).series[0]


def walk(rows: int = 180, seed: int = 0) -> TickerSeries:
    """Make a small random ticker."""
    stream = np.random.default_rng(seed)
    open_ = 100 * np.exp(np.cumsum(0.01 * stream.standard_normal(rows)))
    return TickerSeries(
        ticker="WALK",
        dates=pd.bdate_range("2015-01-01", periods=rows).to_numpy().astype("datetime64[D]"),
        open=open_,
        high=open_ * 1.01,
        low=open_ * (0.99 - 0.005 * stream.random(rows)),
        close=None,
        factor=np.ones(rows),
    )


def small(**given: object) -> ForecastConfig:
    """Give the preset with few epochs."""
    return ForecastConfig.model_validate({"preset": "tutorial", "epochs": 3, **given})


KNOWN_ROWS = {  # Open, High and Low of the tutorial's file, by row: its ends, its extremes, and two targets
    0: (325.25, 332.83, 324.97),
    1: (331.27, 333.87, 329.08),
    8: (311.96, 312.30, 309.37),
    41: (309.84, 310.83, 309.00),  # the smallest range
    114: (279.12, 281.21, 277.50),  # the lowest Open
    1008: (730.00, 747.18, 728.92),
    1027: (770.22, 774.50, 720.50),  # the largest range
    1211: (816.68, 816.68, 805.14),  # the highest Open
    1256: (783.33, 785.93, 778.92),
    1257: (782.75, 782.78, 770.41),
}


@pytest.fixture(scope="module")
def known() -> TickerSeries:
    """Give as many rows as the tutorial has, of which those above are its own and the others are in between."""
    rows = np.tile([500.0, 510.0, 490.0], (1258, 1))
    rows[list(KNOWN_ROWS)] = list(KNOWN_ROWS.values())
    dates = pd.bdate_range("2012-01-03", periods=1258).to_numpy().astype("datetime64[D]")
    open_, high, low = rows.T
    return TickerSeries(
        ticker="GOOG", dates=dates, open=open_, high=high, low=low, close=None, factor=np.ones(len(rows))
    )


@pytest.mark.parametrize("history", ["known", "google"])
def test_the_data_is_the_tutorials_to_the_digit(history: str, request: pytest.FixtureRequest) -> None:
    """The scaled numbers are those that the tutorial prints."""
    data = tutorial_data(request.getfixturevalue(history), ForecastConfig(preset="tutorial"))
    np.testing.assert_allclose(data.features[[0, 1, -1]], [[325.25, 7.86], [331.27, 4.79], [782.75, 12.37]], atol=1e-9)
    np.testing.assert_allclose(data.inputs[0], [0.08581368, 0.11558367], atol=5e-9)
    np.testing.assert_allclose(data.inputs[1256], [0.93796041, 0.09929078], atol=5e-9)
    np.testing.assert_allclose(data.targets[[0, -1]], [0.09701243, 0.93688146], atol=5e-9)
    np.testing.assert_allclose(data.answers[[0, 1000]], [0.06109085, 0.83875288], atol=5e-9)
    assert (len(data.windows), data.train) == (1250, 875)


def test_it_forecasts_two_sessions_ahead_of_a_windows_last_row(google: TickerSeries) -> None:
    """A window's answer is the Open of the row after the next."""
    data = tutorial_data(google, ForecastConfig(preset="tutorial"))
    last_row = 0 + 7 - 1
    answer = data.on_targets.unscale(data.answers[None, :1, None]).item()
    assert answer == pytest.approx(google.open[last_row + STEP])


def test_repeating_the_last_open_is_what_it_should_be_judged_by(google: TickerSeries) -> None:
    """It misses by 11.12 dollars two sessions ahead and by 7.90 one session ahead."""
    fit = fit_tutorial(google, ForecastConfig(preset="tutorial", epochs=1))
    report = tutorial_report(google, fit)
    assert report.persistence_two_ahead == pytest.approx(11.12, abs=0.005)
    assert report.persistence_one_ahead == pytest.approx(7.90, abs=0.005)


def test_training_lowers_the_loss_and_errors_are_prices(google: TickerSeries) -> None:
    """After ten epochs the scaled error is of the size of plain torch's, 0.17, and the price is range times it."""
    fit = fit_tutorial(google, ForecastConfig(preset="tutorial", epochs=10))
    assert fit.losses[10] < 0.002
    assert 0.05 < fit.mae_scaled < 0.35
    assert fit.mae_price == pytest.approx(fit.mae_scaled * 537.56, rel=1e-4)


def test_without_the_leak_the_scalers_see_training_rows_only() -> None:
    """Changing the last rows changes the leaking scaler and not the other."""
    before, config = walk(), small()
    changed = walk()
    changed.open[-3:] *= 3
    changed.high[-3:] *= 3
    changed.low[-3:] *= 3
    leaky = [tutorial_data(one, config, leak=True) for one in (before, changed)]
    honest = [tutorial_data(one, config, leak=False) for one in (before, changed)]
    assert not np.allclose(leaky[0].inputs[0], leaky[1].inputs[0])
    np.testing.assert_array_equal(honest[0].inputs[:100], honest[1].inputs[:100])


@pytest.mark.parametrize("recurrence", ["loop", "scan"])
def test_all_recurrences_give_the_same(recurrence: str) -> None:
    """The tutorial has a loop and a scan; ours has a fused form, too."""
    one = walk()
    fused = fit_tutorial(one, small())
    other = fit_tutorial(one, small(recurrence=recurrence))
    np.testing.assert_allclose(other.pictures[3], fused.pictures[3], rtol=1e-4)


def test_losses_and_pictures_come_at_intervals(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every 1,000 epochs in earnest, and at the end."""
    assert PRINT_EVERY == 1000
    monkeypatch.setattr("forecasting.model.tutorial.PRINT_EVERY", 4)
    with caplog.at_level(logging.INFO, logger="forecasting.model.tutorial"):
        fit = fit_tutorial(walk(60), small(epochs=9))
    assert list(fit.losses) == list(fit.pictures) == [4, 8, 9]
    assert "epoch 4 of 9" in caplog.text


def test_a_set_stop_flag_ends_training() -> None:
    """Nothing half-trained comes back."""
    with pytest.raises(TrainingStoppedError):
        fit_tutorial(walk(), small(), Watch(stop=lambda: True))


def test_the_store_gets_one_step_which_is_two() -> None:
    """Quantiles are the point forecast plus training residuals; the rows of all models are the same."""
    config = small()
    windows = window([walk()], config)
    evaluated = evaluate(windows, train(windows, config), config)
    assert evaluated.forecasts["step"].tolist() == [STEP]
    assert evaluated.forecasts["model"].tolist() == ["lstm"]
    quantiles = evaluated.forecasts.filter(regex="^q").to_numpy()
    assert (np.diff(quantiles) >= 0).all()
    rows = evaluated.heldout["WALK"].to_pandas()
    targets = rows.groupby("model")["target_date"].apply(list)
    assert all(each == targets["lstm"] for each in targets)
    assert len(targets["lstm"]) == round(0.3 * (180 - 1 - 7))


def test_rerunning_gives_the_same_numbers() -> None:
    """The seed and the ticker decide."""
    first, second = (fit_tutorial(walk(), small()) for _ in range(2))
    np.testing.assert_array_equal(first.pictures[3], second.pictures[3])
