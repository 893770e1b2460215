"""A backtest in the store: written whole, found again, the old one kept when a disk is full."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from backtest_cases import run

from forecasting.backtest.metrics import (
    BACKTEST_METRICS,
    score_backtest,
)
from forecasting.backtest.store import BacktestManifest, publish_backtest
from forecasting.backtest.study import (
    BACKTEST,
    judge,
)
from forecasting.errors import InputError
from forecasting.ingest.prices import Ingested
from forecasting.store.store import Store


def publish(*args, **given):
    return Path(publish_backtest(*args, **given))


def test_a_backtest_is_written_whole_and_found_again(backtest, prices, tmp_path):
    store = Store(tmp_path / "store")
    folder = publish(store, backtest, Ingested(prices, (), (), ()), reading={"decimal": "auto"})
    assert store.dates("backtests") == (backtest.as_of,)
    assert store.dates() == ()
    assert sorted(path.name for path in folder.iterdir()) == [
        "forecasts.parquet",
        "manifest.json",
        "metrics.parquet",
        "report.html",
    ]
    written = pq.read_table(folder / "forecasts.parquet")
    assert written.schema.remove_metadata().equals(BACKTEST.remove_metadata())
    assert written.num_rows == len(backtest.judged.rows)
    assert pq.read_schema(folder / "metrics.parquet").remove_metadata().equals(BACKTEST_METRICS.remove_metadata())
    manifest = BacktestManifest.model_validate_json((folder / "manifest.json").read_bytes())
    assert manifest.study == {"origins": 6, "refit_every": 3, "window": None}
    assert len(manifest.files) == 3
    assert not list((store.root / ".staging").iterdir())


def test_the_same_backtest_gives_the_same_bytes_and_a_new_one_takes_its_place(backtest, prices, tmp_path):
    store, read = Store(tmp_path / "store"), Ingested(prices, (), (), ())
    folder = publish(store, backtest, read)
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = judge(run(prices), prices)
    same = replace(backtest, judged=again, metrics=score_backtest(again.rows, again.scales))
    publish_backtest(store, same, read)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    publish_backtest(store, replace(backtest, withheld=(("X", "why"),)), read)
    assert (folder / "manifest.json").read_bytes() != first["manifest.json"]


def test_a_full_disk_leaves_the_backtest_that_was(backtest, prices, tmp_path, monkeypatch):
    store, read = Store(tmp_path / "store"), Ingested(prices, (), (), ())
    folder = publish(store, backtest, read)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    real, flushed = os.fsync, []

    def full(descriptor):
        flushed.append(descriptor)
        if len(flushed) == 3:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        publish_backtest(store, replace(backtest, withheld=(("X", "why"),)), read)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not list((store.root / ".staging").iterdir())


def test_a_store_whose_backtests_lead_elsewhere_is_refused(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "backtests").symlink_to(tmp_path)
    with pytest.raises(InputError, match="symbolic link"):
        Store(tmp_path / "store")
