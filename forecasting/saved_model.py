"""Forecasting from a saved model: its file and newer prices in, forecasts out, without training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError

from forecasting.arrays import Array
from forecasting.config import LEVELS, Anchor, ForecastConfig, Reason
from forecasting.errors import InputError
from forecasting.evaluation.calibration import spread, widen
from forecasting.evaluation.candidates import Candidate, Choice, within_bounds
from forecasting.evaluation.frames import forecasts_frame
from forecasting.features.series import Engineered, TickerSeries, engineer
from forecasting.features.windows import RANGE_SPANS, Windows, window
from forecasting.formatting import name_few, pluralize
from forecasting.model.inference import predict
from forecasting.model.network import RowLayout
from forecasting.model.training import Fitted
from forecasting.store.model_card import CARD_VERSION, from_file
from forecasting.store.model_file import ModelFileError, load_model

__all__ = ["Prediction", "SavedModel", "TrainedOn", "forecast_from", "read_model"]

_FEATURES = 2
"""Inputs of the LSTM: the change of Open, and High-Low."""

_POSITIVE = (
    *("inputs.range", "volatility.range", "targets.range"),
    *("calibration.width", "calibration.lstm", "calibration.combination"),
)
"""Tensors that must be positive: divisors, and factors of the quantiles' widths."""

_ONLY_LSTM = 1
"""Card version of files without HAR, in which the LSTM's quantiles were shifted as well as stretched."""

_MOST_NAMED = 5


class TrainedOn(BaseModel):
    """One ticker in a model's card: the rows that its weights have seen."""

    model_config = ConfigDict(frozen=True)

    ticker: str
    anchor: Anchor
    rows: int
    first_date: date
    last_date: date
    open_sha256: str


class _Card(BaseModel):
    card_version: int
    config: dict[str, JsonValue]
    tickers: tuple[TrainedOn, ...]


@dataclass(frozen=True)
class SavedModel:
    """A checked model file: the weights of its tickers' LSTMs, and all that is needed to forecast from them."""

    path: Path
    config: ForecastConfig
    tickers: tuple[TrainedOn, ...]
    fitted: Fitted
    constants: Mapping[str, Array]
    """Its other tensors by name, tickers first; see `forecasting.evaluation.evaluate.Evaluated`."""

    @property
    def model(self) -> str:
        """The name of the model in its forecasts: ``lstm`` only where that was published, else ``combination``."""
        return "lstm" if self.config.publish == "lstm" or "har.quantiles" not in self.constants else "combination"

    def take(self, places: list[int]) -> SavedModel:
        """Choose some of its tickers."""
        tickers = tuple(self.tickers[place] for place in places)
        constants = {name: values[places] for name, values in self.constants.items()}
        return replace(self, tickers=tickers, fitted=self.fitted.take(places), constants=constants)

    def only(self, ticker: str) -> SavedModel:
        """Choose one ticker.

        Raises
        ------
        InputError
            When the model does not have it.
        """
        places = [place for place, one in enumerate(self.tickers) if one.ticker == ticker]
        if not places:
            known = name_few((one.ticker for one in self.tickers), _MOST_NAMED)
            raise InputError(f'has no model of "{ticker}"; it has {known}', file=str(self.path))
        return self.take(places)


@dataclass(frozen=True)
class Prediction:
    """Forecasts from a saved model.

    Attributes
    ----------
    forecasts
        The columns of forecasts.parquet; the model is always ``combination`` (``lstm`` where that was published, and in
        files of the first version), whatever was chosen for a ticker and step.
    failed
        Tickers in the model and in the prices, but without a forecast: name and reason.
    notes
        Tickers that are only in one of the two, and those with other prices than the model was trained on.
    """

    forecasts: pd.DataFrame
    failed: Mapping[str, str]
    notes: tuple[str, ...]


def read_model(path: Path) -> SavedModel:
    """Read a model file and check it against its card.

    Raises
    ------
    ModelFileError
        When it is damaged, not a model file of this project, of a later version, of the tutorial preset (whose
        forecasts depend on the final state of training), or its tensors are not as its card says.
    """
    tensors, raw = load_model(path)
    try:
        card = _Card.model_validate(raw)
        # Settings that do not exist any more are left out; newer ones have their defaults.
        known = {name: value for name, value in card.config.items() if name in ForecastConfig.model_fields}
        config = ForecastConfig.model_validate(known)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in detail["loc"])
        raise ModelFileError(f"its card cannot be read: {place}: {detail['msg']}", file=str(path)) from error
    if card.card_version > CARD_VERSION:
        what = f"was written by a later version (card {card.card_version}; this one reads {CARD_VERSION})"
        raise ModelFileError(what, file=str(path))
    if config.preset == "tutorial":
        what = "is of the tutorial preset, whose forecasts need the state that its training ended in"
        raise ModelFileError(what, file=str(path))
    if len({one.ticker for one in card.tickers}) < len(card.tickers):
        raise ModelFileError("its card has a ticker twice", file=str(path))
    expected = _shapes(card, config)
    found = {name: array.shape for name, array in tensors.items()}
    usable = all(array.dtype.kind == "f" and np.isfinite(array).all() for array in tensors.values())
    if found != expected or not usable or not all((tensors[name] > 0).all() for name in _POSITIVE if name in tensors):
        raise ModelFileError("its tensors are not those that its card describes", file=str(path))
    constants = {name: values for name, values in tensors.items() if name.startswith(("calibration.", "har."))}
    return SavedModel(path, config, card.tickers, from_file(tensors), constants)


def forecast_from(model: SavedModel, prices: pd.DataFrame, as_of: date | None = None) -> Prediction:
    """Forecast from the newest row of each ticker of the model.

    With the prices that the model was trained on, these are the published forecasts. With newer prices, HAR's scale
    follows the newest ranges, while its standardised quantiles and the calibration are those of the training.

    Parameters
    ----------
    model
        As `read_model` gives it.
    prices
        As `forecasting.ingest.prices.read_prices` returns them: unadjusted, longer than a window, and than a month for
        HAR.
    as_of
        The date by which a ticker is stale or not; that of the newest row when None.

    Raises
    ------
    InputError
        When no ticker can be forecast.
    """
    config = model.config.model_copy(update={"device": "cpu", "tickers": None})
    day = as_of or pd.Timestamp(prices["date"].max()).date()
    engineered = engineer(prices, config, day)
    able, failed = _prepare(model, engineered)
    notes = [*_differences(model, set(prices["ticker"].unique())), *_unlike(model, engineered)]
    if not able:
        reasons = "; ".join([*failed.values(), *notes][:3])
        raise InputError(f"the model can forecast none of these prices: {reasons}", file=str(model.path))
    chosen, windows = model.take(list(able)), window(list(able.values()), config)
    raw = predict(chosen.fitted, windows, config, windows.time - 1)
    wild = [place for place, finite in enumerate(np.asarray(np.isfinite(raw).all(axis=(1, 2, 3)))) if not finite]
    if wild:
        names = name_few((windows.series[place].ticker for place in wild), _MOST_NAMED)
        raise ModelFileError(f"its weights give no finite forecast: {names}", file=str(model.path))
    change = _calibrated(within_bounds(raw), windows, chosen)
    candidate = Candidate(model.model, windows.log_anchor[:, -1:], change, np.ones(change.shape[::2]))
    choices = [
        [Choice(model.model, Reason.STALE.text(config) if one.stale else None)] * config.horizon
        for one in windows.series
    ]
    return Prediction(forecasts_frame(windows, [candidate], choices, config), failed, tuple(notes))


def _calibrated(lstm: Array, windows: Windows, model: SavedModel) -> Array:
    """Turn the LSTM's quantiles ``(tickers, 1, horizon, 19)`` into the published ones."""
    constants = {name: values[:, None] for name, values in model.constants.items()}
    if "har.quantiles" not in constants:
        shift = constants["calibration.shift"] * spread(lstm)
        return within_bounds(widen(lstm, constants["calibration.width"]) + shift[..., None])
    if model.model == "lstm":
        return within_bounds(widen(lstm, constants["calibration.lstm"]))
    scale = np.exp((constants["har.coefficients"] * windows.log_ranges[:, -1:, None]).sum(axis=3))
    together = (lstm + scale[..., None] * constants["har.quantiles"]) / 2
    return within_bounds(widen(together, constants["calibration.combination"]))


def _prepare(model: SavedModel, engineered: Engineered) -> tuple[dict[int, TickerSeries], dict[str, str]]:
    """Choose the series that the model can forecast, by their index in it, and say why it cannot forecast others."""
    series = {one.ticker: one for one in engineered.series}
    withheld = {one.ticker: one.message for one in engineered.withheld}
    able: dict[int, TickerSeries] = {}
    failed: dict[str, str] = {}
    for place, trained in enumerate(model.tickers):
        name = trained.ticker
        if name in withheld:
            failed[name] = withheld[name]
        elif name in series:
            one = series[name]
            if trained.anchor == "close" and one.close is None:
                failed[name] = f"{name}: its model starts from the last Close, and these prices have no usable one"
            elif one.rows <= model.config.context:
                failed[name] = f"{name}: {one.rows} rows; a window of {model.config.context} needs one more than that"
            else:
                # The anchor is that of the training.
                able[place] = replace(one, anchor=trained.anchor)
    return able, failed


def _differences(model: SavedModel, priced: set[str]) -> Iterator[str]:
    """Name the tickers that only the model or only the prices have."""
    modelled = {one.ticker for one in model.tickers}
    for missing, where, other in ((modelled - priced, "model", "prices"), (priced - modelled, "prices", "model")):
        if missing:
            names = name_few(sorted(missing), _MOST_NAMED)
            yield f"{pluralize(len(missing), 'ticker')} of the {where} not in the {other}: {names}"


def _unlike(model: SavedModel, engineered: Engineered) -> Iterator[str]:
    """Name the tickers whose prices, on the dates of the training, are not those of the training."""
    series = {one.ticker: one for one in engineered.series}
    unlike = []
    for trained in model.tickers:
        one = series.get(trained.ticker)
        if one is None:
            continue
        seen = (one.dates >= np.datetime64(trained.first_date)) & (one.dates <= np.datetime64(trained.last_date))
        if sha256(np.ascontiguousarray(one.open[seen], dtype="<f8").tobytes()).hexdigest() != trained.open_sha256:
            unlike.append(trained.ticker)
    if unlike:
        names = name_few(unlike, _MOST_NAMED)
        yield f"{pluralize(len(unlike), 'ticker')} with other Opens than the model was trained on: {names}"


def _shapes(card: _Card, config: ForecastConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of the tensors of a model file."""
    tickers, horizon = len(card.tickers), config.horizon
    scalers = {"inputs": _FEATURES, "volatility": 1, "targets": horizon}
    row = sum(RowLayout(_FEATURES, config.hidden, horizon).sizes)
    parts = ("shift", "width") if card.card_version == _ONLY_LSTM else ("lstm", "combination")
    har = {"har.coefficients": (tickers, horizon, len(RANGE_SPANS)), "har.quantiles": (tickers, horizon, len(LEVELS))}
    return {
        "parameters": (tickers, config.members, row),
        **{f"{name}.{part}": (tickers, 1, size) for name, size in scalers.items() for part in ("offset", "range")},
        **{f"calibration.{part}": (tickers, horizon) for part in parts},
        **({} if card.card_version == _ONLY_LSTM else har),
    }
