"""The cells of tables: how forecasts and scores are written, in one way for pages, the UI, terminals and markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from forecasting.config import QUANTILE_COLUMNS
from forecasting.formatting import decimals_for, format_number, p_value, percent, printable, signed_percent

__all__ = ["forecast_cells", "measure_cells", "miss_cells", "score_cells"]

_PRICES = ("anchor_price", "forecast", *QUANTILE_COLUMNS)


def forecast_cells(row: Mapping[Any, Any]) -> dict[str, str]:
    """Write a row of forecasts.parquet, by column name, with ``change``: the median's change from the last price.

    The decimals of prices follow from their size. Names are not escaped here: that is the caller's task.
    """
    decimals = decimals_for(row["anchor_price"])
    return {
        "ticker": str(row["ticker"]),
        "target_date": f"{row['target_date']:%Y-%m-%d}",
        "cutoff": f"{row['cutoff']:%Y-%m-%d}",
        "step": str(row["step"]),
        "model": str(row["model"]),
        "reason": "" if pd.isna(row["reason"]) else str(row["reason"]),
        "change": signed_percent(row["forecast"] / row["anchor_price"] - 1),
        **{name: format_number(row[name], decimals) for name in _PRICES if name in row},
    }


def score_cells(row: Mapping[Any, Any]) -> dict[str, str]:
    """Write a row of scores: ratios to persistence, MASE, coverages, the p-value of a difference, those that it has."""
    ratios = {name: format_number(row[name], 3) for name in ("crps_ratio", "mae_ratio", "mase") if name in row}
    shares = {f"coverage_{share}": percent(row[f"coverage_{share}"]) for share in (50, 80, 90)}
    tested = {"dm_p_value": p_value(row["dm_p_value"])} if "dm_p_value" in row else {}
    return {"step": str(row["step"]), "model": str(row["model"]), **ratios, **shares, **tested}


def measure_cells(row: Mapping[Any, Any]) -> dict[str, str]:
    """Write a row of `forecasting.monitoring.health.by_group`, by column heading."""
    return {
        "80 % held": percent(row["coverage_80"]),
        "Skill to Open": signed_percent(row["skill"], 1),
        "to Close": signed_percent(row["skill_last_close"], 1),
        "CRPS, %": format_number(100 * row["crps"], 3),
        "Bias": signed_percent(row["bias"]),
        "Forecasts": f"{row['n']:,}",
        "50 %": percent(row["coverage_50"]),
        "90 %": percent(row["coverage_90"]),
    }


def miss_cells(row: Mapping[Any, Any]) -> dict[str, str]:
    """Write a row of `forecasting.monitoring.health.worst_misses`, by column heading."""
    decimals = decimals_for(row["forecast"])
    return {
        "Ticker": printable(row["ticker"], 24),
        "Open on": f"{row['target_date']:%Y-%m-%d}",
        "Miss": signed_percent(row["miss"]),
        "Forecast": format_number(row["forecast"], decimals),
        "Actual": format_number(row["actual"], decimals),
        "Step": str(row["step"]),
        "Model": printable(row["model"]),
    }
