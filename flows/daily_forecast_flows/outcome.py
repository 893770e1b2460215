"""The result of a run: on the command line, as events that automations act on, and on the run's page in the UI."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, Literal

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.events import emit_event
from prefect.runtime import flow_run
from rich.text import Text

from daily_forecast_flows.tasks import LASTING, step
from forecasting.commands import DONE, FAILED, PARTIAL, STOPPED, complain
from forecasting.commands.run import print_run
from forecasting.commands.terminal import open_console, plain_json
from forecasting.config import Reason
from forecasting.errors import InputError
from forecasting.evaluation.metrics import REFERENCE
from forecasting.formatting import name_few, pluralize
from forecasting.reports.html import as_code, plain
from forecasting.reports.run_markdown import report_markdown
from forecasting.reports.run_tables import forecast_rows, quality_rows, score_rows
from forecasting.reports.summary import Headline, headline, overview
from forecasting.reports.track_record import TrackRecord, score_markdown
from forecasting.run import Run
from forecasting.store import paths
from forecasting.store.store import Store, StoreLockedError
from forecasting.store.transaction import Published

__all__ = ["Outcome", "describe", "exit_status", "leave_path", "news", "show"]


@dataclass(frozen=True)
class Outcome:
    """The result of a run that did not fail.

    Attributes
    ----------
    status
        ``published``; ``partial``, when some tickers could not be read or forecast; ``kept``, when the earlier
        publication is kept and this run's forecasts are dropped; ``idle``, when there was nothing to do.
    message
        One plain sentence.
    store, as_of
        The store, and the date; None when idle.
    run, published, headline
        What was published; None when idle. When kept, run and headline are None: they are not what is published.
    record, overdue
        How earlier forecasts turned out, None while none is due; whether a session that was due is still unpublished.
    """

    status: Literal["published", "partial", "kept", "idle"]
    message: str
    store: Store
    as_of: date | None = None
    run: Run | None = None
    published: Published | None = None
    headline: Headline | None = None
    record: TrackRecord | None = None
    overdue: bool = False

    @property
    def partial(self) -> bool:
        """Whether some tickers could not be read or forecast."""
        return self.status == "partial"

    @property
    def stale(self) -> bool:
        """Whether the data have no rows at all of the date."""
        return self.run is not None and self.run.forecasts["cutoff"].max() < self.run.as_of

    @property
    def missing(self) -> list[str]:
        """The tickers that were published last time and are not in the input any more."""
        return [] if self.run is None else [one.ticker for one in self.run.findings if one.kind == "missing"]

    @property
    def places(self) -> dict[str, str]:
        """Where what was published is."""
        files = {"forecasts": paths.forecasts, "scores": paths.metrics, "report": paths.report}
        return {} if self.run is None else {what: self.store.where(of(self.run.as_of)) for what, of in files.items()}

    @classmethod
    def of(cls, store: Store, run: Run, published: Published, record: TrackRecord | None = None) -> Outcome:
        """Sum up a publication."""
        said = f"{published.message[:1].upper()}{published.message[1:]}"
        if published.status == "kept":
            return cls("kept", said, store, run.as_of, published=published, record=record)
        summary = headline(overview(run.forecasts, run.metrics), len(run.withheld))
        status: Literal["published", "partial"] = "partial" if run.withheld else "published"
        outcome = cls(status, said, store, run.as_of, run, published, summary, record)
        return replace(outcome, message="; ".join([said, *_summary(outcome, run, summary)]))


def _summary(outcome: Outcome, run: Run, summary: Headline) -> Iterator[str]:
    yield f"{pluralize(summary.tickers, 'ticker')}, {summary.lstm} of {summary.forecasts:,} forecasts with the LSTM"
    if outcome.stale:
        yield f"stale: the data have no rows of {run.as_of}"
    elif summary.stale:
        yield f"{summary.stale} stale"
    reasons = run.forecasts["reason"].astype(object).fillna("")
    untrained = run.forecasts.loc[reasons.str.contains(Reason.OUT_OF_TIME, regex=False), "ticker"].nunique()
    if untrained:
        yield f"{pluralize(untrained, 'ticker')} by a baseline, the time budget being spent"
    if run.withheld:
        yield f"{len(run.withheld)} withheld"
    if outcome.missing:
        yield f"not in the input any more: {name_few(outcome.missing, 5)}"


def news(outcome: Outcome) -> Iterator[tuple[str, str]]:
    """List the events of an outcome, with a sentence for each."""
    if outcome.overdue:
        yield "forecast.overdue", outcome.message
    if outcome.run is None or outcome.headline is None:
        return
    if outcome.published is None or outcome.published.status != "same":
        yield "forecast.published", outcome.message
    if outcome.stale or outcome.headline.stale:
        many = "the data have no rows of that session" if outcome.stale else f"{outcome.headline.stale} tickers lag"
        yield "forecast.stale", f"Stale as of {outcome.as_of}: {many}"
    withheld = [one.ticker or one.file or "" for one in outcome.run.withheld]
    lost = [f"withheld: {name_few(withheld, 5)}"] if withheld else []
    lost += [f"not in the input any more: {name_few(outcome.missing, 5)}"] if outcome.missing else []
    if lost:
        yield "forecast.partial", f"Partial as of {outcome.as_of}; {'; '.join(lost)}"
    if outcome.record is not None and outcome.record.health.reasons:
        yield "forecast.degraded", f"Degraded as of {outcome.as_of}: {'; '.join(outcome.record.health.reasons)}"


def _emit_events(outcome: Outcome) -> None:
    """Emit the events of a run, each with its facts and a link to the run."""
    where = outcome.store.address
    resource = {
        "prefect.resource.id": f"forecast.store.{where.strip('/').replace('/', '.')}",
        "prefect.resource.name": where,
    }
    run = [{"prefect.resource.id": f"prefect.flow-run.{flow_run.id}", "prefect.resource.role": "flow-run"}]
    facts: dict[str, Any] = {"url": flow_run.ui_url}
    if outcome.headline is not None:
        health = outcome.record.health.status if outcome.record else None
        facts |= plain_json(asdict(outcome.headline))
        facts |= {"as_of": str(outcome.as_of), "missing": len(outcome.missing), "health": health}
    for name, why in news(outcome):
        emit_event(name, resource=resource, related=run, payload={**facts, "message": why})


@step("describe")
def describe(outcome: Outcome) -> None:
    """Emit the run's events, and leave the report, the tables and where the report is on its page.

    Keys are the same from day to day, so that an artifact's own page shows its history.
    """
    _emit_events(outcome)
    run, day = outcome.run, outcome.as_of
    if run is None:
        return
    create_markdown_artifact(report_markdown(run), key="report", description=plain(outcome.message, 2000))
    if outcome.record is not None:
        said = f"How published forecasts turned out, to {outcome.record.last}: {outcome.record.health.status}"
        create_markdown_artifact(score_markdown(outcome.record), key="track-record", description=said)
    said = f"Forecasts as of {day}; from: the last price before, with its session where that is older"
    create_table_artifact(forecast_rows(run), key="forecasts", description=said)
    said = (
        f"Held-out scores as of {day}; CRPS and MAE: multiples of {REFERENCE}'s, lower is better; "
        "MASE compares the models of one ticker"
    )
    create_table_artifact(score_rows(run.metrics), key="scores", description=said)
    said = f"What was noticed in the data, as of {day}"
    create_table_artifact(quality_rows(run), key="data-quality", description=said)
    leave_path(outcome.places["report"], "report-file", f"The report as of {day}, a page by itself")


def leave_path(path: str, key: str, description: str) -> None:
    """Say where a file is on the machine of the run; browsers do not follow links from a server's page to a file."""
    said = f"Open {as_code(path)} in a browser on the machine of this run."
    create_markdown_artifact(said, key=key, description=description)


def show(ended: Any) -> None:
    """Print the result of a run that did not fail: its tables, one sentence, and where its files are."""
    console, run = open_console(), getattr(ended, "run", None)
    if run is not None:
        print_run(run, console)
    console.print(Text(ended.message, style="bold" if run else ""), soft_wrap=True)
    for what, where in getattr(ended, "places", {}).items():
        console.print(Text(f"  {what:<10} {where}"), soft_wrap=True)


def exit_status(state: State[Any]) -> int:
    """Return the exit status of a run, and say what went wrong; an `InputError` is raised."""
    if state.is_cancelled():
        return complain(state.message or "Stopped", STOPPED)
    ended = state.result(raise_on_failure=False)
    if isinstance(ended, InputError):
        raise ended
    if isinstance(ended, StoreLockedError) or (isinstance(ended, OSError) and ended.errno in LASTING):
        return complain(ended, FAILED)
    if isinstance(ended, BaseException):
        traceback.print_exception(ended)
        return FAILED
    return PARTIAL if ended.partial else DONE
