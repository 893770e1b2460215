"""The backfill: the daily forecast as of each session of a range of dates, as live runs on those days would make it.

    daily-forecast backfill --from 2013-01-02 --to 2013-03-01

Each date is a run of the daily forecast, with its own page; so what it publishes is what that run would have published,
byte for byte. Dates that are already published are left alone, so a backfill that was stopped or killed continues where
it ended.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, cast

from prefect.client.schemas.objects import State
from prefect.exceptions import CancelledRun
from prefect.logging import get_run_logger
from prefect.states import Cancelled

from daily_forecast import daily_forecast
from daily_forecast_flows.options import BackfillOptions
from daily_forecast_flows.outcome import Outcome
from daily_forecast_flows.shards import ProgressArtifact
from daily_forecast_flows.tasks import STOPS, conclude, ingest, job, name_run, result_of
from forecasting.calendars import sessions_between
from forecasting.errors import InputError
from forecasting.formatting import pluralize, printable
from forecasting.store.store import Store

__all__ = ["Backfilled", "backfill"]


@dataclass
class Backfilled:
    """The progress of a backfill and its results so far."""

    sessions: Sequence[date]
    """All sessions of the range."""
    there: int = 0
    """How many of them were already published."""
    published: list[date] = field(default_factory=list)
    """The dates published now."""
    withheld: list[date] = field(default_factory=list)
    """The dates among them on which some tickers could not be read or forecast."""
    failed: dict[date, str] = field(default_factory=dict)
    """The dates that could not be forecast at all, with the reason."""

    @property
    def partial(self) -> bool:
        """Whether some dates, or some tickers on a date, could not be forecast."""
        return bool(self.failed or self.withheld)

    @property
    def message(self) -> str:
        """The same as one plain sentence."""
        parts = [f"{len(self.published):,} of {pluralize(len(self.sessions), 'date')} published"]
        parts += [f"{self.there:,} were there already"] if self.there else []
        parts += [f"{len(self.withheld):,} without some of their tickers"] if self.withheld else []
        if self.failed:
            first, why = next(iter(self.failed.items()))
            parts.append(f"{len(self.failed):,} could not be forecast, the first {first}: {why}")
        return "; ".join(parts)


@job(BackfillOptions)
def backfill(options: BackfillOptions) -> State[Any]:
    """Forecast as of each session of a range of dates, as live runs of those days would have."""
    store = Store(options.output)
    first = options.first or min(store.dates(), default=None)
    if first is None:
        raise InputError("nothing is published yet whose gaps could be filled", setting="set --from")
    last = options.last or result_of(ingest(options, None)).last_day
    progress = Backfilled(sessions_between(options.calendar, first, last))
    name_run(f"{first} to {last}, {pluralize(len(progress.sessions), 'session')}")
    bar = ProgressArtifact("backfill", "nothing is done yet")
    todo = [day for day in progress.sessions if options.restate or not store.published(day)]
    progress.there, began = len(progress.sessions) - len(todo), time.monotonic()
    try:
        for done, session in enumerate(todo, 1):
            _forecast(options, session, progress)
            left = (time.monotonic() - began) / done * (len(todo) - done)
            text = f"{session}: {progress.message}; {left / 60:.0f} min left"
            bar.update((progress.there + done) / len(progress.sessions), text)
            get_run_logger().info("%s", text)
            sys.stderr.write(f"{printable(text, 500)}\n")
    except STOPS:
        return Cancelled(message=f"Stopped: {progress.message}; run it again to go on")
    bar.update(1.0, progress.message)
    if progress.failed and not progress.published and not progress.there:
        raise InputError(f"no date of the range can be forecast: {next(iter(progress.failed.values()))}")
    return conclude(progress)


def _forecast(options: BackfillOptions, session: date, progress: Backfilled) -> None:
    """Run the daily forecast of one session, and record its result."""
    given = options.model_dump(exclude={"first", "last"})
    state = cast("State[Outcome]", daily_forecast(**given, as_of=session.isoformat(), return_state=True))
    if state.is_cancelled():
        raise CancelledRun(state.message)
    outcome = state.result(raise_on_failure=False)
    # Prefect may keep a run's state for a long time, and it holds the held-out forecasts of all tickers.
    state.data = None
    if isinstance(outcome, InputError):
        progress.failed[session] = str(outcome)
    elif isinstance(outcome, BaseException):
        raise outcome
    else:
        progress.published.append(session)
        progress.withheld += [session] if outcome.partial else []
