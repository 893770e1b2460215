"""What came of a run, for the command line, the UI and the events alike."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from forecasting.config import OUT_OF_TIME
from forecasting.formatting import count
from forecasting.publish import Run
from forecasting.reports.summary import Headline, headline, overview
from forecasting.reports.track_record import TrackRecord
from forecasting.store.store import Store
from forecasting.store.transaction import Published

__all__ = ["Outcome"]


@dataclass(frozen=True)
class Outcome:
    """What came of a run that did not fail.

    Attributes
    ----------
    status
        ``published``; ``partial``, when some tickers could not be read or forecast; ``kept``, when what was published
        before stands and this run's forecasts are dropped; ``idle``, when there was nothing to do.
    message
        One plain sentence.
    as_of
        The date; None when idle.
    store, run, published, headline
        What was published, where; None when idle, and no run and no headline when kept: they are not what stands there.
    stale
        Whether the session that was due is missing from the data altogether.
    record
        How earlier forecasts turned out; None while none has come due.
    """

    status: Literal["published", "partial", "kept", "idle"]
    message: str
    as_of: date | None = None
    store: Store | None = None
    run: Run | None = None
    published: Published | None = None
    headline: Headline | None = None
    stale: bool = False
    record: TrackRecord | None = None

    @property
    def partial(self) -> bool:
        """Whether some tickers could not be read or forecast."""
        return self.status == "partial"

    @classmethod
    def idle(cls, why: str) -> Outcome:
        """Nothing was to be done."""
        return cls("idle", why)

    @classmethod
    def of(
        cls, store: Store, run: Run, published: Published, *, stale: bool = False, record: TrackRecord | None = None
    ) -> Outcome:
        """Sum up a publication."""
        if published.status == "kept":
            message = f"{published.message[:1].upper()}{published.message[1:]}"
            return cls("kept", message, run.as_of, store, published=published, stale=stale, record=record)
        summary = headline(overview(run.forecasts, run.metrics), len(run.withheld))
        parts = [
            published.message[:1].upper() + published.message[1:],
            f"{count(summary.tickers, 'ticker')}, {summary.lstm} of {count(summary.forecasts, 'forecast')} by the LSTM",
        ]
        if stale:
            parts.append(f"stale: the data have no rows of {run.as_of}")
        elif summary.stale:
            parts.append(f"{summary.stale} stale")
        reasons = run.forecasts["reason"].astype(object).fillna("")
        untrained = run.forecasts.loc[reasons.str.contains(OUT_OF_TIME, regex=False), "ticker"].nunique()
        if untrained:
            parts.append(f"{count(untrained, 'ticker')} by a baseline, the time budget being spent")
        if run.withheld:
            parts.append(f"{len(run.withheld)} withheld")
        status: Literal["published", "partial"] = "partial" if run.withheld else "published"
        return cls(status, "; ".join(parts), run.as_of, store, run, published, summary, stale, record)
