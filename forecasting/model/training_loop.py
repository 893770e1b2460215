"""One tensor program: many models fitted in parallel, each with its own order, schedule and stopping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.config import ForecastConfig
from forecasting.features.windows import Segment
from forecasting.model.dataset import Batch, ShardTensors, pad
from forecasting.model.lstm import RECURRENCES
from forecasting.model.network import (
    DRIVERS,
    initial_parameters,
    location_and_log_scale,
    pinball_loss,
    random_stream,
    standard_quantiles,
)
from forecasting.model.optimizer import AdamW, one_cycle

__all__ = [
    "UNWATCHED",
    "Curve",
    "FitOutcome",
    "Model",
    "OutOfTimeError",
    "Progress",
    "TrainingStoppedError",
    "Watch",
    "batch_loss",
    "fit",
    "validation_loss",
]


class TrainingStoppedError(Exception):
    """The caller has stopped the training; nothing is returned of it."""


class OutOfTimeError(Exception):
    """The run's time budget is spent; the models of this program stay untrained."""


class Progress(NamedTuple):
    """The state of one tensor program after an epoch."""

    segment: Segment
    epoch: int
    epochs: int
    train_loss: float
    validation_loss: float
    models: int


class Curve(NamedTuple):
    """Losses of one model in one fit, in scaled units, one per epoch; validation is NaN in the later fits."""

    ticker: str
    member: int
    segment: Segment
    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    best_epoch: int


@dataclass(frozen=True, slots=True)
class Model:
    """One LSTM: its ticker's index, its number in the ensemble, its ticker's name, and the epochs it may run."""

    ticker: int
    member: int
    name: str
    epochs: int


@dataclass(frozen=True, slots=True)
class Watch:
    """Gets the training's progress, and decides whether it continues.

    Attributes
    ----------
    progress
        Called after every epoch of each tensor program.
    stop
        Called before every epoch; True ends the training with `TrainingStoppedError`.
    out_of_time
        Called before every epoch; when True, models that are not trained yet stay without weights, with that reason.
    """

    progress: Callable[[Progress], None] = lambda _: None
    stop: Callable[[], bool] = lambda: False
    out_of_time: Callable[[], bool] = lambda: False

    def look(self) -> None:
        """Raise an exception when the training must end."""
        if self.stop():
            raise TrainingStoppedError
        if self.out_of_time():
            raise OutOfTimeError


UNWATCHED = Watch()


class FitOutcome(NamedTuple):
    """The models that converged, with their best epochs and rows of parameters, and the curves of all models."""

    models: tuple[Model, ...]
    parameters: NDArray[np.float32]
    curves: list[Curve]


def batch_loss(rows: Tensor, data: ShardTensors, config: ForecastConfig, batch: Batch, keep: Tensor | None) -> Tensor:
    """Give each model's pinball loss on a batch; ``keep`` is the dropout mask of the last hidden state, or None."""
    parameters = data.layout.cut(rows)
    _, state = RECURRENCES[config.recurrence](parameters.recurrent, batch.x, None)
    hidden = state.hidden if keep is None else state.hidden * keep
    location, log_scale = location_and_log_scale(parameters, hidden, batch.x, batch.log_volatility)
    return pinball_loss(location, log_scale, standard_quantiles(parameters.gaps), batch.target, batch.weight)


def fit(
    models: Sequence[Model], data: ShardTensors, segment: Segment, config: ForecastConfig, watch: Watch
) -> FitOutcome:
    """Run one tensor program epoch by epoch; a model leaves when it is done, and its best weights are kept.

    In the first fit a model is done when its validation loss has not improved for ``patience`` epochs; in later fits,
    when it has run the number of epochs that the first fit found. A model whose loss or weights are not finite any more
    leaves without weights.
    """
    device = data.answers.device
    state = TrainingState(models, data, config)
    rows = torch.from_numpy(state.start).to(device).requires_grad_()
    optimiser = AdamW(rows, config.weight_decay, config.clip_norm)
    while len(state.running):
        watch.look()
        plan = state.plan_epoch(device)
        train_loss = torch.zeros(len(state.running), device=device)
        for step in range(plan.steps):
            k = int((plan.batches > step).sum())  # the first k models still have a batch in this epoch
            columns = slice(step * config.batch, (step + 1) * config.batch)
            batch = data.gather(plan.ticker[:k, None], plan.cutoffs[:k, columns], plan.valid[:k, columns])
            loss = batch_loss(rows[:k], data, config, batch, plan.keep[:k, step] if config.dropout else None)
            loss.sum().backward()
            optimiser.step(k, plan.rates[:k, step : step + 1])
            train_loss[:k] += loss.detach() / plan.batches_on_device[:k]
        with torch.no_grad():
            validation = validation_loss(rows, data, config, state.running) if segment == "train" else None
        stay = state.close_epoch(rows.detach().cpu().numpy(), train_loss.cpu().numpy(), validation)
        watch.progress(state.progress(segment))
        if not stay.all():
            rows = optimiser.keep(torch.from_numpy(np.flatnonzero(stay)).to(device))
    return state.outcome(segment)


def validation_loss(
    rows: Tensor, data: ShardTensors, config: ForecastConfig, running: Sequence[Model]
) -> NDArray[np.float32]:
    """Loss of each model on its ticker's validation windows, weighted as in training.

    In batches of one width, so that a model's sums do not depend on how many windows the others have.
    """
    ticker = torch.tensor([model.ticker for model in running], device=rows.device)
    lines = pad([data.judged[model.ticker] for model in running], config.batch, data.context)
    cutoffs, valid = (torch.from_numpy(line).to(rows.device) for line in lines)
    loss = rows.new_zeros(len(running))
    for some, real in zip(cutoffs.split(config.batch, 1), valid.split(config.batch, 1), strict=True):
        share = real.sum(1) / valid.sum(1)
        loss += share * batch_loss(rows, data, config, data.gather(ticker[:, None], some, real), None)
    judged: NDArray[np.float32] = loss.cpu().numpy()
    return judged


class _Plan(NamedTuple):
    """One epoch of every running model: its windows in its own order, dropout masks and learning rates."""

    ticker: Tensor  # (k,)
    cutoffs: Tensor  # (k, steps x batch)
    valid: Tensor  # (k, steps x batch)
    keep: Tensor  # (k, steps, hidden, batch): dropout masks
    batches: NDArray[np.int64]  # (k,): training steps of each model in an epoch, falling
    batches_on_device: Tensor
    rates: Tensor  # (k, steps): learning rates
    steps: int


class TrainingState:
    """Which models are still running, at which epoch, and the best weights of each."""

    def __init__(self, models: Sequence[Model], data: ShardTensors, config: ForecastConfig) -> None:
        self._data, self._config, self._all = data, config, list(models)
        self._streams = {model: random_stream(config.seed, model.member, model.name) for model in models}
        self.running = sorted(models, key=lambda model: -len(data.cutoffs[model.ticker]))
        self.start = np.stack([self._start(one) for one in self.running])
        self._epoch = 0
        self._best: dict[Model, tuple[float, int, NDArray[np.float32]]] = {}
        self._losses: dict[Model, list[tuple[float, float]]] = {model: [] for model in models}

    def _start(self, one: Model) -> NDArray[np.float32]:
        """Give a model's first row: its ticker's prior, or a random one."""
        data = self._data
        if data.prior is not None:
            row: NDArray[np.float32] = data.prior[one.ticker]
            return row
        return initial_parameters(data.layout, self._streams[one], DRIVERS[data.anchors[one.ticker]])

    def plan_epoch(self, device: torch.device) -> _Plan:
        """Draw the order of windows and the dropout of every running model's next epoch; set its learning rates."""
        batch, hidden, dropout = self._config.batch, self._config.hidden, self._config.dropout
        orders = [self._streams[one].permutation(self._data.cutoffs[one.ticker]) for one in self.running]
        cutoffs, valid = pad(orders, batch, self._data.context)
        batches = np.array([-(-len(order) // batch) for order in orders])
        keep = np.zeros((len(orders), int(batches[0]), hidden, batch) if dropout else (len(orders), 0), np.float32)
        if dropout:
            for line, one, count in zip(keep, self.running, batches, strict=True):
                drawn = self._streams[one].random((count, hidden, batch), dtype=np.float32)
                line[:count] = (drawn >= dropout) / np.float32(1 - dropout)
        # In float64 and rounded afterwards, so that a model's rates do not depend on its place among the others.
        progress = (self._epoch + np.arange(batches[0]) / batches[:, None]) / self._config.epochs
        rates = one_cycle(torch.from_numpy(progress), self._config.learning_rate).float()
        return _Plan(
            ticker=torch.tensor([one.ticker for one in self.running], device=device),
            cutoffs=torch.from_numpy(cutoffs).to(device),
            valid=torch.from_numpy(valid).to(device),
            keep=torch.from_numpy(keep).to(device),
            batches=batches,
            batches_on_device=torch.from_numpy(batches).to(device),
            rates=rates.to(device),
            steps=int(batches[0]),
        )

    def close_epoch(
        self, rows: NDArray[np.float32], train_loss: NDArray[np.float32], validation: NDArray[np.float32] | None
    ) -> NDArray[np.bool_]:
        """Keep the best weights so far, and mark the models that continue."""
        self._epoch += 1
        stay = np.zeros(len(self.running), dtype=bool)
        for k, one in enumerate(self.running):
            judged = float("nan") if validation is None else float(validation[k])
            self._losses[one].append((float(train_loss[k]), judged))
            healthy = np.isfinite(train_loss[k]) and np.isfinite(rows[k]).all()
            if not healthy or (validation is not None and not np.isfinite(judged)):
                self._best.pop(one, None)
                continue
            best, best_epoch, _ = self._best.get(one, (np.inf, 0, rows[k]))
            if validation is None or judged < best:
                best, best_epoch = judged, self._epoch
                self._best[one] = (best, best_epoch, rows[k].copy())
            patient = validation is None or self._epoch - best_epoch < self._config.patience
            stay[k] = self._epoch < one.epochs and patient
        self.running = [one for one, stays in zip(self.running, stay, strict=True) if stays]
        return stay

    def progress(self, segment: Segment) -> Progress:
        """Report the progress of the program."""
        latest = [losses[-1] for losses in self._losses.values() if losses]
        train_loss, validation = np.array(latest).mean(0)
        return Progress(segment, self._epoch, self._config.epochs, train_loss, validation, len(self.running))

    def outcome(self, segment: Segment) -> FitOutcome:
        """Return the final result of every model."""
        done = [one for one in self._all if one in self._best]
        models = tuple(Model(one.ticker, one.member, one.name, self._best[one][1]) for one in done)
        curves = [
            Curve(
                one.name,
                one.member,
                segment,
                tuple(train_loss for train_loss, _ in losses),
                tuple(validation for _, validation in losses),
                self._best[one][1] if one in self._best else 0,
            )
            for one, losses in self._losses.items()
        ]
        empty = np.empty((0, sum(self._data.layout.sizes)), dtype=np.float32)
        return FitOutcome(models, np.stack([self._best[one][2] for one in done]) if done else empty, curves)
