"""The pictures: real PNG, small, the same every time, drawn whatever the data are like."""

from __future__ import annotations

import base64
import struct

import numpy as np
import pandas as pd
import pytest

from forecasting.config import LEVELS, QUANTILE_COLUMNS
from forecasting.evaluation.heldout_summary import Calibration
from forecasting.reports.charts import (
    calibration_chart,
    fan_chart,
    heldout_chart,
    markdown_picture,
    trend_chart,
)
from forecasting.reports.figures import Curves

LIMIT = 60_000


def some_prices(rows: int = 80, level: float = 100.0) -> pd.DataFrame:
    opened = level * np.exp(np.cumsum(np.random.default_rng(3).normal(0, 0.02, rows)))
    dates = pd.bdate_range("2020-01-01", periods=rows)
    return pd.DataFrame({"date": dates, "open": opened, "high": opened * 1.01, "low": opened * 0.99})


def some_forecast(steps: int = 5, anchor: float = 100.0) -> pd.DataFrame:
    spread = np.linspace(-0.05, 0.05, 19)
    rows = anchor * np.exp(np.sqrt(np.arange(1, steps + 1))[:, None] * spread)
    return pd.DataFrame(rows, columns=list(QUANTILE_COLUMNS)).assign(
        target_date=pd.bdate_range("2020-05-01", periods=steps).date,
        step=np.arange(1, steps + 1),
        anchor="close",
        anchor_price=anchor,
    )


def some_heldout(rows: int = 200, steps: int = 5, seed: int = 0) -> pd.DataFrame:
    """Held-out rows whose actuals are uniform in rank: a perfectly calibrated forecast of 0 to 1."""
    stream = np.random.default_rng(seed)
    parts = [
        pd.DataFrame(np.tile(LEVELS, (rows, 1)), columns=list(QUANTILE_COLUMNS)).assign(
            target_date=pd.bdate_range("2019-01-01", periods=rows).date, step=step, actual=stream.uniform(size=rows)
        )
        for step in range(1, steps + 1)
    ]
    return pd.concat(parts, ignore_index=True)


def counted(heldout: pd.DataFrame) -> Calibration:
    return Calibration.of({name: heldout[name].to_numpy() for name in ("step", "actual", *QUANTILE_COLUMNS)})


def some_trend(days: int = 60) -> bytes:
    values = {"80 % band": np.linspace(0.7, 0.9, days), "50 % band": np.full(days, np.nan)}
    dates = pd.bdate_range("2020-01-01", periods=days)
    return trend_chart(Curves("", dates, values, target=0.8, band=(0.78, 0.82), scale=100))


DRAWN = {
    "fan": lambda: fan_chart(some_prices(), some_forecast()),
    "heldout": lambda: heldout_chart(some_heldout(steps=1)),
    "calibration": lambda: calibration_chart(counted(some_heldout())),
    "trend": some_trend,
}


def is_png(picture: bytes) -> bool:
    return picture.startswith(b"\x89PNG\r\n\x1a\n") and min(struct.unpack(">II", picture[16:24])) > 200


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_a_small_png_and_the_same_again(name):
    picture = DRAWN[name]()
    assert is_png(picture)
    assert len(picture) < LIMIT
    assert picture == DRAWN[name]()


@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda: fan_chart(some_prices(1), some_forecast(1)), id="one price, one step"),
        pytest.param(lambda: fan_chart(some_prices(16, 0.0004), some_forecast(5, 0.0004)), id="tiny prices"),
        pytest.param(lambda: fan_chart(some_prices(80, 7e5), some_forecast(60, 7e5)), id="sixty steps, large prices"),
        pytest.param(
            lambda: fan_chart(some_prices().assign(open=5.0, high=5.0, low=5.0), some_forecast(5, 5.0)), id="constant"
        ),
        pytest.param(lambda: fan_chart(some_prices(), some_forecast().tail(1).assign(step=2)), id="only step two"),
        pytest.param(lambda: heldout_chart(some_heldout(5, 1)), id="five held-out rows"),
        pytest.param(lambda: heldout_chart(some_heldout(40, 1).assign(actual=2.0)), id="all missed"),
        pytest.param(lambda: heldout_chart(some_heldout(40, 1).assign(actual=0.5)), id="none missed"),
        pytest.param(lambda: calibration_chart(counted(some_heldout(1, 1))), id="calibration of one row"),
        pytest.param(lambda: calibration_chart(counted(some_heldout(30, 20))), id="calibration of twenty steps"),
        pytest.param(lambda: some_trend(1), id="one day"),
        pytest.param(lambda: some_trend(2000), id="2,000 days"),
    ],
)
def test_unusual_data_still_give_a_picture(draw):
    assert is_png(draw())


def test_markdown_carries_the_picture():
    picture = DRAWN["trend"]()
    head, body = markdown_picture("coverage", picture).removesuffix(")").split(",", 1)
    assert head == "![coverage](data:image/png;base64"
    assert base64.b64decode(body) == picture
