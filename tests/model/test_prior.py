from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError

from forecasting.config import ForecastConfig
from forecasting.features.series import engineer
from forecasting.features.windows import window
from forecasting.ingest.prices import read_prices
from forecasting.model import pretrain
from forecasting.model.device import one_thread
from forecasting.model.network import RowLayout
from forecasting.model.prior import ANCHORS, HORIZON, har_coefficients, load_prior, starting_rows, unseen
from forecasting.model.training import train

LONGEST = 60


def shard(frames, **changes):
    config = ForecastConfig(calendar="24/7", device="cpu", **changes)
    prices = pd.concat(frames, ignore_index=True)
    return window(engineer(prices, config, prices["date"].max().date()).series, config), config


def test_the_file_holds_one_row_per_anchor_and_cut() -> None:
    prior = load_prior()
    cuts, parameters = len(prior.cuts), sum(RowLayout(2, 6, HORIZON).sizes)
    assert parameters == 386
    assert (np.diff(prior.cuts) > np.timedelta64(0, "D")).all()
    for anchor in ANCHORS:
        assert prior.lstm[anchor].shape == (cuts, parameters)
        assert prior.har[anchor].shape == (cuts, LONGEST, 3)
        assert np.isfinite(prior.lstm[anchor]).all()
        assert np.isfinite(prior.har[anchor]).all()
    assert json.loads(json.dumps(prior.card))["settings"]["hidden"] == 6


def test_hars_coefficients_are_smooth_and_weigh_older_ranges_more_the_farther_ahead() -> None:
    for anchor in ANCHORS:
        newest = load_prior().har[anchor][-1]
        assert np.abs(np.diff(newest[HORIZON:], axis=0)).max() < 0.05
        assert newest[0, 0] > newest[19, 0] > newest[59, 0] > -0.2
        assert newest[19, 2] > newest[0, 2]
        assert (np.abs(newest.sum(axis=1) - 0.7) < 0.5).all()


def test_a_ticker_gets_the_newest_constants_that_end_before_its_first_judged_target(make_prices) -> None:
    prior = load_prior()
    ends = ["2003-06-30", "2008-06-30", "2010-12-31", "2024-06-28"]
    windows, _ = shard([make_prices(f"T{k}", 400, end=end) for k, end in enumerate(ends)], stale_after=10**6)
    first = [one.dates[windows.validation_start[k] - windows.first[k]] for k, one in enumerate(windows.series)]
    places = unseen(windows)
    assert places[0] == -1  # all constants have seen its validation rows
    for place, day in zip(places[1:], first[1:], strict=True):
        assert prior.cuts[place] < day
        assert place == len(prior.cuts) - 1 or prior.cuts[place + 1] >= day
    coefficients = har_coefficients(windows)
    for k, (place, one) in enumerate(zip(places.clip(0), windows.series, strict=True)):
        np.testing.assert_array_equal(coefficients[k], prior.har[one.anchor][place, : windows.horizon])


def test_training_starts_from_the_prior_and_stays_near_it(make_prices) -> None:
    windows, config = shard([make_prices("A", 300)])
    start = starting_rows(windows, config.hidden)
    np.testing.assert_array_equal(start[0], load_prior().lstm["close"][-1])
    trained = train(windows, config).fits["all"].parameters[0, 0]
    scratch = train(windows, ForecastConfig(calendar="24/7", device="cpu", prior="none")).fits["all"].parameters[0, 0]
    assert not np.array_equal(trained, start[0])
    assert np.abs(trained - start[0]).max() < 0.2
    assert np.abs(scratch - start[0]).max() > 0.5


@pytest.mark.parametrize("horizon", [1, 3, 8])
def test_other_horizons_take_its_first_steps_and_repeat_its_last(make_prices, horizon) -> None:
    windows, config = shard([make_prices("A", 300)], horizon=horizon)
    rows = torch.from_numpy(starting_rows(windows, config.hidden))
    mine = RowLayout(2, 6, horizon).cut(rows)
    whole = RowLayout(2, 6, HORIZON).cut(torch.from_numpy(load_prior().lstm["close"][-1:]))
    step = np.minimum(np.arange(horizon), HORIZON - 1)
    assert torch.equal(mine.recurrent, whole.recurrent)
    assert torch.equal(mine.gaps, whole.gaps[:, step])
    assert torch.equal(mine.drivers, whole.drivers[:, step])
    location, log_scale = mine.head.chunk(2, dim=1)
    assert torch.equal(location, whole.head[:, :HORIZON][:, step])
    assert torch.equal(log_scale, whole.head[:, HORIZON:][:, step])


def test_without_a_prior_the_settings_are_those_of_training_from_scratch() -> None:
    assert (ForecastConfig().prior, ForecastConfig().members, ForecastConfig().epochs) == ("sample", 1, 2)
    scratch = ForecastConfig(prior="none")
    assert (scratch.members, scratch.epochs, scratch.learning_rate) == (2, 12, 0.02)
    assert ForecastConfig(prior="none", epochs=3).epochs == 3
    assert ForecastConfig(hidden=3).prior == "none"
    assert ForecastConfig(preset="tutorial").prior == "none"
    with pytest.raises(ValidationError, match="hidden size of 6"):
        ForecastConfig(hidden=3, prior="sample")


def test_the_same_sample_gives_the_same_bytes(root, tmp_path, monkeypatch) -> None:
    """With one cut and few rows; the shipped file takes longer."""
    sample = pd.read_csv(root / "data" / "stocks.csv.gz")
    few = sample[sample["Ticker" if "Ticker" in sample else "ticker"].isin(["IBM"])].iloc[:700]
    few.to_csv(tmp_path / "few.csv", index=False)
    monkeypatch.setattr(pretrain, "CUT_YEARS", range(2001, 2002))
    monkeypatch.setattr(pretrain, "SETTINGS", pretrain.SETTINGS.model_copy(update={"epochs": 1}))
    with one_thread():
        first, second = (pretrain.make_prior(tmp_path / "few.csv") for _ in range(2))
    assert first == second


def test_a_cut_has_seen_nothing_after_its_day(root, monkeypatch) -> None:
    prices = read_prices(root / "data" / "stocks.csv.gz", tickers=["MSFT"]).prices
    monkeypatch.setattr(pretrain, "SETTINGS", pretrain.SETTINGS.model_copy(update={"epochs": 1}))
    cut = pd.Timestamp("2003-12-31").date()
    changed = prices.copy()
    changed.loc[changed["date"] > pd.Timestamp(cut), ["open", "high", "low", "close"]] *= 1.7
    with one_thread():
        one, other = (pretrain.fit_cut(rows, cut) for rows in (prices, changed))
    assert set(one) == {f"{kind}.{anchor}" for kind in ("lstm", "har") for anchor in ANCHORS}
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name])


def test_torchs_threads_are_as_they_were_after_training(make_prices) -> None:
    windows, config = shard([make_prices("A", 200)])
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        train(windows, config)
        assert torch.get_num_threads() == 2
        with one_thread(), one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
