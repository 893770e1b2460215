from __future__ import annotations

from datetime import date
from fractions import Fraction

import numpy as np
import pytest

from forecasting.config import LEVELS, QUANTILE_COLUMNS, ForecastConfig
from forecasting.evaluation.candidates import Candidate, Choice
from forecasting.evaluation.frames import curves_frame, forecasts_frame, heldout_tables
from forecasting.features.series import TickerSeries
from forecasting.features.splits import Split, adjustment
from forecasting.features.windows import window
from forecasting.frame_checks import check_forecasts
from forecasting.model.training_loop import Curve
from forecasting.schemas import FORECASTS, HELDOUT, as_table

CONFIG = ForecastConfig(horizon=2, context=3, calendar="XNYS", test_share=0.5)
FAN = np.array(LEVELS) - 0.5


def series(ticker="A", rows=12, *, stale=0, split_at=None):
    """Opens of 100 or so to 2024-06-28, half as much after a split, and a Close one higher."""
    splits = () if split_at is None else (Split(split_at, date(2024, 6, 20), Fraction(2)),)
    factor = adjustment(rows, splits)
    opened = (100 + np.arange(rows)) / factor * (0.5 if splits else 1)
    return TickerSeries(
        ticker=ticker,
        dates=np.datetime64("2024-06-29") - np.arange(rows, 0, -1),
        open=opened,
        high=opened + 2,
        low=opened - 1,
        close=opened + 1,
        factor=factor,
        splits=splits,
        anchor="close",
        stale=stale,
    )


def candidates(windows, names=("lstm", "persistence", "last_close", "ewma_range")):
    """Each says "as the anchor, give or take half", and starts from its own price."""
    shape = (len(windows.series), windows.time, windows.horizon, 19)
    origins = {"persistence": windows.log_open, "last_close": windows.log_close}
    correction = np.ones((shape[0], windows.horizon))
    return [
        Candidate(name, origins.get(name, windows.log_anchor), np.broadcast_to(FAN, shape).copy(), correction)
        for name in names
    ]


def test_what_is_published_starts_from_the_anchor_of_its_model() -> None:
    windows = window([series()], CONFIG)
    opened, closed = 111.0, 112.0
    for model, anchor, price in (
        ("lstm", "close", closed),
        ("persistence", "open", opened),
        ("last_close", "close", closed),
        ("ewma_range", "close", closed),
    ):
        frame = forecasts_frame(windows, candidates(windows), [[Choice(model, None)] * 2], CONFIG)
        assert frame["anchor"].tolist() == [anchor] * 2
        assert frame["anchor_price"].tolist() == [price] * 2
        assert frame["forecast"].tolist() == pytest.approx([price] * 2)
        np.testing.assert_allclose(frame[list(QUANTILE_COLUMNS)], [price * np.exp(FAN)] * 2)


def test_what_is_published_fits_its_schema() -> None:
    windows = window([series("B"), series("A", 8, stale=2)], CONFIG)
    choices = [[Choice("lstm", None), Choice("persistence", "lost on validation")], [Choice("lstm", "stale"), None]]
    frame = forecasts_frame(windows, candidates(windows), choices, CONFIG)
    table = as_table(frame, FORECASTS)
    check_forecasts(table)
    assert frame["ticker"].tolist() == ["A", "B", "B"]
    assert frame["step"].tolist() == [1, 1, 2]
    assert table["reason"].to_pylist() == ["stale", None, "lost on validation"]
    assert table["target_date"].to_pylist() == [date(2024, 7, 1), date(2024, 7, 1), date(2024, 7, 2)]
    assert set(table["cutoff"].to_pylist()) == {date(2024, 6, 28)}


def test_what_is_published_is_in_the_unit_of_the_newest_row() -> None:
    windows = window([series(split_at=8)], CONFIG)
    frame = forecasts_frame(windows, candidates(windows), [[Choice("persistence", "x")] * 2], CONFIG)
    assert frame["forecast"].tolist() == pytest.approx([111 / 2] * 2)


@pytest.mark.parametrize("split_at", [None, 9])
def test_held_out_rows_are_in_the_unit_of_their_cutoff(split_at) -> None:
    one = series(split_at=split_at)
    windows = window([one], CONFIG)
    table = heldout_tables(windows, candidates(windows), 0, windows.pairs("test"))["A"]
    assert table.schema.equals(HELDOUT)
    rows = table.to_pandas()
    persistence = rows[rows["model"] == "persistence"]
    opens = dict(zip(one.dates.astype(object), one.open, strict=True))
    assert persistence["forecast"].tolist() == pytest.approx([opens[day] for day in persistence["cutoff"]])
    assert persistence["actual"].tolist() == [opens[day] for day in persistence["target_date"]]
    # Test targets are rows 7 to 11; a split before row 9 parts 8 from 9, 7 from 9 and 8 from 10.
    assert len(persistence) == (5 + 4 if split_at is None else 5 + 4 - 3)


def test_a_row_that_one_model_cannot_forecast_is_forecast_by_no_model() -> None:
    windows = window([series()], CONFIG)
    models = candidates(windows)
    models[2].change[0, 8] = np.nan
    rows = heldout_tables(windows, models, 0, windows.pairs("test"))["A"].to_pandas()
    assert np.datetime64(rows["cutoff"].min()) == series().dates[6]
    assert series().dates[8].astype(object) not in set(rows["cutoff"])
    assert len(set(rows.groupby("model").size())) == 1


def test_a_model_without_forecasts_has_no_rows_and_takes_none_from_the_others() -> None:
    windows = window([series()], CONFIG)
    models = candidates(windows)
    models[0].change[...] = np.nan
    rows = heldout_tables(windows, models, 0, windows.pairs("test"))["A"].to_pandas()
    assert rows.groupby("model").size().to_dict() == dict.fromkeys(("ewma_range", "last_close", "persistence"), 9)


def test_a_ticker_without_held_out_rows_has_an_empty_table() -> None:
    windows = window([series(rows=12), series("B", 4)], CONFIG)
    tables = heldout_tables(windows, candidates(windows), 0, windows.pairs("test"))
    assert tables["B"].num_rows == 0
    assert tables["B"].schema.equals(HELDOUT)
    assert tables["A"].num_rows == 4 * 9


def test_curves_have_a_row_an_epoch_of_the_first_fit_and_the_last() -> None:
    nan = float("nan")
    curves = [
        Curve("A", 0, "train", (3.0, 2.0, 1.0), (3.0, 1.0, 2.0), 2),
        Curve("A", 0, "before_test", (9.0,), (nan,), 1),
        Curve("A", 0, "all", (3.0, 2.0), (nan, nan), 2),
    ]
    frame = curves_frame(curves)
    assert frame["phase"].tolist() == ["fit"] * 3 + ["refit"] * 2
    assert frame["epoch"].tolist() == [1, 2, 3, 1, 2]
    assert frame["best"].tolist() == [False, True, False, False, True]
    assert frame["train_loss"].tolist() == [3, 2, 1, 3, 2]
    assert list(curves_frame([]).columns) == list(frame.columns)
