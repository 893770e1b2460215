"""What came of a run: for the command line, for the events that automations act on, and on the run's page in the UI.

Keys of artifacts are the same from day to day, so that an artifact's own page shows its history. Cells are plain Python
values: the UI's tables take no others. The UI reads texts as markdown, in tables too; names and messages come from
files that anyone may have written, and are shown so that they can be neither markup nor links. A table's columns are
as many as a window of 1280 pixels shows.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any, Literal

import pandas as pd
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.events import emit_event
from prefect.runtime import flow_run

from daily_forecast_flows.tasks import step
from forecasting.commands.terminal import plain_json
from forecasting.config import Reason
from forecasting.evaluation.metrics import REFERENCE
from forecasting.formatting import MISSING, name_few, pluralize, printable
from forecasting.reports.cells import forecast_cells, score_cells
from forecasting.reports.html import as_code, plain
from forecasting.reports.run_markdown import report_markdown
from forecasting.reports.summary import Headline, headline, overview, pooled_scores
from forecasting.reports.track_record import TrackRecord, score_markdown
from forecasting.run import Run
from forecasting.store import paths
from forecasting.store.store import Store
from forecasting.store.transaction import Published

__all__ = ["MOST_ROWS", "Outcome", "describe", "emit_events", "leave_path", "news", "ticker_cell"]

Rows = list[dict[str, Any]]

ALL_STEPS = 20
"""With more tickers than this, tables have the nearest step only, and of scores what is published."""

MOST_ROWS = 300
"""Rows of a table; with thousands the UI stands still. The report and the files have all."""


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
    store
        Where to.
    as_of
        The date; None when idle.
    run, published, headline
        What was published; None when idle, and no run and no headline when kept: they are not what is published.
    record
        How earlier forecasts turned out; None while none has come due.
    overdue
        Whether a session that was due stays unpublished.
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


def emit_events(outcome: Outcome) -> None:
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


@step("describe")
def describe(outcome: Outcome) -> None:
    """Leave the report, the tables and where the report is on the run's page."""
    run, day = outcome.run, outcome.as_of
    if run is None:
        return
    create_markdown_artifact(report_markdown(run), key="report", description=plain(outcome.message, 2000))
    if outcome.record is not None:
        said = f"How published forecasts turned out, to {outcome.record.last}: {outcome.record.health.status}"
        create_markdown_artifact(score_markdown(outcome.record), key="track-record", description=said)
    said = f"Forecasts as of {day}; from: the last price before, with its session where that is older"
    create_table_artifact(_forecast_rows(run), key="forecasts", description=said)
    said = (
        f"Held-out scores as of {day}; CRPS and MAE: multiples of {REFERENCE}'s, lower is better; "
        "MASE compares the models of one ticker"
    )
    create_table_artifact(_score_rows(run.metrics), key="scores", description=said)
    said = f"What was noticed in the data, as of {day}"
    create_table_artifact(_quality_rows(run), key="data-quality", description=said)
    leave_path(outcome.store.where(paths.report(run.as_of)), "report-file", f"The report as of {day}, a page by itself")


def leave_path(path: str, key: str, description: str) -> None:
    """Say where a file lies on the machine of the run; browsers follow no link from a server's page to a file."""
    said = f"Open {as_code(path)} in a browser on the machine of this run."
    create_markdown_artifact(said, key=key, description=description)


def _forecast_rows(run: Run) -> Rows:
    """List the forecasts, in the price's own unit: every step of a few tickers, the nearest step of many."""
    newest = run.forecasts["cutoff"].max()
    rows = []
    for row in _shown(run.forecasts).to_dict("records"):
        cells = forecast_cells(row)
        low, high, anchor = cells["q10"], cells["q90"], cells["anchor_price"]
        reason = f"\n{_wrapped(cells['reason'], 20)}" if cells["reason"] else ""
        rows.append(
            {
                "ticker": ticker_cell(cells["ticker"]),
                "Open on": cells["target_date"],
                "median": cells["q50"],
                "80 % band": f"{low} to {high}" if len(low) < 9 else f"{low} to\n{high}",
                "change": cells["change"],
                "from": anchor if row["cutoff"] == newest else f"{anchor}\n{cells['cutoff']}",
                "model": f"{plain(cells['model'])}{reason}",
            }
        )
    return rows


def _score_rows(metrics: pd.DataFrame) -> Rows:
    """List the held-out scores of every model over all tickers, then each ticker's: of many, what is published."""
    many = metrics["ticker"].nunique() > ALL_STEPS
    kept = _shown(metrics[metrics["chosen"].astype(bool)] if many else metrics)
    reference = metrics.loc[metrics["model"] == REFERENCE, ["ticker", "step", "crps", "mae"]]
    rated = kept.merge(reference, on=["ticker", "step"], how="left", suffixes=("", "_usual"))
    rated = rated.assign(crps_ratio=rated["crps"] / rated["crps_usual"], mae_ratio=rated["mae"] / rated["mae_usual"])
    pooled = pooled_scores(metrics).sort_values(["step", "crps_ratio"]).to_dict("records")
    own = rated.sort_values(["ticker", "step", "crps"]).to_dict("records")
    return [
        *(_score_row(row, f"all ({row['tickers']})", f"{row['published']} of {row['tickers']}") for row in pooled),
        *(_score_row(row, ticker_cell(row["ticker"]), "yes" if row["chosen"] else "") for row in own),
    ]


def _score_row(row: Mapping[Any, Any], ticker: str, published: str) -> dict[str, Any]:
    cells = score_cells(row)
    return {
        "ticker": ticker,
        "step": int(row["step"]),
        "model": plain(cells["model"]),
        "published": published,
        "CRPS": cells["crps_ratio"],
        "MAE": cells["mae_ratio"],
        "in 80 %": cells["coverage_80"],
        "MASE": cells.get("mase", MISSING),
        "DM p": plain(cells.get("dm_p_value", MISSING)),
    }


def _quality_rows(run: Run) -> Rows:
    """List what was set aside, withheld or merely noticed, and why; one line saying so when there is nothing."""
    withheld = [(one.ticker or one.file or "", "withheld", 0, one.reason) for one in run.withheld]
    noticed = [(one.ticker, one.kind.replace("_", " "), one.rows, one.message) for one in run.findings]
    rows = [*withheld, *noticed] or [("", "nothing", 0, "nothing was set aside and nothing looks odd")]
    return [
        {"ticker": ticker_cell(who), "what": what, "rows": many or None, "why": _wrapped(why, 54)}
        for who, what, many, why in rows[:MOST_ROWS]
    ]


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Choose what a table of the UI can show without freezing: of many tickers the nearest step, some of them."""
    if rows["ticker"].nunique() <= ALL_STEPS:
        return rows
    nearest: pd.DataFrame = rows[rows["step"] == rows["step"].min()].sort_values("ticker", kind="stable")
    return nearest.head(MOST_ROWS)


def ticker_cell(name: str) -> str:
    """Write a ticker's name for a table of the UI, a long one on several lines."""
    return _wrapped(name, 16)


def _wrapped(text: str, width: int) -> str:
    # The UI's tables break no line themselves.
    return "\n".join(map(plain, textwrap.wrap(printable(text, 500), width, break_on_hyphens=False)))
