"""The tables of a run or a backtest in the Prefect UI.

Cells are plain Python values: the UI's tables accept no others. The UI renders texts as markdown, also in tables; names
and messages come from files that anyone may have written, and are escaped. A table has only as many columns as a window
of 1280 pixels shows.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

import pandas as pd

from forecasting.evaluation.metrics import REFERENCE
from forecasting.formatting import MISSING, format_number, p_value, percent, printable
from forecasting.reports.cells import forecast_cells, score_cells
from forecasting.reports.html import plain
from forecasting.reports.summary import pooled_scores
from forecasting.run import Run

__all__ = ["backtest_rows", "forecast_rows", "quality_rows", "score_rows"]

Records = list[dict[str, Any]]

ALL_STEPS = 20
"""With more tickers than this, tables have only the nearest step, and only the scores of published models."""

MOST_ROWS = 300
"""Rows of a table at most; with thousands the UI freezes. The report and the files have all."""


def forecast_rows(run: Run) -> Records:
    """List the forecasts, in the price's own unit: every step of a few tickers, the nearest step of many."""
    newest = run.forecasts["cutoff"].max()
    rows = []
    for row in _shown(run.forecasts).to_dict("records"):
        cells = forecast_cells(row)
        low, high, anchor = cells["q10"], cells["q90"], cells["anchor_price"]
        reason = f"\n{_wrapped(cells['reason'], 20)}" if cells["reason"] else ""
        rows.append(
            {
                "ticker": _ticker(cells["ticker"]),
                "median": cells["q50"],
                "80 % band": f"{low} to {high}" if len(low) < 9 else f"{low} to\n{high}",
                "change": cells["change"],
                "Open on": cells["target_date"],
                "from": anchor if row["cutoff"] == newest else f"{anchor}\n{cells['cutoff']}",
                "model": f"{plain(cells['model'])}{reason}",
            }
        )
    return rows


def score_rows(metrics: pd.DataFrame) -> Records:
    """List the held-out scores of every model over all tickers, then each ticker's (of many: the published model's)."""
    many = metrics["ticker"].nunique() > ALL_STEPS
    kept = _shown(metrics[metrics["chosen"].astype(bool)] if many else metrics)
    reference = metrics.loc[metrics["model"] == REFERENCE, ["ticker", "step", "crps", "mae"]]
    rated = kept.merge(reference, on=["ticker", "step"], how="left", suffixes=("", "_usual"))
    rated = rated.assign(crps_ratio=rated["crps"] / rated["crps_usual"], mae_ratio=rated["mae"] / rated["mae_usual"])
    pooled = pooled_scores(metrics).sort_values(["step", "crps_ratio"]).to_dict("records")
    own = rated.sort_values(["ticker", "step", "crps"]).to_dict("records")
    return [
        *(_score_row(row, f"all ({row['tickers']})", f"{row['published']} of {row['tickers']}") for row in pooled),
        *(_score_row(row, _ticker(row["ticker"]), "yes" if row["chosen"] else "") for row in own),
    ]


def _score_row(row: Mapping[Any, Any], ticker: str, published: str) -> dict[str, Any]:
    cells = score_cells(row)
    return {
        "ticker": ticker,
        "step": int(row["step"]),
        "model": plain(cells["model"]),
        "CRPS": cells["crps_ratio"],
        "in 80 %": cells["coverage_80"],
        "published": published,
        "MAE": cells["mae_ratio"],
        "MASE": cells.get("mase", MISSING),
        "DM p": plain(cells.get("dm_p_value", MISSING)),
    }


def quality_rows(run: Run) -> Records:
    """List what was set aside, withheld or noticed, and why; a single line when there is nothing to list."""
    withheld = [(one.ticker or one.file or "", "withheld", 0, one.reason) for one in run.withheld]
    noticed = [(one.ticker, one.kind.replace("_", " "), one.rows, one.message) for one in run.findings]
    rows = [*withheld, *noticed] or [("", "nothing", 0, "nothing was set aside and nothing looks odd")]
    return [
        {"ticker": _ticker(who), "what": what, "rows": many or None, "why": _wrapped(why, 54)}
        for who, what, many, why in rows[:MOST_ROWS]
    ]


def backtest_rows(metrics: pd.DataFrame) -> Records:
    """List a backtest's scores of each ticker and model, for the next session."""
    nearest = metrics[metrics["step"] == 1].head(MOST_ROWS)
    return [
        {
            "ticker": _ticker(row["ticker"]),
            "model": plain(row["model"]),
            "CRPS": format_number(row["crps"], 4),
            "in 80 %": percent(row["coverage_80"]),
            "chosen at": percent(row["chosen_share"]),
            "best baseline": plain(row["best_baseline"]) if isinstance(row["best_baseline"], str) else "",
            "CRPS / best": format_number(row["crps_ratio"], 3),
            "p (Holm)": plain(p_value(row["dm_p_holm"])),
            "q": plain(p_value(row["dm_q_value"])),
        }
        for row in nearest.to_dict("records")
    ]


def _shown(rows: pd.DataFrame) -> pd.DataFrame:
    """Choose the rows that a table of the UI can show without freezing: of many tickers only the nearest step."""
    if rows["ticker"].nunique() <= ALL_STEPS:
        return rows
    nearest: pd.DataFrame = rows[rows["step"] == rows["step"].min()].sort_values("ticker", kind="stable")
    return nearest.head(MOST_ROWS)


def _ticker(name: str) -> str:
    """Write a ticker's name for a table of the UI; a long one is wrapped."""
    return _wrapped(name, 16)


def _wrapped(text: str, width: int) -> str:
    # The UI's tables do not wrap lines.
    return "\n".join(map(plain, textwrap.wrap(printable(text, 500), width, break_on_hyphens=False)))
