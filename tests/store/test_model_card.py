from __future__ import annotations

import json
from datetime import date
from hashlib import sha256

import numpy as np
import pandas as pd
import pytest

from forecasting.config import ForecastConfig
from forecasting.evaluation.calibration import widen
from forecasting.evaluation.candidates import first_judged, make_candidates
from forecasting.evaluation.evaluate import evaluate
from forecasting.features.series import engineer
from forecasting.features.windows import window
from forecasting.model.inference import lstm_quantiles, predict
from forecasting.model.prior import load_prior
from forecasting.model.training import train
from forecasting.store.model_card import from_file, model_file
from forecasting.store.model_file import load_model, model_bytes

CONFIG = ForecastConfig(epochs=2, members=2, hidden=3, horizon=2, context=5, calendar="24/7", device="cpu")


@pytest.fixture(scope="module")
def shard(make_prices):
    """Two tickers with an LSTM, and one too short for it."""
    frames = [make_prices("A", 220), make_prices("SHORT", 60, seed=1), make_prices("B", 180, seed=2)]
    windows = window(engineer(pd.concat(frames), CONFIG, date(2024, 6, 28)).series, CONFIG)
    trained = train(windows, CONFIG)
    return windows, trained, evaluate(windows, trained, CONFIG)


def test_from_the_file_the_same_forecast_is_made(shard, tmp_path) -> None:
    windows, trained, evaluated = shard
    model = model_file("shard-00", windows, trained, evaluated, CONFIG)
    (tmp_path / "model.safetensors").write_bytes(model_bytes(model.tensors, model.card))
    tensors, _ = load_model(tmp_path / "model.safetensors")
    fitted = from_file(tensors)
    able = window([one for one in windows.series if one.ticker != "SHORT"], CONFIG)
    found = widen(predict(fitted, able, CONFIG, able.time - 1)[:, 0], tensors["calibration.lstm"])
    start = first_judged(windows)
    lstm = make_candidates(windows, lstm_quantiles(windows, trained, CONFIG, start), start)[0]
    kept = [k for k, one in enumerate(windows.series) if one.ticker != "SHORT"]
    np.testing.assert_allclose(found, lstm.change[kept, -1], rtol=1e-5, atol=1e-9)


def test_the_card_says_what_the_weights_are(shard) -> None:
    windows, trained, evaluated = shard
    model = model_file("shard-00", windows, trained, evaluated, CONFIG)
    card = json.loads(json.dumps(model.card))
    assert ForecastConfig.model_validate(card["config"]) == CONFIG
    assert card["versions"]["torch"]
    assert card["versions"]["prior"] == load_prior().sha256
    assert [one["ticker"] for one in card["tickers"]] == ["A", "B"]
    one = next(one for one in windows.series if one.ticker == "A")
    mine = card["tickers"][0]
    assert (mine["rows"], mine["last_date"], mine["anchor"]) == (220, "2024-06-28", "close")
    assert mine["open_sha256"] == sha256(one.open.astype("<f8").tobytes()).hexdigest()
    scores = evaluated.metrics.query("ticker == 'A' and model == 'lstm'")["crps"]
    assert mine["heldout_crps"] == scores.tolist()


def test_every_tensor_has_a_row_for_each_ticker_with_a_model(shard) -> None:
    model = model_file("shard-00", *shard, CONFIG)
    assert {tensor.shape[0] for tensor in model.tensors.values()} == {2}
    assert all(np.isfinite(tensor).all() for tensor in model.tensors.values())


def test_a_shard_without_a_model_has_an_empty_file(make_prices) -> None:
    windows = window(engineer(make_prices("SHORT", 60), CONFIG, date(2024, 6, 28)).series, CONFIG)
    trained = train(windows, CONFIG)
    model = model_file("shard-00", windows, trained, evaluate(windows, trained, CONFIG), CONFIG)
    assert model.card["tickers"] == []
    assert {tensor.shape[0] for tensor in model.tensors.values()} == {0}
    assert model_bytes(model.tensors, model.card)
