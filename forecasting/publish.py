"""Publish a run: write tables, models, report and manifest into the store, and the forecasts last."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from forecasting.reports.run_page import build_report
from forecasting.run import Run
from forecasting.store.manifest import Manifest
from forecasting.store.store import PATIENCE, Store
from forecasting.store.transaction import Published

__all__ = ["publish"]


def publish(
    store: Store,
    run: Run,
    *,
    reading: Mapping[str, Any] | None = None,
    timings: Mapping[str, Any] | None = None,
    restate: bool = False,
    scored: bool | Callable[[], bool] = False,
) -> Published:
    """Write a run into the store: all of it, or nothing.

    Parameters
    ----------
    store
        Where the run is published.
    run
        The result of `forecasting.run.collect`.
    reading
        How the input was read (date order, decimal mark), for the manifest.
    timings
        When the run began and how long it took, for the manifest; the only part that depends on the clock.
    restate, scored
        See `forecasting.store.store.Store.publication`.

    Raises
    ------
    StoreLockedError
        When another run holds the store after the wait.
    OSError
        When the disk is full, broken or read-only; what was published before is unchanged.
    """
    manifest = Manifest.of(
        run.ingested,
        run.config,
        run.as_of,
        reading=dict(reading or {}),
        findings=run.findings,
        withheld=run.withheld,
        timings=dict(timings or {}),
    )
    report = build_report(run)
    with store.publication(run.as_of, restate=restate, scored=scored, wait=PATIENCE) as publication:
        for number, rows in enumerate(run.heldout):
            if rows is not None:
                publication.heldout(number, rows)
        publication.metrics(run.metrics)
        for model in run.models:
            publication.model(model.name, model.tensors, model.card)
        publication.report(report)
        return publication.commit(run.forecasts, manifest)
