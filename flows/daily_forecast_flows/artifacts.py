"""What a run leaves on its page in the UI: a report with pictures, tables that can be searched, where the report is.

Keys are the same from day to day, so that an artifact's own page shows its history. Cells are plain Python values: the
UI's tables take no others. The UI reads texts as markdown, in tables too; names and messages come from files that
anyone may have written, and are shown so that they can be neither markup nor links. A table's columns are as many as a
window of 1280 pixels shows.
"""

from __future__ import annotations

import math
import textwrap
from datetime import date
from typing import Any

import pandas as pd
from prefect.artifacts import create_markdown_artifact, create_table_artifact

from daily_forecast_flows.outcome import Outcome
from forecasting.evaluation.metrics import REFERENCE
from forecasting.formatting import MISSING, decimals_for, number, p_value, percent, printable, signed_percent
from forecasting.publish import Run, report_input
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
"""With more tickers than this, the table of scores has the nearest step only."""


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
    """List every forecast, in the price's own unit."""
    newest = run.forecasts["cutoff"].max()
    rows = []
    for row in run.forecasts.to_dict("records"):
        low, mid, high, anchor = (number(row[name], decimals_for(row["anchor_price"])) for name in _PRICES)
        reason = "" if pd.isna(row["reason"]) else f"\n{_wrapped(row['reason'], 20)}"
        rows.append(
            {
                "ticker": ticker_cell(row["ticker"]),
                "Open on": _iso(row["target_date"]),
                "median": mid,
                "80 % band": f"{low} to {high}" if len(low) < 9 else f"{low} to\n{high}",
                "change": signed_percent(row["forecast"] / row["anchor_price"] - 1),
                "from": anchor if row["cutoff"] == newest else f"{anchor}\n{_iso(row['cutoff'])}",
                "model": f"{plain(row['model'])}{reason}",
            }
        )
    return rows


def score_rows(metrics: pd.DataFrame) -> Rows:
    """List the held-out scores of every model: over all tickers first, then of each."""
    first = metrics["step"].min() if len(metrics) else 1
    few = metrics["ticker"].nunique() <= ALL_STEPS
    kept = metrics if few else metrics[metrics["step"] == first]
    reference = metrics[metrics["model"] == REFERENCE].set_index(["ticker", "step"])[["crps", "mae"]]
    return [
        *(_pooled_score(row) for row in pooled_scores(metrics).sort_values(["step", "crps_ratio"]).to_dict("records")),
        *(_ticker_score(row, reference) for row in kept.sort_values(["ticker", "step", "crps"]).to_dict("records")),
    ]


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
    rows = [{**row, "why": _wrapped(row["why"], 54)} for row in (*withheld, *noticed)]
    return rows or [
        {"ticker": "", "what": "nothing", "rows": None, "why": "nothing was set aside and nothing looks odd"}
    ]


_PRICES = ("q10", "q50", "q90", "anchor_price")


def _pooled_score(row: dict[Any, Any]) -> dict[str, Any]:
    return {
        "ticker": f"all ({row['tickers']})",
        "step": int(row["step"]),
        "model": plain(row["model"]),
        "published": f"{int(row['published'])} of {int(row['tickers'])}",
        "CRPS": number(row["crps_ratio"], 3),
        "MAE": number(row["mae_ratio"], 3),
        "in 80 %": percent(row["coverage_80"]),
        "MASE": MISSING,
        "DM p": MISSING,
    }


def _ticker_score(row: dict[Any, Any], reference: pd.DataFrame) -> dict[str, Any]:
    key = (row["ticker"], row["step"])
    crps, mae = reference.loc[key] if key in reference.index else (math.nan, math.nan)
    return {
        "ticker": ticker_cell(row["ticker"]),
        "step": int(row["step"]),
        "model": plain(row["model"]),
        "published": "yes" if row["chosen"] else "",
        "CRPS": number(row["crps"] / crps if crps else None, 3),
        "MAE": number(row["mae"] / mae if mae else None, 3),
        "in 80 %": percent(row["coverage_80"]),
        "MASE": number(row["mase"], 3),
        "DM p": plain(p_value(row["dm_p_value"])),
    }


def _iso(value: date) -> str:
    return value.strftime("%Y-%m-%d")


def ticker_cell(name: str) -> str:
    """Write a ticker's name for a table of the UI, a long one on several lines."""
    return _wrapped(name, 16)


def _wrapped(text: str, width: int) -> str:
    # The UI's tables break no line themselves.
    return "\n".join(map(plain, textwrap.wrap(printable(text, 500), width, break_on_hyphens=False)))
