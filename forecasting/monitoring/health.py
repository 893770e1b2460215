"""The scores of published forecasts over time: rolling measures, and whether something has gone wrong.

Every measure is a ratio of two sums over sessions: coverage is the number of forecasts whose band held the actual over
the number of forecasts, and skill is 1 - CRPS over a reference's CRPS on the same forecasts. Losses are shares of the
forecast, so that prices of different tickers can be added up. An event in one session affects many tickers and steps,
and forecasts several sessions ahead overlap; so errors are counted by session, with a variance that is robust to
autocorrelation (Newey and West 1987, Econometrica 55, 703-708). A week of bad luck must not raise an alarm.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from forecasting.formatting import percent
from forecasting.monitoring.realised import REFERENCES

__all__ = ["SESSIONS", "Health", "Trend", "by_group", "judge", "rolling", "trend", "worst_misses"]

SESSIONS = 60
"""Target sessions that are judged: about three months."""

ENOUGH = 20
"""With fewer sessions than this there is no judgement."""

CLAIMED = 0.8
"""The share of actuals that the judged band claims to hold."""

ERRORS = 3.0
"""A measure this many standard errors from where it should be is out of its band (Shewhart's control limits)."""

COVERAGE_SLACK, SKILL_SLACK = 0.05, 0.01
"""Smaller differences do not matter, however certain: five points of coverage, one hundredth of persistence's CRPS."""

_SHARES = (50, 80, 90)


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the forecasts published recently are what they claim to be.

    Attributes
    ----------
    sessions, forecasts
        How many target sessions, and scored forecasts of them, were judged.
    coverage, coverage_band
        Share of actuals inside the 80 % band, and the range in which nothing is wrong.
    skill, skill_floor
        Share of persistence's CRPS that was saved, and its lowest acceptable value; NaN where persistence has no score.
    """

    sessions: int
    forecasts: int
    coverage: float
    coverage_band: tuple[float, float]
    skill: float
    skill_floor: float

    @property
    def judged(self) -> bool:
        """Whether there is enough to judge by."""
        return self.sessions >= ENOUGH

    @property
    def reasons(self) -> tuple[str, ...]:
        """The measures out of their band, one plain sentence each; none while there are too few sessions."""
        if not self.judged:
            return ()
        low, high = self.coverage_band
        over = f"over the last {self.sessions} sessions"
        found = []
        if not low <= self.coverage <= high:
            way = "too narrow" if self.coverage < low else "too wide"
            found.append(
                f"the 80 % band held {percent(self.coverage)} {over}, outside {percent(low)} to {percent(high)}: {way}"
            )
        if self.skill < self.skill_floor:
            found.append(f"worse than repeating the last Open {over}: a CRPS of {1 - self.skill:.3f} of persistence's")
        return tuple(found)

    @property
    def status(self) -> Literal["good", "degraded", "too early"]:
        """The judgement in a word."""
        if not self.judged:
            return "too early"
        return "degraded" if self.reasons else "good"


@dataclass(frozen=True, slots=True)
class Trend:
    """Skill of the newest sessions, compared with the same number of sessions before them.

    Attributes
    ----------
    skill, before
        1 - CRPS over persistence's, in both periods; NaN where there are too few sessions.
    clear
        Whether the difference is larger than chance explains.
    """

    skill: float
    before: float
    clear: bool

    @property
    def word(self) -> Literal["better", "worse", "no clear change", "too early"]:
        """The trend in a word or three."""
        if not np.isfinite(self.skill - self.before):
            return "too early"
        if not self.clear:
            return "no clear change"
        return "better" if self.skill > self.before else "worse"


def judge(scores: pd.DataFrame, sessions: int = SESSIONS) -> Health:
    """Judge the forecasts of the newest target sessions.

    Parameters
    ----------
    scores
        As `forecasting.monitoring.ledger.read_scores` gives them.
    sessions
        How many target sessions are judged.
    """
    sums = _by_session(scores).tail(sessions)
    lags = _lags(scores, len(sums))
    coverage, error = _ratio(sums["inside_80"], sums["n"], lags)
    # At least the error of independent draws, one per ticker and session: a few sessions may all be alike.
    draws = max(1.0, float(sums["tickers"].sum()))
    error = max(error, float(np.sqrt(CLAIMED * (1 - CLAIMED) / draws)))
    reach = max(COVERAGE_SLACK, ERRORS * error)
    share, share_error = _ratio(sums["crps_with_persistence"], sums["crps_persistence"], lags)
    return Health(
        sessions=len(sums),
        forecasts=int(sums["n"].sum()),
        coverage=coverage,
        coverage_band=(max(0.0, CLAIMED - reach), min(1.0, CLAIMED + reach)),
        skill=1 - share,
        skill_floor=-max(SKILL_SLACK, ERRORS * share_error),
    )


def trend(scores: pd.DataFrame, sessions: int = SESSIONS) -> Trend:
    """Compare the skill of the newest target sessions with the same number before; arguments as of `judge`."""
    sums = _by_session(scores).tail(2 * sessions)
    halves = [sums.head(len(sums) - sessions if len(sums) > sessions else 0), sums.tail(sessions)]
    lags = _lags(scores, sessions)
    (before, error_before), (now, error_now) = (
        _ratio(half["crps_with_persistence"], half["crps_persistence"], lags)
        if len(half) >= ENOUGH
        else (float("nan"), float("nan"))
        for half in halves
    )
    return Trend(1 - now, 1 - before, bool(abs(now - before) > ERRORS * np.hypot(error_now, error_before)))


def rolling(scores: pd.DataFrame, sessions: int = SESSIONS) -> pd.DataFrame:
    """Measure, at each target session, the forecasts of the last ``sessions`` of them.

    Parameters
    ----------
    scores
        As `forecasting.monitoring.ledger.read_scores` gives them.
    sessions
        Width of the window; narrower at the start.

    Returns
    -------
    DataFrame
        By ``target_date`` (the index): ``n`` forecasts, ``coverage_50``, ``coverage_80``, ``coverage_90``, ``skill``
        against persistence and ``skill_last_close``, ``crps`` as a share of the price, and the references' CRPS in the
        same unit, ``crps_persistence`` and ``crps_last_close``. A reference is always compared on the forecasts for
        which it has a forecast itself.
    """
    sums = _by_session(scores).rolling(sessions, min_periods=1).sum()
    out = {f"coverage_{share}": sums[f"inside_{share}"] / sums["n"] for share in _SHARES}
    crps = sums["crps"] / sums["n"]
    ratio = {name: _quotient(sums[f"crps_with_{name}"], sums[f"crps_{name}"]) for name in REFERENCES}
    return pd.DataFrame(
        {
            "n": sums["n"].round().astype("int64"),
            **out,
            "crps": crps,
            **{f"crps_{name}": crps / ratio[name].where(ratio[name] > 0) for name in REFERENCES},
            "skill": 1 - ratio["persistence"],
            "skill_last_close": 1 - ratio["last_close"],
        }
    )


def by_group(scores: pd.DataFrame, column: str) -> pd.DataFrame:
    """Measure the forecasts of each ticker, step or model.

    Returns
    -------
    DataFrame
        One row per value of ``column``, in its order: ``n``, the coverages, ``crps`` as a share of the price, ``skill``
        and ``skill_last_close``, and ``bias``, the mean error as a share of the forecast.
    """
    sums = _terms(scores).groupby(scores[column], observed=True, sort=True).sum()
    errors = (scores["error"] / scores["forecast"]).groupby(scores[column], observed=True, sort=True).mean()
    table = pd.DataFrame(
        {
            "n": sums["n"].astype("int64"),
            **{f"coverage_{share}": sums[f"inside_{share}"] / sums["n"] for share in _SHARES},
            "crps": sums["crps"] / sums["n"],
            "skill": 1 - _quotient(sums["crps_with_persistence"], sums["crps_persistence"]),
            "skill_last_close": 1 - _quotient(sums["crps_with_last_close"], sums["crps_last_close"]),
            "bias": errors,
        }
    )
    return table.rename_axis(column).reset_index()


def worst_misses(scores: pd.DataFrame, amount: int = 10) -> pd.DataFrame:
    """Choose the forecasts with the largest errors, as a share of the forecast; the worst of each ticker's session.

    Returns
    -------
    DataFrame
        Rows of ``scores``, the worst first, with ``miss``: the error as a share of the forecast.
    """
    missed = scores.assign(miss=scores["error"] / scores["forecast"])
    order = missed["miss"].abs().sort_values(ascending=False, kind="stable").index
    return missed.loc[order].drop_duplicates(["ticker", "target_date"]).head(amount).reset_index(drop=True)


def _terms(scores: pd.DataFrame) -> pd.DataFrame:
    """Make the terms of the sums, one row per forecast: losses are shares of the forecast, so that they add up."""
    unit = 1 / scores["forecast"]
    terms = {"n": pd.Series(1.0, scores.index), "crps": scores["crps"] * unit}
    terms |= {f"inside_{share}": scores[f"inside_{share}"].astype("float64") for share in _SHARES}
    for name in REFERENCES:
        reference = scores[f"crps_{name}"]
        terms[f"crps_{name}"] = (reference * unit).fillna(0.0)
        terms[f"crps_with_{name}"] = terms["crps"].where(reference.notna(), 0.0)
    return pd.DataFrame(terms)


def _by_session(scores: pd.DataFrame) -> pd.DataFrame:
    groups = _terms(scores).groupby(scores["target_date"], sort=True).sum()
    tickers = scores.groupby("target_date", sort=True)["ticker"].nunique()
    return groups.assign(tickers=tickers.astype("float64"))


def _lags(scores: pd.DataFrame, sessions: int) -> int:
    """Count the sessions over which errors are correlated: forecasts overlap by their steps, volatility persists."""
    overlap = int(scores["step"].max()) - 1 if len(scores) else 0
    return min(max(overlap, int(4 * (sessions / 100) ** (2 / 9))), max(sessions - 1, 0))


def _ratio(above: pd.Series, below: pd.Series, lags: int) -> tuple[float, float]:
    """Quotient of two sums over sessions and its standard error, by the delta method with a HAC variance."""
    total = float(below.sum())
    if not total:
        return float("nan"), float("nan")
    ratio = float(above.sum()) / total
    influence = (above - ratio * below).to_numpy(dtype=np.float64) / total
    variance = float(influence @ influence)
    for lag in range(1, min(lags, len(influence) - 1) + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(influence[lag:] @ influence[:-lag])
    return ratio, float(np.sqrt(max(variance, 0.0)))


def _quotient(above: pd.Series, below: pd.Series) -> pd.Series:
    return above / below.where(below > 0)
