"""Quantile forecasts of a trained shard: weights and windows in, changes of log price out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from forecasting.config import LEVELS, ForecastConfig
from forecasting.features.windows import Segment, Windows
from forecasting.model.device import choose_device, one_thread
from forecasting.model.lstm import RECURRENCES
from forecasting.model.network import RowLayout, quantiles
from forecasting.model.training import Fitted, Trained

__all__ = ["lstm_quantiles", "predict"]

BLOCK = 128
"""Cutoffs per batch: enough to use the processor well, few enough to stay in its cache."""


def lstm_quantiles(
    windows: Windows,
    trained: Trained,
    config: ForecastConfig,
    start: int,
    fitted_at: NDArray[np.int64] | None = None,
) -> NDArray[np.float64]:
    """Give the LSTM's quantiles from each cutoff, with weights that have not seen any row after it.

    Validation cutoffs use the weights of the training rows, test cutoffs those of all rows before the test, and cutoffs
    from ``fitted_at`` ``(tickers,)`` on those of all rows up to there; only the newest cutoff when None.

    Returns
    -------
    NDArray[np.float64]
        ``(tickers, cutoffs, horizon, 19)``, as `predict` gives them.
    """
    cutoff = np.arange(start, windows.time)[None, :]
    newest = cutoff >= (np.full_like(windows.first, windows.time - 1) if fitted_at is None else fitted_at)[:, None]
    in_test = cutoff + 1 >= windows.test_start[:, None]
    out = np.full((*newest.shape, windows.horizon, len(LEVELS)), np.nan)
    judges: dict[Segment, NDArray[np.bool_]] = {"train": ~in_test, "before_test": in_test, "all": newest}
    for segment, judged in judges.items():
        columns = np.flatnonzero(judged.any(axis=0))
        if len(columns):
            first, last = int(columns[0]), int(columns[-1]) + 1
            found = predict(trained.fits[segment], windows, config, start + first, start + last)
            np.copyto(out[:, first:last], found, where=judged[:, first:last, None, None])
    out[[one.ticker in trained.skip_reasons for one in windows.series]] = np.nan
    return out


@one_thread()  # the last bit of a product depends on the number of threads
@torch.no_grad()
def predict(
    fitted: Fitted, windows: Windows, config: ForecastConfig, start: int, stop: int | None = None
) -> NDArray[np.float64]:
    """Forecast every step from each cutoff at positions ``start`` up to, not including, ``stop`` (None: all).

    Parameters
    ----------
    fitted
        Weights of one fit and their scalers.
    windows
        The shard that they were fitted on, or the same tickers' longer histories.
    config
        Gives the hidden size, the form of the recurrence and the device.
    start
        First cutoff's position; at least ``context``.

    Returns
    -------
    NDArray[np.float64]
        ``(tickers, cutoffs, horizon, 19)``: quantiles of log(Open_{t+step} / anchor_t), averaged over members; NaN for
        tickers without a model and for cutoffs without a whole window.
    """
    tickers, members = fitted.parameters.shape[:2]
    cutoffs = np.arange(start, windows.time if stop is None else stop)
    out = np.full((tickers, len(cutoffs), windows.horizon, len(LEVELS)), np.nan)
    able = np.flatnonzero(np.isfinite(fitted.parameters).all(axis=(1, 2)))
    if not len(able) or not len(cutoffs):
        return out
    device = choose_device(config.device)
    layout = RowLayout(windows.inputs.shape[2], config.hidden, windows.horizon)
    inputs = fitted.inputs.scale(windows.inputs)[able].astype(np.float32)
    volatility = (windows.log_volatility - fitted.volatility.offset[:, :, 0])[able].astype(np.float32)
    views = windows.views(inputs)
    # Members of one ticker are neighbours on the models' axis.
    rows = torch.from_numpy(fitted.parameters[able].reshape(len(able) * members, -1)).to(device)
    parameters = layout.cut(rows)
    for block in range(0, len(cutoffs), BLOCK):
        at = cutoffs[block : block + BLOCK]
        # (tickers, cutoffs, features, context) -> (context, tickers, features, cutoffs)
        window = views[:, at - (windows.context - 1)].transpose(3, 0, 2, 1)
        x = torch.from_numpy(np.repeat(window, members, axis=1)).to(device)
        log_volatility = torch.from_numpy(np.repeat(volatility[:, at], members, axis=0)).to(device)
        scaled = quantiles(parameters, RECURRENCES[config.recurrence], x, log_volatility).cpu().numpy()
        mean = scaled.reshape(len(able), members, *scaled.shape[1:]).mean(axis=1, dtype=np.float64)
        # (tickers, horizon, 19, cutoffs) -> (tickers, cutoffs, horizon, 19)
        out[able, block : block + BLOCK] = mean.transpose(0, 3, 1, 2)
    out[able] *= fitted.targets.range[able][:, :, :, None]  # (tickers, 1, horizon, 1)
    short = cutoffs[None, :] < (windows.first + windows.context)[:, None]
    out[short] = np.nan
    return out
