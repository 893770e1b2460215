"""How far training is, and how it is told to stop."""

from __future__ import annotations

import math
import pickle
import threading

import pytest

from daily_forecast_flows.progress import Board, Reporter, ShardProgress, board
from forecasting.model.training_loop import Progress

NAN = math.nan


def test_shards_are_summed_with_their_sizes(tmp_path):
    shared = Board(tmp_path)
    shared.report(0, ShardProgress(1.0, 6, 6, "loss 0.2"))
    shared.report(1, ShardProgress(0.5, 0, 2, "loss 0.6"))
    total = shared.total(10)
    assert total.share == pytest.approx(0.7)
    assert (total.done, total.size, total.losses) == (6, 10, "loss 0.6")


def test_before_anything_has_begun_nothing_is_done(tmp_path):
    assert Board(tmp_path).total(10) == ShardProgress(0.0, 0, 10)


def test_a_stop_reaches_those_who_have_the_board_however_they_got_it(tmp_path):
    shared = Board(tmp_path)
    elsewhere = pickle.loads(pickle.dumps(shared))  # noqa: S301 - what was pickled the line before
    assert not elsewhere.stopped()
    shared.stop()
    assert elsewhere.stopped()


def test_shards_that_keep_reporting_learn_of_the_end(tmp_path):
    def shout(shared):
        while not shared.stopped():
            shared.report(0, ShardProgress(0.5, 0, 4))

    for _ in range(50):
        with board() as shared:
            shouting = [threading.Thread(target=shout, args=(shared,), daemon=True) for _ in range(3)]
            for thread in shouting:
                thread.start()
        for thread in shouting:
            thread.join(timeout=10)
            assert not thread.is_alive()


def test_an_error_stops_the_shards_and_the_end_of_the_board_does():
    def interrupted():
        with board() as shared:
            boards.append(shared)
            assert not shared.stopped()
            raise KeyboardInterrupt

    boards = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    (shared,) = boards
    assert shared.stopped()
    assert not shared.folder.exists()


def test_the_tutorials_one_fit_a_ticker_is_counted_as_such(tmp_path):
    shared = Board(tmp_path)
    tell = Reporter(shared, 0, size=2, members=1, fits=("all",))

    def now(epoch, epochs=10):
        tell(Progress("all", epoch, epochs, 0.4, NAN, 1))
        return shared.shards()[0]

    assert [now(epoch).share for epoch in (1, 5, 10)] == pytest.approx([0.05, 0.25, 0.5])
    assert shared.shards()[0].done == 1
    assert (now(1).share, now(10).done) == (pytest.approx(0.55), 2)


def test_a_reporter_counts_fits_and_programs(tmp_path):
    shared = Board(tmp_path)
    tell = Reporter(shared, 0, size=4, members=2)

    def now(segment, epoch, models, validation=NAN):
        tell(Progress(segment, epoch, 10, 0.4, validation, models))
        return shared.shards()[0]

    # Two programs of four models, each fitted three times.
    assert now("train", 5, 4, 0.6).share == pytest.approx(0.5 * (0.5 / 3))
    assert now("train", 10, 4, 0.5).share == pytest.approx(0.5 / 3)
    halfway = now("before_test", 5, 4)
    assert halfway.share == pytest.approx(0.5 * (1.5 / 3))
    assert halfway.losses == "loss 0.4, validation 0.5"
    first = now("all", 10, 0)
    assert (first.share, first.done) == (pytest.approx(0.5), 2)
    assert now("train", 1, 4, 0.7).share == pytest.approx(0.5 + 0.5 * (0.1 / 3))
    now("before_test", 10, 0)
    last = now("all", 4, 0)
    assert (last.share, last.done) == (pytest.approx(1.0), 4)
