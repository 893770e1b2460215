"""The study: which origins, dealt how, and that nothing is known from after them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from backtest_cases import CONFIG, QUANTILES, STUDY, run
from hypothesis import given
from hypothesis import strategies as st

from forecasting.backtest import rolling
from forecasting.backtest.study import (
    Study,
    deal,
    forecast_part,
    judge,
    never_forecast,
    origin_dates,
)
from forecasting.errors import InputError
from forecasting.evaluation.baselines import BASELINES
from forecasting.evaluation.candidates import MODELS
from forecasting.features.windows import shard_count
from forecasting.ingest.prices import Ingested
from forecasting.model.training_loop import TrainingStoppedError, Watch
from forecasting.pipeline import forecast

KEY = ["ticker", "cutoff", "step", "model"]


def by_key(table, until=None):
    frame = table.to_pandas().set_index(KEY).sort_index()
    return frame if until is None else frame[frame.index.get_level_values("cutoff") <= until]


def day(text):
    return date.fromisoformat(text)


def test_origins_are_the_newest_sessions_whose_targets_came(prices):
    days = origin_dates(prices, STUDY, CONFIG)
    assert days == tuple(pd.date_range("2024-06-21", "2024-06-26").date)


def test_more_origins_than_sessions_are_refused_with_how_many_there_can_be(prices):
    most = 220 - CONFIG.minimum_rows - CONFIG.horizon
    assert len(origin_dates(prices, Study(origins=most), CONFIG)) == most
    with pytest.raises(InputError, match=f"set --origins to {most} or less"):
        origin_dates(prices, Study(origins=most + 1), CONFIG)
    with pytest.raises(InputError, match="too few"):
        origin_dates(prices.head(100), Study(origins=1), CONFIG)


def test_a_window_too_short_for_an_lstm_is_refused(prices):
    with pytest.raises(InputError, match="set --window to 150 or more"):
        origin_dates(prices, Study(window=100), CONFIG)


@given(
    tickers=st.integers(1, 70),
    origins=st.integers(1, 90),
    every=st.integers(1, 30),
)
def test_each_ticker_and_origin_is_dealt_once_into_tens_of_parts(tickers, origins, every):
    names = [f"T{k:03d}" for k in range(tickers)]
    prices = pd.DataFrame({"ticker": pd.array(names, dtype="str"), "date": pd.Timestamp("2024-01-02")})
    days = tuple(pd.date_range("2024-01-03", periods=origins).date)
    parts = deal(prices, days, Study(origins, every), CONFIG)
    assert len(parts) <= 64
    pairs = [(name, one) for part in parts for name in part.prices["ticker"] for block in part.blocks for one in block]
    assert sorted(pairs) == sorted((name, one) for name in names for one in days)
    assert all(len(block) <= every for part in parts for block in part.blocks)


@pytest.mark.parametrize("study", [STUDY, Study(origins=2, refit_every=1)])
def test_at_a_fit_what_is_chosen_is_what_a_live_run_publishes(prices, study):
    rows = by_key(run(prices, study))
    chosen = rows[rows["chosen"]].reset_index()
    assert len(chosen) == 2 * study.origins * CONFIG.horizon
    for origin in chosen["fitted"].unique():
        known = prices[prices["date"] <= pd.Timestamp(origin)]
        live = forecast(Ingested(known, (), (), ()), CONFIG, origin).forecasts.sort_values(["ticker", "step"])
        own = chosen[chosen["cutoff"] == origin].sort_values(["ticker", "step"])
        assert own["model"].tolist() == live["model"].tolist()
        np.testing.assert_array_equal(own[QUANTILES].to_numpy(), live[QUANTILES].to_numpy().astype(np.float32))


def test_every_model_forecasts_from_every_origin_with_weights_of_the_last_fit(forecasts):
    frame = forecasts.to_pandas()
    assert set(frame["model"]) == set(MODELS)
    assert (frame.groupby(["ticker", "cutoff", "step"]).size() == len(MODELS)).all()
    assert frame.groupby("fitted")["cutoff"].agg(["min", "max"]).to_numpy().tolist() == [
        [day("2024-06-21"), day("2024-06-23")],
        [day("2024-06-24"), day("2024-06-26")],
    ]
    assert (np.diff(frame[QUANTILES].to_numpy(), axis=1) >= 0).all()


def _tripled(after):
    return after.assign(**{name: 3 * after[name] for name in ("open", "high", "low", "close")})


ALTERATIONS = {
    "deleted": lambda after: after.iloc[:0],
    "a split that never was": _tripled,
    "no Close any more": lambda after: after.assign(close=np.nan),
    "Close off its bar": lambda after: after.assign(close=2 * after["high"]),
    "noise": lambda after: after.assign(
        **{name: after[name] * np.linspace(0.9, 1.1, len(after)) for name in ("open", "high", "low", "close")}
    ),
}


@pytest.mark.parametrize("alteration", ALTERATIONS.values(), ids=ALTERATIONS)
def test_nothing_after_an_origin_changes_what_was_forecast_from_it(prices, forecasts, alteration):
    until = day("2024-06-25")  # in the middle of a block
    after = prices["date"] > pd.Timestamp(until)
    before = prices[~after]
    altered = pd.concat([before, alteration(prices[after])]).sort_values(["ticker", "date"], ignore_index=True)
    origins = origin_dates(prices, STUDY, CONFIG)
    tables = [forecast_part(part, STUDY, CONFIG) for part in deal(altered, origins, STUDY, CONFIG)]
    was, now = by_key(forecasts, until), by_key(pa.concat_tables(tables), until)
    assert len(was) == 2 * 5 * CONFIG.horizon * len(MODELS)
    assert (was["chosen"] == now["chosen"]).all()
    # How many cutoffs share a computation may show in a last bit; what came after must not show at all.
    np.testing.assert_allclose(now[QUANTILES], was[QUANTILES], rtol=3e-7)


def test_a_split_inside_a_block_is_met_in_the_new_unit_and_not_scored_across(make_prices):
    whole = make_prices("AAA", 220, 0)
    on = pd.Timestamp("2024-06-26")  # the last origin, in the second block
    after = whole["date"] >= on
    columns = ["open", "high", "low", "close"]
    split = whole.assign(**{name: whole[name].where(~after, whole[name] / 2) for name in columns})
    was, now = by_key(run(whole)), by_key(run(split))
    unit = np.where(now.index.get_level_values("cutoff") >= on.date(), 2, 1)[:, None]
    np.testing.assert_allclose(now[QUANTILES] * unit, was[QUANTILES], rtol=1e-5)
    judged = judge(run(split), split)
    crossing = {(day("2024-06-24"), 2), (day("2024-06-25"), 1), (day("2024-06-25"), 2)}
    assert judged.across_splits == len(MODELS) * len(crossing)
    left = {(cutoff.date(), step) for cutoff, step in judged.rows[["cutoff", "step"]].itertuples(index=False)}
    assert not left & crossing


def test_when_the_anchor_changes_between_fits_the_lstm_has_no_forecast(make_prices):
    whole = make_prices("AAA", 220, 0)
    off = whole["date"] == pd.Timestamp("2024-06-25")
    broken = whole.assign(close=whole["close"].where(~off, np.nan))
    rows = run(broken).to_pandas()
    models = rows.groupby("cutoff")["model"].agg(set)
    assert models[day("2024-06-25")] == {"persistence", "ewma_range", "har"}
    assert models.drop(day("2024-06-25")).map(len).eq(len(MODELS)).all()
    assert (rows[rows["chosen"]].groupby(["cutoff", "step"]).size() == 1).all()


def test_an_expanding_window_sees_all_rows_and_a_sliding_one_the_last(prices):
    early = prices["date"] < prices["date"].max() - pd.Timedelta(days=165)
    other = prices.assign(open=prices["open"].where(~early, prices["low"]))
    sliding = replace(STUDY, window=155)
    pd.testing.assert_frame_equal(by_key(run(prices, sliding)), by_key(run(other, sliding)))
    assert not by_key(run(prices)).equals(by_key(run(other)))


def test_a_ticker_is_forecast_only_from_its_own_rows_and_those_never_forecast_are_named(make_prices):
    gone = make_prices("GONE", 220, 1, end="2024-06-22")
    gap = make_prices("GAP", 220, 2)
    gap = gap[gap["date"] != pd.Timestamp("2024-06-24")]
    new = make_prices("NEW", 8, 3)
    prices = pd.concat([gap, gone, new, make_prices("OLD", 90, 4, end="2024-01-31")], ignore_index=True)
    judged = judge(run(prices), prices)
    cutoffs = judged.rows.groupby("ticker", observed=True)["cutoff"].agg(lambda days: {one.day for one in days})
    assert cutoffs.to_dict() == {"GAP": {21, 22, 23, 25, 26}, "GONE": {21}}  # GONE has no row after the 22nd
    steps = judged.rows[judged.rows["ticker"] == "GONE"]["step"]
    assert set(steps) == {1}
    # A step is one of the ticker's own sessions: the 23rd's next is the 25th.
    across = judged.rows[(judged.rows["cutoff"] == "2024-06-23") & (judged.rows["step"] == 1)]
    assert set(across["target_date"].dt.day) == {25}
    left = dict(never_forecast(prices, judged, day("2024-06-26"), CONFIG))
    assert set(left) == {"NEW", "OLD"}
    assert "6 rows" in left["NEW"]
    assert "OLD" in left["OLD"]


def test_actuals_are_the_files_opens_and_what_has_not_come_is_not_judged(judged, prices):
    opens = prices.set_index(["ticker", "date"])["open"]
    rows = judged.rows
    pairs = zip(rows["ticker"].astype(str), rows["target_date"], strict=True)
    assert rows["actual"].tolist() == [opens[pair] for pair in pairs]
    assert ((rows["target_date"] - rows["cutoff"]).dt.days == rows["step"]).all()
    assert (rows["forecast"] == rows["q50"]).all()


def test_no_forecast_at_all_is_said(make_prices):
    prices = pd.concat([make_prices("NEW", 5, 1), make_prices("OLD", 300, 2, end="2024-02-01")], ignore_index=True)
    with pytest.raises(InputError, match="no ticker could be forecast"):
        judge(run(prices, Study(origins=3)), prices)


def test_out_of_time_leaves_the_baselines_and_a_stop_leaves_nothing(prices):
    part = deal(prices, origin_dates(prices, STUDY, CONFIG), STUDY, CONFIG)[0]
    late = forecast_part(part, STUDY, CONFIG, Watch(out_of_time=lambda: True)).to_pandas()
    assert set(late["model"]) == set(BASELINES)
    with pytest.raises(TrainingStoppedError):
        forecast_part(part, STUDY, CONFIG, Watch(stop=lambda: True))


def test_models_are_fitted_once_a_block(prices, monkeypatch):
    calls = []
    real = rolling.train
    monkeypatch.setattr(rolling, "train", lambda windows, *args, **kw: calls.append(1) or real(windows, *args, **kw))
    run(prices, Study(origins=7, refit_every=4))
    assert len(calls) == 2 * shard_count(2, CONFIG)  # blocks, and shards of the two tickers
