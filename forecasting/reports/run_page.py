"""The report: one self-contained HTML page on a run.

Everything is inside the page, also the numbers of its charts. It loads nothing from any network; its content policy
forbids that. Texts that come from a file (tickers, messages) are escaped, and cannot look like other parts of the page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from forecasting.config import ForecastConfig
from forecasting.evaluation.heldout_summary import Calibration
from forecasting.features.history import rows_by_ticker
from forecasting.formatting import decimals_for, percent, pluralize
from forecasting.model.tutorial_report import TutorialReport
from forecasting.reports.figures import Curves, calibration_spec
from forecasting.reports.html import render_page
from forecasting.reports.summary import MEANINGS, Headline, headline, ladder, most_telling, overview, pooled_scores
from forecasting.reports.ticker_records import DRAWN_SESSIONS, TickerRows, ticker_records
from forecasting.run import Run

__all__ = ["build_report", "verdict"]

_FINDINGS_SHOWN = 1000

_PAGE_BYTES, _ROW_BYTES, _RECORD_BYTES = 2_800_000, 150, 1_200
"""The size of a page, at most, and of each ticker's line in its table and record for its charts."""


def build_report(run: Run) -> str:
    """Build the page; the same run gives the same bytes."""
    table = overview(run.forecasts, run.metrics)
    summary = headline(table, len(run.withheld))
    pooled = pooled_scores(run.metrics).sort_values(["step", "crps_ratio"], kind="stable")
    names = table["ticker"].astype(str).tolist()
    together = Calibration()
    first = most_telling(table)
    charted = {*_charted(table), *filter(None, [first])}
    records = ticker_records(_rows_of_each(run, names, charted, together), len(names))
    charts = _tutorial_charts(run.tutorial)
    if together.rows:
        charts["calibration"] = calibration_spec(together)
    return render_page(
        "report.html.jinja",
        data={**records, "first": names.index(first) if first else 0, "charts": charts},
        run=run,
        summary=summary,
        verdict=verdict(summary),
        rows=table.assign(decimals=table["anchor_price"].map(decimals_for)).to_dict("records"),
        pooled=pooled.to_dict("records"),
        later=[step for step in sorted(set(pooled["step"])) if step != summary.step],
        ladder=ladder(pooled, summary.step),
        meanings=[(model, meaning) for model, meaning in MEANINGS.items() if model in set(pooled["model"])],
        charts=charts,
        charted=sum(one is not None for one in records["tickers"]),
        findings=run.findings[:_FINDINGS_SHOWN],
        more_findings=max(0, len(run.findings) - _FINDINGS_SHOWN),
        settings=_settings(run.config),
    )


def verdict(summary: Headline) -> str:
    """Sum up the held-out scores in one or two plain sentences, also where they are bad."""
    if not np.isfinite(summary.crps_ratio):
        return "None of the published forecasts could be scored on held-out sessions: too little history."
    said = (
        f"On held-out sessions the CRPS of the published step-{summary.step} forecasts is {summary.crps_ratio:.2f} of "
        f"repeating the last Open (median over tickers; lower is better) and {summary.best_baseline_ratio:.2f} of the "
        f"best baseline; their 80 % band held {percent(summary.coverage_80)} of the actual Opens."
    )
    if round(summary.crps_ratio, 2) >= 1:
        return (
            said + f" That is {'worse' if summary.crps_ratio >= 1.005 else 'no better'} than repeating the last Open."
        )
    if round(summary.best_baseline_ratio, 2) >= 1:
        return said + " A simple baseline would have done as well."
    return said


def _charted(table: pd.DataFrame) -> list[str]:
    """Choose the tickers whose charts the page has room for: the best and the worst scored."""
    room = max(2, (_PAGE_BYTES - _ROW_BYTES * len(table)) // _RECORD_BYTES)
    ordered = table.sort_values("crps_ratio", kind="stable")["ticker"].astype(str).tolist()
    return ordered if len(ordered) <= room else [*ordered[: room // 2], *ordered[-(room // 2) :]]


def _rows_of_each(
    run: Run, tickers: Sequence[str], charted: Container[str], together: Calibration
) -> Iterator[TickerRows | None]:
    """Give each charted ticker's rows of every table, and add up the calibration of all tickers in ``together``."""
    prices = _by_ticker(run.ingested.prices, DRAWN_SESSIONS)
    ordered = run.forecasts.sort_values(["ticker", "step"], kind="stable")
    forecasts = _by_ticker(ordered.assign(reason=ordered["reason"].astype(object).fillna("")))
    metrics = _by_ticker(run.metrics.sort_values(["ticker", "step"], kind="stable"))
    curves = _by_ticker(run.curves.sort_values("ticker", kind="stable"))
    for ticker in tickers:
        own = forecasts[ticker]
        heldout = run.summaries[ticker]
        together.add(heldout.calibration)
        newest, calibration = heldout.newest, heldout.calibration
        rows = TickerRows(ticker, prices[ticker], own, metrics[ticker], newest, calibration, curves[ticker])
        yield rows if ticker in charted else None


def _by_ticker(frame: pd.DataFrame, last: int = 0) -> Mapping[str, dict[str, NDArray[Any]]]:
    """Give each ticker's rows, or the last of them, as columns; a ticker without rows gets empty columns."""
    columns = {str(name): frame[name].to_numpy() for name in frame if name != "ticker"}
    nothing = {name: values[:0] for name, values in columns.items()}
    found = {
        ticker: {name: values[rows][-last:] for name, values in columns.items()}
        for ticker, rows in rows_by_ticker(frame)
    }
    return defaultdict(lambda: nothing, found)


def _settings(config: ForecastConfig) -> Iterable[tuple[str, str]]:
    values = config.model_dump(mode="json", exclude={"tickers"})
    chosen = "all" if config.tickers is None else pluralize(len(config.tickers), "named ticker")
    return [("tickers", chosen), *((name.replace("_", " "), str(value)) for name, value in values.items())]


def _tutorial_charts(tutorial: TutorialReport | None) -> dict[str, Any]:
    """Make the charts of the test predictions at each epoch and the truth."""
    if tutorial is None:
        return {}
    return {
        f"epoch {epoch:,}": Curves(
            "", range(1, len(predicted) + 1), {"truth": tutorial.truth, "prediction": predicted}
        ).chart()
        for epoch, predicted in sorted(tutorial.predictions.items())
    }
