from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from forecasting.config import ForecastConfig
from forecasting.features.series import engineer
from forecasting.features.windows import window
from forecasting.model import training_loop as fitting
from forecasting.model.dataset import ShardTensors
from forecasting.model.training_loop import Model, OutOfTimeError, TrainingStoppedError, Watch, fit, validation_loss

CPU = torch.device("cpu")
QUIET = Watch()


def config(**changes):
    return ForecastConfig(**{"epochs": 4, "hidden": 3, "horizon": 3, "context": 5, "patience": 2, **changes})


@pytest.fixture(scope="module")
def shard(make_prices):
    def make(asked, lengths=(240, 200, 160)):
        frames = [make_prices(f"T{k}", rows, seed=k) for k, rows in enumerate(lengths)]
        prices = pd.concat(frames, ignore_index=True)
        return window(engineer(prices, asked, prices["date"].max().date()).series, asked)

    return make


def models_of(windows, asked, members=1):
    return [
        Model(k, member, one.ticker, asked.epochs) for k, one in enumerate(windows.series) for member in range(members)
    ]


@pytest.mark.parametrize("segment", ["train", "before_test", "all"])
def test_what_a_fit_may_not_see_does_not_reach_it(shard, segment) -> None:
    asked = config()
    windows = shard(asked)
    before = fit(models_of(windows, asked), ShardTensors.of(windows, segment, asked, CPU), segment, asked, QUIET)
    ends = {"train": windows.test_start, "before_test": windows.test_start, "all": np.full(3, windows.time)}[segment]
    for k, end in enumerate(ends):  # the validation rows are seen by the first fit: to stop by
        windows.inputs[k, end:] = 99.0
        windows.log_volatility[k, end:] = 99.0
        for step in range(3):
            windows.targets[k, end - step - 1 :, step] = 99.0
    after = fit(models_of(windows, asked), ShardTensors.of(windows, segment, asked, CPU), segment, asked, QUIET)
    np.testing.assert_array_equal(before.parameters, after.parameters)
    assert before.models == after.models


def test_the_best_epochs_weights_are_kept_and_who_is_done_leaves(shard) -> None:
    asked = config(epochs=30, learning_rate=0.2, patience=3)
    windows = shard(asked)
    data = ShardTensors.of(windows, "train", asked, CPU)
    reported = []
    outcome = fit(models_of(windows, asked, 2), data, "train", asked, Watch(reported.append, *[lambda: False] * 2))
    judged = validation_loss(torch.from_numpy(outcome.parameters), data, asked, outcome.models)
    lengths = []
    for model, curve, loss in zip(outcome.models, outcome.curves, judged, strict=True):
        assert (model.name, model.member) == (curve.ticker, curve.member)
        assert model.epochs == curve.best_epoch == 1 + int(np.argmin(curve.validation_loss))
        assert loss == pytest.approx(min(curve.validation_loss), rel=1e-6)
        assert len(curve.validation_loss) in (30, curve.best_epoch + 3)
        lengths.append(len(curve.validation_loss))
    assert min(lengths) < 30
    assert [one.models for one in reported] == [
        sum(length > epoch for length in lengths) for epoch in range(1, max(lengths) + 1)
    ]
    assert all(np.isfinite([one.train_loss, one.validation_loss]).all() for one in reported)


def test_a_later_fit_runs_the_epochs_that_it_inherits(shard) -> None:
    asked = config(epochs=6)
    windows = shard(asked)
    inherited = [
        Model(k, 0, one.ticker, epochs) for k, (one, epochs) in enumerate(zip(windows.series, (1, 4, 6), strict=True))
    ]
    data = ShardTensors.of(windows, "all", asked, CPU)
    outcome = fit(inherited, data, "all", asked, QUIET)
    assert [len(curve.train_loss) for curve in outcome.curves] == [1, 4, 6]
    assert np.isnan([loss for curve in outcome.curves for loss in curve.validation_loss]).all()
    # Leaving early does not disturb those who stay.
    alone = fit(inherited[2:], data, "all", asked, QUIET)
    np.testing.assert_allclose(alone.parameters[0], outcome.parameters[2], rtol=0, atol=1e-6)


def test_what_can_be_learned_is_learned(shard) -> None:
    asked = config(epochs=20, patience=20, dropout=0.0, batch=16)
    windows = shard(asked)
    windows.targets[...] = windows.inputs[:, :, :1]  # the change just seen
    outcome = fit(models_of(windows, asked), ShardTensors.of(windows, "train", asked, CPU), "train", asked, QUIET)
    for curve in outcome.curves:
        assert min(curve.validation_loss) < 0.5 * curve.validation_loss[0]
        assert curve.train_loss[-1] < 0.5 * curve.train_loss[0]


class Spoiled(fitting.TrainingState):
    """The models of one ticker start from weights that lead nowhere."""

    def __init__(self, models, data, asked) -> None:
        super().__init__(models, data, asked)
        self.start[[one.name == "T1" for one in self.running]] = self.value

    value = float("nan")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e38])
def test_a_model_that_leads_nowhere_leaves_without_weights_and_hurts_no_other(shard, monkeypatch, value) -> None:
    asked = config()
    windows = shard(asked)
    data = ShardTensors.of(windows, "train", asked, CPU)
    sound = fit(models_of(windows, asked), data, "train", asked, QUIET)
    monkeypatch.setattr(fitting, "TrainingState", type("Bad", (Spoiled,), {"value": value}))
    reported = []
    outcome = fit(models_of(windows, asked), data, "train", asked, Watch(reported.append, *[lambda: False] * 2))
    assert [model.name for model in outcome.models] == ["T0", "T2"]
    np.testing.assert_allclose(outcome.parameters, sound.parameters[[0, 2]], rtol=0, atol=1e-6)
    spoilt = outcome.curves[1]
    assert (spoilt.ticker, spoilt.best_epoch, len(spoilt.train_loss)) == ("T1", 0, 1)
    assert len(reported) >= len(sound.curves[0].train_loss)


def test_when_all_lead_nowhere_nothing_is_left_and_nothing_raised(shard) -> None:
    asked = config(learning_rate=1e30)
    windows = shard(asked)
    outcome = fit(models_of(windows, asked), ShardTensors.of(windows, "train", asked, CPU), "train", asked, QUIET)
    assert outcome.models == ()
    assert len(outcome.parameters) == 0


@pytest.mark.parametrize(("which", "error"), [("stop", TrainingStoppedError), ("out_of_time", OutOfTimeError)])
def test_it_is_asked_every_epoch_whether_to_go_on(shard, which, error) -> None:
    asked = config()
    windows = shard(asked)
    answers = iter([False, False, True])
    reported = []
    asked_for = {"stop": lambda: False, "out_of_time": lambda: False, which: lambda: next(answers)}
    with pytest.raises(error):
        fit(
            models_of(windows, asked),
            ShardTensors.of(windows, "all", asked, CPU),
            "all",
            asked,
            Watch(reported.append, **asked_for),
        )
    assert [one.epoch for one in reported] == [1, 2]
