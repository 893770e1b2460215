from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from forecasting.config import ForecastConfig
from forecasting.features.series import engineer
from forecasting.features.windows import window
from forecasting.model.dataset import ShardTensors, pad

CPU = torch.device("cpu")


def config():
    return ForecastConfig(hidden=3, horizon=3, context=5)


@pytest.fixture(scope="module")
def shard(make_prices):
    def make(asked):
        frames = [make_prices(f"T{k}", rows, seed=k) for k, rows in enumerate((240, 200, 160))]
        prices = pd.concat(frames, ignore_index=True)
        return window(engineer(prices, asked, prices["date"].max().date()).series, asked)

    return make


def test_a_batch_has_the_windows_that_end_at_its_cutoffs(shard) -> None:
    windows = shard(config())
    data = ShardTensors.of(windows, "train", config(), CPU)
    cutoffs, valid = np.array([[100, 120, 5], [130, 5, 5]]), np.array([[1, 1, 0], [1, 0, 0]], dtype=np.float32)
    batch = data.gather(torch.tensor([[0], [2]]), torch.from_numpy(cutoffs), torch.from_numpy(valid))
    on_inputs, on_volatility, on_targets = data.scalers
    inputs = on_inputs.scale(windows.inputs)
    assert batch.x.shape == (5, 2, 2, 3)
    for k, column, ticker, cutoff in ((0, 0, 0, 100), (0, 1, 0, 120), (1, 0, 2, 130)):
        np.testing.assert_allclose(batch.x[:, k, :, column], inputs[ticker, cutoff - 4 : cutoff + 1], rtol=1e-6)
        volatility = windows.log_volatility[ticker, cutoff] - on_volatility.offset[ticker, 0, 0]
        assert batch.log_volatility[k, column].item() == pytest.approx(volatility, rel=1e-5)
        scaled = windows.targets[ticker, cutoff] / on_targets.range[ticker, 0]
        np.testing.assert_allclose(batch.target[k, :, column], scaled, rtol=1e-6)
    steps = np.array([1, 0.02, 0.02])
    np.testing.assert_allclose(batch.weight.sum(2), [steps, steps], rtol=1e-6)
    assert not batch.weight[0, :, 2].any()
    assert not batch.weight[1, :, 1:].any()


def test_targets_beyond_the_segment_have_no_weight(shard) -> None:
    windows = shard(config())
    data = ShardTensors.of(windows, "train", config(), CPU)
    last = int(windows.validation_start[0]) - 2  # its first target is the last training row
    batch = data.gather(torch.tensor([[0]]), torch.tensor([[last]]), torch.ones(1, 1))
    assert (batch.weight[0, :, 0] > 0).tolist() == [True, False, False]
    assert last in data.cutoffs[0]
    assert last + 1 not in data.cutoffs[0]
    assert last + 1 in data.judged[0]


def test_windows_on_the_device_are_views(shard) -> None:
    data = ShardTensors.of(shard(config()), "train", config(), CPU)
    rows = shard(config()).time
    assert data.views.shape == (3, rows - 4, 2, 5)
    assert data.views.untyped_storage().nbytes() == 3 * rows * 2 * 4


def test_what_is_not_known_is_a_number_without_weight(shard) -> None:
    windows = shard(config())
    data = ShardTensors.of(windows, "all", config(), CPU)
    assert torch.isfinite(data.answers).all()
    assert torch.isfinite(data.views).all()
    unknown = torch.from_numpy(np.isnan(windows.targets))
    assert not data.answers[:, :, 3:6][unknown].any()


def test_lines_of_different_lengths_lie_in_one_array() -> None:
    out, valid = pad([np.array([7, 8, 9]), np.array([5])], 2, 1)
    assert out.tolist() == [[7, 8, 9, 1], [5, 1, 1, 1]]
    assert valid.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
