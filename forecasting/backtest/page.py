"""The report of a backtest: one self-contained HTML page, and a shorter version for the Prefect UI."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from forecasting.backtest.metrics import PUBLISHED, count_claims, shared_rows
from forecasting.backtest.study import Judged, Study
from forecasting.config import QUANTILE_COLUMNS, ForecastConfig
from forecasting.evaluation.baselines import BASELINES
from forecasting.evaluation.heldout_summary import Calibration
from forecasting.evaluation.metrics import REFERENCE
from forecasting.evaluation.scoring_rules import crps
from forecasting.formatting import format_date, percent, pluralize
from forecasting.reports.cells import score_cells
from forecasting.reports.charts import calibration_chart, markdown_picture, trend_chart
from forecasting.reports.figures import Curves, calibration_spec
from forecasting.reports.html import markdown_table, render_page
from forecasting.reports.summary import pooled_scores

__all__ = ["Backtest", "backtest_markdown", "build_backtest_page", "verdict"]

ROLLING = 20
"""Origins that the curves over time are averaged over."""

AGES = 4
"""Groups of origins, by the age of their weights in sessions."""

_CALIBRATION = "Calibration of what would have been published, all tickers and origins together."

_CURVES = {"published": PUBLISHED, "LSTM": "lstm"}


@dataclass(frozen=True)
class Backtest:
    """A backtest with its scores.

    Attributes
    ----------
    as_of
        The last day whose rows were read.
    study, config
        The options of the study and the configuration.
    judged
        Every forecast, with the actual.
    metrics
        As `forecasting.backtest.metrics.score_backtest` gives them.
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
        """See `forecasting.backtest.metrics.count_claims`."""
        return count_claims(self.metrics)

    @cached_property
    def pooled(self) -> pd.DataFrame:
        """Every model over all tickers, relative to persistence; see `forecasting.reports.summary.pooled_scores`."""
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

    @cached_property
    def calibration(self) -> Calibration:
        """The calibration of the published forecasts."""
        rows = self.judged.rows[self.judged.rows["chosen"]]
        return Calibration.of({name: rows[name].to_numpy() for name in ("step", "actual", *QUANTILE_COLUMNS)})


def verdict(backtest: Backtest) -> str:
    """Sum up the backtest in two plain sentences, also where it is bad."""
    said = (
        f"{pluralize(len(backtest.origins), 'session')} {'was' if len(backtest.origins) == 1 else 'were'} forecast from"
    )
    pooled = backtest.pooled[(backtest.pooled["step"] == 1) & (backtest.pooled["model"] == PUBLISHED)]
    if pooled.empty or not np.isfinite(pooled["crps_ratio"].iloc[0]):
        return f"{said} as a daily run would have, and no forecast of the next Open could be scored."
    said += (
        f" as a daily run would have: the CRPS of the next Open's forecasts is {pooled['crps_ratio'].iloc[0]:.2f} of "
        f"repeating the last Open (lower is better), and their 80 % band held "
        f"{percent(pooled['coverage_80'].iloc[0])} of the actual Opens."
    )
    nearest = backtest.claims[backtest.claims["step"] == 1].set_index("model")
    standings = {str(model): _standing(claims) for model, claims in nearest.iterrows()}
    if PUBLISHED not in standings:
        return said
    said += f" Compared with each ticker's best baseline, known only in hindsight, they are {standings[PUBLISHED]}"
    if "lstm" not in standings:
        return f"{said}."
    if standings["lstm"] == standings[PUBLISHED]:
        return f"{said}, and the same is true of the LSTM alone."
    return f"{said}; the LSTM alone is {standings['lstm']}."


def _standing(claims: pd.Series) -> str:
    tickers, better, worse = (int(claims[name]) for name in ("tickers", "better_holm", "worse_holm"))
    if not better + worse:
        return "neither clearly better nor clearly worse" + (f" on any of {tickers:,} tickers" if tickers > 1 else "")
    if tickers == 1:
        return "clearly better" if better else "clearly worse"
    return f"clearly better on {better or 'none'} and clearly worse on {worse or 'none'} of {tickers:,} tickers"


def build_backtest_page(backtest: Backtest) -> str:
    """Build the page; the same backtest gives the same bytes."""
    over_time = curves(backtest)
    charts = [*(one.chart() for one in over_time), calibration_spec(backtest.calibration)]
    return render_page(
        "backtest.html.jinja",
        data={"charts": charts},
        figures=[*(one.says for one in over_time), _CALIBRATION],
        backtest=backtest,
        verdict=verdict(backtest),
        first=backtest.origins[0],
        last=backtest.origins[-1],
        fits=backtest.judged.rows["fitted"].nunique(),
        pooled=backtest.pooled.to_dict("records"),
        claims=backtest.claims.sort_values(["step", "crps_ratio"], kind="stable").to_dict("records"),
        ages=ages(backtest),
        tickers=list(_ticker_rows(backtest.metrics)),
        settings=list(_settings(backtest)),
    )


def backtest_markdown(backtest: Backtest) -> str:
    """Write the same for the Prefect UI, below the verdict: markdown, with the pictures inside."""
    heads = ("step", "model", "CRPS / persistence", "MAE / persistence", "in 50 %", "in 80 %", "in 90 %")
    ends = backtest.pooled[backtest.pooled["step"].isin(backtest.pooled["step"].agg(["min", "max"]))]
    names = ("step", "model", "crps_ratio", "mae_ratio", "coverage_50", "coverage_80", "coverage_90")
    rows = ([score_cells(row)[name] for name in names] for row in ends.to_dict("records"))
    parts = [
        f"# Backtest as of {format_date(backtest.as_of)}",
        f"{backtest.study}.",
        markdown_table(heads, rows, text=("model",)),
        *(f"**{says}**\n\n{markdown_picture(says, picture)}" for says, picture in _pictures(backtest)),
    ]
    return "\n\n".join(parts) + "\n"


def _pictures(backtest: Backtest) -> Iterable[tuple[str, bytes]]:
    skill, coverage = curves(backtest)
    yield skill.says, trend_chart(skill)
    yield coverage.says, trend_chart(coverage, wide=False)
    yield _CALIBRATION, calibration_chart(backtest.calibration)


def curves(backtest: Backtest) -> tuple[Curves, Curves]:
    """Make the curves of skill (published forecasts and LSTM, relative to the best baseline) and of coverage."""
    rows = backtest.nearest
    published = rows[rows["chosen"]].assign(model=PUBLISHED)
    span = min(ROLLING, max(1, len(backtest.origins) // 3))
    losses = pd.concat([rows, published]).pivot_table(index="cutoff", columns="model", values="loss")
    # Relative to persistence, the curves of all good models would look the same.
    best = losses[[model for model in BASELINES if model in losses]].mean().idxmin()
    smooth = losses.rolling(span).mean().iloc[span - 1 :]
    ratios = {name: smooth[model] / smooth[best] for name, model in _CURVES.items() if model in smooth}
    inside = (published["actual"] >= published["q10"]) & (published["actual"] <= published["q90"])
    held = inside.groupby(published["cutoff"]).mean().rolling(span).mean().iloc[span - 1 :]
    over = f"mean over {pluralize(span, 'origin')}"
    return (
        Curves(
            f"CRPS of the next Open, as a multiple of that of {best}, the best baseline over all tickers, {over}; "
            "below the dashed line is better.",
            smooth.index,
            ratios,
            target=1.0,
            measure=f"CRPS, {best} = 1",
            decimals=3,
        ),
        Curves(
            f"Share of the next Opens inside the published 80 % band, {over}.",
            held.index,
            {"": held},
            target=0.8,
            measure="in the 80 % band",
            unit=" %",
            scale=100,
            decimals=1,
        ),
    )


def ages(backtest: Backtest) -> list[dict[str, Any]]:
    """Measure the LSTM by the age of its weights, in sessions: its CRPS over persistence's, all tickers together."""
    every = backtest.study.refit_every
    rows = backtest.nearest[backtest.nearest["model"].isin(["lstm", REFERENCE])]
    age = backtest.origins.searchsorted(rows["cutoff"]) - backtest.origins.searchsorted(rows["fitted"])
    groups = min(AGES, every)
    grouped = rows.assign(group=age * groups // every)
    means = grouped.pivot_table(index="group", columns="model", values="loss")
    if "lstm" not in means or every == 1:
        return []
    starts = [-(-group * every // groups) for group in range(groups + 1)]
    return [
        {
            "ages": f"{low} to {high}" if low < high else f"{low}",
            "n": int(((grouped["group"] == group) & (grouped["model"] == "lstm")).sum()),
            "crps_ratio": float(mean["lstm"] / mean[REFERENCE]),
        }
        for group, mean in zip(means.index.astype(int), means.to_dict("records"), strict=True)
        for low, high in [(starts[group], starts[group + 1] - 1)]
    ]


def _ticker_rows(metrics: pd.DataFrame) -> Iterable[Mapping[str, Any]]:
    """Give step 1 of each ticker: the published forecasts and the LSTM alone, compared with the best baseline."""
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
    yield "refit every", pluralize(study.refit_every, "session")
    yield "window", "expanding" if study.window is None else f"{study.window} rows"
    for name, value in backtest.config.model_dump(mode="json", exclude={"tickers", "preset"}).items():
        yield name.replace("_", " "), str(value)
