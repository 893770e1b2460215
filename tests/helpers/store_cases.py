"""Small publications, as tests of a store write them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from forecasting.config import QUANTILE_COLUMNS, ForecastConfig
from forecasting.schemas import METRICS
from forecasting.store.manifest import Manifest, config_record
from forecasting.store.store import Store, StoreLockedError

AS_OF = date(2017, 1, 31)


def forecasts(level=100.0, tickers=("GOOG", "IBM")):
    frame = pd.DataFrame(
        {
            "ticker": [ticker for ticker in tickers for _ in range(2)],
            "cutoff": pd.Timestamp(AS_OF),
            "target_date": pd.to_datetime(["2017-02-01", "2017-02-02"] * len(tickers)),
            "step": [1, 2] * len(tickers),
            "model": "lstm",
            "reason": None,
            "anchor": "close",
            "anchor_price": 796.79,
            "forecast": level + QUANTILE_COLUMNS.index("q50"),
        }
    )
    return frame.assign(**{name: level + k for k, name in enumerate(QUANTILE_COLUMNS)})


def heldout():
    return forecasts().drop(columns=["reason", "anchor", "anchor_price"]).assign(actual=1.5)


def metrics():
    values = dict.fromkeys(METRICS.names, 1.0) | {"ticker": "A", "model": "lstm", "step": 1, "n": 9, "chosen": True}
    return pd.DataFrame([values])


def manifest(as_of=AS_OF, **timings):
    return Manifest(as_of=as_of, config=config_record(ForecastConfig()), timings=timings)


def publish(store, level=100.0, as_of=AS_OF, models=("shard-0",), **options):
    with store.publication(as_of, **options) as publication:
        publication.heldout(0, heldout())
        publication.heldout(1, heldout().assign(step=[3, 4] * 2))
        publication.metrics(metrics())
        for name in models:
            publication.model(name, {"w": np.full((2, 3), level)}, {"tickers": [name]})
        publication.report("<!doctype html>")
        return publication.commit(forecasts(level), manifest(as_of, started=level))


def run(root, level, wait, results):
    try:
        results.put(publish(Store(root), level, wait=wait).status)
    except StoreLockedError as error:
        results.put(str(error))
