"""The tutorial preset: the LSTM tutorial with which this project began, with the same data and method of training.

It is kept as it was, including its leak, to show what its results are worth: the scalers see every row, also those of
the test; a window's target is not the next session's Open but the one after; the state of the last training batch is
carried into every test batch; training has no validation. The tutorial's last line transformed the scaled error back
with the inverse transform, which adds the minimum; here an error is multiplied by the range alone.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.arrays import Array
from forecasting.config import ForecastConfig
from forecasting.features.scaling import Scaler, fit_scaler
from forecasting.features.series import TickerSeries
from forecasting.model.device import choose_device, one_thread
from forecasting.model.lstm import RECURRENCES, Recurrence, State, join
from forecasting.model.network import random_stream
from forecasting.model.optimizer import AdamW
from forecasting.model.training_loop import UNWATCHED, Progress, Watch
from forecasting.model.tutorial_report import TutorialReport

__all__ = ["STEP", "TutorialData", "TutorialFit", "fit_tutorial", "tutorial_data", "tutorial_report"]

log = logging.getLogger(__name__)

STEP = 2
"""Sessions from a window's last row to its target: the tutorial shifts the target by one, and then takes the next."""

PRINT_EVERY = 1000
"""Epochs between two reported losses and between two pictures."""


@dataclass(frozen=True)
class TutorialData:
    """Windows and targets of one ticker, scaled.

    Attributes
    ----------
    features
        ``(rows, 2)``: Open and High-Low, as prices.
    inputs
        ``(rows, 2)``: the same scaled; the tutorial's X is all rows but the last.
    targets
        ``(rows - 1,)``: Open of the following row, scaled; the tutorial's y.
    windows
        ``(pairs, context, 2)``: a view; ``windows[i]`` is inputs i to i + context - 1, and its target
        ``targets[i + context]``.
    train
        How many pairs, the first ones, are for training.
    on_inputs, on_targets
        Scalers of the inputs and of the target; errors are turned back with the latter's range.
    """

    features: Array
    inputs: Array
    targets: Array
    windows: Array
    train: int
    on_inputs: Scaler
    on_targets: Scaler

    @property
    def answers(self) -> Array:
        """The target of every window, ``(pairs,)``, scaled."""
        return self.targets[len(self.targets) - len(self.windows) :]


@dataclass(frozen=True)
class TutorialFit:
    """A trained tutorial model, twice: with the tutorial's leak and without.

    Attributes
    ----------
    losses
        Epoch to the mean squared training error, scaled, of the model with the leak.
    pictures
        Epoch to the test predictions, in prices.
    truth
        Opens that the test windows aim at, in prices.
    residuals
        Truth minus prediction over the training windows, in prices.
    newest
        Forecast from the newest window, in prices.
    mae_scaled, mae_price
        Mean absolute test error of the model with the leak.
    mae_price_without_leak
        The same when the scalers see training rows only.
    row, on_inputs, on_targets
        Parameters ``(parameters,)`` and scalers of the model with the leak.
    """

    losses: Mapping[int, float]
    pictures: Mapping[int, Array]
    truth: Array
    residuals: Array
    newest: float
    mae_scaled: float
    mae_price: float
    mae_price_without_leak: float
    row: NDArray[np.float32]
    on_inputs: Scaler
    on_targets: Scaler


def tutorial_data(series: TickerSeries, config: ForecastConfig, *, leak: bool = True) -> TutorialData:
    """Make the tutorial's arrays of one ticker; without ``leak`` the scalers see training rows only."""
    features = np.stack([series.open, series.range], axis=1)
    rows, context = len(features), config.context
    pairs = rows - 1 - context
    train = round((1 - config.test_share) * pairs)
    seen = np.ones((1, rows), dtype=bool)
    if not leak:
        seen[:, context + train :] = False  # rows up to the last training target
    # X is scaled over its own rows, all but the last; y over its own, all but the first.
    on_inputs = fit_scaler(features[None, :-1], seen[:, :-1], "minmax")
    on_targets = fit_scaler(features[None, 1:, :1], seen[:, :-1], "minmax")
    inputs = on_inputs.scale(features[None])[0]
    targets = on_targets.scale(features[None, 1:, :1])[0, :, 0]
    windows = np.lib.stride_tricks.sliding_window_view(inputs[: rows - 2], context, axis=0).transpose(0, 2, 1)
    return TutorialData(features, inputs, targets, windows, train, on_inputs, on_targets)


def fit_tutorial(
    series: TickerSeries,
    config: ForecastConfig,
    watch: Watch = UNWATCHED,
) -> TutorialFit:
    """Train the tutorial's model on one ticker twice, in one tensor program: with its leak and without.

    Batches are taken in order, full ones only (a remainder of the oldest windows is left out); the state starts from
    zero in each. The loss is reported every 1,000 epochs.

    Raises
    ------
    TrainingStoppedError
        When the watch stops the training.
    """
    with one_thread():
        return _fit(series, config, watch)


def _fit(series: TickerSeries, config: ForecastConfig, watch: Watch) -> TutorialFit:
    device = choose_device(config.device)
    both = [tutorial_data(series, config, leak=leak) for leak in (True, False)]
    train, batch = both[0].train, min(config.batch, both[0].train)
    rows = torch.from_numpy(np.stack([_xavier(series.ticker, config)] * 2)).to(device).requires_grad_()
    optimiser = AdamW(rows, config.weight_decay, float("inf"), betas=(0.9, 0.999))
    recurrence = RECURRENCES[config.recurrence]
    x, y = _tensors(both, slice(train % batch, train), device)
    test, _ = _tensors(both, slice(train, None), device)
    rate = torch.full((2, 1), config.learning_rate, device=device)
    losses: dict[int, float] = {}
    pictures: dict[int, Array] = {}
    for epoch in range(1, config.epochs + 1):
        watch.look()
        total = torch.zeros(2, device=device)
        for start in range(0, y.shape[1], batch):
            output, _ = _predict(rows, recurrence, x[..., start : start + batch], config.hidden, None)
            loss = (output - y[:, start : start + batch]).square().mean(dim=1)
            loss.sum().backward()
            optimiser.step(2, rate)
            total += loss.detach() * (batch / y.shape[1])
        if epoch % PRINT_EVERY == 0 or epoch == config.epochs:
            losses[epoch] = float(total[0])
            pictures[epoch] = _test_prices(rows, recurrence, x[..., -batch:], test, both, config)[0]
            log.info("%s: epoch %d of %d, training loss %.6f", series.ticker, epoch, config.epochs, losses[epoch])
        watch.progress(Progress("all", epoch, config.epochs, float(total[0]), float("nan"), 1))
    return _judge(rows, recurrence, x, test, both, config, losses, pictures)


def tutorial_report(series: TickerSeries, fit: TutorialFit) -> TutorialReport:
    """Compare the tutorial's error with that of repeating the last Open, on the same targets."""
    count = len(fit.truth)
    ahead = {step: np.abs(fit.truth - series.open[-count - step : -step]).mean() for step in (1, STEP)}
    return TutorialReport(
        ticker=series.ticker,
        losses=fit.losses,
        truth=fit.truth,
        predictions=fit.pictures,
        mae_scaled=fit.mae_scaled,
        mae_price=fit.mae_price,
        mae_price_without_leak=fit.mae_price_without_leak,
        persistence_two_ahead=float(ahead[STEP]),
        persistence_one_ahead=float(ahead[1]),
    )


def _judge(  # noqa: PLR0917 - the results of the training, passed on once
    rows: Tensor,
    recurrence: Recurrence,
    x: Tensor,
    test: Tensor,
    both: list[TutorialData],
    config: ForecastConfig,
    losses: Mapping[int, float],
    pictures: Mapping[int, Array],
) -> TutorialFit:
    data, batch = both[0], min(config.batch, both[0].train)
    predictions = _test_prices(rows, recurrence, x[..., -batch:], test, both, config)
    truth = data.features[-len(predictions[0]) :, 0]
    errors = [float(np.abs(prediction - truth).mean()) for prediction in predictions]
    with torch.no_grad():
        fitted, _ = _predict(rows, recurrence, x, config.hidden, None)
        _, state = _predict(rows, recurrence, x[..., -batch:], config.hidden, None)
        place = len(truth) % batch  # the newest window is the next of its test batch
        newest = torch.tensor(data.inputs[-config.context :].T, dtype=torch.float32, device=x.device)
        newest = newest.T[:, None, :, None].expand(-1, 2, -1, -1)  # (context, models, features, 1)
        carried = State(state.hidden[:, :, place : place + 1], state.cell[:, :, place : place + 1])
        ahead, _ = _predict(rows, recurrence, newest, config.hidden, carried)
    spread = float(data.on_targets.range.item())
    misses = data.answers[data.train - x.shape[3] : data.train] - fitted[0].cpu().numpy()
    return TutorialFit(
        losses=losses,
        pictures=pictures,
        truth=truth,
        residuals=data.on_targets.unscale_errors(misses[None, :, None])[0, :, 0],
        newest=float(data.on_targets.unscale(ahead[:1, :, None].cpu().numpy()).item()),
        mae_scaled=errors[0] / spread,
        mae_price=errors[0],
        mae_price_without_leak=errors[1],
        row=rows[0].detach().cpu().numpy(),
        on_inputs=data.on_inputs,
        on_targets=data.on_targets,
    )


def _xavier(ticker: str, config: ForecastConfig) -> NDArray[np.float32]:
    """One model's row: Xavier-uniform weights (Glorot and Bengio 2010), zero biases, the linear layer last."""
    stream, hidden = random_stream(config.seed, 0, ticker), config.hidden

    def draw(fan_in: int, fan_out: int) -> Array:
        reach = (6 / (fan_in + fan_out)) ** 0.5
        return stream.uniform(-reach, reach, (fan_out, fan_in))

    gates = [(draw(2, hidden), draw(hidden, hidden)) for _ in range(4)]
    on_inputs = torch.from_numpy(np.concatenate([pair[0] for pair in gates]))[None]
    on_hidden = torch.from_numpy(np.concatenate([pair[1] for pair in gates]))[None]
    recurrent = join(on_inputs, on_hidden, torch.zeros(1, 4 * hidden, 1, dtype=torch.float64))
    return np.concatenate([recurrent.numpy().ravel(), draw(hidden, 1).ravel(), [0.0]]).astype(np.float32)


def _predict(rows: Tensor, recurrence: Recurrence, x: Tensor, hidden: int, state: State | None) -> tuple[Tensor, State]:
    """Forecast ``(models, batch)`` from windows ``(context, models, 2, batch)``, and the state after them."""
    recurrent, linear = rows.split([4 * hidden * (hidden + 3), hidden + 1], dim=1)
    _, after = recurrence(recurrent.view(-1, 4 * hidden, hidden + 3), x, state)
    output = torch.baddbmm(linear[:, None, -1:], linear[:, None, :-1], after.hidden)
    return output[:, 0], after


def _tensors(both: list[TutorialData], which: slice, device: torch.device) -> tuple[Tensor, Tensor]:
    """Windows ``(context, models, 2, pairs)`` and answers ``(models, pairs)`` of some pairs."""
    windows = np.stack([data.windows[which] for data in both]).astype(np.float32)
    answers = np.stack([data.answers[which] for data in both]).astype(np.float32)
    # (models, pairs, context, features) -> (context, models, features, pairs)
    return torch.from_numpy(windows.transpose(2, 0, 3, 1).copy()).to(device), torch.from_numpy(answers).to(device)


@torch.no_grad()
def _test_prices(  # noqa: PLR0917 - the tutorial's test needs the last training batch, too
    rows: Tensor, recurrence: Recurrence, last: Tensor, test: Tensor, both: list[TutorialData], config: ForecastConfig
) -> list[Array]:
    """Predict the test windows in batches, each starting from the final state of the last training batch."""
    _, state = _predict(rows, recurrence, last, config.hidden, None)
    batch = last.shape[3]
    outputs = []
    for start in range(0, test.shape[3], batch):
        part = test[..., start : start + batch]
        carried = State(state.hidden[:, :, : part.shape[3]], state.cell[:, :, : part.shape[3]])
        outputs.append(_predict(rows, recurrence, part, config.hidden, carried)[0])
    scaled = torch.cat(outputs, dim=1).cpu().numpy().astype(np.float64)
    return [data.on_targets.unscale(line[None, :, None])[0, :, 0] for data, line in zip(both, scaled, strict=True)]
