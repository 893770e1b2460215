"""The report: one self-contained HTML page on a run, for people.

Everything stands inside the page, pictures included; it asks nothing of any network, and its own policy forbids it to.
Whatever comes from a file (tickers, messages) is escaped, and shown so that it cannot pass for something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.config import ForecastConfig
from forecasting.findings import Finding
from forecasting.formatting import count, decimals_for, percent
from forecasting.model.tutorial_report import TutorialReport
from forecasting.reports.charts import data_uri, tutorial_chart
from forecasting.reports.html import render_page
from forecasting.reports.summary import Headline, choose_shown, headline, overview, pooled_scores
from forecasting.reports.ticker_section import Section, ticker_section

__all__ = ["ReportInput", "build_report", "verdict"]

_FINDINGS_SHOWN = 1000


@dataclass(frozen=True, slots=True)
class ReportInput:
    """Everything that the report is made from.

    Attributes
    ----------
    as_of
        The run's date.
    config
        What it was made with.
    forecasts, metrics
        As forecasts.parquet and metrics.parquet have them.
    heldout_of
        Ticker to its rows of heldout.parquet; asked only for the tickers that get a section (all rows of a large run
        would not fit).
    prices
        Long frame of what was read: ``ticker``, ``date``, ``open``, ``high``, ``low``.
    curves
        ``ticker`` and the columns that ``plots.training_chart`` names.
    findings
        What was noticed in the data.
    withheld
        (ticker, reason) of those not published.
    scales
        Ticker to the scale of its MASE: the mean absolute one-step change of Open over training rows, as a price.
    tutorial
        What the tutorial preset measured; None for the default preset.
    """

    as_of: date
    config: ForecastConfig
    forecasts: pd.DataFrame
    heldout_of: Callable[[str], pd.DataFrame]
    metrics: pd.DataFrame
    prices: pd.DataFrame
    curves: pd.DataFrame
    findings: tuple[Finding, ...] = ()
    withheld: tuple[tuple[str, str], ...] = ()
    scales: Mapping[str, float] = field(default_factory=dict)
    tutorial: TutorialReport | None = None


def build_report(run: ReportInput) -> str:
    """Build the page; the same run gives the same bytes."""
    table = overview(run.forecasts, run.metrics)
    summary = headline(table, len(run.withheld))
    by_ticker = _rows_by_ticker(run)
    shown = choose_shown(table)
    sections = [
        _section(run, ticker, word, place, by_ticker) for place, (ticker, word) in enumerate(shown.items(), start=1)
    ]
    return render_page(
        "report.html.jinja",
        run=run,
        summary=summary,
        verdict=verdict(summary),
        rows=_overview_rows(table, by_ticker.prices, {section.ticker: section.anchor for section in sections}),
        sections=sections,
        pooled=pooled_scores(run.metrics).sort_values(["step", "crps_ratio"], kind="stable").to_dict("records"),
        findings=run.findings[:_FINDINGS_SHOWN],
        more_findings=max(0, len(run.findings) - _FINDINGS_SHOWN),
        settings=_settings(run.config),
        tutorial_picture=_tutorial_picture(run.tutorial),
    )


def verdict(summary: Headline) -> str:
    """Say in one or two sentences what the held-out scores amount to, flattering nobody."""
    if not np.isfinite(summary.crps_ratio):
        return "None of the published forecasts could be scored on held-out sessions: too little history."
    said = (
        f"On held-out sessions the CRPS of the published step-{summary.step} forecasts is {summary.crps_ratio:.2f} of "
        f"repeating the last Open (median over tickers; lower is better) and {summary.best_baseline_ratio:.2f} of the "
        f"best baseline; their 80 % band held {percent(summary.coverage_80)} of what came."
    )
    if round(summary.crps_ratio, 2) >= 1:
        return (
            said + f" That is {'worse' if summary.crps_ratio >= 1.005 else 'no better'} than repeating the last Open."
        )
    if round(summary.best_baseline_ratio, 2) >= 1:
        return said + " A simple baseline would have done as well."
    return said


@dataclass(frozen=True, slots=True)
class _ByTicker:
    prices: Mapping[str, pd.DataFrame]
    forecasts: Mapping[str, pd.DataFrame]
    metrics: Mapping[str, pd.DataFrame]
    curves: Mapping[str, pd.DataFrame]


def _rows_by_ticker(run: ReportInput) -> _ByTicker:
    def split(frame: pd.DataFrame) -> dict[str, pd.DataFrame]:
        return {str(ticker): rows for ticker, rows in frame.groupby("ticker", sort=False)}

    recent = run.prices.groupby("ticker", sort=False).tail(60)
    return _ByTicker(split(recent), split(run.forecasts), split(run.metrics), split(run.curves))


def _section(run: ReportInput, ticker: str, word: str, place: int, by_ticker: _ByTicker) -> Section:
    return ticker_section(
        ticker,
        anchor=f"t{place}",
        distinction=word,
        prices=by_ticker.prices.get(ticker, run.prices.iloc[:0]),
        forecasts=by_ticker.forecasts[ticker],
        heldout=run.heldout_of(ticker),
        metrics=by_ticker.metrics.get(ticker, run.metrics.iloc[:0]),
        curves=by_ticker.curves.get(ticker, run.curves.iloc[:0]),
        findings=tuple(finding for finding in run.findings if finding.ticker == ticker),
        scale=run.scales.get(ticker, float("nan")),
    )


def _overview_rows(
    table: pd.DataFrame, prices: Mapping[str, pd.DataFrame], anchors: Mapping[str, str]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for row in table.to_dict("records"):
        ticker = str(row["ticker"])
        opens = prices[ticker]["open"].to_numpy(float) if ticker in prices else np.empty(0)
        extra = {
            "section": anchors.get(ticker),
            "line": _sparkline(opens),
            "decimals": decimals_for(row["anchor_price"]),
        }
        rows.append({str(name): value for name, value in row.items()} | extra)
    return rows


def _sparkline(values: NDArray[np.float64]) -> str:
    """Points of an SVG polyline in a box of 100 by 24; empty for fewer than two values."""
    if len(values) < 2:
        return ""
    height = float(np.ptp(values)) or 1.0
    across = np.linspace(0, 100, len(values))
    down = 22 - 20 * (values - values.min()) / height
    return " ".join(f"{x:.0f},{y:.1f}" for x, y in zip(across, down, strict=True))


def _settings(config: ForecastConfig) -> Iterable[tuple[str, str]]:
    values = config.model_dump(mode="json", exclude={"tickers"})
    chosen = "all" if config.tickers is None else count(len(config.tickers), "named ticker")
    return [("tickers", chosen), *((name.replace("_", " "), str(value)) for name, value in values.items())]


def _tutorial_picture(tutorial: TutorialReport | None) -> str:
    if tutorial is None or not tutorial.predictions:
        return ""
    return data_uri(tutorial_chart(tutorial.truth, tutorial.predictions))
