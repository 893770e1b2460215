from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from forecasting.config import ForecastConfig
from forecasting.features.series import engineer
from forecasting.features.windows import window
from forecasting.model import inference
from forecasting.model.inference import predict
from forecasting.model.lstm import loop
from forecasting.model.network import RowLayout, quantiles
from forecasting.model.training import train

CONFIG = ForecastConfig(epochs=1, members=2, hidden=3, horizon=2, context=5, device="cpu")


@pytest.fixture(scope="module")
def trained(make_prices):
    prices = pd.concat([make_prices("A", 220), make_prices("B", 160, seed=1)], ignore_index=True)
    windows = window(engineer(prices, CONFIG, prices["date"].max().date()).series, CONFIG)
    return windows, train(windows, CONFIG).fits["all"]


def test_a_forecast_by_hand(trained) -> None:
    """One ticker, one cutoff, one member after the other."""
    windows, fitted = trained
    at, k = 200, 1
    x = fitted.inputs.scale(windows.inputs)[k, at - 4 : at + 1].astype(np.float32)
    volatility = np.float32(windows.log_volatility[k, at] - fitted.volatility.offset[k, 0, 0])
    each = [
        quantiles(
            RowLayout(2, 3, 2).cut(torch.from_numpy(row[None])),
            loop,
            torch.from_numpy(x)[:, None, :, None],
            torch.full((1, 1), float(volatility)),
        )[0, :, :, 0].numpy()
        for row in fitted.parameters[k]
    ]
    expected = np.mean(each, axis=0) * fitted.targets.range[k, 0][:, None]
    np.testing.assert_allclose(predict(fitted, windows, CONFIG, at)[k, 0], expected, rtol=1e-5, atol=1e-9)


def test_quantiles_averaged_over_members_do_not_cross(trained) -> None:
    windows, fitted = trained
    found = predict(fitted, windows, CONFIG, 150)
    assert found.shape == (2, 70, 2, 19)
    assert (np.diff(found, axis=3) >= 0).all()


@pytest.mark.parametrize("block", [1, 7, 1000])
def test_neither_the_start_nor_the_blocks_matter(trained, monkeypatch, block) -> None:
    windows, fitted = trained
    whole = predict(fitted, windows, CONFIG, 100)
    monkeypatch.setattr(inference, "BLOCK", block)
    np.testing.assert_allclose(predict(fitted, windows, CONFIG, 100), whole, rtol=1e-4, atol=1e-8)
    np.testing.assert_allclose(predict(fitted, windows, CONFIG, 180), whole[:, 80:], rtol=1e-4, atol=1e-8)


def test_there_is_no_forecast_without_a_whole_window(trained) -> None:
    windows, fitted = trained
    found = predict(fitted, windows, CONFIG, CONFIG.context)
    first = np.isfinite(found[..., 0, 0]).argmax(axis=1) + CONFIG.context
    assert first.tolist() == [0 + 5, 60 + 5]


@pytest.mark.parametrize("lost", [0, 1])
def test_a_ticker_with_a_member_missing_has_no_forecast(trained, lost) -> None:
    windows, fitted = trained
    parameters = fitted.parameters.copy()
    parameters[lost, 1] = np.nan
    found = predict(replace(fitted, parameters=parameters), windows, CONFIG, 150)
    assert np.isnan(found[lost]).all()
    np.testing.assert_allclose(found[1 - lost], predict(fitted, windows, CONFIG, 150)[1 - lost], rtol=1e-4, atol=1e-8)
    nobody = predict(replace(fitted, parameters=np.full_like(parameters, np.nan)), windows, CONFIG, 150)
    assert nobody.shape == found.shape
    assert np.isnan(nobody).all()


def test_a_forecast_sees_its_window_and_nothing_later(trained) -> None:
    windows, fitted = trained
    before = predict(fitted, windows, CONFIG, 150)
    inputs, volatility = windows.inputs.copy(), windows.log_volatility.copy()
    inputs[:, 200:] += 1
    volatility[:, 200:] += 1
    inputs[:, :140] += 1
    after = predict(fitted, replace(windows, inputs=inputs, log_volatility=volatility), CONFIG, 150)
    np.testing.assert_array_equal(before[:, :50], after[:, :50])
    assert not np.isclose(before[:, 50], after[:, 50]).any()


def test_the_number_of_threads_changes_no_bit(make_prices) -> None:
    """Nor does a shard that ends its training beside it, and with it gives torch its threads back."""
    config = ForecastConfig(epochs=1)
    prices = make_prices("A", 900)  # a product of one model alone is what torch divides among threads
    windows = window(engineer(prices, config, prices["date"].max().date()).series, config)
    fitted = train(windows, config).fits["all"]
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            found.append(predict(fitted, windows, config, windows.time - 300).tobytes())
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert len(set(found)) == 1
