"""The content of a model file: a shard's weights and scalers as tensors, and the card that describes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.config import ForecastConfig
from forecasting.evaluation.evaluate import Evaluated
from forecasting.features.scaling import Scaler
from forecasting.features.windows import Windows
from forecasting.model.training import Fitted, Trained
from forecasting.model.tutorial import TutorialFit
from forecasting.store.manifest import config_record, versions_in_use

__all__ = ["ModelFile", "from_file", "model_file"]

CARD_VERSION = 2

_SCALERS = ("inputs", "volatility", "targets")


@dataclass(frozen=True)
class ModelFile:
    """One file of weights: its name, its tensors by name, and its card."""

    name: str
    tensors: Mapping[str, NDArray[Any]]
    card: Mapping[str, Any]


def model_file(
    name: str, windows: Windows, trained: Trained, evaluated: Evaluated, config: ForecastConfig
) -> ModelFile:
    """Make the file of a shard's published weights, without tickers that have no LSTM."""
    fitted = _tutorial_fitted(trained.tutorial, windows) if trained.tutorial else trained.fits["all"]
    able = [k for k, one in enumerate(windows.series) if one.ticker not in trained.skip_reasons]
    fitted = fitted.take(able)
    tensors: dict[str, NDArray[Any]] = {"parameters": fitted.parameters}
    for part, scaler in zip(_SCALERS, (fitted.inputs, fitted.volatility, fitted.targets), strict=True):
        tensors |= {f"{part}.offset": scaler.offset, f"{part}.range": scaler.range}
    tickers = [windows.series[k] for k in able]
    tensors |= {name: values[able] for name, values in evaluated.constants.items()}
    scores = evaluated.metrics[evaluated.metrics["model"] == "lstm"].set_index(["ticker", "step"])["crps"]
    card = {
        "card_version": CARD_VERSION,
        "config": config_record(config),
        "versions": versions_in_use(),
        "tickers": [
            {
                "ticker": one.ticker,
                "anchor": one.anchor,
                "rows": one.rows,
                "first_date": str(one.dates[0]),
                "last_date": str(one.dates[-1]),
                "open_sha256": sha256(np.ascontiguousarray(one.open, dtype="<f8").tobytes()).hexdigest(),
                "heldout_crps": [_or_none(scores.get((one.ticker, step))) for step in range(1, windows.horizon + 1)],
            }
            for one in tickers
        ],
    }
    return ModelFile(name, tensors, card)


def _tutorial_fitted(fits: Mapping[str, TutorialFit], windows: Windows) -> Fitted:
    """Arrange the tutorial's models like all others; they have no volatility term."""
    each = [fits[one.ticker] for one in windows.series]
    on_inputs, on_targets = (
        Scaler(np.concatenate([one.offset for one in scalers]), np.concatenate([one.range for one in scalers]))
        for scalers in ([fit.on_inputs for fit in each], [fit.on_targets for fit in each])
    )
    nothing = Scaler(np.zeros((len(each), 1, 1)), np.ones((len(each), 1, 1)))
    return Fitted(np.stack([fit.row for fit in each])[:, None, :], on_inputs, nothing, on_targets)


def from_file(tensors: Mapping[str, NDArray[Any]]) -> Fitted:
    """Turn a model file's tensors back into weights with their scalers."""
    scalers = (Scaler(tensors[f"{part}.offset"], tensors[f"{part}.range"]) for part in _SCALERS)
    return Fitted(tensors["parameters"], *scalers)


def _or_none(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
