"""What a backtest says, for people: one self-contained HTML page, and the same shorter for the Prefect UI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from forecasting.backtesting.scores import PUBLISHED, count_claims, shared_rows
from forecasting.backtesting.study import Judged, Study
from forecasting.config import QUANTILE_COLUMNS, ForecastConfig
from forecasting.display import count, day, number, percent
from forecasting.metrics import REFERENCE
from forecasting.pages import render_page
from forecasting.plots import calibration_chart, data_uri, trend_chart
from forecasting.scores import crps
from forecasting.summaries import pooled_scores

__all__ = ["Backtest", "Picture", "backtest_markdown", "build_backtest_page", "verdict"]

ROLLING = 20
"""Origins that the curves over time are averaged over."""

AGES = 4
"""Groups of origins by how many sessions their weights are old."""

_CURVES = {"published": PUBLISHED, "LSTM": "lstm", "last_close": "last_close", "ewma_range": "ewma_range"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture, and what it says."""

    source: str
    says: str
    wide: bool


@dataclass(frozen=True)
class Backtest:
    """A backtest with its scores.

    Attributes
    ----------
    as_of
        The last day whose rows were read.
    study, config
        What was asked for.
    judged
        Every forecast, with what came.
    metrics
        As `forecasting.backtesting.scores.score_backtest` gives them.
    withheld
        (ticker or file, reason) of those that were never forecast.
    """

    as_of: date
    study: Study
    config: ForecastConfig
    judged: Judged
    metrics: pd.DataFrame
    withheld: tuple[tuple[str, str], ...] = ()

    @property
    def tickers(self) -> int:
        """How many tickers were forecast."""
        return int(self.metrics["ticker"].nunique())

    @cached_property
    def origins(self) -> pd.DatetimeIndex:
        """The days that were forecast from, ascending."""
        return pd.DatetimeIndex(np.sort(self.judged.rows["cutoff"].unique()))

    @cached_property
    def claims(self) -> pd.DataFrame:
        """See `forecasting.backtesting.scores.count_claims`."""
        return count_claims(self.metrics)

    @cached_property
    def pooled(self) -> pd.DataFrame:
        """Every model over all tickers, beside persistence; see `forecasting.summaries.pooled_scores`."""
        share = self.metrics.groupby(["step", "model"])["chosen_share"].mean().reset_index()
        pooled = pooled_scores(self.metrics.assign(chosen=False)).drop(columns="published")
        merged = pooled.merge(share, on=["step", "model"])
        ordered: pd.DataFrame = merged.sort_values(["step", "crps_ratio"], kind="stable", ignore_index=True)
        return ordered

    @cached_property
    def nearest(self) -> pd.DataFrame:
        """The scored rows of step 1, with each forecast's CRPS as a multiple of its ticker's under persistence."""
        rows = shared_rows(self.judged.rows[self.judged.rows["step"] == 1])
        loss = crps(rows["actual"], rows[list(QUANTILE_COLUMNS)])
        scored = rows.assign(model=rows["model"].astype("str"), ticker=rows["ticker"].astype("str"), loss=loss)
        usual = scored[scored["model"] == REFERENCE].groupby("ticker")["loss"].mean()
        return scored.assign(loss=scored["loss"] / scored["ticker"].map(usual))


def verdict(backtest: Backtest) -> str:
    """Say in a few sentences what the backtest amounts to, flattering nobody."""
    said = [f"{count(len(backtest.origins), 'session')} were forecast from, as a daily run would have."]
    pooled = backtest.pooled[(backtest.pooled["step"] == 1) & (backtest.pooled["model"] == PUBLISHED)]
    if len(pooled) and np.isfinite(pooled["crps_ratio"].iloc[0]):
        said.append(
            f"At step 1 the CRPS of what would have been published is {pooled['crps_ratio'].iloc[0]:.3f} of repeating "
            f"the last Open (lower is better); its 80 % band held {percent(pooled['coverage_80'].iloc[0])}."
        )
    for model, name in ((PUBLISHED, "What it would have published"), ("lstm", "The LSTM alone")):
        claims = backtest.claims[(backtest.claims["step"] == 1) & (backtest.claims["model"] == model)]
        if len(claims):
            said.append(_claimed(name, claims.iloc[0]))
    return " ".join(said)


def _claimed(name: str, claims: pd.Series) -> str:
    return (
        f"{name} scores {claims['crps_ratio']:.3f} of the baseline that turned out best for each ticker; corrected for "
        f"{count(int(claims['tickers']), 'test')}, it is better on {claims['better_holm']} and worse on "
        f"{claims['worse_holm']}."
    )


def build_backtest_page(backtest: Backtest) -> str:
    """Build the page; the same backtest gives the same bytes."""
    return render_page(
        "backtest.html.jinja",
        backtest=backtest,
        verdict=verdict(backtest),
        first=backtest.origins[0],
        last=backtest.origins[-1],
        fits=backtest.judged.rows["fitted"].nunique(),
        pooled=backtest.pooled.to_dict("records"),
        claims=backtest.claims.to_dict("records"),
        pictures=pictures(backtest),
        ages=ages(backtest),
        tickers=list(_ticker_rows(backtest.metrics)),
        settings=list(_settings(backtest)),
    )


def backtest_markdown(backtest: Backtest) -> str:
    """Write the same for the Prefect UI: markdown, with the pictures inside."""
    heads = ("step", "model", "CRPS / persistence", "MAE / persistence", "in 50 %", "in 80 %", "in 90 %")
    lines = [f"| {' | '.join(heads)} |", "| ---: | --- |" + " ---: |" * 5]
    for row in backtest.pooled.to_dict("records"):
        ratios = (number(row[name], 3) for name in ("crps_ratio", "mae_ratio"))
        held = (percent(row[name]) for name in ("coverage_50", "coverage_80", "coverage_90"))
        lines.append(f"| {' | '.join((str(row['step']), str(row['model']), *ratios, *held))} |")
    parts = [
        f"# Backtest as of {day(backtest.as_of)}",
        f"{backtest.study}.",
        verdict(backtest),
        "\n".join(lines),
        *(f"{picture.says}\n\n![{picture.says}]({picture.source})" for picture in pictures(backtest)),
    ]
    return "\n\n".join(parts) + "\n"


def pictures(backtest: Backtest) -> list[Picture]:
    """Draw the skill over time, the coverage over time, and the calibration."""
    rows = backtest.nearest
    published = rows[rows["chosen"]].assign(model=PUBLISHED)
    span = min(ROLLING, max(1, len(backtest.origins) // 3))
    losses = pd.concat([rows, published]).pivot_table(index="cutoff", columns="model", values="loss")
    smooth = losses.rolling(span).mean().iloc[span - 1 :]
    curves = {name: smooth[model] / smooth[REFERENCE] for name, model in _CURVES.items() if model in smooth}
    inside = (published["actual"] >= published["q10"]) & (published["actual"] <= published["q90"])
    held = inside.groupby(published["cutoff"]).mean().rolling(span).mean().iloc[span - 1 :]
    over = f"mean over {count(span, 'origin')}"
    return [
        Picture(
            data_uri(trend_chart(smooth.index, curves, target=1.0, unit="CRPS, persistence = 1")),
            f"CRPS of the next Open, as a multiple of that of persistence, {over}; below the dashed line is better.",
            wide=True,
        ),
        Picture(
            data_uri(trend_chart(held.index, {"": held}, target=0.8, unit="in the 80 % band, %", scale=100)),
            f"Share of actuals inside the 80 % band of what would have been published, {over}.",
            wide=True,
        ),
        Picture(
            data_uri(calibration_chart(backtest.judged.rows[backtest.judged.rows["chosen"]])),
            "Calibration of what would have been published, all tickers and origins together.",
            wide=False,
        ),
    ]


def ages(backtest: Backtest) -> list[dict[str, Any]]:
    """Tell how the LSTM does by the age of its weights, in sessions: its CRPS over persistence's, all tickers."""
    rows = backtest.nearest[backtest.nearest["model"].isin(["lstm", REFERENCE])]
    age = backtest.origins.searchsorted(rows["cutoff"]) - backtest.origins.searchsorted(rows["fitted"])
    size = -(-backtest.study.refit_every // AGES)
    means = rows.assign(group=age // size).pivot_table(index="group", columns="model", values="loss")
    if "lstm" not in means or backtest.study.refit_every == 1:
        return []
    return [
        {
            "ages": f"{group * size} to {min((group + 1) * size, backtest.study.refit_every) - 1}",
            "n": int(((age // size == group) & (rows["model"] == "lstm")).sum()),
            "crps_ratio": float(mean["lstm"] / mean[REFERENCE]),
        }
        for group, mean in zip(means.index.astype(int), means.to_dict("records"), strict=True)
    ]


def _ticker_rows(metrics: pd.DataFrame) -> Iterable[Mapping[str, Any]]:
    """Step 1 of each ticker: what would have been published, and the LSTM alone, beside the best baseline."""
    nearest = metrics[metrics["step"] == 1]
    lstm = nearest[nearest["model"] == "lstm"].set_index("ticker")
    for row in nearest[nearest["model"] == PUBLISHED].to_dict("records"):
        alone = lstm.loc[row["ticker"]].to_dict() if row["ticker"] in lstm.index else dict.fromkeys(lstm, np.nan)
        tested = isinstance(row["best_baseline"], str)
        yield {
            **{str(name): value for name, value in row.items()},
            "best_baseline": row["best_baseline"] if tested else "",
            "lstm": alone,
        }


def _settings(backtest: Backtest) -> Iterable[tuple[str, str]]:
    study = backtest.study
    yield "origins", str(study.origins)
    yield "refit every", f"{study.refit_every} sessions"
    yield "window", "expanding" if study.window is None else f"{study.window} rows"
    for name, value in backtest.config.model_dump(mode="json", exclude={"tickers", "preset"}).items():
        yield name.replace("_", " "), str(value)
