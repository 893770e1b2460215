"""The store's first page, ``DIR/reports/index.html``: each day's report, and how its forecasts turned out.

It takes one small read for each of the newest dates, however many the store has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc

from forecasting.errors import InputError
from forecasting.evaluation.metrics import WITH_LSTM
from forecasting.formatting import percent, pluralize
from forecasting.monitoring.health import by_group
from forecasting.monitoring.ledger import read_scores
from forecasting.reports.html import render_page
from forecasting.reports.track_record import SCORE_PAGE, TrackRecord, track_record, verdict
from forecasting.schemas import FORECASTS
from forecasting.store import paths
from forecasting.store.store import PATIENCE, Store

__all__ = ["PAGE", "PublishedDate", "build_index", "publish_index", "published_dates"]

PAGE = "reports/index.html"

LISTED = 60
"""Dates that are listed: about three months."""


@dataclass(frozen=True, slots=True)
class PublishedDate:
    """A date of publication, and how its forecasts turned out so far.

    Attributes
    ----------
    tickers, forecasts, with_lstm, stale
        What was published; a forecast is one ticker's step, and ``stale`` are tickers.
    due, coverage, ratio
        Forecasts that are scored, their share inside the 80 % band, and their CRPS over persistence's (NaN if none).
    report
        Whether its report is still in the store.
    """

    as_of: date
    tickers: int
    forecasts: int
    with_lstm: int
    stale: int
    due: int
    coverage: float
    ratio: float
    report: bool

    @property
    def outcome(self) -> str:
        """The outcome in one line."""
        if not self.due:
            return "none of its sessions has come yet"
        if not np.isfinite(self.ratio):
            return f"{percent(self.coverage, 0)} inside the 80 % band"
        saved = 1 - self.ratio
        than = f"CRPS {percent(abs(saved), 0)} {'below' if saved >= 0 else 'above'} repeating the last Open"
        return f"{than}, {percent(self.coverage, 0)} inside the 80 % band"


def publish_index(store: Store, record: TrackRecord | None = None) -> None:
    """Write the page; nothing where nothing is published. Without a record it is read from the store.

    Raises
    ------
    StoreLockedError
        When another run holds the store after the wait.
    OSError
        When the page cannot be written.
    """
    with store.locked(PATIENCE):
        record = record or track_record(read_scores(store, dates=LISTED))
        dates = published_dates(store, record)
        if dates:
            store.write(PAGE, build_index(dates, record, older=len(store.dates()) - len(dates)).encode())


def published_dates(store: Store, record: TrackRecord | None) -> list[PublishedDate]:
    """Sum up the newest dates of a store, the newest first; dates with damaged forecasts are left out."""
    scored = {} if record is None else _by_date(record.scores)
    reports = {entry.name for entry in store.files("reports")}
    found = []
    for day in reversed(store.dates()[-LISTED:]):
        try:
            rows = store.table(paths.forecasts(day), FORECASTS, ["ticker", "model", "reason"])
        except (InputError, OSError):
            continue
        stale = pc.match_substring(pc.fill_null(rows["reason"], ""), "stale", ignore_case=True)
        own: Mapping[str, float] = scored.get(day, {})
        found.append(
            PublishedDate(
                as_of=day,
                tickers=pc.count_distinct(rows["ticker"]).as_py(),
                forecasts=rows.num_rows,
                with_lstm=sum(model in WITH_LSTM for model in rows["model"].to_pylist()),
                stale=pc.count_distinct(rows["ticker"].filter(stale)).as_py(),
                due=int(own.get("n", 0)),
                coverage=own.get("coverage_80", np.nan),
                ratio=1 - own.get("skill", np.nan),
                report=paths.report(day) in reports,
            )
        )
    return found


def build_index(dates: list[PublishedDate], record: TrackRecord | None, *, older: int = 0) -> str:
    """Build the page on these dates, at least one; ``older`` more are not listed."""
    return render_page(
        "index.html.jinja",
        data={"charts": {"skill": record.curves[-1].chart()} if record else {}},
        dates=dates,
        newest=dates[0],
        record=record,
        verdict=verdict(record) if record else "No published forecast has come due yet.",
        scores_page=SCORE_PAGE.removeprefix("reports/"),
        older=pluralize(older, "older date") if older else "",
    )


def _by_date(scores: pd.DataFrame) -> dict[date, dict[str, Any]]:
    rows = by_group(scores, "as_of").to_dict("records")
    return {pd.Timestamp(row["as_of"]).date(): {str(name): value for name, value in row.items()} for row in rows}
