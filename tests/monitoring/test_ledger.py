"""Holding published forecasts to account: what is scored, in which unit, and what no later run can change."""

from __future__ import annotations

from datetime import date, timedelta

import duckdb
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from forecasting.calendars import target_sessions
from forecasting.config import LEVELS, QUANTILE_COLUMNS, ForecastConfig
from forecasting.evaluation.baselines import baseline_quantiles
from forecasting.features.history import histories
from forecasting.features.series import engineer
from forecasting.features.windows import window
from forecasting.monitoring.ledger import read_scores, score_published, scored
from forecasting.monitoring.realised import SCORES, reference_quantiles
from forecasting.schemas import FORECASTS, HELDOUT, parquet_bytes
from forecasting.store import paths
from forecasting.store.manifest import Manifest
from forecasting.store.store import Store

SESSIONS = target_sessions("XNYS", date(2017, 1, 1), 120)
FIRST = 100
"""The row of the first cutoff; there are twenty sessions after it."""


def prices(ticker="ACME", seed=0):
    """A random walk on the sessions of New York, its Close usable."""
    stream = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(stream.normal(0, 0.012, len(SESSIONS))))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(stream.normal(0, 0.006, len(SESSIONS)))
    high, low = np.maximum(open_, close) * 1.004, np.minimum(open_, close) * 0.996
    frame = pd.DataFrame({"open": open_, "high": high, "low": low, "close": close}).round(2)
    return frame.assign(
        ticker=ticker,
        date=pd.DatetimeIndex(SESSIONS).astype("datetime64[s]"),
        volume=1e6 + stream.random(len(SESSIONS)),
    )


def published(history, row, *, model="lstm", anchor="close", horizon=3):
    """What was published of a ticker from one row on: its last price, with bands that widen."""
    price = float(history[anchor].iloc[row])
    records = [
        {
            "ticker": history["ticker"].iloc[0],
            "cutoff": SESSIONS[row],
            "target_date": target,
            "step": step,
            "model": model,
            "reason": None,
            "anchor": anchor,
            "anchor_price": price,
            **dict(zip(QUANTILE_COLUMNS, price * np.exp(0.012 * step**0.5 * norm.ppf(LEVELS)), strict=True)),
        }
        for step, target in enumerate(target_sessions("XNYS", SESSIONS[row], horizon), start=1)
    ]
    return pd.DataFrame(records).assign(forecast=lambda frame: frame["q50"]).astype({"step": "int32"})


def heldout(history, row, last=15):
    """Held-out rows from which a later run can see what the Opens before a cutoff were."""
    at = np.arange(row - last, row)
    frame = pd.DataFrame({"cutoff": [SESSIONS[k] for k in at], "target_date": [SESSIONS[k + 1] for k in at]})
    opens = history["open"].to_numpy()
    return frame.assign(
        ticker=history["ticker"].iloc[0],
        step=1,
        model="persistence",
        actual=opens[at + 1],
        forecast=opens[at],
        **dict.fromkeys(QUANTILE_COLUMNS, 1.0),
    ).astype({"step": "int32"} | dict.fromkeys(["forecast", *QUANTILE_COLUMNS], "float32"))


def publish(store, row, *histories, scored=False, restate=False, **given):
    frame = pd.concat([published(history, row, **given) for history in histories], ignore_index=True)
    with store.publication(SESSIONS[row], scored=scored, restate=restate) as publication:
        publication.heldout(0, pd.concat([heldout(history, row) for history in histories]))
        return publication.commit(frame, Manifest(as_of=SESSIONS[row], config={}))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def score(store, frame, row):
    return score_published(store, frame, "XNYS", SESSIONS[row])


def messages(scoring):
    return [finding.message for finding in scoring.findings]


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


def split_at(history, row, ratio=2.0):
    """An unadjusted history with a split: from the row on, prices are a fraction."""
    after = history.index >= row
    return history.assign(
        **{name: history[name] / np.where(after, ratio, 1.0) for name in ("open", "high", "low", "close")},
        volume=history["volume"] * np.where(after, ratio, 1.0),
    )


def test_a_split_before_the_target_is_scored_in_the_cutoffs_unit_and_named(tmp_path):
    history = prices()
    plain, split = Store(tmp_path / "plain"), Store(tmp_path / "split")
    with_split = split_at(history, FIRST + 2)
    publish(plain, FIRST, history)
    publish(split, FIRST, with_split)
    score(plain, history, FIRST + 3)
    scoring = score(split, with_split, FIRST + 3)
    left, right = read_scores(split), read_scores(plain)
    assert left["unit"].tolist() == [1, 2, 2]
    columns = ["actual", "error", "crps", "crps_persistence", "crps_last_close"]
    pd.testing.assert_frame_equal(left[columns], right[columns])
    assert [finding.kind for finding in scoring.findings] == ["split"]
    assert f"split 2:1 on {SESSIONS[FIRST + 2]}" in messages(scoring)[0]
    assert "2 of those scored now" in messages(scoring)[0]


@pytest.mark.parametrize(("ratio", "seen"), [(2.0, 2.0), (3.0, 3.0), (0.1, 0.1), (1.013, 1.013)])
@pytest.mark.parametrize("anchor", ["open", "close"])
def test_a_rebased_history_is_scored_in_the_unit_of_the_forecast_and_named(tmp_path, ratio, seen, anchor):
    history = prices()
    plain, other = Store(tmp_path / "plain"), Store(tmp_path / "other")
    columns = ["open", "high", "low", "close"]
    rebased = history.assign(**(history[columns] / ratio).round(4))
    for store, frame in ((plain, history), (other, rebased)):
        publish(store, FIRST, history, anchor=anchor)
        scoring = score(store, frame, FIRST + 3)
    left, right = read_scores(other), read_scores(plain)
    assert left["unit"].to_numpy() == pytest.approx(seen, rel=1e-5)
    for column in ("actual", "crps", "crps_persistence", "crps_last_close"):
        assert left[column].to_numpy() == pytest.approx(right[column].to_numpy(), rel=1e-3, abs=1e-3)
    assert len(scoring.findings) == 1
    assert "the history was rebased" in messages(scoring)[0]


def test_cents_do_not_blur_a_rebased_unit(store):
    history = prices()
    cents = history.assign(**(history[["open", "high", "low", "close"]] / 20).round(2))
    publish(store, FIRST, history)
    score(store, cents, FIRST + 3)
    assert set(read_scores(store)["unit"]) == {20.0}


def test_a_split_adjusted_by_the_vendor_is_not_counted_twice(store):
    history = prices()
    unadjusted = split_at(history, FIRST + 2)
    publish(store, FIRST, unadjusted)
    score(store, unadjusted, FIRST + 1)
    adjusted = history.assign(**{name: history[name] / 2 for name in ("open", "high", "low", "close")})
    score(store, adjusted, FIRST + 3)
    scores = read_scores(store)
    assert scores["unit"].tolist() == [1, 2, 2]
    assert scores["actual"].tolist() == pytest.approx(history["open"].iloc[FIRST + 1 : FIRST + 4].tolist())


def test_a_corrected_price_is_not_taken_for_another_unit(store):
    history = prices()
    publish(store, FIRST, history)
    corrected = history.assign(close=history["close"].where(history.index != FIRST, history["close"] * 1.01))
    corrected["high"] = corrected[["high", "close"]].max(axis=1)
    scoring = score(store, corrected, FIRST + 3)
    assert set(read_scores(store)["unit"]) == {1.0}
    assert [finding.kind for finding in scoring.findings] == ["warning"]
    assert "counts as corrected" in messages(scoring)[0]


def test_a_cutoff_that_is_gone_is_not_scored_but_named(store):
    history = prices()
    publish(store, FIRST, history)
    scoring = score(store, history.drop(index=FIRST), FIRST + 3)
    assert scoring.added.empty
    assert "is no longer in the data" in messages(scoring)[0]


def test_a_session_that_never_came_stays_unscored_and_is_reported_for_a_while(store):
    history = prices()
    publish(store, FIRST, history)
    halted = history.drop(index=FIRST + 2)
    reported = {row: messages(score(store, halted, row)) for row in range(FIRST + 1, FIRST + 19)}
    assert read_scores(store)["step"].tolist() == [1, 3]
    assert [row for row, said in reported.items() if said] == list(range(FIRST + 7, FIRST + 19))
    assert reported[FIRST + 7] == [
        f"ACME: no row of {SESSIONS[FIRST + 2]}, which was forecast; 1 forecast of it stay unscored"
    ]
    # A row that comes late is scored after all.
    assert score(store, history, FIRST + 19).added["step"].tolist() == [2]


def test_many_tickers_without_the_same_session_are_reported_once(store):
    histories = [prices(f"T{number}", number) for number in range(5)]
    publish(store, FIRST, *histories)
    halted = pd.concat([history.drop(index=FIRST + 1) for history in histories], ignore_index=True)
    said = messages(score(store, halted, FIRST + 8))
    assert len(said) == 1
    assert said[0].startswith(f"5 tickers (T0, T1, T2 and 2 more): no row of {SESSIONS[FIRST + 1]}")


def test_a_ticker_that_left_the_data_is_reported_in_one_line(store):
    publish(store, FIRST, prices("ACME"), prices("GONE", 3))
    scoring = score(store, prices("ACME"), FIRST + 10)
    assert set(scoring.added["ticker"]) == {"ACME"}
    assert scoring.waiting == 3
    assert messages(scoring) == ["GONE: no rows at all in the data; published forecasts of it stay unscored"]


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


@pytest.fixture
def reads(monkeypatch):
    """The dates whose manifest or forecasts are read, one entry for each time."""
    seen = []
    for name in ("manifest", "forecasts"):
        original = getattr(Store, name)
        monkeypatch.setattr(
            Store, name, lambda self, as_of, original=original: (seen.append(as_of), original(self, as_of))[1]
        )
    return seen


def test_scoring_reads_what_is_due_and_not_what_is_stored(store, reads):
    history = prices()
    for row in range(FIRST, FIRST + 10):
        publish(store, row, history)
    score(store, history.head(FIRST + 10), FIRST + 10)
    reads.clear()
    assert score(store, history.head(FIRST + 10), FIRST + 10).waiting == 6
    assert reads == []
    # The next session is the target of the forecasts of three dates, and of no other.
    assert len(score(store, history.head(FIRST + 11), FIRST + 11).added) == 3
    assert set(reads) == {SESSIONS[row] for row in range(FIRST + 7, FIRST + 10)}


def test_a_halted_ticker_does_not_keep_its_dates_under_reading(store, reads):
    acme, beta = prices("ACME", 1), prices("BETA", 2).head(FIRST + 1)
    publish(store, FIRST, acme, beta)
    both = pd.concat([acme, beta], ignore_index=True)
    score(store, both, FIRST + 5)
    reads.clear()
    assert score(store, both, FIRST + 6).waiting == 3
    assert reads == []


@pytest.mark.parametrize("change", ["restated", "scores removed", "index removed", "index damaged"])
def test_what_changed_in_the_store_is_read_again(store, change):
    history = prices()
    publish(store, FIRST, history)
    score(store, history, FIRST + 3)
    before = read_scores(store)
    if change == "restated":
        publish(store, FIRST, history, prices("BETA", 2), restate=True)
        both = pd.concat([history, prices("BETA", 2)], ignore_index=True)
        assert score(store, both, FIRST + 3).added["ticker"].tolist() == ["BETA"] * 3
        return
    if change == "scores removed":
        (store.root / paths.scores(SESSIONS[FIRST])).unlink()
    elif change == "index removed":
        (store.root / ".index" / "waiting.json").unlink()
    else:
        (store.root / ".index" / "waiting.json").write_bytes(b'{"dates": 3}')
    assert len(score(store, history, FIRST + 3).added) == (3 if change == "scores removed" else 0)
    pd.testing.assert_frame_equal(read_scores(store), before)
