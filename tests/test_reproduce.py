"""Verifying a published date: identical, or what differs; files that have grown, histories that were restated."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd
import pytest

from forecasting.config import QUANTILE_COLUMNS, ForecastConfig
from forecasting.errors import InputError
from forecasting.reproduce import compare_forecasts, verify, verify_files
from forecasting.schemas import FORECASTS, METRICS, parquet_bytes
from forecasting.store import paths
from forecasting.store.fingerprints import describe_rows
from forecasting.store.manifest import InputRecord, Manifest, config_record, versions_in_use
from forecasting.store.store import Store

AS_OF = date(2017, 2, 19)


@dataclass(frozen=True)
class Ingested:
    """As much of `forecasting.ingest.prices.Ingested` as verifying looks at."""

    prices: pd.DataFrame


def history(ticker="GOOG", rows=50, seed=0):
    values = np.random.default_rng(seed).uniform(90, 110, (rows, 5))
    frame = pd.DataFrame(values, columns=["open", "high", "low", "close", "volume"])
    return frame.assign(ticker=ticker, date=pd.date_range("2017-01-01", periods=rows))


def both():
    return pd.concat([history("GOOG"), history("IBM", seed=1)], ignore_index=True)


def reader(prices):
    """A stand-in for `read_prices` that holds `prices`, and sets later rows aside as that does."""

    def read(source, *, as_of, tickers, **options):
        assert source == ["prices.csv"]
        assert options == {"date_order": "dmy"}
        return Ingested(prices[prices["date"] <= pd.Timestamp(as_of)])

    return read


def rerun(config, ingested, as_of):
    """A stand-in for the whole run: each ticker's forecasts follow from its last Open."""
    assert config == ForecastConfig(seed=3)
    return parquet_bytes(forecast(ingested.prices), FORECASTS)


def forecast(prices):
    last = prices.groupby("ticker")["open"].last()
    frame = pd.DataFrame(
        {
            "ticker": last.index,
            "cutoff": AS_OF,
            "target_date": date(2017, 2, 21),
            "step": 1,
            "model": "persistence",
            "reason": "under 150 rows",
            "anchor": "open",
            "anchor_price": last.to_numpy(),
            "forecast": last.to_numpy(),
        }
    )
    return frame.assign(
        **{name: last.to_numpy() * (0.5 + 0.05 * (k + 1)) for k, name in enumerate(QUANTILE_COLUMNS)}
    ).assign(forecast=lambda table: table["q50"])


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "store")
    scores = dict.fromkeys(METRICS.names, 1.0) | {"ticker": "A", "model": "lstm", "step": 1, "n": 9, "chosen": True}
    prices = both()
    manifest = Manifest(
        as_of=AS_OF,
        config=config_record(ForecastConfig(seed=3)),
        reading={"date_order": "dmy"},
        inputs=(InputRecord(path="prices.csv", sha256="00", bytes=1),),
        rows=describe_rows(prices),
        versions=versions_in_use(),
    )
    with store.publication(AS_OF) as publication:
        publication.metrics(pd.DataFrame([scores]))
        publication.model("shard-0", {"w": np.ones(3)}, {})
        publication.report("<html>")
        publication.commit(forecast(prices), manifest)
    return store


def ask(store, prices):
    return verify(store, AS_OF, None, read=reader(prices), rerun=rerun)


def test_an_unchanged_input_gives_identical_forecasts(store):
    result = ask(store, both())
    assert result.identical
    assert result.differences == result.notes == ()


def test_files_that_have_grown_still_verify(store):
    grown = pd.concat([history("GOOG"), history("GOOG", 80).tail(30), history("IBM", seed=1)])
    assert ask(store, grown).identical


def test_a_restated_history_is_named_by_ticker_and_row(store):
    restated = both()
    restated.loc[restated["ticker"].eq("IBM") & (restated["date"] >= "2017-01-11"), "open"] *= 0.5
    result = ask(store, restated)
    assert not result.identical
    assert result.differences[0] == "IBM: history restated: row 11 (2017-01-11) is the first that differs"
    assert any(sentence.startswith("forecast: 1 forecasts differ by up to 0.5 of") for sentence in result.differences)
    assert not any("GOOG" in sentence for sentence in result.differences)


def test_a_ticker_that_is_gone_is_named_and_a_new_one_left_out(store):
    result = ask(store, pd.concat([history("IBM", seed=1), history("\x1b[31mNEW", seed=2)]))
    assert result.differences == ("GOOG: is no longer in the input", "1 forecasts are no longer made: GOOG")
    assert result.notes == ("not in the published run, and left out here: \\x1b[31mNEW",)


def test_damage_to_the_store_is_named(store):
    (store.root / paths.report(AS_OF)).write_text("edited")
    ((store.root / paths.folder("models", AS_OF)) / "strange.safetensors").write_bytes(b"")
    (store.root / paths.metrics(AS_OF)).unlink()
    assert ask(store, both()).differences == (
        "evaluation/as_of=2017-02-19/metrics.parquet is missing",
        "models/as_of=2017-02-19/strange.safetensors is not part of the run",
        "reports/as_of=2017-02-19/report.html is not as it was written",
    )


def test_what_retention_removes_is_only_noted(store):
    (store.root / paths.report(AS_OF)).unlink()
    result = ask(store, both())
    assert result.identical
    assert result.notes == ("reports/as_of=2017-02-19/report.html is gone (removed as old, or lost)",)


def test_who_had_no_time_to_be_trained_is_reported_and_the_others_are_compared(store):
    spent = forecast(both())
    spent.loc[spent["ticker"] == "IBM", "reason"] = "time budget spent"
    spent.loc[spent["ticker"] == "IBM", "model"] = "last_close"
    with store.publication(AS_OF, restate=True) as publication:
        publication.commit(spent, store.manifest(AS_OF))
    result = ask(store, both())
    assert result.identical
    assert any("had no time to be trained" in note and "IBM" in note for note in result.notes)


def test_a_pipe_or_a_folder_in_a_files_place_is_named_at_once(store):
    (store.root / paths.report(AS_OF)).unlink()
    os.mkfifo(store.root / paths.report(AS_OF))
    (store.root / paths.metrics(AS_OF)).unlink()
    (store.root / paths.metrics(AS_OF)).mkdir()
    assert {difference.kind for difference in verify_files(store, AS_OF)} == {"changed"}


def test_forecasts_edited_by_hand_are_found(store):
    edited = forecast(both())
    edited.loc[0, ["q50", "forecast"]] *= 1.001
    (store.root / paths.forecasts(AS_OF)).write_bytes(parquet_bytes(edited, FORECASTS))
    assert [difference.kind for difference in verify_files(store, AS_OF)] == ["changed"]
    differences = ask(store, both()).differences
    assert differences[0] == "forecasts/as_of=2017-02-19/forecasts.parquet is not as it was written"
    assert "q50: 1 forecasts differ by up to 0.001 of their value: GOOG" in differences


def test_another_version_is_noted(store):
    manifest = store.manifest(AS_OF)
    older = manifest.model_copy(update={"versions": {**manifest.versions, "torch": "1.0"}})
    (store.root / paths.manifest(AS_OF)).write_bytes(older.to_json())
    assert ask(store, both()).notes[0].startswith("computed with torch 1.0, now ")


def test_what_cannot_be_verified_is_an_input_error(store):
    with pytest.raises(InputError, match="no manifest"):
        verify(store, date(2001, 1, 1), None, read=reader(both()), rerun=rerun)
    manifest = store.manifest(AS_OF)
    (store.root / paths.manifest(AS_OF)).write_bytes(manifest.model_copy(update={"config": {"horizon": 0}}).to_json())
    with pytest.raises(InputError, match="configuration"):
        ask(store, both())
    (store.root / paths.forecasts(AS_OF)).unlink()
    with pytest.raises(InputError, match="nothing is published"):
        ask(store, both())


def test_columns_of_text_are_compared_too():
    before = forecast(both())
    now = before.assign(model="lstm", reason=None)
    sentences = compare_forecasts(parquet_bytes(before, FORECASTS), parquet_bytes(now, FORECASTS))
    assert sentences == ("model: 2 forecasts differ: GOOG, IBM", "reason: 2 forecasts differ: GOOG, IBM")


def test_equal_values_in_other_bytes_are_distinguished_from_equal_bytes():
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    data = parquet_bytes(forecast(both()), FORECASTS)
    assert compare_forecasts(data, data) == ()
    other = io.BytesIO()
    pq.write_table(pq.read_table(pa.BufferReader(data)), other, compression="none")
    assert compare_forecasts(data, other.getvalue()) == ("all values are the same, but the files' bytes are not",)


def test_many_tickers_are_not_all_listed():
    many = pd.concat([history(f"T{number:02d}", 3, number) for number in range(20)])
    moved = many.assign(open=many["open"] * 2)
    sentences = compare_forecasts(parquet_bytes(forecast(many), FORECASTS), parquet_bytes(forecast(moved), FORECASTS))
    assert sentences[0].endswith("T00, T01, T02, T03, T04 and 15 more")
