from __future__ import annotations

from datetime import date
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from forecasting.config import ForecastConfig
from forecasting.errors import InputError
from forecasting.features.series import engineer
from forecasting.features.windows import group
from forecasting.ingest.prices import read_prices
from forecasting.pipeline import forecast, forecast_shard
from forecasting.publish import publish
from forecasting.reproduce import verify_files
from forecasting.run import collect
from forecasting.schemas import FORECASTS, HELDOUT, METRICS, SCHEMA_VERSION
from forecasting.store import paths
from forecasting.store.store import Store

AS_OF = date(2024, 6, 28)
CONFIG = ForecastConfig(
    epochs=2, members=1, hidden=3, horizon=2, calendar="24/7", device="cpu", shards=2, shard_tickers=1
)


@pytest.fixture(scope="module")
def run(make_prices, tmp_path_factory):
    """Two tickers in two shards, a third that is too short, and a file that cannot be read."""
    folder = tmp_path_factory.mktemp("prices")
    for name, rows in (("ZZZ", 200), ("AAA", 220), ("NEW", 5)):
        make_prices(name, rows, seed=rows).drop(columns="ticker").to_csv(folder / f"{name}.csv", index=False)
    (folder / "BAD.csv").write_text("<html>404 Not Found</html>\n")
    return forecast(read_prices(folder, as_of=AS_OF), CONFIG, AS_OF)


@pytest.fixture(scope="module")
def store(run, tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("place") / "store")
    assert publish(store, run, reading={"date_order": "ymd"}, timings={"train": 1.5}).status == "new"
    return store


def files_of(store):
    """Every file of a store by name, its own housekeeping left out."""
    root = Path(store.root)
    paths = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {str(path): (root / path).read_bytes() for path in paths if not path.name.startswith(".")}


def test_everything_that_readers_are_promised_is_written(store) -> None:
    day = "as_of=2024-06-28"
    written = set(files_of(store))
    assert {
        f"forecasts/{day}/forecasts.parquet",
        f"evaluation/{day}/heldout/shard-000.parquet",
        f"evaluation/{day}/heldout/shard-001.parquet",
        f"evaluation/{day}/metrics.parquet",
        f"reports/{day}/report.html",
        f"runs/{day}/manifest.json",
    } <= written
    assert len([name for name in written if name.startswith(f"models/{day}/") and name.endswith(".safetensors")]) == 2
    assert len(written) == 8
    for path, schema in (
        ((store.root / paths.forecasts(AS_OF)), FORECASTS),
        ((store.root / paths.heldout_part(AS_OF, 0)), HELDOUT),
        ((store.root / paths.metrics(AS_OF)), METRICS),
    ):
        found = pq.read_schema(path)
        assert found.equals(schema)
        assert found.metadata[b"schema_version"] == str(SCHEMA_VERSION).encode()


def test_what_is_read_back_is_what_was_forecast(run, store) -> None:
    frame = pd.read_parquet(store.root / "forecasts")
    assert frame["ticker"].tolist() == ["AAA", "AAA", "ZZZ", "ZZZ"]
    np.testing.assert_array_equal(frame["forecast"], run.forecasts["forecast"])
    assert set(frame["as_of"].astype(str)) == {"2024-06-28"}
    heldout = pd.read_parquet(store.root / paths.folder("evaluation", AS_OF) / "heldout")
    assert sorted(heldout["ticker"].unique()) == ["AAA", "ZZZ"]
    assert len(heldout) == sum(table.num_rows for table in run.heldout)
    assert store.heldout(AS_OF).num_rows == len(heldout)


def test_the_manifest_holds_what_went_in_and_what_came_out(store) -> None:
    manifest = store.manifest(AS_OF)
    assert ForecastConfig.model_validate(manifest.config) == CONFIG
    assert (manifest.reading, manifest.timings) == ({"date_order": "ymd"}, {"train": 1.5})
    assert {Path(one.path).name for one in manifest.inputs} == {"AAA.csv", "BAD.csv", "NEW.csv", "ZZZ.csv"}
    for one in manifest.inputs:
        assert one.sha256 == sha256(Path(one.path).read_bytes()).hexdigest()
    assert {name: rows.rows for name, rows in manifest.rows.items()} == {"AAA": 220, "NEW": 5, "ZZZ": 200}
    reasons = {one.ticker: one.reason for one in manifest.withheld}
    assert set(reasons) == {"BAD", "NEW"}
    assert "5 rows" in reasons["NEW"]
    files = files_of(store)
    for name, entry in manifest.files.items():
        assert entry.sha256 == sha256(files[name]).hexdigest()
    assert set(manifest.files) == {name for name in files if not name.endswith("manifest.json")}


@pytest.mark.parametrize("which", ["published", "none"])
def test_fewer_heldout_rows_change_nothing_else(run, store, tmp_path, which) -> None:
    series = engineer(run.ingested.prices, CONFIG, AS_OF)
    other = Store(tmp_path)
    with other.drafts() as drafts:
        shards = [
            forecast_shard(number, shard, CONFIG, drafts=drafts, heldout=which)
            for number, shard in enumerate(group(series.series, CONFIG))
        ]
        publish(other, collect(run.ingested, series, shards, config=CONFIG, as_of=AS_OF))
    whole, files = files_of(store), files_of(other)
    parts = {name for name in whole if "heldout" in name}
    assert {name for name in files if "heldout" in name} == (parts if which == "published" else set())
    same = [name for name in whole if "heldout" not in name and "manifest" not in name]
    assert {name: files[name] for name in same} == {name: whole[name] for name in same}
    assert verify_files(other, AS_OF) == ()
    chosen = run.forecasts[["ticker", "step", "model"]].merge(store.heldout(AS_OF).to_pandas())
    kept = other.heldout(AS_OF).to_pandas()
    assert kept.columns.tolist() == HELDOUT.names
    assert len(kept) == (len(chosen) if which == "published" else 0)
    if which == "published":
        keys = ["ticker", "step", "cutoff"]
        expected = chosen.sort_values(keys, ignore_index=True)[HELDOUT.names]
        pd.testing.assert_frame_equal(kept.sort_values(keys, ignore_index=True), expected, check_dtype=False)


def test_run_again_everything_is_the_same_bytes(run, store, tmp_path) -> None:
    again = forecast(run.ingested, CONFIG, AS_OF)
    other = Store(tmp_path / "other")
    publish(other, again, reading={"date_order": "ymd"}, timings={"train": 1.5})
    assert files_of(other) == files_of(store)
    assert publish(store, again, reading={"date_order": "ymd"}, timings={"train": 1.5}).status == "same"


def test_the_report_names_every_ticker_and_every_reason(store) -> None:
    html = (store.root / paths.report(AS_OF)).read_text()
    for word in ("AAA", "ZZZ", "NEW", "BAD", "5 rows"):
        assert word in html


def test_nobody_to_publish_is_said_with_the_reasons(make_prices, tmp_path) -> None:
    make_prices("NEW", 5).to_csv(tmp_path / "prices.csv", index=False)
    ingested = read_prices(tmp_path / "prices.csv", as_of=AS_OF)
    with pytest.raises(InputError, match=r"no ticker can be forecast: NEW: 5 rows"):
        forecast(ingested, CONFIG, AS_OF)
