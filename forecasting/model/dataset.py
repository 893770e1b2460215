"""A shard's arrays on the device: scaled for one fit, windows as views until a batch is gathered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from forecasting.config import Anchor, ForecastConfig
from forecasting.features.scaling import Scaler, fit_scaler
from forecasting.features.windows import Segment, Windows
from forecasting.model.network import RowLayout
from forecasting.model.prior import starting_rows

__all__ = ["Batch", "ShardTensors", "pad"]


class Batch(NamedTuple):
    """One training step's data of k models; see `ShardTensors.gather`."""

    x: Tensor
    log_volatility: Tensor
    target: Tensor
    weight: Tensor


@dataclass(frozen=True)
class ShardTensors:
    """A shard's arrays on the device, scaled for one segment."""

    views: Tensor  # (tickers, windows, features, context): every window, as a view
    answers: Tensor  # (tickers, time, 2 horizon + 1): targets, weights, log volatility
    cutoffs: tuple[NDArray[np.int64], ...]  # per ticker, those whose targets the fit may see
    judged: tuple[NDArray[np.int64], ...]  # per ticker, validation cutoffs; empty but in the first fit
    scalers: tuple[Scaler, Scaler, Scaler]
    layout: RowLayout
    context: int
    anchors: tuple[Anchor, ...]  # per ticker
    prior: NDArray[np.float32] | None  # (tickers, parameters): where training starts from; random when None

    @classmethod
    def of(cls, windows: Windows, segment: Segment, config: ForecastConfig, device: torch.device) -> ShardTensors:
        """Scale a shard by what the segment may see, and list the cutoffs to fit and to judge on."""
        seen, pairs = windows.rows_seen(segment), windows.pairs(segment)
        some, judged = np.asarray(pairs.any(axis=2)), windows.pairs("validation") & (segment == "train")
        volatility = windows.log_volatility[:, :, None]
        on_inputs = fit_scaler(windows.inputs, seen)
        on_volatility = fit_scaler(volatility, seen)
        # Only pairs whose targets the fit may see set the targets' range.
        on_targets = fit_scaler(np.where(pairs, windows.targets, np.nan), some)
        weight = (pairs | judged) * np.array([1.0] + [config.later_steps] * (windows.horizon - 1))
        answers = np.concatenate(
            [windows.targets / on_targets.range, weight, volatility - on_volatility.offset], axis=2
        )
        inputs = np.nan_to_num(on_inputs.scale(windows.inputs)).astype(np.float32)
        return cls(
            views=torch.from_numpy(inputs).to(device).unfold(1, windows.context, 1),
            answers=torch.from_numpy(np.nan_to_num(answers).astype(np.float32)).to(device),
            cutoffs=tuple(np.flatnonzero(line) for line in some),
            judged=tuple(np.flatnonzero(line) for line in np.asarray(judged.any(axis=2))),
            scalers=(on_inputs, on_volatility, on_targets),
            layout=RowLayout(windows.inputs.shape[2], config.hidden, windows.horizon),
            context=windows.context,
            anchors=tuple(one.anchor for one in windows.series),
            prior=None if config.prior == "none" else starting_rows(windows, config.hidden),
        )

    def gather(self, ticker: Tensor, cutoffs: Tensor, valid: Tensor) -> Batch:
        """Collect the windows that end at ``cutoffs`` ``(k, batch)``, of the tickers ``(k, 1)`` or ``(k, batch)``.

        ``x`` is ``(context, k, features, batch)``, the log volatility ``(k, batch)``, target and weight
        ``(k, horizon, batch)``; weights sum to the step's weight over the valid windows.
        """
        horizon = self.layout.horizon
        windows = self.views[ticker, cutoffs - (self.context - 1)]
        answers = self.answers[ticker, cutoffs].transpose(1, 2)  # (k, batch, .) -> (k, ., batch)
        share = valid / valid.sum(1, keepdim=True).clamp(min=1)
        return Batch(
            windows.permute(3, 0, 2, 1).contiguous(),  # (k, batch, features, context) -> (context, k, features, batch)
            answers[:, 2 * horizon],
            answers[:, :horizon].contiguous(),
            answers[:, horizon : 2 * horizon].contiguous() * share[:, None, :],
        )


def pad(lines: Sequence[NDArray[np.int64]], multiple: int, fill: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Put lines of different lengths into one array, padded with ``fill``; the second result is 1 where it is real."""
    width = -(-max(len(line) for line in lines) // multiple) * multiple
    out = np.full((len(lines), width), fill, dtype=np.int64)
    valid = np.zeros((len(lines), width), dtype=np.float32)
    for k, line in enumerate(lines):
        out[k, : len(line)] = line
        valid[k, : len(line)] = 1
    return out, valid
