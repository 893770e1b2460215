"""Train every ticker's own LSTM, many at once, each as if it were alone.

A model's numbers depend only on its ticker's rows, the configuration and its own random stream: it has its own scaler,
order of windows, optimizer state, learning rate and stopping. Models share a tensor program only for speed. A ticker is
fitted three times: on its training rows, with early stopping on validation; on all rows before the test, for the
scores; and on all rows up to the cutoff, for the forecast. The last two run the number of epochs that the first found.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from forecasting.config import ForecastConfig, Reason
from forecasting.features.scaling import Scaler
from forecasting.features.windows import Segment, Windows
from forecasting.model.dataset import ShardTensors
from forecasting.model.device import choose_device, one_thread
from forecasting.model.training_loop import UNWATCHED, Curve, Model, OutOfTimeError, Watch, fit
from forecasting.model.tutorial import TutorialFit, fit_tutorial

__all__ = ["Fitted", "Trained", "train"]

log = logging.getLogger(__name__)

SEGMENTS: tuple[Segment, ...] = ("train", "before_test", "all")


@dataclass(frozen=True)
class Fitted:
    """The weights of one fit of every ticker of a shard, and the scalers that go with them.

    Attributes
    ----------
    parameters
        ``(tickers, members, parameters)``; rows of tickers without a model are NaN.
    inputs, volatility, targets
        Scalers of the inputs, of the log volatility (offset alone is used) and of the targets (range alone is used).
    """

    parameters: NDArray[np.float32]
    inputs: Scaler
    volatility: Scaler
    targets: Scaler

    def take(self, places: list[int]) -> Fitted:
        """Choose some of the tickers."""
        return Fitted(
            self.parameters[places], *(one.take(places) for one in (self.inputs, self.volatility, self.targets))
        )


@dataclass(frozen=True)
class Trained:
    """The result of training.

    Attributes
    ----------
    fits
        By segment: ``train`` judges the validation rows, ``before_test`` the test rows, ``all`` makes the forecast.
    skip_reasons
        Why a ticker has no LSTM, by name.
    curves
        One per model and fit.
    tutorial
        The tutorial preset's fits by ticker, which take the place of all of the above; empty otherwise.
    """

    fits: Mapping[Segment, Fitted]
    skip_reasons: Mapping[str, Reason]
    curves: tuple[Curve, ...]
    tutorial: Mapping[str, TutorialFit] = field(default_factory=dict)


def train(
    windows: Windows,
    config: ForecastConfig,
    watch: Watch = UNWATCHED,
) -> Trained:
    """Train all tickers of a shard.

    Parameters
    ----------
    windows
        The shard.
    config
        Sizes, schedule, seeds and device.
    watch
        Gets the training's progress, and decides whether it continues.

    Raises
    ------
    TrainingStoppedError
        When the watch stops the training.
    """
    if config.preset == "tutorial":
        fits = {one.ticker: fit_tutorial(one, config, watch) for one in windows.series}
        return Trained({}, {}, (), fits)
    device = choose_device(config.device)
    with one_thread():  # shards run in parallel
        return _train(windows, config, device, watch)


def _train(windows: Windows, config: ForecastConfig, device: torch.device, watch: Watch) -> Trained:
    skipped = _skipped(windows, config)
    able = [k for k, one in enumerate(windows.series) if one.ticker not in skipped]
    data = {segment: ShardTensors.of(windows, segment, config, device) for segment in SEGMENTS}
    fitted = {segment: _blank(data[segment], config) for segment in SEGMENTS}
    curves: list[Curve] = []
    models = [
        Model(k, member, windows.series[k].ticker, config.epochs) for k in able for member in range(config.members)
    ]
    for program in _programs(models, data["train"].cutoffs, config):
        try:
            curves.extend(_fit_all_segments(program, data, fitted, config, watch))
        except OutOfTimeError:
            skipped |= {model.name: Reason.OUT_OF_TIME for model in program}
    for k in able:
        name = windows.series[k].ticker
        if name not in skipped and any(np.isnan(fit.parameters[k]).any() for fit in fitted.values()):
            skipped[name] = Reason.NOT_CONVERGED
            log.warning("%s: training did not converge, HAR is published", name)
    return Trained(fitted, skipped, tuple(curves))


def _fit_all_segments(
    program: Sequence[Model],
    data: Mapping[Segment, ShardTensors],
    fitted: Mapping[Segment, Fitted],
    config: ForecastConfig,
    watch: Watch,
) -> list[Curve]:
    """Fit one program's models on each segment in turn, with the number of epochs that the first fit found."""
    curves: list[Curve] = []
    models = program
    for segment in SEGMENTS:
        if not models:
            break  # none converged
        outcome = fit(models, data[segment], segment, config, watch)
        for model, row in zip(outcome.models, outcome.parameters, strict=True):
            fitted[segment].parameters[model.ticker, model.member] = row
        curves.extend(outcome.curves)
        models = outcome.models
    return curves


def _blank(data: ShardTensors, config: ForecastConfig) -> Fitted:
    shape = (len(data.cutoffs), config.members, sum(data.layout.sizes))
    return Fitted(np.full(shape, np.nan, dtype=np.float32), *data.scalers)


def _skipped(windows: Windows, config: ForecastConfig) -> dict[str, Reason]:
    fitted, judged = windows.pairs("train").any(2).sum(1), windows.pairs("validation").any(2).sum(1)
    return {
        one.ticker: Reason.TOO_SHORT if one.rows < config.minimum_rows else Reason.NO_WINDOWS
        for one, n_fit, n_val in zip(windows.series, fitted, judged, strict=True)
        if one.rows < config.minimum_rows or n_fit == 0 or n_val == 0
    }


def _programs(
    models: Sequence[Model], cutoffs: Sequence[NDArray[np.int64]], config: ForecastConfig
) -> list[Sequence[Model]]:
    """Group models into tensor programs, those with the most windows first, so that batches are full from the front."""
    ordered = sorted(models, key=lambda model: -len(cutoffs[model.ticker]))
    size = config.models_per_batch
    return [ordered[k : k + size] for k in range(0, len(ordered), size)]
