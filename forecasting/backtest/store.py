"""Write a backtest into the store: its forecasts, scores and page, and last the manifest that names them.

    DIR/backtests/as_of=YYYY-MM-DD/forecasts.parquet     every model's forecast from every origin, with the actual
    DIR/backtests/as_of=YYYY-MM-DD/metrics.parquet       scores by ticker, model and step, with corrected tests
    DIR/backtests/as_of=YYYY-MM-DD/report.html           the same for people
    DIR/backtests/as_of=YYYY-MM-DD/manifest.json         inputs, settings, versions, and the SHA-256 of the above

Another backtest of the same date takes the place of the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from forecasting.backtest.metrics import BACKTEST_METRICS
from forecasting.backtest.page import Backtest, build_backtest_page
from forecasting.backtest.study import BACKTEST
from forecasting.ingest.prices import Ingested
from forecasting.model.device import choose_device
from forecasting.schemas import write_parquet
from forecasting.store.atomic import FileRecord
from forecasting.store.fingerprints import describe_rows
from forecasting.store.manifest import (
    FindingRecord,
    InputRecord,
    Manifest,
    WithheldRecord,
    config_record,
    versions_in_use,
)
from forecasting.store.store import Store

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
    wait: float = 60.0,
) -> Path:
    """Write a backtest; returns its folder.

    Parameters
    ----------
    store
        Where to.
    backtest
        What is written.
    ingested
        What was read for it.
    reading, timings
        For the manifest: how the input was read; when and how long, which alone depends on the clock.
    wait
        Seconds to wait for another run to leave the store.

    Raises
    ------
    StoreLockedError
        When another run holds the store after the wait.
    OSError
        When the disk is full, broken or read-only; nothing has changed then, but for a break between two renames.
    """
    folder = store.folder("backtests", backtest.as_of)
    page = build_backtest_page(backtest).encode("utf-8", "backslashreplace")
    with store.locked(wait):
        staged = {name: store.stage(folder / name) for name in ("forecasts.parquet", "metrics.parquet", "report.html")}
        try:
            write_parquet(staged["forecasts.parquet"], [backtest.judged.rows], BACKTEST)
            write_parquet(staged["metrics.parquet"], [backtest.metrics], BACKTEST_METRICS)
            staged["report.html"].write(page)
            records = {store.name_of(folder / name): file.seal() for name, file in staged.items()}
            manifest = _manifest(backtest, ingested, reading or {}, timings or {}, records)
            staged["manifest.json"] = store.stage(folder / "manifest.json")
            staged["manifest.json"].write(manifest.to_json())
            staged["manifest.json"].seal()
            for file in staged.values():
                store.prepare(file)
                file.place()
        finally:
            for file in staged.values():
                file.discard()
    return folder


def _manifest(
    backtest: Backtest,
    ingested: Ingested,
    reading: Mapping[str, Any],
    timings: Mapping[str, Any],
    files: Mapping[str, FileRecord],
) -> Manifest:
    return BacktestManifest(
        as_of=backtest.as_of,
        study=asdict(backtest.study),
        config=config_record(backtest.config),
        reading=dict(reading),
        inputs=tuple(InputRecord.model_validate(one) for one in ingested.inputs),
        rows=describe_rows(ingested.prices),
        versions=versions_in_use(),
        device=choose_device(backtest.config.device).type,
        findings=tuple(FindingRecord.model_validate(one) for one in ingested.findings),
        withheld=tuple(WithheldRecord(ticker=who, reason=why) for who, why in backtest.withheld),
        timings=dict(timings),
    ).with_files(files)
