"""How far the shards are, and how they are asked to stop."""

from __future__ import annotations

import math
import pickle
import threading

import pytest

from daily_forecast_flows.shards import Board, board
from forecasting.config import ForecastConfig
from forecasting.model.training_loop import Progress
from forecasting.store.store import Store

NAN = math.nan


@pytest.fixture
def drafts(tmp_path):
    """The drafts of a run at work."""
    with Store(tmp_path / "store").drafts() as drafts:
        yield drafts


def test_the_end_of_the_board_reaches_those_who_have_it_however_they_got_it(drafts):
    with board(drafts) as shared:
        elsewhere = pickle.loads(pickle.dumps(shared))  # noqa: S301 - what was pickled the line before
        elsewhere.report(3, 0.5)
        assert shared.shares() == {3: 0.5}
        assert not elsewhere.stopped()
    assert elsewhere.stopped()
    assert not shared.folder.exists()


def test_on_a_cluster_shards_stop_when_the_run_has_ended(tmp_path):
    with Store(tmp_path / "store").drafts() as drafts, board(drafts, local=False) as shared:
        elsewhere = pickle.loads(pickle.dumps(shared))  # noqa: S301 - what was pickled the line before
        elsewhere.report(0, 0.5)
        assert shared.shares() == {}
        assert not elsewhere.stopped()
    assert elsewhere.stopped()


def test_shards_that_keep_reporting_learn_of_the_end(drafts):
    def shout(shared):
        while not shared.stopped():
            shared.report(0, 0.5)

    for _ in range(50):
        with board(drafts) as shared:
            shouting = [threading.Thread(target=shout, args=(shared,), daemon=True) for _ in range(3)]
            for thread in shouting:
                thread.start()
        for thread in shouting:
            thread.join(timeout=10)
            assert not thread.is_alive()


def test_an_error_stops_the_shards(drafts):
    def interrupted():
        with board(drafts) as shared:
            boards.append(shared)
            raise KeyboardInterrupt

    boards = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert boards[0].stopped()


def test_the_tutorials_one_fit_a_ticker_is_counted_as_such(tmp_path, drafts):
    shared = Board(tmp_path, drafts)
    report = shared.watch(0, 2, ForecastConfig(preset="tutorial")).progress

    def now(epoch):
        report(Progress("all", epoch, 10, 0.4, NAN, 1))
        return shared.shares()[0]

    assert [now(epoch) for epoch in (1, 5, 10)] == pytest.approx([0.05, 0.25, 0.5])
    assert [now(epoch) for epoch in (1, 10)] == pytest.approx([0.55, 1.0])


def test_each_program_is_fitted_three_times(tmp_path, drafts):
    shared = Board(tmp_path, drafts)
    report = shared.watch(0, 4, ForecastConfig(members=2, models_per_batch=4)).progress

    def now(segment, epoch, models, validation=NAN):
        report(Progress(segment, epoch, 10, 0.4, validation, models))
        return shared.shares()[0]

    # Two programs of four models; a fit that stops early is over.
    assert now("train", 5, 4, 0.6) == pytest.approx(0.5 / 6)
    assert now("train", 7, 0, 0.5) == pytest.approx(1 / 6)
    assert now("before_test", 5, 4) == pytest.approx(1.5 / 6)
    assert now("before_test", 10, 0) == pytest.approx(2 / 6)
    assert now("all", 10, 0) == pytest.approx(3 / 6)
    assert now("train", 1, 4, 0.7) == pytest.approx(3.1 / 6)
    for segment in ("train", "before_test", "all"):
        last = now(segment, 10, 0)
    assert last == 1.0
