"""What a run leaves on its page in the UI: a report with pictures, tables that can be searched, a link.

Keys are the same from day to day, so that an artifact's own page shows its history. Cells are plain Python values: the
UI's tables take no others. Names and messages come from files that anyone may have written; they are shown so that they
can be neither markup nor links.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import date
from typing import Any

import pandas as pd
from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from flows.outcome import Outcome
from forecasting.display import day, decimals_for, number, percent, printable, signed_percent
from forecasting.metrics import REFERENCE
from forecasting.publish import Run
from forecasting.report import verdict
from forecasting.scorepage import score_markdown
from forecasting.sections import Section, ticker_section
from forecasting.summaries import Headline, choose_shown, headline, overview, pooled_scores

__all__ = ["forecast_rows", "leave_artifacts", "quality_rows", "report_markdown", "score_rows"]

Rows = list[dict[str, Any]]

PICTURED = 4
"""Tickers with pictures: all when they are no more than this, else the best, the median and the worst."""

ALL_STEPS = 20
"""With more tickers than this, the table of scores has the nearest step only."""


def leave_artifacts(outcome: Outcome) -> None:
    """Create the artifacts of a publication; one that had nothing to do has none."""
    run = outcome.run
    if run is None or outcome.store is None:
        return
    create_markdown_artifact(report_markdown(run), key="report", description=outcome.message)
    if outcome.record is not None:
        said = f"How published forecasts turned out, to {outcome.record.last}: {outcome.record.health.status}"
        create_markdown_artifact(score_markdown(outcome.record), key="track-record", description=said)
    create_table_artifact(forecast_rows(run), key="forecasts", description=f"Forecasts as of {run.as_of}")
    create_table_artifact(
        score_rows(run.metrics),
        key="scores",
        description=f"Held-out scores beside the baselines, as of {run.as_of}; CRPS and MAE ratios are to {REFERENCE}",
    )
    create_table_artifact(
        quality_rows(run), key="data-quality", description=f"What was noticed in the data, as of {run.as_of}"
    )
    report = outcome.store.report_path(run.as_of)
    create_link_artifact(
        report.as_uri(), link_text=f"report.html as of {run.as_of}", key="report-file", description=str(report)
    )


def report_markdown(run: Run) -> str:
    """Write the run's report for the UI, its pictures inside."""
    table = overview(run.forecasts, run.metrics)
    summary = headline(table, len(run.withheld))
    shown = choose_shown(table, PICTURED)
    parts = [
        f"# Forecasts as of {day(run.as_of)}",
        verdict(summary),
        _facts(summary),
        *(part for ticker, word in shown.items() for part in _ticker(_section(run, ticker, word))),
    ]
    return "\n\n".join(parts) + "\n"


def forecast_rows(run: Run) -> Rows:
    """List every forecast, in the price's own unit."""
    rows = []
    for row in run.forecasts.to_dict("records"):
        decimals = decimals_for(row["anchor_price"])
        prices = {head: number(row[name], decimals) for head, name in _PRICES.items()}
        rows.append(
            {
                "ticker": printable(row["ticker"]),
                "Open on": _iso(row["target_date"]),
                "step": int(row["step"]),
                **prices,
                "change": signed_percent(row["forecast"] / row["anchor_price"] - 1),
                "model": printable(row["model"]),
                "reason": "" if pd.isna(row["reason"]) else printable(row["reason"], 200),
                "cutoff": _iso(row["cutoff"]),
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
        {"ticker": printable(one.ticker or one.file or ""), "what": "withheld", "rows": None, "why": one.reason}
        for one in run.withheld
    ]
    noticed: Rows = [
        {
            "ticker": printable(one.ticker),
            "what": one.kind.replace("_", " "),
            "rows": one.rows or None,
            "why": one.message,
        }
        for one in run.findings
    ]
    rows = [{**row, "why": printable(row["why"], 500)} for row in (*withheld, *noticed)]
    return rows or [
        {"ticker": "", "what": "nothing", "rows": None, "why": "nothing was set aside and nothing looks odd"}
    ]


_PRICES = {"anchor": "anchor_price", "median": "q50", "80 % from": "q10", "to": "q90"}
_COVERED = {"in 50 %": "coverage_50", "in 80 %": "coverage_80", "in 90 %": "coverage_90"}
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~<>&:@.-])")


def _facts(summary: Headline) -> str:
    cells = {
        "tickers": f"{summary.tickers:,}",
        "by the LSTM": f"{summary.lstm:,} of {summary.forecasts:,}",
        "CRPS / persistence": number(summary.crps_ratio, 3),
        "CRPS / best baseline": number(summary.best_baseline_ratio, 3),
        "in the 80 % band": percent(summary.coverage_80),
        "stale": f"{summary.stale:,}",
        "withheld": f"{summary.withheld:,}",
    }
    return f"| {' | '.join(cells)} |\n|{' --- |' * len(cells)}\n| {' | '.join(cells.values())} |"


def _ticker(section: Section) -> Iterator[str]:
    title = _plain(section.ticker) + (f" ({section.distinction})" if section.distinction else "")
    yield f"## {title}"
    yield _steps(section)
    for picture in section.pictures:
        # The text beside each picture is this project's own; of names, only the title above has one.
        yield f"{picture.says}\n\n![{picture.shows}]({picture.source})"


def _steps(section: Section) -> str:
    lines = ["| Open on | median | 80 % band | change | model | reason |", "| --- | ---: | ---: | ---: | --- | --- |"]
    for row in section.forecasts:
        low, mid, high = (number(row[name], section.decimals) for name in ("q10", "q50", "q90"))
        reason = _plain(row["reason"] or "")
        change = signed_percent(row["change"])
        lines.append(f"| {_iso(row['target_date'])} | {mid} | {low} to {high} | {change} | {row['model']} | {reason} |")
    return "\n".join(lines)


def _section(run: Run, ticker: str, word: str) -> Section:
    def own(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[frame["ticker"] == ticker]

    return ticker_section(
        ticker,
        anchor="",
        distinction=word,
        prices=own(run.ingested.prices).tail(60),
        forecasts=own(run.forecasts),
        heldout=run.heldout[ticker].to_pandas(),
        metrics=own(run.metrics),
        curves=own(run.curves),
        findings=(),
        scale=run.scales.get(ticker, math.nan),
    )


def _pooled_score(row: dict[Any, Any]) -> dict[str, Any]:
    return {
        "ticker": f"all ({row['tickers']})",
        "step": int(row["step"]),
        "model": printable(row["model"]),
        "published": f"{int(row['published'])} of {int(row['tickers'])}",
        "CRPS ratio": number(row["crps_ratio"], 3),
        "MAE ratio": number(row["mae_ratio"], 3),
        **{head: percent(row[name]) for head, name in _COVERED.items()},
        **dict.fromkeys(("CRPS", "MAE", "MASE", "DM p", "n"), ""),
    }


def _ticker_score(row: dict[Any, Any], reference: pd.DataFrame) -> dict[str, Any]:
    key = (row["ticker"], row["step"])
    crps, mae = reference.loc[key] if key in reference.index else (math.nan, math.nan)
    decimals = decimals_for(row["mae"]) + 1
    return {
        "ticker": printable(row["ticker"]),
        "step": int(row["step"]),
        "model": printable(row["model"]),
        "published": "yes" if row["chosen"] else "",
        "CRPS ratio": number(row["crps"] / crps if crps else None, 3),
        "MAE ratio": number(row["mae"] / mae if mae else None, 3),
        **{head: percent(row[name]) for head, name in _COVERED.items()},
        "CRPS": number(row["crps"], decimals),
        "MAE": number(row["mae"], decimals),
        "MASE": number(row["mase"], 3),
        "DM p": number(row["dm_p_value"], 3),
        "n": int(row["n"]),
    }


def _iso(value: date) -> str:
    return value.strftime("%Y-%m-%d")


def _plain(text: str) -> str:
    """Write a text from outside so that markdown shows it as it stands."""
    return (
        _MARKUP.sub(r"\\\1", printable(text, 200)).replace("\\<", "&lt;").replace("\\>", "&gt;").replace("\\&", "&amp;")
    )
