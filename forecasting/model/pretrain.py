"""Fit the program's constants on the sample: ``python -m forecasting.model.pretrain`` (``make prior``).

The LSTM's prior is one network per anchor, trained on the windows of all the sample's tickers together. HAR's
coefficients (Corsi 2009) are those of a gamma regression with log link: the absolute change over its mean, explained by
the log ranges of a day, a week and a month. Both are fitted for every cut, on the rows up to that day. The same sample
and the same versions give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from safetensors.numpy import save
from sklearn.linear_model import GammaRegressor

from forecasting.config import Anchor, ForecastConfig
from forecasting.features.series import TickerSeries, engineer
from forecasting.features.windows import Windows, window
from forecasting.ingest.prices import read_prices
from forecasting.model.dataset import ShardTensors
from forecasting.model.device import one_thread
from forecasting.model.network import DRIVERS, initial_parameters, random_stream
from forecasting.model.optimizer import AdamW, one_cycle
from forecasting.model.prior import ANCHORS, HORIZON, PRIOR_FILE
from forecasting.model.training_loop import batch_loss

__all__ = ["fit_cut", "fit_har", "make_prior", "pretrain"]

SLICE = 1200
"""Sessions in a slice of the sample, about as many as a typical file has."""
FEWEST = 300
"""Sessions of the shortest slice that is used."""
CUT_YEARS = range(2004, 2013)
"""A set of constants ends with each of these years; one more ends with the sample."""
BATCH = 256
SETTINGS = ForecastConfig(
    prior="none",
    horizon=HORIZON,
    later_steps=0.3,
    epochs=8,
    learning_rate=0.01,
    weight_decay=0.05,
    dropout=0.1,
    clip_norm=1.0,
    seed=0,
)
"""How the prior is trained; chosen on panels of tickers that are not in the sample."""
LONGEST = 60
FITTED_STEPS = (1, 2, 3, 4, 5, 7, 10, 14, 20, 28, 40, 60)
"""HAR is fitted at these steps; beyond the fifth, its coefficients follow a smooth curve through them."""
POWERS = (1, 2, 3)
"""Of the log of the step, in that curve."""


def slices(series: Sequence[TickerSeries]) -> Iterator[TickerSeries]:
    """Cut each ticker's history into equal pieces of about `SLICE` sessions."""
    for one in series:
        pieces = np.array_split(np.arange(one.rows), max(1, round(one.rows / SLICE)))
        for number, rows in enumerate(pieces):
            if len(rows) >= FEWEST:
                part = slice(rows[0], rows[-1] + 1)
                columns = {name: getattr(one, name)[part] for name in ("dates", "open", "high", "low", "factor")}
                close = None if one.close is None else one.close[part]
                yield replace(one, ticker=f"{one.ticker}.{number}", close=close, splits=(), **columns)


def pretrain(windows: Windows, anchor: Anchor, config: ForecastConfig = SETTINGS) -> NDArray[np.float32]:
    """Train one network on all windows of all slices, in batches across tickers; returns its row of parameters."""
    data = ShardTensors.of(windows, "all", config, torch.device("cpu"))
    stream = random_stream(config.seed, 0, anchor)
    row = initial_parameters(data.layout, stream, DRIVERS[anchor])
    rows = torch.from_numpy(row[None]).requires_grad_()
    optimiser = AdamW(rows, config.weight_decay, config.clip_norm)
    pairs = np.array([(k, cutoff) for k, cutoffs in enumerate(data.cutoffs) for cutoff in cutoffs])
    steps = -(-len(pairs) // BATCH)
    for epoch in range(config.epochs):
        order = stream.permutation(len(pairs))
        for step in range(steps):
            ticker, cutoff = torch.from_numpy(pairs[order[step * BATCH : (step + 1) * BATCH]].T[:, None].copy())
            batch = data.gather(ticker, cutoff, torch.ones(cutoff.shape))
            kept = stream.random((1, config.hidden, cutoff.shape[1]), dtype=np.float32) >= config.dropout
            keep = torch.from_numpy(kept / np.float32(1 - config.dropout))
            batch_loss(rows, data, config, batch, keep).sum().backward()
            progress = torch.tensor([[(epoch + step / steps) / config.epochs]], dtype=torch.float64)
            optimiser.step(1, one_cycle(progress, config.learning_rate).float())
    trained: NDArray[np.float32] = rows.detach().numpy()[0]
    return trained


def fit_har(windows: Windows) -> NDArray[np.float64]:
    """Fit HAR's coefficients ``(60, 3)``, smooth in the step beyond the fifth."""
    features = windows.log_ranges - np.nanmean(windows.log_ranges, axis=1, keepdims=True)
    fitted = np.stack([_fit_step(features, windows.targets[:, :, step - 1]) for step in FITTED_STEPS])
    near, beyond = fitted[:HORIZON], np.log(np.array(FITTED_STEPS[HORIZON:]) / HORIZON)
    # A polynomial in the log of the step that starts from the fifth step's coefficients.
    curve, *_ = np.linalg.lstsq(beyond[:, None] ** POWERS, fitted[HORIZON:] - near[-1])
    far = np.log(np.arange(HORIZON + 1, LONGEST + 1) / HORIZON)
    return np.concatenate([near, near[-1] + far[:, None] ** POWERS @ curve])


def _fit_step(features: NDArray[np.float64], targets: NDArray[np.float64]) -> NDArray[np.float64]:
    size = np.abs(targets)
    relative = size / np.nanmean(size, axis=1, keepdims=True)
    known = np.isfinite(relative) & np.isfinite(features).all(axis=2)
    # A gamma variable is positive; how small a zero becomes does not matter.
    regression = GammaRegressor(alpha=0, solver="newton-cholesky", tol=1e-8)
    return np.asarray(regression.fit(features[known], np.maximum(relative[known], 1e-9)).coef_)


def make_prior(sample: Path) -> bytes:
    """Fit everything, and return the bytes of the file."""
    prices = read_prices(sample).prices
    last = prices["date"].max().date()
    cuts = [*(date(year, 12, 31) for year in CUT_YEARS), last]
    sets = [fit_cut(prices, cut) for cut in cuts]
    tensors = {name: np.stack([one[name] for one in sets]) for name in sets[0]}
    card = {
        "what": "starting weights of the LSTM and coefficients of HAR, by anchor and cut",
        "made by": "python -m forecasting.model.pretrain",
        "sample sha256": hashlib.sha256(sample.read_bytes()).hexdigest(),
        "cuts": [str(cut) for cut in cuts],
        "settings": SETTINGS.model_dump(mode="json", include={*_FITTING, "hidden", "context"}),
        "batch": BATCH,
        "har steps fitted": FITTED_STEPS,
    }
    return bytes(save(tensors, metadata={"card": json.dumps(card, sort_keys=True)}))


_FITTING = ("horizon", "later_steps", "epochs", "learning_rate", "weight_decay", "dropout", "clip_norm", "seed")


def fit_cut(prices: pd.DataFrame, cut: date) -> dict[str, NDArray[Any]]:
    """Fit one set of constants on the rows up to a day: by tensor name, as in the file without its first axis."""
    config = SETTINGS.model_copy(update={"horizon": LONGEST})
    seen = list(slices(engineer(prices[prices["date"] <= pd.Timestamp(cut)], config, cut).series))
    found: dict[str, NDArray[Any]] = {}
    for anchor in ANCHORS:
        series = [replace(one, anchor=anchor) for one in seen]
        found[f"lstm.{anchor}"] = pretrain(window(series, SETTINGS), anchor)
        found[f"har.{anchor}"] = fit_har(window(series, config))
    return found


def main() -> None:
    """Write the file into the package."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    package = Path(__file__).resolve().parent
    parser.add_argument("--sample", type=Path, default=package.parents[1] / "data" / "stocks.csv.gz")
    parser.add_argument("--out", type=Path, default=package / PRIOR_FILE)
    given = parser.parse_args()
    with one_thread():
        given.out.write_bytes(make_prior(given.sample))


if __name__ == "__main__":
    main()
