"""The page on how published forecasts turned out: for a browser (``DIR/reports/scores.html``) and for the Prefect UI.

It is made from the files under ``DIR/scores`` alone: the same scores give the same page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from forecasting.formatting import (
    decimals_for,
    format_date,
    percent,
    pluralize,
    printable,
    signed_percent,
)
from forecasting.monitoring.health import SESSIONS, Health, Trend, by_group, judge, rolling, trend, worst_misses
from forecasting.monitoring.ledger import read_scores
from forecasting.reports.cells import measure_cells, miss_cells
from forecasting.reports.charts import markdown_picture, trend_chart
from forecasting.reports.figures import Curves
from forecasting.reports.html import markdown_table, render_page
from forecasting.store.store import PATIENCE, Store

__all__ = [
    "SCORE_PAGE",
    "TrackRecord",
    "build_score_page",
    "publish_score_page",
    "score_markdown",
    "track_record",
    "verdict",
]

SCORE_PAGE = "reports/scores.html"
"""The page's name in the store."""

HISTORY = 250
"""Target sessions on the page: about a year."""

_LISTED = 10
"""Worst misses that are listed, and best and worst tickers where there are many."""

_SETTLED = 5
"""The first measures, of fewer sessions than this, jump too much to be drawn."""

_CRPS = {"published": "crps", "last Open repeated": "crps_persistence", "last Close repeated": "crps_last_close"}
_SKILL = {"to the last Open": "skill", "to the last Close": "skill_last_close"}


@dataclass(frozen=True)
class TrackRecord:
    """How published forecasts turned out.

    Attributes
    ----------
    scores
        Of the last `HISTORY` target sessions, as `forecasting.monitoring.ledger.read_scores` gives them; not empty.
    sessions
        Target sessions of the rolling measures, of the judgement and of the trend.
    health, trend
        The judgement on the newest sessions, and how they compare with those before.
    """

    scores: pd.DataFrame
    sessions: int
    health: Health
    trend: Trend

    @property
    def last(self) -> date:
        """The newest target session that was scored."""
        return pd.Timestamp(self.scores["target_date"].max()).date()

    @cached_property
    def measures(self) -> pd.DataFrame:
        """Rolling measures, by target session; see `forecasting.monitoring.health.rolling`."""
        return rolling(self.scores, self.sessions)

    @cached_property
    def recent(self) -> pd.DataFrame:
        """The scores that are judged."""
        newest = np.sort(self.scores["target_date"].unique())[-self.sessions :]
        return self.scores[self.scores["target_date"].isin(newest)]

    @cached_property
    def steps(self) -> pd.DataFrame:
        """Measures of each step over the sessions that are judged."""
        return by_group(self.recent, "step")

    @cached_property
    def models(self) -> pd.DataFrame:
        """Measures of each model that was published, over the sessions that are judged."""
        return by_group(self.recent, "model")

    @cached_property
    def tickers(self) -> pd.DataFrame:
        """Measures of each ticker over the sessions that are judged, the least skilful first."""
        return by_group(self.recent, "ticker").sort_values("skill", kind="stable", ignore_index=True)

    @property
    def extremes(self) -> tuple[str, pd.DataFrame]:
        """The tickers to list, the best and the worst of many, and a title that says which they are."""
        every = self.tickers
        if len(every) <= 2 * _LISTED:
            return "By ticker", every
        title = f"By ticker, the {_LISTED} least and the {_LISTED} most skilful of {len(every):,}"
        return title, pd.concat([every.head(_LISTED), every.tail(_LISTED)])

    @cached_property
    def misses(self) -> pd.DataFrame:
        """The worst misses of the sessions that are judged."""
        return worst_misses(self.recent, _LISTED)

    @cached_property
    def units(self) -> pd.DataFrame:
        """Tickers whose forecasts were scored in another unit than the file's, by which factor, in which sessions."""
        rows = self.scores[self.scores["unit"] != 1]
        groups = rows.groupby(["ticker", "unit"], observed=True, sort=True)["target_date"]
        return groups.agg(n="size", first="min", last="max").reset_index()

    @cached_property
    def curves(self) -> tuple[Curves, ...]:
        """The charts: coverage, CRPS and skill over the sessions."""
        rows = self.measures.iloc[_SETTLED - 1 :] if len(self.measures) > _SETTLED else self.measures
        low, high = self.health.coverage_band

        def drawn(says: str, measure: str, columns: Mapping[str, str], **more: Any) -> Curves:
            series = {name: rows[column] for name, column in columns.items() if rows[column].notna().any()}
            return Curves(says, rows.index, series, measure=measure, unit=" %", scale=100, **more)

        held = f"The 80 % band held {percent(self.health.coverage)}; chance explains {percent(low)} to {percent(high)}."
        return (
            drawn(held, "in the 80 % band", {"": "coverage_80"}, target=0.8, band=(low, high), decimals=1),
            drawn(
                "CRPS, and what the obvious would have scored on the same days; lower is better.",
                "CRPS, share of price",
                _CRPS,
                decimals=3,
            ),
            drawn(
                "Skill: the share of their CRPS that was saved; below zero nothing was.",
                "skill",
                _SKILL,
                target=0.0,
                decimals=1,
            ),
        )


def track_record(scores: pd.DataFrame, sessions: int = SESSIONS) -> TrackRecord | None:
    """Sum up the newest scores; None where there are none.

    Parameters
    ----------
    scores
        As `forecasting.monitoring.ledger.read_scores` gives them.
    sessions
        Target sessions of the rolling measures and of the judgement.
    """
    if scores.empty:
        return None
    newest = np.sort(scores["target_date"].unique())[-HISTORY:]
    kept = scores[scores["target_date"] >= newest[0]].reset_index(drop=True)
    return TrackRecord(kept, sessions, judge(kept, sessions), trend(kept, sessions))


def publish_score_page(store: Store, sessions: int = SESSIONS) -> TrackRecord | None:
    """Write the page on all scores of a store, and return its content; None, and no page, where there are none.

    Raises
    ------
    InputError
        When a file of scores is damaged.
    StoreLockedError
        When another run holds the store after the wait.
    OSError
        When the page cannot be written.
    """
    with store.locked(PATIENCE):
        # Targets are within the horizon of their publication: these dates have all scores that are needed.
        record = track_record(read_scores(store, dates=HISTORY + 60), sessions)
        if record is not None:
            store.write(SCORE_PAGE, build_score_page(record).encode())
    return record


def verdict(record: TrackRecord) -> str:
    """Sum up in a few plain sentences how the published forecasts turned out."""
    health = record.health
    newest = record.measures.iloc[-1]
    due = pluralize(health.forecasts, "published forecast")
    said = [f"Of the last {pluralize(health.sessions, 'session')}, {due} came due."]
    if np.isfinite(health.skill):
        said.append(f"Their CRPS was {1 - health.skill:.2f} of what repeating the last Open would have scored")
        if np.isfinite(newest["skill_last_close"]):
            said[-1] += f" and {1 - newest['skill_last_close']:.2f} of repeating the last Close (lower is better)"
        said[-1] += "."
    said.append(f"Their 80 % band held {percent(health.coverage)} of the actual Opens.")
    if not health.judged:
        said.append("That is too little to judge by.")
    said += [f"{reason[:1].upper()}{reason[1:]}." for reason in health.reasons]
    if record.trend.word in ("better", "worse"):
        said.append(
            f"The forecasts have become {record.trend.word}: skill {signed_percent(record.trend.skill, 1)}, "
            f"{signed_percent(record.trend.before, 1)} in as many sessions before."
        )
    return " ".join(said)


def build_score_page(record: TrackRecord) -> str:
    """Build the page; the same scores give the same bytes."""
    return render_page(
        "scores.html.jinja",
        record=record,
        verdict=verdict(record),
        data={"charts": {str(place): curves.chart() for place, curves in enumerate(record.curves)}},
        newest=record.measures.iloc[-1].to_dict(),
        steps=record.steps.to_dict("records"),
        models=record.models.to_dict("records"),
        tickers=record.tickers.to_dict("records"),
        misses=record.misses.assign(decimals=record.misses["forecast"].map(decimals_for)).to_dict("records"),
        units=record.units.to_dict("records"),
    )


def score_markdown(record: TrackRecord) -> str:
    """Write the same for the Prefect UI: markdown, with the pictures inside."""
    title, tickers = record.extremes
    parts = [
        f"# How published forecasts turned out, to {format_date(record.last)}",
        f"**{record.health.status.capitalize()}.** {verdict(record)}",
        *(f"**{one.says}**\n\n{markdown_picture(one.says, trend_chart(one))}" for one in record.curves),
        "## By step",
        _measured(record.steps, "step"),
        "## By the model that was published",
        _measured(record.models, "model"),
        f"## {title}",
        _measured(tickers, "ticker"),
        "## Worst misses",
        _table(map(miss_cells, record.misses.to_dict("records"))),
    ]
    if len(record.units):
        parts += ["## Splits and rebased histories", _unit_table(record.units)]
    return "\n\n".join(parts) + "\n"


def _measured(table: pd.DataFrame, first: str) -> str:
    return _table(
        {first.capitalize(): printable(row[first], 24), **measure_cells(row)} for row in table.to_dict("records")
    )


def _table(rows: Iterable[dict[str, str]]) -> str:
    lines = list(rows)
    return markdown_table(list(lines[0]), (line.values() for line in lines), text=("Open on", "Model"))


def _unit_table(units: pd.DataFrame) -> str:
    rows = (
        (
            printable(row["ticker"], 24),
            f"{row['unit']:g}",
            row["n"],
            format_date(row["first"]),
            format_date(row["last"]),
        )
        for row in units.to_dict("records")
    )
    return markdown_table(("ticker", "prices times", "forecasts", "first session", "last session"), rows)
