"""One outside model on a panel, run in the environment that its library lives in.

    python outside_models.py NAME IN.npz OUT.npz

IN has, by ticker and session: ``log_open``, ``log_anchor``, ``log_ranges`` (the last three averages of the log range),
``targets`` (log change from the anchor to the Open of each step), ``test_start`` and ``levels``. OUT gets ``scale``
(tickers, time, steps), whose multiples by the changes' own past quantiles are the forecast, or ``quantiles`` (tickers,
time, steps, levels) of the change; NaN where there is none. Everything is fitted on rows before ``test_start``, once.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping

import numpy as np

warnings.filterwarnings("ignore")

Panel = Mapping[str, np.ndarray]


def garch(panel: Panel) -> dict[str, np.ndarray]:
    """GARCH(1,1) with t innovations on changes of the anchor (arch); its variance forecast is the scale."""
    from arch import arch_model

    tickers, time, steps = panel["targets"].shape
    scale = np.full((tickers, time, steps), np.nan)
    for k in range(tickers):
        start = int(panel["test_start"][k])
        changes = 100 * np.diff(panel["log_anchor"][k])
        changes = np.where(np.isfinite(changes), changes, 0.0)
        fitted = arch_model(changes[: start - 1], mean="Zero", vol="GARCH", dist="t").fit(disp="off")
        omega, alpha, beta = (fitted.params[name] for name in ("omega", "alpha[1]", "beta[1]"))
        variance = np.full(time, changes[: start - 1].var())
        for t in range(1, time):  # forecast of the change after session t
            variance[t] = omega + alpha * changes[t - 1] ** 2 + beta * variance[t - 1]
        ahead, total = variance.copy(), np.zeros(time)
        for step in range(steps):
            total = total + ahead
            scale[k, :, step] = np.sqrt(total)
            ahead = omega + (alpha + beta) * ahead
    return {"scale": scale}


def lightgbm(panel: Panel) -> dict[str, np.ndarray]:
    """One gradient-boosted model per quantile and step on HAR's features, pooled over tickers (LightGBM)."""
    import lightgbm as gbm

    targets, levels = panel["targets"], panel["levels"]
    tickers, time, steps = targets.shape
    position = np.arange(time)[None, :]
    out = np.full((tickers, time, steps, len(levels)), np.nan)
    for step in range(steps):
        train = (position + step + 1 < panel["test_start"][:, None]) & np.isfinite(targets[:, :, step])
        own = np.where(train, targets[:, :, step], np.nan)
        spread = np.nanstd(own, axis=1)[:, None]
        centre = np.nanmean(np.where(train[:, :, None], panel["log_ranges"], np.nan), axis=1, keepdims=True)
        features = panel["log_ranges"] - centre
        test = (position + 1 >= panel["test_start"][:, None]) & np.isfinite(features).all(axis=2)
        found = []
        for level in levels:
            settings = {"objective": "quantile", "alpha": level, "n_estimators": 100, "num_leaves": 8}
            model = gbm.LGBMRegressor(**settings, learning_rate=0.05, min_child_samples=200, verbose=-1, n_jobs=1)
            model.fit(features[train], (own / spread)[train])
            found.append(model.predict(features[test]))
        out[test, step] = np.sort(np.stack(found, axis=1), axis=1) * np.broadcast_to(spread, test.shape)[test][:, None]
    return {"quantiles": out}


def statsforecast(panel: Panel) -> dict[str, np.ndarray]:
    """AutoARIMA on the log Open, its order and coefficients fitted once per ticker (statsforecast)."""
    from statsforecast.models import AutoARIMA

    tickers, time, steps = panel["targets"].shape
    levels = panel["levels"]
    central = [round(100 * (1 - 2 * level)) for level in levels[levels < 0.499]]
    out = np.full((tickers, time, steps, len(levels)), np.nan)
    for k in range(tickers):
        start, opened = int(panel["test_start"][k]), panel["log_open"][k]
        known = opened[np.isfinite(opened)]
        first = len(opened) - len(known)
        model = AutoARIMA(max_p=2, max_q=2, seasonal=False).fit(known[: start - first])
        for t in range(start - 1, time - 1):
            found = model.forward(known[: t + 1 - first], h=steps, level=central)
            low = [found[f"lo-{one}"] for one in central]
            high = [found[f"hi-{one}"] for one in reversed(central)]
            out[k, t] = np.stack([*low, found["mean"], *high], axis=1) - panel["log_anchor"][k, t]
    return {"quantiles": out}


def neuralforecast(panel: Panel) -> dict[str, np.ndarray]:
    """One LSTM for all tickers with a quantile loss on the next change from the anchor (neuralforecast); step 1."""
    import pandas as pd
    from neuralforecast import NeuralForecast
    from neuralforecast.losses.pytorch import MQLoss
    from neuralforecast.models import LSTM

    tickers, time, steps = panel["targets"].shape
    levels = panel["levels"]
    change = np.concatenate([np.full((tickers, 1), np.nan), panel["targets"][:, :-1, 0]], axis=1)
    frames = []
    for k in range(tickers):
        keep = np.isfinite(change[k]) & np.isfinite(panel["log_ranges"][k]).all(axis=1)
        frames.append(
            pd.DataFrame(
                {"unique_id": k, "ds": np.flatnonzero(keep), "y": 100 * change[k, keep]}
                | {f"range_{span}": panel["log_ranges"][k, keep, place] for place, span in enumerate((1, 5, 22))}
            )
        )
    test = int(time - panel["test_start"].min())
    model = LSTM(
        h=1,
        input_size=22,
        encoder_hidden_size=32,
        encoder_n_layers=1,
        decoder_hidden_size=32,
        loss=MQLoss(quantiles=list(levels)),
        hist_exog_list=["range_1", "range_5", "range_22"],
        scaler_type="robust",
        max_steps=1000,
        learning_rate=1e-3,
        batch_size=32,
        random_seed=0,
        enable_progress_bar=False,
        logger=False,
    )
    forecaster = NeuralForecast(models=[model], freq=1)
    found = forecaster.cross_validation(pd.concat(frames, ignore_index=True), n_windows=test, step_size=1, refit=False)
    columns = [name for name in found.columns if name.startswith("LSTM")]
    quantiles = np.sort(found[columns].to_numpy() / 100, axis=1)
    out = np.full((tickers, time, steps, len(levels)), np.nan)
    # A change is numbered by the session that it ends in; it is forecast from the one before.
    out[found["unique_id"].to_numpy(), found["ds"].to_numpy() - 1, 0] = quantiles
    return {"quantiles": out}


def darts(panel: Panel) -> dict[str, np.ndarray]:
    """One LSTM for all tickers with a quantile loss on the next change from the anchor (darts); step 1."""
    import pandas as pd
    from darts import TimeSeries
    from darts.models import BlockRNNModel
    from darts.utils.likelihood_models.torch import QuantileRegression

    tickers, time, steps = panel["targets"].shape
    levels = [float(level) for level in panel["levels"]]
    change = np.concatenate([np.full((tickers, 1), np.nan), panel["targets"][:, :-1, 0]], axis=1)
    whole = np.isfinite(change) & np.isfinite(panel["log_ranges"]).all(axis=2)
    series, ranges, known = [], [], []
    for k in range(tickers):
        begin = int(np.flatnonzero(~whole[k])[-1]) + 1  # numbers its sessions as the panel does
        at = pd.RangeIndex(begin, time)
        series.append(TimeSeries.from_times_and_values(at, 100 * change[k, begin:]).astype(np.float32))
        ranges.append(TimeSeries.from_times_and_values(at, panel["log_ranges"][k, begin:]).astype(np.float32))
        known.append(series[-1].split_before(int(panel["test_start"][k]))[0])
    quiet = {"accelerator": "cpu", "logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    model = BlockRNNModel(
        22,
        1,
        model="LSTM",
        hidden_dim=32,
        batch_size=128,
        n_epochs=2,
        likelihood=QuantileRegression(levels),
        random_state=0,
        pl_trainer_kwargs={"enable_checkpointing": False, **quiet},
    )
    model.fit(known, past_covariates=ranges)
    out = np.full((tickers, time, steps, len(levels)), np.nan)
    for k in range(tickers):
        found = model.historical_forecasts(
            series[k],
            past_covariates=ranges[k],
            start=int(panel["test_start"][k]),
            retrain=False,
            predict_likelihood_parameters=True,
            verbose=False,
        )
        # A change is numbered by the session that it ends in; it is forecast from the one before.
        out[k, found.time_index.to_numpy() - 1, 0] = np.sort(found.values() / 100, axis=1)
    return {"quantiles": out}


MODELS: Mapping[str, Callable[[Panel], dict[str, np.ndarray]]] = {
    "garch": garch,
    "lightgbm": lightgbm,
    "statsforecast": statsforecast,
    "neuralforecast": neuralforecast,
    "darts": darts,
}


if __name__ == "__main__":
    name, given, result = sys.argv[1:]
    np.savez(result, **MODELS[name](dict(np.load(given))))
