"""One model: the LSTM and its head, from a window to the quantiles of every step.

The head reads the last hidden state and gives each step a location and a log scale; the quantiles are

    q_k = location + scale z_k,      z_k = signed cumulative sums of softplus gaps around z_median = 0,

with gaps that each model learns for each step but that do not depend on the window. So the quantiles never cross, and
a step costs two outputs instead of twenty. In addition to the hidden state, the log scale has two linear terms: in the
log of the exponentially weighted range volatility, which has a longer memory than a window of ten sessions, and in the
window's last log range, which the squashed state passes on only in part. The location's outputs are scaled down: prices
are close to a martingale, and a location learned from a few hundred days is mostly noise.

All parameters of one model are one row of a matrix ``(models, parameters)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from torch import Tensor

from forecasting.config import LEVELS, MEDIAN, Anchor
from forecasting.model.lstm import Recurrence

__all__ = [
    "DRIVERS",
    "Parameters",
    "RowLayout",
    "initial_parameters",
    "pinball_loss",
    "quantiles",
    "random_stream",
]

RANGE = 1
"""Index of the log range among a window's inputs."""
LOCATION_SHARE = 0.3
"""Factor of the location's outputs: they start, and move in training, by this much less than the log scale's."""
LOG_SCALE_BOUND = 8.0
"""The log scale, in units of the target's own spread, is clipped to plus and minus this."""


DRIVERS: Mapping[Anchor, tuple[float, float]] = {"open": (0.2, 0.3), "close": (1.0, 0.0), "range": (0.8, 0.2)}
"""Start of training without a prior, by anchor: from the Close, the next night follows the volatility; from the Open,
the last session, whose range is known, is part of the forecast."""


class Parameters(NamedTuple):
    """The parts of the rows of parameters, as views."""

    recurrent: Tensor
    """``(models, 4 hidden, hidden + inputs + 1)``, as `forecasting.model.lstm` reads it."""
    head: Tensor
    """``(models, 2 horizon, hidden + 1)``: location and log scale of each step from ``[hidden; 1]``."""
    drivers: Tensor
    """``(models, horizon, 2)``: weights of the log volatility and of the last log range in the log scale."""
    gaps: Tensor
    """``(models, horizon, 18)``: raw gaps between neighbouring quantiles."""


@dataclass(frozen=True, slots=True)
class RowLayout:
    """A model's sizes, which determine how its row of parameters is cut."""

    inputs: int
    hidden: int
    horizon: int

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """Numbers in each of the four parts."""
        return (
            4 * self.hidden * (self.hidden + self.inputs + 1),
            2 * self.horizon * (self.hidden + 1),
            2 * self.horizon,
            self.horizon * (len(LEVELS) - 1),
        )

    def cut(self, rows: Tensor) -> Parameters:
        """View ``(models, parameters)`` as its parts."""
        models = rows.shape[0]
        recurrent, head, drivers, gaps = rows.split(self.sizes, dim=1)
        return Parameters(
            recurrent.view(models, 4 * self.hidden, self.hidden + self.inputs + 1),
            head.view(models, 2 * self.horizon, self.hidden + 1),
            drivers.view(models, self.horizon, 2),
            gaps.view(models, self.horizon, len(LEVELS) - 1),
        )


def random_stream(seed: int, member: int, ticker: str) -> np.random.Generator:
    """Give a model its own stream of random numbers: the seed, the member and the ticker's name, nothing else."""
    name = int.from_bytes(sha256(ticker.encode()).digest()[:8], "big")
    return np.random.default_rng([seed, member, name])


def initial_parameters(
    layout: RowLayout, stream: np.random.Generator, drivers: tuple[float, float]
) -> NDArray[np.float32]:
    """Draw one model's row: uniform within 1/sqrt(hidden), zero biases, gaps of the normal distribution.

    ``drivers`` are where the weights of the log volatility and of the last log range start; see `DRIVERS`.
    """
    reach = layout.hidden**-0.5
    recurrent = stream.uniform(-reach, reach, (4 * layout.hidden, layout.hidden + layout.inputs + 1))
    recurrent[:, -1] = 0
    head = 0.3 * stream.uniform(-reach, reach, (2 * layout.horizon, layout.hidden + 1))
    head[:, -1] = 0
    gaps = np.diff(ndtri(LEVELS))
    raw = np.tile(np.log(np.expm1(gaps)), layout.horizon)  # the inverse of softplus
    weights = np.tile(drivers, layout.horizon)
    return np.concatenate([recurrent.ravel(), head.ravel(), weights, raw]).astype(np.float32)


def standard_quantiles(gaps: Tensor) -> Tensor:
    """Non-decreasing z ``(models, horizon, 19)`` with a zero median, from raw gaps ``(models, horizon, 18)``."""
    steps = gaps.exp().log1p()  # torch's own softplus rounds the last numbers of a tensor otherwise than the rest
    above = steps[:, :, MEDIAN:].cumsum(2)
    below = -steps[:, :, :MEDIAN].flip(2).cumsum(2).flip(2)
    return torch.cat([below, torch.zeros_like(above[:, :, :1]), above], dim=2)


def location_and_log_scale(
    parameters: Parameters, hidden: Tensor, x: Tensor, log_volatility: Tensor
) -> tuple[Tensor, Tensor]:
    """Read the last hidden state ``(models, hidden, batch)``; both results are ``(models, horizon, batch)``.

    ``x`` and ``log_volatility`` are as in `quantiles`.
    """
    out = torch.baddbmm(parameters.head[:, :, -1:], parameters.head[:, :, :-1], hidden)
    location, log_scale = out.chunk(2, dim=1)
    driving = torch.stack([log_volatility, x[-1, :, RANGE]], dim=1)  # (models, 2, batch)
    log_scale = torch.baddbmm(log_scale, parameters.drivers, driving)
    return LOCATION_SHARE * location, log_scale.clamp(-LOG_SCALE_BOUND, LOG_SCALE_BOUND)


def quantiles(parameters: Parameters, recurrence: Recurrence, x: Tensor, log_volatility: Tensor) -> Tensor:
    """Quantiles ``(models, horizon, 19, batch)`` in scaled units.

    Parameters
    ----------
    parameters
        Of every model.
    recurrence
        One of `forecasting.model.lstm.RECURRENCES`.
    x
        Scaled windows, ``(time, models, inputs, batch)``.
    log_volatility
        Centred log volatility at the cutoff, ``(models, batch)``.
    """
    _, state = recurrence(parameters.recurrent, x, None)
    location, log_scale = location_and_log_scale(parameters, state.hidden, x, log_volatility)
    z = standard_quantiles(parameters.gaps)
    return location[:, :, None, :] + log_scale.exp()[:, :, None, :] * z[:, :, :, None]


def pinball_loss(location: Tensor, log_scale: Tensor, z: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Mean pinball loss over the 19 levels, weighted and summed over steps and batch, of each model ``(models,)``.

    The pinball loss of level tau is max(tau (y - q), (tau - 1)(y - q)) (Koenker and Bassett 1978).

    Parameters
    ----------
    location, log_scale, target, weight
        ``(models, horizon, batch)``; where the weight is 0 the target may be anything finite.
    z
        ``(models, horizon, 19)``, non-decreasing.
    """
    loss: Tensor = _PinballLoss.apply(location, log_scale, z, target, weight)
    return loss


class _PinballLoss(torch.autograd.Function):
    """The loss and its gradient from one comparison of every level with every target.

    With e_k = 1{y < q_k} - tau_k the loss is the sum of e_k (q_k - y), whose gradients in q_k are e_k; since
    q_k = m + s z_k, all sums over levels are products with the rows [1; z].
    """

    @staticmethod
    def forward(  # noqa: PLR0917 - autograd hands arguments on by position
        ctx: Any, location: Tensor, log_scale: Tensor, z: Tensor, target: Tensor, weight: Tensor
    ) -> Tensor:
        """Return the weighted loss, and keep its gradient for `backward`."""
        models, horizon, batch = location.shape
        count = z.shape[2]
        tau = torch.tensor(LEVELS, dtype=z.dtype, device=z.device)
        scale = log_scale.exp()
        deviation = target - location
        # (models, horizon, levels, batch): 1 where the target is below the quantile; written as numbers at once,
        # which is ten times faster than comparing and then converting.
        below = z.new_empty(models, horizon, count, batch)
        torch.gt(z[:, :, :, None], (deviation / scale)[:, :, None, :], out=below)
        below = below.view(models * horizon, count, batch)
        rows = torch.stack([torch.ones_like(z), z], dim=2).reshape(models * horizon, 2, count)
        sums = torch.bmm(rows, below).view(models, horizon, 2, batch)
        share = weight / count
        d_location = share * (sums[:, :, 0] - tau.sum())
        d_scale = share * (sums[:, :, 1] - (z * tau).sum(2, keepdim=True))
        spread = share * scale
        d_z = torch.bmm(below, spread.reshape(models * horizon, batch, 1)).view(models, horizon, count)
        d_z = d_z - tau * spread.sum(2, keepdim=True)
        d_log_scale = d_scale * scale
        ctx.save_for_backward(d_location, d_log_scale, d_z)
        return (d_log_scale - deviation * d_location).sum((1, 2))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None, None]:
        d_location, d_log_scale, d_z = ctx.saved_tensors
        outer = grad[:, None, None]
        return d_location * outer, d_log_scale * outer, d_z * outer, None, None
