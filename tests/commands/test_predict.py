"""Forecasting from a saved model: what was published, what an earlier version recorded, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date

import numpy as np
import pandas as pd
import pytest

from forecasting.__main__ import main
from forecasting.config import QUANTILE_COLUMNS, ForecastConfig
from forecasting.errors import InputError
from forecasting.features.series import engineer
from forecasting.ingest.prices import read_prices
from forecasting.pipeline import forecast_shard
from forecasting.saved_model import forecast_from, read_model
from forecasting.store.model_file import ModelFileError, load_model, model_bytes

CONFIG = ForecastConfig(hidden=3, members=2, epochs=2, horizon=2, context=5)
PRICES = list(QUANTILE_COLUMNS)


def walk(ticker, seed, rows=slice(400)):
    """Some of the 420 rows of a random walk on weekdays, its Close usable."""
    stream = np.random.default_rng(seed)
    close = 50 * np.exp(np.cumsum(stream.normal(0, 0.015, 420)))
    open_ = np.concatenate([[50.0], close[:-1]]) * np.exp(stream.normal(0, 0.004, 420))
    frame = pd.DataFrame({"open": open_, "close": close}).assign(
        ticker=ticker,
        date=pd.bdate_range("2015-01-05", periods=420).astype("datetime64[s]"),
        high=np.maximum(open_, close) * 1.003,
        low=np.minimum(open_, close) * 0.997,
        volume=1e6,
    )
    return frame.iloc[rows]


def together(*histories):
    return pd.concat(histories, ignore_index=True)


@pytest.fixture(scope="module")
def prices():
    return together(walk("ACME", 1), walk("BETA", 2, slice(20, 400)), walk("TINY", 3, slice(340, 400)))


@pytest.fixture(scope="module")
def trained(prices, tmp_path_factory):
    """A model file, and the forecasts that were published with it of the tickers that have an LSTM."""
    return saved(prices, CONFIG, tmp_path_factory.mktemp("models"))


def saved(prices, config, folder):
    series = engineer(prices, config, date(2016, 7, 15)).series
    shard = forecast_shard(0, series, config)
    evaluated, model = shard.evaluated, shard.model
    path = folder / "shard-00.safetensors"
    path.write_bytes(model_bytes(model.tensors, model.card))
    return path, evaluated.forecasts[evaluated.forecasts["ticker"] != "TINY"].reset_index(drop=True)


@pytest.fixture(scope="module")
def csv(prices, tmp_path_factory):
    path = tmp_path_factory.mktemp("prices") / "prices.csv"
    prices.to_csv(path, index=False)
    return path


def changed(path, folder, **card):
    """The same model file with another card, its own SHA-256 right."""
    tensors, old = load_model(path)
    other = folder / "changed.safetensors"
    other.write_bytes(model_bytes(tensors, old | card))
    return other


def test_an_earlier_versions_model_gives_the_forecasts_that_it_gave_then(root):
    folder = root / "tests" / "fixtures"
    recorded = pd.DataFrame([json.loads(line) for line in (folder / "model_v1.json").read_text().splitlines()])
    sample = read_prices(root / "data" / "stocks.csv.gz").prices
    found = forecast_from(read_model(folder / "model_v1.safetensors"), sample).forecasts
    np.testing.assert_allclose(found[PRICES], recorded[PRICES], rtol=1e-6)
    for name in ("ticker", "cutoff", "target_date", "step", "anchor", "anchor_price"):
        assert found[name].astype(str).tolist() == recorded[name].astype(str).tolist()


def test_the_same_prices_give_what_was_published(trained, prices):
    path, published = trained
    found = forecast_from(read_model(path), prices).forecasts
    np.testing.assert_allclose(found[PRICES], published[PRICES], rtol=1e-6)
    columns = ["ticker", "cutoff", "target_date", "step", "model", "anchor", "anchor_price"]
    pd.testing.assert_frame_equal(found[columns], published[columns])
    assert len(found) == 4


@pytest.mark.parametrize(
    ("changes", "model", "anchor"),
    [
        ({"publish": "lstm"}, "lstm", "close"),
        ({"publish": "best"}, "combination", "close"),
        ({}, "combination", "range"),
    ],
)
def test_every_setting_and_anchor_can_be_saved(prices, tmp_path, changes, model, anchor):
    rows = prices if anchor == "close" else prices.assign(close=np.nan)
    path, published = saved(rows, CONFIG.model_copy(update=changes), tmp_path)
    found = forecast_from(read_model(path), rows).forecasts
    assert set(found["model"]) == {model}
    assert set(found["anchor"]) == {anchor}
    same = (published["model"] == model).to_numpy()
    assert same.any() or changes == {"publish": "best"}
    np.testing.assert_allclose(found[PRICES][same], published[PRICES][same], rtol=1e-6)


def test_newer_ranges_move_hars_scale(trained, prices):
    wild = prices.assign(high=prices["high"].where(prices["date"] < prices["date"].max(), 1.05 * prices["high"]))
    spans = [
        np.log(found["q95"] / found["q05"]).to_numpy()
        for found in (forecasts_of(trained, prices), forecasts_of(trained, wild))
    ]
    assert (spans[1] > 1.05 * spans[0]).all()


def forecasts_of(trained, prices):
    return forecast_from(read_model(trained[0]), prices).forecasts


def test_the_calibration_is_part_of_it(trained, prices, tmp_path):
    path, published = trained
    tensors, card = load_model(path)
    wide = tmp_path / "wide.safetensors"
    wide.write_bytes(model_bytes(tensors | {"calibration.combination": 2 * tensors["calibration.combination"]}, card))
    found = np.log(forecast_from(read_model(wide), prices).forecasts[["q05", "q95"]]).diff(axis=1)["q95"]
    assert found.to_numpy() == pytest.approx(2 * np.log(published["q95"] / published["q05"]).to_numpy(), rel=1e-4)


def test_newer_rows_move_the_forecast_and_rows_after_the_date_do_not(trained, prices):
    model = read_model(trained[0])
    newer = together(walk("ACME", 1, slice(420)), walk("BETA", 2, slice(20, 420)))
    before = forecast_from(model, prices[prices["ticker"] == "ACME"]).forecasts
    then = newer[newer["date"] <= prices["date"].max()]
    assert forecast_from(model, then[then["ticker"] == "ACME"]).forecasts.equals(before)
    moved = forecast_from(model, newer)
    assert set(moved.forecasts["cutoff"]) == {newer["date"].max().date()}
    assert moved.notes == ()


def test_one_ticker_does_not_depend_on_the_others(trained, prices):
    model = read_model(trained[0])
    alone = forecast_from(model.only("BETA"), prices[prices["ticker"] == "BETA"]).forecasts
    beside = forecast_from(model, prices).forecasts
    beside = beside[beside["ticker"] == "BETA"]
    np.testing.assert_allclose(alone[PRICES], beside[PRICES], rtol=1e-6)


def test_who_is_missing_on_either_side_is_said(trained, prices):
    found = forecast_from(read_model(trained[0]), prices[prices["ticker"] != "BETA"])
    assert found.notes == (
        "1 ticker of the model not in the prices: BETA",
        "1 ticker of the prices not in the model: TINY",
    )
    assert set(found.forecasts["ticker"]) == {"ACME"}


def test_other_prices_than_in_training_are_said(trained, prices):
    restated = prices.assign(open=prices["open"].where(prices.index != 7, prices["open"] * 1.001))
    assert any("1 ticker with other Opens" in note and "ACME" in note for note in notes_of(trained, restated))
    assert not any("other Opens" in note for note in notes_of(trained, prices))


def notes_of(trained, prices):
    return forecast_from(read_model(trained[0]), prices).notes


def test_a_ticker_that_cannot_be_forecast_is_named_and_harms_no_other(trained, prices):
    without_close = prices.assign(close=prices["close"].where(prices["ticker"] != "ACME"))
    found = forecast_from(read_model(trained[0]), without_close)
    assert "these prices have no usable one" in found.failed["ACME"]
    assert set(found.forecasts["ticker"]) == {"BETA"}


def test_nothing_to_forecast_is_an_input_error(trained, prices):
    with pytest.raises(InputError, match="can forecast none of these prices"):
        forecast_from(read_model(trained[0]), prices[prices["ticker"] == "TINY"])


def test_settings_that_a_later_version_gave_up_do_no_harm(trained, prices, tmp_path):
    path, published = trained
    _, card = load_model(path)
    older = changed(path, tmp_path, config=card["config"] | {"momentum": 0.9})
    np.testing.assert_allclose(forecast_from(read_model(older), prices).forecasts[PRICES], published[PRICES], rtol=1e-6)


@pytest.mark.parametrize(
    ("card", "said"),
    [
        ({"card_version": 99}, "written by a later version"),
        ({"config": {"hidden": -1}}, "its card cannot be read: hidden"),
        ({"tickers": [{"ticker": "ACME"}]}, "its card cannot be read: tickers.0"),
        ({"tickers": []}, "its tensors are not those that its card describes"),
        ({"config": {"preset": "tutorial"}}, "is of the tutorial preset"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(trained, tmp_path, card, said):
    with pytest.raises(ModelFileError, match=said):
        read_model(changed(trained[0], tmp_path, **card))


def test_weights_that_are_not_numbers_are_refused(trained, tmp_path):
    tensors, card = load_model(trained[0])
    path = tmp_path / "nan.safetensors"
    path.write_bytes(model_bytes(tensors | {"parameters": tensors["parameters"] * np.float32("nan")}, card))
    with pytest.raises(ModelFileError, match="its tensors are not those"):
        read_model(path)


@pytest.mark.parametrize(
    ("name", "value"),
    [("inputs.range", 0.0), ("targets.range", -1.0), ("calibration.combination", -1.0), ("parameters", np.int8)],
)
def test_forged_tensors_are_refused_though_their_sum_is_right(trained, tmp_path, name, value):
    tensors, card = load_model(trained[0])
    old = tensors[name]
    forged = old.astype(value) if isinstance(value, type) else np.full_like(old, value)
    path = tmp_path / "forged.safetensors"
    path.write_bytes(model_bytes(tensors | {name: forged}, card))
    with pytest.raises(ModelFileError, match="its tensors are not those"):
        read_model(path)


def test_weights_too_large_to_forecast_with_are_an_input_error(trained, prices, tmp_path):
    tensors, card = load_model(trained[0])
    path = tmp_path / "huge.safetensors"
    path.write_bytes(model_bytes(tensors | {"parameters": np.full_like(tensors["parameters"], 3e38)}, card))
    with pytest.raises(ModelFileError, match="give no finite forecast"):
        forecast_from(read_model(path), prices)


def test_a_ticker_twice_in_the_card_is_refused(trained, tmp_path):
    _, card = load_model(trained[0])
    twice = changed(trained[0], tmp_path, tickers=[card["tickers"][0], *card["tickers"][:-1]])
    with pytest.raises(ModelFileError, match="has a ticker twice"):
        read_model(twice)


def test_the_command_prints_a_table(trained, csv, capsys):
    assert main(["predict", str(trained[0]), str(csv)]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["Ticker", "ACME", "ACME", "BETA", "BETA"]
    assert "1 ticker of the prices not in the model: TINY" in err


def test_the_command_prints_one_object_a_forecast(trained, csv, capsys):
    path, published = trained
    assert main(["predict", str(path), str(csv), "--ticker", "ACME", "--json"]) == 0
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [(row["ticker"], row["step"]) for row in rows] == [("ACME", 1), ("ACME", 2)]
    assert rows[0]["q50"] == pytest.approx(published["q50"].iloc[0], rel=1e-6)
    assert rows[0]["reason"] is None
    assert set(rows[0]) == set(published.columns)
    assert not err


def test_a_reader_that_has_seen_enough_is_not_an_error(trained, csv):
    command = [sys.executable, "-m", "forecasting", "predict", str(trained[0]), str(csv), "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    process.stdout.close()
    with process.stderr:
        assert "Traceback" not in process.stderr.read()
    assert process.wait(timeout=60) == 0


def test_the_command_says_what_is_wrong(trained, csv, tmp_path, capsys):
    path = str(trained[0])
    pickle = tmp_path / "model.safetensors"
    pickle.write_bytes(b"\x80\x04\x95cposix\nsystem\n.")
    assert main(["predict", path, str(csv), "--ticker", "OTHER"]) == 2
    assert 'has no model of "OTHER"' in capsys.readouterr().err
    assert main(["predict", str(pickle), str(csv)]) == 2
    assert "is not a safetensors file" in capsys.readouterr().err
    assert main(["predict", path, str(tmp_path / "none.csv")]) == 2
    assert "none.csv" in capsys.readouterr().err


def test_the_command_ends_with_three_when_some_ticker_failed(trained, prices, tmp_path, capsys):
    short = together(prices[prices["ticker"] == "ACME"], prices[prices["ticker"] == "BETA"].tail(5))
    short.to_csv(tmp_path / "short.csv", index=False)
    assert main(["predict", str(trained[0]), str(tmp_path / "short.csv")]) == 3
    assert "BETA" in capsys.readouterr().err


def test_a_hostile_name_cannot_steer_the_terminal(trained, prices, tmp_path, capsys):
    path, _ = trained
    tensors, card = load_model(path)
    name = "AC\x1b[31mME"
    renamed = [entry | {"ticker": name if entry["ticker"] == "ACME" else entry["ticker"]} for entry in card["tickers"]]
    hostile = tmp_path / "hostile.safetensors"
    hostile.write_bytes(model_bytes(tensors, card | {"tickers": renamed}))
    prices[prices["ticker"] == "BETA"].to_csv(tmp_path / "prices.csv", index=False)
    assert main(["predict", str(hostile), str(tmp_path / "prices.csv")]) == 0
    out, err = capsys.readouterr()
    assert "\x1b" not in out + err
    assert r"AC\x1b[31mME" in err
