"""Train every ticker's own LSTM, many at once, each as if it were alone.

A model's numbers depend on its ticker's rows, the configuration and its own random stream only: it has its own scaler,
its own order of windows, its own optimiser state, learning rate and stopping. Sharing a tensor program is a matter of
speed. A ticker is fitted three times: on its training rows, with early stopping on validation; on all rows before the
test, for the scores; on all rows up to the cutoff, for the forecast. The latter two inherit the epochs of the first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray

from forecasting.config import OUT_OF_TIME, ForecastConfig
from forecasting.features.scaling import Scaler
from forecasting.features.windows import Segment, Windows
from forecasting.model.dataset import Data
from forecasting.model.device import choose_device
from forecasting.model.training_loop import Curve, Model, OutOfTimeError, Progress, TrainingStoppedError, Watch, fit
from forecasting.model.tutorial import TutorialFit, fit_tutorial

__all__ = ["Curve", "Fitted", "Progress", "Trained", "TrainingStoppedError", "train"]

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


@dataclass(frozen=True)
class Trained:
    """What training gives to evaluation.

    Attributes
    ----------
    fits
        By segment: ``train`` judges the validation rows, ``before_test`` the test rows, ``all`` makes the forecast.
    without
        Why a ticker has no LSTM, by name.
    curves
        One a model and fit.
    tutorial
        The tutorial preset's fits by ticker, which take the place of all of the above; empty otherwise.
    """

    fits: Mapping[Segment, Fitted]
    without: Mapping[str, str]
    curves: tuple[Curve, ...]
    tutorial: Mapping[str, TutorialFit] = field(default_factory=dict)


def train(
    windows: Windows,
    config: ForecastConfig,
    *,
    progress: Callable[[Progress], None] = lambda _: None,
    stop: Callable[[], bool] = lambda: False,
    out_of_time: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train all tickers of a shard.

    Parameters
    ----------
    windows
        The shard.
    config
        Sizes, schedule, seeds and device.
    progress
        Called once an epoch of each tensor program.
    stop
        Asked every epoch; True ends training with `TrainingStoppedError`.
    out_of_time
        Asked every epoch; True leaves the tickers not yet trained without a model, with that reason.

    Raises
    ------
    TrainingStoppedError
        When ``stop`` answers True.
    """
    if config.preset == "tutorial":
        fits = {one.ticker: fit_tutorial(one, config, progress=progress, stop=stop) for one in windows.series}
        return Trained({}, {}, (), fits)
    device = choose_device(config.device)
    if device.type == "cpu":
        torch.set_num_threads(1)  # pools of threads stall on small tensors; shards are what runs in parallel
    without = _without(windows, config)
    able = [k for k, one in enumerate(windows.series) if one.ticker not in without]
    data = {segment: Data.of(windows, segment, config, device) for segment in SEGMENTS}
    fitted = {segment: _blank(data[segment], config) for segment in SEGMENTS}
    curves: list[Curve] = []
    models = [
        Model(k, member, windows.series[k].ticker, config.epochs) for k in able for member in range(config.members)
    ]
    watch = Watch(progress, stop, out_of_time)
    for program in _programs(models, data["train"].cutoffs, config):
        try:
            curves.extend(_fit_all_segments(program, data, fitted, config, watch))
        except OutOfTimeError:
            without |= {model.name: OUT_OF_TIME for model in program}
    for k in able:
        name = windows.series[k].ticker
        if name not in without and any(np.isnan(fit.parameters[k]).any() for fit in fitted.values()):
            without[name] = "did not converge"
            log.warning("%s: training did not converge, its best baseline is published", name)
    return Trained(fitted, without, tuple(curves))


def _fit_all_segments(
    program: Sequence[Model],
    data: Mapping[Segment, Data],
    fitted: Mapping[Segment, Fitted],
    config: ForecastConfig,
    watch: Watch,
) -> list[Curve]:
    """Fit one program's models on each segment in turn, each inheriting the epochs of the fit before."""
    curves: list[Curve] = []
    models = program
    for segment in SEGMENTS:
        if not models:
            break  # not one came through
        outcome = fit(models, data[segment], segment, config, watch)
        for model, row in zip(outcome.models, outcome.parameters, strict=True):
            fitted[segment].parameters[model.ticker, model.member] = row
        curves.extend(outcome.curves)
        models = outcome.models
    return curves


def _blank(data: Data, config: ForecastConfig) -> Fitted:
    shape = (len(data.cutoffs), config.members, sum(data.layout.sizes))
    return Fitted(np.full(shape, np.nan, dtype=np.float32), *data.scalers)


def _without(windows: Windows, config: ForecastConfig) -> dict[str, str]:
    fitted, judged = windows.pairs("train").any(2).sum(1), windows.pairs("validation").any(2).sum(1)
    too_short = f"under {config.minimum_rows} rows"
    return {
        one.ticker: too_short if one.rows < config.minimum_rows else "no windows to train and validate on"
        for one, n_fit, n_val in zip(windows.series, fitted, judged, strict=True)
        if one.rows < config.minimum_rows or n_fit == 0 or n_val == 0
    }


def _programs(
    models: Sequence[Model], cutoffs: Sequence[NDArray[np.int64]], config: ForecastConfig
) -> list[Sequence[Model]]:
    """Deal models into tensor programs, those with most windows first: batches then fill from the front."""
    ordered = sorted(models, key=lambda model: -len(cutoffs[model.ticker]))
    size = config.models_per_batch
    return [ordered[k : k + size] for k in range(0, len(ordered), size)]
