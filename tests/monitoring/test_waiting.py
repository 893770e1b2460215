"""What waits for its score: what is reported of it, and that scoring costs what is due."""

from __future__ import annotations

import pandas as pd
import pytest
from published_cases import FIRST, SESSIONS, messages, prices, publish, score

from forecasting.monitoring.ledger import read_scores
from forecasting.store import paths
from forecasting.store.store import Store


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
