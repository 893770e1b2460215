"""The backtest: it knows nothing that was not known, agrees with live runs, and claims no more than it proves."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecasting.backtest import rolling
from forecasting.backtest.metrics import (
    BACKTEST_METRICS,
    PUBLISHED,
    count_claims,
    holm,
    q_values,
    score_backtest,
)
from forecasting.backtest.page import Backtest, ages, backtest_markdown, build_backtest_page, verdict
from forecasting.backtest.store import BacktestManifest, publish_backtest
from forecasting.backtest.study import (
    BACKTEST,
    Study,
    deal,
    forecast_part,
    judge,
    never_forecast,
    origin_dates,
)
from forecasting.config import QUANTILE_COLUMNS, ForecastConfig
from forecasting.errors import InputError
from forecasting.evaluation.baselines import BASELINES
from forecasting.evaluation.candidates import MODELS
from forecasting.evaluation.scoring_rules import crps, diebold_mariano
from forecasting.features.windows import shard_count
from forecasting.ingest.prices import Ingested
from forecasting.model.training_loop import TrainingStoppedError, Watch
from forecasting.pipeline import forecast
from forecasting.store.store import Store

CONFIG = ForecastConfig(epochs=1, members=1, hidden=3, horizon=2)
STUDY = Study(origins=6, refit_every=3)
QUANTILES = list(QUANTILE_COLUMNS)
KEY = ["ticker", "cutoff", "step", "model"]


def run(prices, study=STUDY, config=CONFIG):
    """Every forecast of a study, its quantiles by (ticker, cutoff, step, model)."""
    origins = origin_dates(prices, study, config)
    tables = [forecast_part(part, study, config) for part in deal(prices, origins, study, config)]
    return pa.concat_tables(tables)


def by_key(table, until=None):
    frame = table.to_pandas().set_index(KEY).sort_index()
    return frame if until is None else frame[frame.index.get_level_values("cutoff") <= until]


@pytest.fixture(scope="module")
def prices(make_prices):
    return pd.concat([make_prices("AAA", 220, 0), make_prices("BBB", 200, 1)], ignore_index=True)


@pytest.fixture(scope="module")
def forecasts(prices):
    return run(prices)


@pytest.fixture(scope="module")
def judged(forecasts, prices):
    return judge(forecasts, prices)


@pytest.fixture(scope="module")
def backtest(judged, prices):
    as_of = prices["date"].max().date()
    return Backtest(as_of, STUDY, CONFIG, judged, score_backtest(judged.rows, judged.scales))


def day(text):
    return date.fromisoformat(text)


# What is asked ------------------------------------------------------------------------------------------------------


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


# What is forecast ---------------------------------------------------------------------------------------------------


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


# What it proves -----------------------------------------------------------------------------------------------------

P_VALUES = st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=30)


@given(P_VALUES)
def test_holm_rejects_step_by_step(given_values):
    p, adjusted = np.array(given_values, dtype=float), holm(given_values)
    known = np.sort(p[np.isfinite(p)])
    m = len(known)
    assert np.array_equal(np.isnan(p), np.isnan(adjusted))
    for level in (0.01, 0.05, 0.3):
        # Holm: the smallest against level / m, the next against level / (m - 1), until one is not below.
        claims = 0
        while claims < m and known[claims] * (m - claims) < level:
            claims += 1
        assert (adjusted < level).sum() == claims


@given(P_VALUES)
def test_q_values_reject_up_to_the_last_below_its_line(given_values):
    p, adjusted = np.array(given_values, dtype=float), q_values(given_values)
    known = np.sort(p[np.isfinite(p)])
    m = len(known)
    assert np.array_equal(np.isnan(p), np.isnan(adjusted))
    for level in (0.01, 0.05, 0.3):
        below = [k for k in range(1, m + 1) if known[k - 1] * m / k <= level]
        assert (adjusted <= level).sum() == (max(below) if below else 0)


def test_scores_are_those_of_the_rows(judged, backtest):
    metrics = backtest.metrics.set_index(["ticker", "step", "model"])
    rows = judged.rows.assign(loss=crps(judged.rows["actual"], judged.rows[QUANTILES]))
    own = rows[(rows["ticker"] == "AAA") & (rows["step"] == 2)]
    losses = own.pivot_table(index="cutoff", columns="model", values="loss", observed=True)
    best = losses[list(BASELINES)].mean().idxmin()
    row = metrics.loc[("AAA", 2, "lstm")]
    assert row["n"] == STUDY.origins
    assert row["best_baseline"] == best
    assert row["crps"] == pytest.approx(losses["lstm"].mean())
    assert row["crps_ratio"] == pytest.approx(losses["lstm"].mean() / losses[best].mean())
    assert row["dm_p_value"] == pytest.approx(diebold_mariano(losses["lstm"], losses[best], 2), nan_ok=True)
    published = own[own["chosen"]].set_index("cutoff")["loss"]
    assert metrics.loc[("AAA", 2, PUBLISHED), "crps"] == pytest.approx(published.mean())
    chosen = metrics.loc[("AAA", 2)].drop(PUBLISHED)["chosen_share"]
    assert chosen.sum() == pytest.approx(1)
    assert metrics.loc[("AAA", 2, PUBLISHED), "chosen_share"] == 1


def test_models_are_scored_on_the_origins_that_all_of_them_have(make_prices):
    prices = pd.concat([make_prices("AAA", 220, 0), make_prices("NEW", 155, 1)], ignore_index=True)
    judged = judge(run(prices), prices)
    metrics = score_backtest(judged.rows, judged.scales)
    new = judged.rows[(judged.rows["ticker"] == "NEW") & (judged.rows["step"] == 1)]
    assert new["model"].value_counts().to_dict() == {"lstm": 3, "combination": 3} | dict.fromkeys(
        BASELINES, 6
    )  # from 150 rows on
    assert set(metrics.loc[metrics["ticker"] == "NEW", "n"]) == {3}
    assert set(metrics.loc[metrics["ticker"] == "AAA", "n"]) == {6}


def test_families_of_tests_are_all_tickers_of_a_step(backtest):
    for _, family in backtest.metrics.dropna(subset=["best_baseline"]).groupby(["step", "model"]):
        np.testing.assert_array_equal(family["dm_p_holm"], holm(family["dm_p_value"]))
        np.testing.assert_array_equal(family["dm_q_value"], q_values(family["dm_p_value"]))
    assert backtest.metrics.loc[backtest.metrics["model"].isin(BASELINES), "dm_p_value"].isna().all()


def test_what_chance_gives_is_claimed_raw_but_not_corrected():
    stream = np.random.default_rng(0)
    tickers = [f"T{k:03d}" for k in range(100)]
    days = pd.date_range("2024-01-01", periods=40)
    frames = []
    for ticker in tickers:
        actual = 100 + stream.standard_normal(len(days))
        for model in ("lstm", "persistence"):
            centre = 100 + 0.3 * stream.standard_normal(len(days))
            spread = centre[:, None] + np.linspace(-2, 2, 19)
            frames.append(
                pd.DataFrame(spread.astype(np.float32), columns=QUANTILES).assign(
                    ticker=ticker,
                    cutoff=days,
                    target_date=days + pd.Timedelta(days=1),
                    step=1,
                    model=model,
                    fitted=days,
                    chosen=model == "lstm",
                    actual=actual,
                    forecast=centre,
                )
            )
    claims = count_claims(score_backtest(pd.concat(frames, ignore_index=True), {})).set_index("model").loc["lstm"]
    assert claims["tickers"] == len(tickers)
    assert claims["better_raw"] + claims["worse_raw"] >= 3
    assert claims["better_holm"] + claims["worse_holm"] == 0
    assert claims["better_bh"] + claims["worse_bh"] == 0


# What is written ----------------------------------------------------------------------------------------------------


def test_the_page_is_self_contained_and_shows_names_as_they_are(backtest):
    odd = "<b>&amp;"
    rows = backtest.judged.rows
    renamed = rows.assign(ticker=rows["ticker"].cat.rename_categories({"AAA": odd}))
    scales = {odd if name == "AAA" else name: scale for name, scale in backtest.judged.scales.items()}
    judged = replace(backtest.judged, rows=renamed, scales=scales)
    other = replace(backtest, judged=judged, metrics=score_backtest(renamed, scales), withheld=((odd, "<i>why"),))
    page = build_backtest_page(other)
    assert page == build_backtest_page(other)
    assert odd not in page
    assert "<i>" not in page
    assert "&lt;b&gt;&amp;amp;" in page
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("data-chart=") == 3


def test_the_verdict_and_the_markdown_say_what_was_measured(backtest):
    said = verdict(backtest)
    assert said.startswith("6 sessions were forecast from")
    assert said.count(". ") == 1
    assert "Beside each ticker's best baseline, known only in hindsight" in said
    markdown = backtest_markdown(backtest)
    assert said not in markdown  # it stands above, as the artifact's description
    assert markdown.count("](data:image/png;base64,") == 3
    assert "| 1 | published |" in markdown


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (
            (5, 0, 0, 0, 0),
            "neither clearly better nor clearly worse on any of 5 tickers, and the same holds of the LSTM",
        ),
        ((1, 0, 0, 0, 0), "neither clearly better nor clearly worse, and the same holds of the LSTM alone."),
        ((1, 0, 1, 1, 0), "they are clearly worse; the LSTM alone is clearly better."),
        ((5, 2, 0, 0, 1), "on 2 and clearly worse on none of 5 tickers; the LSTM alone is clearly better on none and"),
    ],
)
def test_the_verdict_counts_tickers(backtest, counts, expected):
    tickers, better, worse, lstm_better, lstm_worse = counts
    claims = pd.DataFrame(
        {
            "step": 1,
            "model": ["published", "lstm"],
            "tickers": tickers,
            "better_holm": [better, lstm_better],
            "worse_holm": [worse, lstm_worse],
        }
    )
    other = replace(backtest)
    other.__dict__["claims"] = claims
    assert expected in verdict(other)


def test_ages_of_weights_are_shown_where_there_are_several(backtest):
    assert [one["ages"] for one in ages(backtest)] == ["0", "1", "2"]
    assert sum(one["n"] for one in ages(backtest)) == 2 * STUDY.origins
    assert ages(replace(backtest, study=Study(6, 1))) == []


def publish(*args, **given):
    return Path(publish_backtest(*args, **given))


def test_a_backtest_is_written_whole_and_found_again(backtest, prices, tmp_path):
    store = Store(tmp_path / "store")
    folder = publish(store, backtest, Ingested(prices, (), (), ()), reading={"decimal": "auto"})
    assert store.dates("backtests") == (backtest.as_of,)
    assert store.dates() == ()
    assert sorted(path.name for path in folder.iterdir()) == [
        "forecasts.parquet",
        "manifest.json",
        "metrics.parquet",
        "report.html",
    ]
    written = pq.read_table(folder / "forecasts.parquet")
    assert written.schema.remove_metadata().equals(BACKTEST.remove_metadata())
    assert written.num_rows == len(backtest.judged.rows)
    assert pq.read_schema(folder / "metrics.parquet").remove_metadata().equals(BACKTEST_METRICS.remove_metadata())
    manifest = BacktestManifest.model_validate_json((folder / "manifest.json").read_bytes())
    assert manifest.study == {"origins": 6, "refit_every": 3, "window": None}
    assert len(manifest.files) == 3
    assert not list((store.root / ".staging").iterdir())


def test_the_same_backtest_gives_the_same_bytes_and_a_new_one_takes_its_place(backtest, prices, tmp_path):
    store, read = Store(tmp_path / "store"), Ingested(prices, (), (), ())
    folder = publish(store, backtest, read)
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    again = judge(run(prices), prices)
    same = replace(backtest, judged=again, metrics=score_backtest(again.rows, again.scales))
    publish_backtest(store, same, read)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first
    publish_backtest(store, replace(backtest, withheld=(("X", "why"),)), read)
    assert (folder / "manifest.json").read_bytes() != first["manifest.json"]


def test_a_full_disk_leaves_the_backtest_that_was(backtest, prices, tmp_path, monkeypatch):
    store, read = Store(tmp_path / "store"), Ingested(prices, (), (), ())
    folder = publish(store, backtest, read)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    real, flushed = os.fsync, []

    def full(descriptor):
        flushed.append(descriptor)
        if len(flushed) == 3:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        publish_backtest(store, replace(backtest, withheld=(("X", "why"),)), read)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert not list((store.root / ".staging").iterdir())


def test_a_store_whose_backtests_lead_elsewhere_is_refused(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "backtests").symlink_to(tmp_path)
    with pytest.raises(InputError, match="symbolic link"):
        Store(tmp_path / "store")
