"""Write a backtest into the store: its forecasts, scores and page, and last the manifest with their hashes.

    DIR/backtests/as_of=YYYY-MM-DD/forecasts.parquet     every model's forecast from every origin, with the actual
    DIR/backtests/as_of=YYYY-MM-DD/metrics.parquet       scores by ticker, model and step, with corrected tests
    DIR/backtests/as_of=YYYY-MM-DD/report.html           the same for people
    DIR/backtests/as_of=YYYY-MM-DD/manifest.json         inputs, settings, versions, and the SHA-256 of the above

Another backtest of the same date replaces the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import JsonValue

from forecasting.backtest.metrics import BACKTEST_METRICS
from forecasting.backtest.page import Backtest, build_backtest_page
from forecasting.backtest.study import BACKTEST
from forecasting.ingest.prices import Ingested
from forecasting.schemas import parquet_bytes
from forecasting.store import paths
from forecasting.store.manifest import Manifest, WithheldRecord
from forecasting.store.places import record_of
from forecasting.store.store import PATIENCE, Store

__all__ = ["BacktestManifest", "publish_backtest"]


class BacktestManifest(Manifest):
    """The manifest of a backtest: a run's, and what the study was."""

    study: dict[str, JsonValue]


def publish_backtest(
    store: Store,
    backtest: Backtest,
    ingested: Ingested,
    *,
    reading: Mapping[str, Any] | None = None,
    timings: Mapping[str, Any] | None = None,
) -> str:
    """Write a backtest; returns the path of its folder.

    Parameters
    ----------
    store
        Where the backtest is written.
    backtest
        The backtest.
    ingested
        Its input.
    reading, timings
        For the manifest: how the input was read, and when and how long the study ran.

    Raises
    ------
    StoreLockedError
        When another run holds the store after the wait.
    OSError
        When the disk is full, broken or read-only; nothing has changed then, except for an error between two renames.
    """
    folder = paths.folder("backtests", backtest.as_of)
    files = {
        f"{folder}/forecasts.parquet": parquet_bytes(backtest.judged.rows, BACKTEST),
        f"{folder}/metrics.parquet": parquet_bytes(backtest.metrics, BACKTEST_METRICS),
        f"{folder}/report.html": build_backtest_page(backtest).encode("utf-8", "backslashreplace"),
    }
    records = {name: record_of(data) for name, data in files.items()}
    manifest = BacktestManifest.of(
        ingested,
        backtest.config,
        backtest.as_of,
        study=asdict(backtest.study),
        reading=dict(reading or {}),
        withheld=tuple(WithheldRecord(ticker=who, reason=why) for who, why in backtest.withheld),
        timings=dict(timings or {}),
    )
    with store.locked(PATIENCE):
        store.write_all({**files, f"{folder}/manifest.json": manifest.with_files(records).to_json()})
    return store.where(folder)
