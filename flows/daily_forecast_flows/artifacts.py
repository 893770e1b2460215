"""What a run leaves on its page in the UI: a report with pictures, tables that can be searched, where the report is.

Keys are the same from day to day, so that an artifact's own page shows its history. Cells are plain Python values: the
UI's tables take no others. The UI reads texts as markdown, in tables too; names and messages come from files that
anyone may have written, and are shown so that they can be neither markup nor links. A table's columns are as many as a
window of 1280 pixels shows.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from daily_forecast_flows.outcome import Outcome
from forecasting.evaluation.metrics import REFERENCE
from forecasting.formatting import MISSING, printable
from forecasting.publish import Run, report_input
from forecasting.reports.cells import forecast_cells, score_cells
from forecasting.reports.html import as_code, plain
from forecasting.reports.run_markdown import report_markdown
from forecasting.reports.summary import pooled_scores
from forecasting.reports.track_record import score_markdown
from forecasting.store import paths

__all__ = [
    "forecast_rows",
    "leave_artifacts",
    "leave_path",
    "quality_rows",
    "score_rows",
    "ticker_cell",
]

Rows = list[dict[str, Any]]

ALL_STEPS = 20
"""With more tickers than this, tables have the nearest step only, and of scores what is published."""

MOST_ROWS = 300
"""Rows of a table; with thousands the UI stands still. The report and the files have all."""


def leave_artifacts(outcome: Outcome) -> None:
    """Create the artifacts of a publication; one that had nothing to do has none."""
    run = outcome.run
    if run is None or outcome.store is None:
        return
    create_markdown_artifact(report_markdown(report_input(run)), key="report", description=plain(outcome.message, 2000))
    if outcome.record is not None:
        said = f"How published forecasts turned out, to {outcome.record.last}: {outcome.record.health.status}"
        create_markdown_artifact(score_markdown(outcome.record), key="track-record", description=said)
    create_table_artifact(
        forecast_rows(run),
        key="forecasts",
        description=f"Forecasts as of {run.as_of}; from: the last price before, with its session where that is older",
    )
    create_table_artifact(
        score_rows(run.metrics),
        key="scores",
        description=f"Held-out scores as of {run.as_of}; CRPS and MAE: multiples of {REFERENCE}'s, lower is better; "
        "MASE compares the models of one ticker",
    )
    create_table_artifact(
        quality_rows(run), key="data-quality", description=f"What was noticed in the data, as of {run.as_of}"
    )
    report = outcome.store.where(paths.report(run.as_of))
    leave_path(report, "report-file", f"The report as of {run.as_of}, a page by itself")


def leave_path(path: str, key: str, description: str) -> None:
    """Say where a file lies on the machine of the run; browsers follow no link from a server's page to a file."""
    create_markdown_artifact(
        f"Open {as_code(path)} in a browser on the machine of this run.", key=key, description=description
    )


def forecast_rows(run: Run) -> Rows:
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


def score_rows(metrics: pd.DataFrame) -> Rows:
    """List the held-out scores of every model over all tickers, then each ticker's: of many, what is published."""
    many = metrics["ticker"].nunique() > ALL_STEPS
    kept = _shown(metrics[metrics["chosen"].astype(bool)] if many else metrics)
    reference = metrics.loc[metrics["model"] == REFERENCE, ["ticker", "step", "crps", "mae"]]
    rated = kept.merge(reference, on=["ticker", "step"], how="left", suffixes=("", "_usual"))
    rated = rated.assign(crps_ratio=rated["crps"] / rated["crps_usual"], mae_ratio=rated["mae"] / rated["mae_usual"])
    pooled = pooled_scores(metrics).sort_values(["step", "crps_ratio"])
    return [
        *(
            _score_row(row, f"all ({row['tickers']})", f"{int(row['published'])} of {int(row['tickers'])}")
            for row in pooled.to_dict("records")
        ),
        *(
            _score_row(row, ticker_cell(row["ticker"]), "yes" if row["chosen"] else "")
            for row in rated.sort_values(["ticker", "step", "crps"]).to_dict("records")
        ),
    ]


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Choose what a table of the UI can show without freezing: of many tickers the nearest step, some of them."""
    if rows["ticker"].nunique() <= ALL_STEPS:
        return rows
    nearest: pd.DataFrame = rows[rows["step"] == rows["step"].min()].sort_values("ticker", kind="stable")
    return nearest.head(MOST_ROWS)


def quality_rows(run: Run) -> Rows:
    """List what was set aside, withheld or merely noticed, and why; one line saying so when there is nothing."""
    withheld: Rows = [
        {"ticker": ticker_cell(one.ticker or one.file or ""), "what": "withheld", "rows": None, "why": one.reason}
        for one in run.withheld
    ]
    noticed: Rows = [
        {
            "ticker": ticker_cell(one.ticker),
            "what": one.kind.replace("_", " "),
            "rows": one.rows or None,
            "why": one.message,
        }
        for one in run.findings
    ]
    rows = [{**row, "why": _wrapped(row["why"], 54)} for row in (*withheld, *noticed)[:MOST_ROWS]]
    return rows or [
        {"ticker": "", "what": "nothing", "rows": None, "why": "nothing was set aside and nothing looks odd"}
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


def ticker_cell(name: str) -> str:
    """Write a ticker's name for a table of the UI, a long one on several lines."""
    return _wrapped(name, 16)


def _wrapped(text: str, width: int) -> str:
    # The UI's tables break no line themselves.
    return "\n".join(map(plain, textwrap.wrap(printable(text, 500), width, break_on_hyphens=False)))
