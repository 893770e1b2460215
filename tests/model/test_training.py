from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from forecasting.config import ForecastConfig, Reason
from forecasting.features.series import engineer
from forecasting.features.windows import window
from forecasting.model import training_loop as fitting
from forecasting.model.training import SEGMENTS, train
from forecasting.model.training_loop import TrainingStoppedError, Watch


def config(**changes):
    return ForecastConfig(
        **{"epochs": 3, "members": 1, "hidden": 3, "horizon": 2, "context": 5, "device": "cpu", **changes}
    )


@pytest.fixture(scope="module")
def shard(make_prices):
    def make(asked, names=("A", "B", "C"), lengths=(240, 200, 160)):
        frames = [make_prices(name, rows, seed=rows) for name, rows in zip(names, lengths, strict=True)]
        prices = pd.concat(frames, ignore_index=True)
        return window(engineer(prices, asked, prices["date"].max().date()).series, asked)

    return make


def weights(trained, k):
    return np.stack([trained.fits[segment].parameters[k] for segment in SEGMENTS])


def test_each_ticker_gets_the_weights_it_would_get_alone(shard) -> None:
    asked = config(epochs=8, members=2, patience=2)
    together = train(shard(asked), asked)
    for k, (name, rows) in enumerate((("A", 240), ("B", 200), ("C", 160))):
        alone = train(shard(asked, [name], [rows]), asked)
        np.testing.assert_allclose(weights(together, k), weights(alone, 0), rtol=0, atol=1e-6)
        for part in ("inputs", "volatility", "targets"):
            mine, own = (getattr(one.fits["all"], part) for one in (together, alone))
            np.testing.assert_allclose(mine.range[k], own.range[0], rtol=1e-12)
        mine = [curve for curve in together.curves if curve.ticker == name]
        assert [curve.best_epoch for curve in mine] == [curve.best_epoch for curve in alone.curves]


@pytest.mark.parametrize("models_per_batch", [1, 4])
def test_how_models_are_dealt_into_programs_does_not_matter(shard, models_per_batch) -> None:
    asked = config(members=2)
    whole, dealt = train(shard(asked), asked), train(shard(asked), config(members=2, models_per_batch=models_per_batch))
    for k in range(3):
        np.testing.assert_allclose(weights(whole, k), weights(dealt, k), rtol=0, atol=1e-6)


@pytest.mark.parametrize("recurrence", ["loop", "scan"])
def test_the_forms_of_the_recurrence_lead_to_the_same_weights(shard, recurrence) -> None:
    fused, other = (train(shard(config()), config(recurrence=form)) for form in ("fused", recurrence))
    for k in range(3):
        np.testing.assert_allclose(weights(fused, k), weights(other, k), rtol=0, atol=1e-4)


def test_the_same_seed_gives_the_same_bits_and_another_does_not(shard) -> None:
    first, again, other = (train(shard(config()), config(seed=seed)) for seed in (0, 0, 1))
    for k in range(3):
        np.testing.assert_array_equal(weights(first, k), weights(again, k))
        assert not np.isclose(weights(first, k), weights(other, k)).all()


def test_global_random_state_is_neither_used_nor_changed(shard) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = train(shard(config()), config())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    np.testing.assert_array_equal(weights(first, 0), weights(train(shard(config()), config()), 0))


def test_members_differ(shard) -> None:
    asked = config(members=3)
    parameters = train(shard(asked), asked).fits["all"].parameters
    assert parameters.shape[:2] == (3, 3)
    assert len({row.tobytes() for row in parameters.reshape(9, -1)}) == 9


def test_the_same_rows_under_another_name_are_trained_from_other_numbers(shard) -> None:
    asked = config()
    one, other = (train(shard(asked, [name], [200]), asked) for name in "AB")
    assert not np.isclose(weights(one, 0), weights(other, 0)).all()


def test_test_rows_reach_the_last_fit_alone(shard) -> None:
    asked = config()
    windows = shard(asked)
    before = train(windows, asked)
    for k, end in enumerate(windows.test_start):
        windows.inputs[k, end:] *= 2
        windows.log_volatility[k, end:] += 1
        for step in range(asked.horizon):
            windows.targets[k, end - step - 1 :, step] *= -1
    after = train(windows, asked)
    for k in range(3):
        for segment in ("train", "before_test"):
            np.testing.assert_array_equal(before.fits[segment].parameters[k], after.fits[segment].parameters[k])
        assert not np.array_equal(before.fits["all"].parameters[k], after.fits["all"].parameters[k])


def test_who_is_too_short_has_no_model_and_a_reason(shard) -> None:
    trained = train(shard(config(), lengths=(240, 149, 60)), config())
    assert trained.skip_reasons == {"B": Reason.TOO_SHORT, "C": Reason.TOO_SHORT}
    assert Reason.TOO_SHORT.text(config()) == "under 150 rows"
    assert np.isfinite(weights(trained, 0)).all()
    assert np.isnan(weights(trained, 1)).all()


@pytest.mark.parametrize("changes", [{"context": 140}, {"context": 250}, {"validation_share": 0.0}])
def test_without_windows_to_train_and_validate_on_there_is_no_model(shard, changes) -> None:
    asked = config(**changes)
    trained = train(shard(asked, ["A"], [160]), asked)
    assert trained.skip_reasons == {"A": "no windows to train and validate on"}


def spoil(monkeypatch, name, fits):
    """Let a ticker's weights be lost from the start, in the fits with these numbers."""
    calls = iter(range(100))

    class Spoiled(fitting.TrainingState):
        def __init__(self, models, data, asked) -> None:
            super().__init__(models, data, asked)
            if next(calls) in fits:
                self.start[[one.name == name for one in self.running]] = np.nan

    monkeypatch.setattr(fitting, "TrainingState", Spoiled)


@pytest.mark.parametrize("fits", [{0}, {1}, {2}])
def test_one_that_does_not_converge_is_named_and_the_others_are_as_before(shard, monkeypatch, fits, caplog) -> None:
    asked = config(members=2)
    sound = train(shard(asked), asked)
    spoil(monkeypatch, "B", fits)
    trained = train(shard(asked), asked)
    assert trained.skip_reasons == {"B": "did not converge"}
    assert "B: training did not converge" in caplog.text
    for k in (0, 2):
        np.testing.assert_allclose(weights(trained, k), weights(sound, k), rtol=0, atol=1e-6)


def test_a_ticker_alone_that_does_not_converge_ends_quietly(shard, monkeypatch) -> None:
    spoil(monkeypatch, "A", {0})
    assert train(shard(config(), ["A"], [200]), config()).skip_reasons == {"A": "did not converge"}


def test_nobody_converges_at_an_absurd_learning_rate(shard) -> None:
    asked = config(learning_rate=1e30)
    assert set(train(shard(asked), asked).skip_reasons.values()) == {"did not converge"}


def test_a_stop_ends_training_within_an_epoch(shard) -> None:
    reported = []
    with pytest.raises(TrainingStoppedError):
        train(shard(config()), config(), Watch(reported.append, lambda: len(reported) == 4))
    assert [(one.segment, one.epoch) for one in reported] == [
        ("train", 1),
        ("train", 2),
        ("train", 3),
        ("before_test", 1),
    ]


def test_when_the_time_is_spent_the_rest_go_without(shard) -> None:
    asked = config(models_per_batch=1)
    first, reported = [], []
    alone = train(shard(asked, ["A"], [240]), asked, Watch(first.append))
    trained = train(shard(asked), asked, Watch(reported.append, out_of_time=lambda: len(reported) >= len(first)))
    assert trained.skip_reasons == {"B": "time budget spent", "C": "time budget spent"}
    assert len(reported) == len(first)
    np.testing.assert_allclose(weights(trained, 0), weights(alone, 0), rtol=0, atol=1e-6)


def test_progress_is_reported_once_an_epoch(shard) -> None:
    reported = []
    train(shard(config()), config(), Watch(reported.append))
    assert {one.segment for one in reported} == set(SEGMENTS)
    assert [one.epoch for one in reported if one.segment == "train"] == [1, 2, 3]
    for one in reported:
        assert one.epochs == 3
        assert np.isfinite(one.train_loss)
        assert np.isfinite(one.validation_loss) == (one.segment == "train")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_another_device_leads_to_nearly_the_same_weights(shard) -> None:
    here, there = (train(shard(config()), config(device=device)) for device in ("cpu", "cuda"))
    for k in range(3):
        np.testing.assert_allclose(weights(here, k), weights(there, k), rtol=0, atol=1e-3)
