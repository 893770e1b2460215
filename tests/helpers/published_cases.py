"""Published forecasts of made histories, for what scoring must do with them."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
from scipy.stats import norm

from forecasting.calendars import target_sessions
from forecasting.config import LEVELS, QUANTILE_COLUMNS
from forecasting.monitoring.ledger import score_published
from forecasting.store.manifest import Manifest

SESSIONS = target_sessions("XNYS", date(2017, 1, 1), 120)


FIRST = 100
"""The row of the first cutoff; there are twenty sessions after it."""


def prices(ticker="ACME", seed=0):
    """A random walk on the sessions of New York, its Close usable."""
    stream = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(stream.normal(0, 0.012, len(SESSIONS))))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(stream.normal(0, 0.006, len(SESSIONS)))
    high, low = np.maximum(open_, close) * 1.004, np.minimum(open_, close) * 0.996
    frame = pd.DataFrame({"open": open_, "high": high, "low": low, "close": close}).round(2)
    return frame.assign(
        ticker=ticker,
        date=pd.DatetimeIndex(SESSIONS).astype("datetime64[s]"),
        volume=1e6 + stream.random(len(SESSIONS)),
    )


def published(history, row, *, model="lstm", anchor="close", horizon=3):
    """What was published of a ticker from one row on: its last price, with bands that widen."""
    price = float(history[anchor].iloc[row])
    records = [
        {
            "ticker": history["ticker"].iloc[0],
            "cutoff": SESSIONS[row],
            "target_date": target,
            "step": step,
            "model": model,
            "reason": None,
            "anchor": anchor,
            "anchor_price": price,
            **dict(zip(QUANTILE_COLUMNS, price * np.exp(0.012 * step**0.5 * norm.ppf(LEVELS)), strict=True)),
        }
        for step, target in enumerate(target_sessions("XNYS", SESSIONS[row], horizon), start=1)
    ]
    return pd.DataFrame(records).assign(forecast=lambda frame: frame["q50"]).astype({"step": "int32"})


def heldout(history, row, last=15):
    """Held-out rows from which a later run can see what the Opens before a cutoff were."""
    at = np.arange(row - last, row)
    frame = pd.DataFrame({"cutoff": [SESSIONS[k] for k in at], "target_date": [SESSIONS[k + 1] for k in at]})
    opens = history["open"].to_numpy()
    return frame.assign(
        ticker=history["ticker"].iloc[0],
        step=1,
        model="combination",
        actual=opens[at + 1],
        forecast=opens[at],
        **dict.fromkeys(QUANTILE_COLUMNS, 1.0),
    ).astype({"step": "int32"} | dict.fromkeys(["forecast", *QUANTILE_COLUMNS], "float32"))


def publish(store, row, *histories, scored=False, restate=False, **given):
    frame = pd.concat([published(history, row, **given) for history in histories], ignore_index=True)
    with store.publication(SESSIONS[row], scored=scored, restate=restate) as publication:
        publication.heldout(0, pd.concat([heldout(history, row) for history in histories]))
        return publication.commit(frame, Manifest(as_of=SESSIONS[row], config={}))


def score(store, frame, row):
    return score_published(store, frame, "XNYS", SESSIONS[row])


def messages(scoring):
    return [finding.message for finding in scoring.findings]
