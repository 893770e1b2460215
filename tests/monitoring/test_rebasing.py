"""In which unit a forecast is scored: splits, rebased histories, corrected prices."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from published_cases import FIRST, SESSIONS, messages, prices, publish, score

from forecasting.monitoring.ledger import read_scores
from forecasting.store.store import Store


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
