"""Holding published forecasts to account: what is scored, in which unit, and what no later run can change."""

from __future__ import annotations

from datetime import timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
from published_cases import FIRST, SESSIONS, heldout, prices, publish, published, score

from forecasting.config import LEVELS, QUANTILE_COLUMNS, ForecastConfig
from forecasting.evaluation.baselines import baseline_quantiles
from forecasting.features.history import histories
from forecasting.features.series import engineer
from forecasting.features.windows import window
from forecasting.monitoring.ledger import read_scores, scored
from forecasting.monitoring.realised import SCORES, reference_quantiles
from forecasting.schemas import FORECASTS, HELDOUT, parquet_bytes
from forecasting.store import paths
from forecasting.store.manifest import Manifest
from forecasting.store.store import Store


def test_a_forecast_is_scored_when_its_session_has_come(store):
    history = prices()
    publish(store, FIRST, history)
    first = score(store, history, FIRST + 1)
    assert first.added["step"].tolist() == [1]
    assert first.waiting == 2
    assert first.message == "1 forecast published on 1 earlier date scored; 2 are waiting"
    assert score(store, history, FIRST + 1).added.empty
    score(store, history, FIRST + 3)
    assert read_scores(store)["step"].tolist() == [1, 2, 3]


def test_the_scores_are_what_their_definitions_say(store):
    history = prices()
    publish(store, FIRST, history)
    score(store, history, FIRST + 3)
    forecasts, scores = published(history, FIRST), read_scores(store)
    for row, was in zip(scores.itertuples(), forecasts.itertuples(), strict=True):
        actual = history["open"].iloc[FIRST + row.step]
        quantiles = np.array([getattr(was, name) for name in QUANTILE_COLUMNS])
        losses = np.where(actual >= quantiles, np.array(LEVELS), np.array(LEVELS) - 1) * (actual - quantiles)
        assert row.actual == actual
        assert row.unit == 1
        assert row.error == actual - was.forecast
        assert row.pinball == pytest.approx(losses.mean(), rel=1e-12)
        assert row.crps == pytest.approx(2 * losses.mean(), rel=1e-12)
        assert row.inside_50 == (was.q25 <= actual <= was.q75)
        assert row.inside_80 == (was.q10 <= actual <= was.q90)
        assert row.inside_90 == (was.q05 <= actual <= was.q95)


def test_late_scoring_gives_the_same_files_as_daily_scoring(tmp_path):
    frame = pd.concat([prices("ACME", 1), prices("BETA", 2)], ignore_index=True)
    daily, late = Store(tmp_path / "daily"), Store(tmp_path / "late")
    for row in range(FIRST, FIRST + 8):
        known = frame[frame["date"] <= pd.Timestamp(SESSIONS[row])]
        score(daily, known, row)
        for one in (daily, late):
            publish(one, row, *(group for _, group in frame.groupby("ticker")))
    score(daily, frame, FIRST + 8)
    score(late, frame, FIRST + 8)
    for row in range(FIRST, FIRST + 8):
        name = paths.scores(SESSIONS[row])
        assert daily.read(name) == late.read(name)


def test_rows_after_the_date_change_nothing(tmp_path):
    history = prices()
    later = history.assign(open=history["open"].where(history.index <= FIRST + 2, 1.0))
    files = []
    for name, frame in (("one", history), ("other", later)):
        store = Store(tmp_path / name)
        publish(store, FIRST, history)
        score(store, frame, FIRST + 2)
        files.append(store.root / paths.scores(SESSIONS[FIRST]))
    assert files[0].read_bytes() == files[1].read_bytes()


def test_forecasts_of_the_same_date_or_later_are_left_alone(store):
    history = prices()
    publish(store, FIRST, history)
    publish(store, FIRST + 1, history)
    added = score(store, history, FIRST + 1).added
    assert set(added["cutoff"]) == {SESSIONS[FIRST]}


def test_what_was_scored_keeps_its_score_though_prices_are_restated(store):
    history = prices()
    publish(store, FIRST, history)
    score(store, history, FIRST + 1)
    before = read_scores(store)
    restated = history.assign(open=history["open"].where(history.index != FIRST + 1, 150.0))
    score(store, restated, FIRST + 2)
    pd.testing.assert_frame_equal(read_scores(store).iloc[:1], before)


def test_a_date_that_was_scored_is_replaced_only_when_asked(store):
    history = prices()
    day = SESSIONS[FIRST]
    publish(store, FIRST, history)
    assert not scored(store, day)
    assert publish(store, FIRST, history, model="ewma_range", scored=lambda: scored(store, day)).status == "replaced"
    score(store, history, FIRST + 1)
    assert scored(store, day)
    assert publish(store, FIRST, history, scored=lambda: scored(store, day)).status == "kept"
    assert set(store.forecasts(day)["model"].to_pylist()) == {"ewma_range"}


def test_a_restated_forecast_is_not_scored_beside_the_first(store):
    history = prices()
    publish(store, FIRST, history, model="ewma_range")
    score(store, history, FIRST + 1)
    publish(store, FIRST, history, scored=True, restate=True)
    score(store, history, FIRST + 3)
    assert read_scores(store)["model"].tolist() == ["ewma_range", "lstm", "lstm"]


@pytest.mark.parametrize("anchor", ["open", "close"])
def test_the_references_are_the_baselines_as_they_would_have_been_published(anchor):
    history = prices(seed=5)
    history.loc[history.index < 60, ["open", "high", "low", "close"]] *= 2  # a split, known at the cutoff
    config = ForecastConfig(horizon=3, anchor=anchor)
    known = history[: FIRST + 1]
    windows = window(engineer(known, config, SESSIONS[FIRST]).series, config)
    assert windows.series[0].splits
    found = reference_quantiles(next(histories(history)), np.full(3, FIRST), np.array([1, 2, 3]))
    for name, log_price in (("persistence", windows.log_open), ("last_close", windows.log_close)):
        change = baseline_quantiles(windows, name, FIRST)[0, 0]
        np.testing.assert_array_equal(found[name], np.exp(log_price[0, FIRST] + change))


def test_a_cutoff_without_a_usable_close_has_no_score_of_last_close(store):
    history = prices()
    history.loc[FIRST, "close"] = np.nan
    publish(store, FIRST, history, anchor="open")
    score(store, history, FIRST + 3)
    scores = read_scores(store)
    assert scores["crps_last_close"].isna().all()
    assert scores["crps_persistence"].notna().all()


def test_a_damaged_file_is_reported_and_holds_up_no_other(store):
    history = prices()
    for row in (FIRST, FIRST + 1, FIRST + 2):
        publish(store, row, history)
    score(store, history, FIRST + 2)
    (store.root / paths.forecasts(SESSIONS[FIRST + 1])).write_bytes(b"PAR1 and no more")
    (store.root / paths.scores(SESSIONS[FIRST])).write_bytes(b"PAR1 and no more")
    scoring = score(store, history, FIRST + 3)
    assert set(scoring.added["cutoff"]) == {SESSIONS[FIRST + 2]}
    assert len(scoring.findings) == 2
    assert scored(store, SESSIONS[FIRST])
    assert (store.root / paths.scores(SESSIONS[FIRST])).read_bytes() == b"PAR1 and no more"


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]


def test_wherever_a_byte_of_an_old_file_has_changed_it_is_reported_and_no_other_is_held_up(store):
    history = prices()
    publish(store, FIRST, history)
    publish(store, FIRST + 1, history)
    path = store.root / paths.forecasts(SESSIONS[FIRST])
    whole = path.read_bytes()
    for at in range(0, len(whole), 97):
        path.write_bytes(flipped(whole, at))
        (store.root / paths.scores(SESSIONS[FIRST + 1])).unlink(missing_ok=True)
        scoring = score(store, history, FIRST + 3)
        # What is there now is not what was published, even where it can still be read.
        assert set(scoring.added["cutoff"]) == {SESSIONS[FIRST + 1]}
        assert "is not the file that its manifest names" in scoring.findings[0].message
    path.write_bytes(whole)
    assert set(score(store, history, FIRST + 3).added["cutoff"]) == {SESSIONS[FIRST]}


def test_damaged_scores_are_left_out_of_the_record_and_never_written_over(store, caplog):
    history = prices()
    for row in (FIRST, FIRST + 1):
        publish(store, row, history)
    score(store, history, FIRST + 5)
    path = store.root / paths.scores(SESSIONS[FIRST])
    complete = read_scores(store)
    whole = path.read_bytes()
    foreign = parquet_bytes(published(history, FIRST), FORECASTS)
    for damaged in (b"", whole[:-7], foreign, *(flipped(whole, at) for at in range(0, len(whole), 53))):
        path.write_bytes(damaged)
        score(store, history, FIRST + 6)
        left = read_scores(store)
        own = complete[complete["as_of"].isin(left["as_of"].unique())]
        pd.testing.assert_frame_equal(left, own.reset_index(drop=True))
        assert SESSIONS[FIRST + 1] in set(left["cutoff"].dt.date)
        assert scored(store, SESSIONS[FIRST])
        assert path.read_bytes() == damaged
    assert f"the scores of {SESSIONS[FIRST]} are left out" in caplog.text


def test_a_forecast_published_again_without_new_rows_counts_once(store):
    history = prices()
    publish(store, FIRST, history)
    for later in (1, 2):  # a Saturday and a Sunday, say
        day = SESSIONS[FIRST] + timedelta(days=later)
        with store.publication(day) as publication:
            publication.commit(published(history, FIRST), Manifest(as_of=day, config={}))
    score(store, history, FIRST + 5)
    assert len(store.dates("scores")) == 3
    scores = read_scores(store)
    assert len(scores) == 3
    assert set(scores["as_of"].astype(str)) == {str(SESSIONS[FIRST])}


def test_readers_take_the_folder_as_one_table_with_its_schema_named(store):
    history = prices()
    for row in (FIRST, FIRST + 1):
        publish(store, row, history)
    score(store, history, FIRST + 4)
    table = pd.read_parquet(store.root / "scores")
    assert len(table) == 6
    assert sorted(set(table["as_of"].astype(str))) == [str(SESSIONS[FIRST]), str(SESSIONS[FIRST + 1])]
    place = store.root / "scores" / "*" / "*.parquet"
    assert len(duckdb.read_parquet(str(place), hive_partitioning=True).fetchall()) == 6
    assert SCORES.metadata[b"schema_version"] == b"1"
    written = (store.root / paths.scores(SESSIONS[FIRST])).read_bytes()
    again = read_scores(store).query("as_of == @SESSIONS[@FIRST]").drop(columns="as_of")
    assert parquet_bytes(again, SCORES) == written


def test_an_empty_store_has_nothing_to_score(store):
    scoring = score(store, prices(), FIRST)
    assert scoring.added.empty
    assert scoring.waiting == 0
    assert read_scores(store).empty
    assert not any((store.root / "scores").glob("*"))


def test_schemas_of_the_helpers_hold():
    history = prices()
    assert set(published(history, FIRST).columns) == set(FORECASTS.names)
    assert set(heldout(history, FIRST).columns) == set(HELDOUT.names)
