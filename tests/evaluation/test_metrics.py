"""The table of scores, from held-out rows as they are written."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from forecasting.config import LEVELS, QUANTILE_COLUMNS
from forecasting.evaluation.metrics import score_heldout as score_tables
from forecasting.evaluation.scoring_rules import diebold_mariano
from forecasting.schemas import METRICS

START = date(2020, 1, 1)


def score_heldout(rows: pd.DataFrame, scales, chosen) -> pd.DataFrame:
    tables = {ticker: pa.Table.from_pandas(own) for ticker, own in rows.groupby("ticker")}
    return score_tables(tables, scales, chosen)


def heldout_rows(
    ticker: str, model: str, step: int, *, actual: list[float], median: float, spread: float
) -> pd.DataFrame:
    days = range(len(actual))
    frame = pd.DataFrame(
        {
            "ticker": ticker,
            "cutoff": [START + timedelta(days=day) for day in days],
            "target_date": [START + timedelta(days=day + step) for day in days],
            "step": np.int32(step),
            "model": model,
            "actual": actual,
            "forecast": np.float32(median),
        }
    )
    quantiles = median + spread * (np.asarray(LEVELS) - 0.5)
    return frame.assign(**{name: np.float32(value) for name, value in zip(QUANTILE_COLUMNS, quantiles, strict=True)})


@pytest.fixture
def heldout() -> pd.DataFrame:
    actual = [100.0, 104.0, 97.0, 102.0, 99.0, 103.0, 101.0, 95.0]
    return pd.concat(
        [
            heldout_rows(ticker, model, step, actual=actual, median=median, spread=spread)
            for ticker, median in (("BB", 100.0), ("AA", 101.0))
            for model, spread in (("persistence", 10.0), ("lstm", 6.0), ("ewma_range", 8.0))
            for step in (2, 1)
        ],
        ignore_index=True,
    )


def row_of(table: pd.DataFrame, ticker: str, model: str, step: int) -> pd.Series:
    return table.set_index(["ticker", "model", "step"]).loc[(ticker, model, step)]


def test_columns_types_and_order(heldout: pd.DataFrame) -> None:
    table = score_heldout(heldout, {"AA": 2.0, "BB": 4.0}, {("AA", 1, "lstm")})
    assert list(table.columns) == METRICS.names
    assert table["step"].dtype == table["n"].dtype == "int32"
    assert table["chosen"].dtype == "bool"
    assert (table.dtypes[4:13] == "float64").all()
    keys = list(table[["ticker", "step", "model"]].itertuples(index=False, name=None))
    models = ("lstm", "ewma_range", "persistence")
    assert keys == [(ticker, step, model) for ticker in ("AA", "BB") for step in (1, 2) for model in models]
    assert table.loc[table["chosen"], ["ticker", "step", "model"]].to_numpy().tolist() == [["AA", 1, "lstm"]]


def test_scores_by_hand(heldout: pd.DataFrame) -> None:
    row = row_of(score_heldout(heldout, {"BB": 4.0}, ()), "BB", "persistence", 1)
    # Errors around 100: 0 4 -3 2 -1 3 1 -5; q25..q75 is 100 +- 2.5, q10..q90 is 100 +- 4, q05..q95 is 100 +- 4.5.
    assert row["n"] == 8
    assert row["mae"] == pytest.approx(19 / 8)
    assert row["rmse"] == pytest.approx((65 / 8) ** 0.5)
    assert row["mape"] == pytest.approx(np.mean([0, 4 / 104, 3 / 97, 2 / 102, 1 / 99, 3 / 103, 1 / 101, 5 / 95]))
    assert row["mase"] == pytest.approx(19 / 8 / 4)
    assert row["coverage_50"] == 4 / 8
    assert row["coverage_80"] == row["coverage_90"] == 7 / 8
    assert np.isnan(row["dm_p_value"])


def test_crps_is_twice_the_mean_pinball_loss(heldout: pd.DataFrame) -> None:
    rows = heldout[(heldout["ticker"] == "AA") & (heldout["model"] == "lstm") & (heldout["step"] == 2)]
    losses = [
        max(level * (actual - quantile), (level - 1) * (actual - quantile))
        for name, level in zip(QUANTILE_COLUMNS, LEVELS, strict=True)
        for actual, quantile in zip(rows["actual"], rows[name].astype("float64"), strict=True)
    ]
    assert row_of(score_heldout(heldout, {}, ()), "AA", "lstm", 2)["crps"] == pytest.approx(2 * np.mean(losses))


def test_a_ticker_without_a_scale_has_no_mase(heldout: pd.DataFrame) -> None:
    table = score_heldout(heldout, {"AA": 2.0}, ())
    assert table.loc[table["ticker"] == "BB", "mase"].isna().all()
    assert table.loc[table["ticker"] == "AA", "mase"].notna().all()


def test_the_order_of_rows_and_the_form_of_dates_change_nothing(heldout: pd.DataFrame) -> None:
    expected = score_heldout(heldout, {"AA": 2.0, "BB": 4.0}, ())
    shuffled = heldout.sample(frac=1, random_state=5).astype({"ticker": "category", "model": "object"})
    shuffled = shuffled.assign(
        cutoff=pd.to_datetime(shuffled["cutoff"]), target_date=pd.to_datetime(shuffled["target_date"])
    )
    pd.testing.assert_frame_equal(score_heldout(shuffled, {"AA": 2.0, "BB": 4.0}, ()), expected)


def test_the_test_pairs_targets_that_both_models_have(heldout: pd.DataFrame) -> None:
    own = (heldout["ticker"] == "AA") & (heldout["model"] == "lstm") & (heldout["step"] == 1)
    fewer = heldout.drop(index=heldout.index[own][:3])
    table = score_heldout(fewer, {}, ())
    last_five = score_heldout(heldout[heldout["cutoff"] >= START + timedelta(days=3)], {}, ())
    assert row_of(table, "AA", "lstm", 1)["n"] == 5
    assert row_of(table, "AA", "lstm", 1)["dm_p_value"] == row_of(last_five, "AA", "lstm", 1)["dm_p_value"]
    assert row_of(table, "AA", "persistence", 1)["n"] == 8


def test_the_test_is_on_the_losses_of_the_quantiles(heldout: pd.DataFrame) -> None:
    rows = heldout[(heldout["ticker"] == "AA") & (heldout["step"] == 2)].set_index("model")
    losses = {}
    for model in ("lstm", "persistence"):
        actual = rows.loc[model, "actual"].to_numpy()[:, None]
        error = actual - rows.loc[model, list(QUANTILE_COLUMNS)].to_numpy(dtype="float64")
        losses[model] = np.maximum(np.asarray(LEVELS) * error, (np.asarray(LEVELS) - 1) * error).mean(axis=1)
    expected = diebold_mariano(losses["lstm"], losses["persistence"], 2)
    assert row_of(score_heldout(heldout, {}, ()), "AA", "lstm", 2)["dm_p_value"] == pytest.approx(expected)


def test_nothing_held_out_gives_an_empty_table(heldout: pd.DataFrame) -> None:
    table = score_heldout(heldout.iloc[:0], {}, ())
    assert list(table.columns) == METRICS.names
    assert table.empty
