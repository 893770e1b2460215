"""The flow, through a real server: what it publishes, what it leaves on its page, how it ends."""

from __future__ import annotations

import os
import signal
import threading
import time
from datetime import UTC, date, datetime, timedelta

import pandas as pd
import prefect.runtime.flow_run
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, FlowRunFilter, FlowRunFilterId
from prefect.exceptions import ParameterTypeError

import daily_forecast as job
from daily_forecast import daily_forecast
from daily_forecast_flows import shards
from daily_forecast_flows.outcome import exit_status, news, show
from forecasting.calendars import newest_due_session
from forecasting.errors import InputError
from forecasting.store import paths
from forecasting.store.store import Store

QUICK = {"epochs": 1, "members": 1, "horizon": 2}
END = date(2024, 6, 28)

pytestmark = pytest.mark.usefixtures("prefect_api")


def run(**given):
    return daily_forecast(**{**QUICK, **given}, return_state=True)


def about(state, tasks: int):
    """The run, its task runs and its artifacts, as the server has them."""
    run_id = state.state_details.flow_run_id
    chosen = FlowRunFilter(id=FlowRunFilterId(any_=[run_id]))
    own = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
    with get_client(sync_client=True) as client:
        # Task runs reach the database a moment after their flow has ended.
        give_up = time.monotonic() + 30
        while (
            len(ended := _ended(client.read_task_runs(flow_run_filter=chosen))) < tasks and time.monotonic() < give_up
        ):
            time.sleep(0.5)
        return client.read_flow_run(run_id), ended, client.read_artifacts(artifact_filter=own)


def _ended(tasks):
    return sorted((one for one in tasks if one.state and one.state.is_final()), key=lambda one: one.start_time)


def test_a_run_publishes_and_tells_its_story(price_file, tmp_path):
    prices = price_file(tmp_path / "prices.csv")
    state = run(prices=str(prices), output=str(tmp_path / "store"))

    assert state.is_completed()
    outcome = state.result()
    assert (outcome.status, outcome.as_of, outcome.stale) == ("published", END, False)
    published = pd.read_parquet(tmp_path / "store" / "forecasts")
    assert sorted(published["ticker"].unique()) == ["AAA", "BBB"]
    assert len(published) == 4

    flow_run, tasks, artifacts = about(state, tasks=7)
    assert flow_run.name == "2024-06-28, 2 tickers"
    names = [one.name for one in tasks]
    shards = [f"train and evaluate shard {number}, 1 ticker" for number in (0, 1)]
    assert names[:3] + sorted(names[3:5]) + names[5:] == ["ingest", "score", "engineer", *shards, "publish", "describe"]
    assert {one.state_name for one in tasks} == {"Completed"}
    assert not any("__parents__" in one.task_inputs for one in tasks)
    by_key = {one.key: one for one in artifacts}
    assert set(by_key) == {"training", "report", "forecasts", "scores", "data-quality", "report-file"}
    assert by_key["report"].data.count("![") == 2
    assert "data:image/png;base64," in by_key["report"].data
    assert "report.html" in by_key["report-file"].data
    index = (tmp_path / "store" / "reports" / "index.html").read_text("utf-8")
    assert f'href="as_of={END}/report.html"' in index


def test_a_second_run_of_the_same_changes_nothing(price_file, tmp_path):
    given = {"prices": str(price_file(tmp_path / "prices.csv", "AAA")), "output": str(tmp_path / "store")}
    first = run(**given).result()
    before = Store(given["output"]).read(paths.forecasts(END))
    second = run(**given).result()
    assert (first.published.status, second.published.status) == ("new", "same")
    assert Store(given["output"]).read(paths.forecasts(END)) == before


def test_a_bad_ticker_is_named_and_the_others_are_published(price_file, tmp_path):
    folder = tmp_path / "prices"
    folder.mkdir()
    price_file(folder / "good.csv", "AAA")
    (folder / "BAD.csv").write_text("Date,Open\n2024-01-02,abc\n")
    state = run(prices=str(folder), output=str(tmp_path / "store"))
    outcome = state.result()
    assert outcome.status == "partial"
    assert [one.file for one in outcome.run.withheld] == [str(folder / "BAD.csv")]
    assert exit_status(state) == 3


def test_a_run_whose_forecasts_are_not_published_shows_none(price_file, tmp_path, capsys):
    prices, store = price_file(tmp_path / "prices.csv"), str(tmp_path / "store")
    run(prices=str(prices), output=store)
    before = Store(store).read(paths.forecasts(END))
    state = run(prices=str(prices), output=store, tickers="AAA")
    outcome = state.result()
    assert (outcome.status, outcome.run, outcome.headline) == ("kept", None, None)
    assert "1 ticker that this run does not have (BBB)" in state.message
    assert list(news(outcome)) == []
    assert exit_status(state) == 0
    show(outcome)
    assert "80 %" not in capsys.readouterr().out
    assert {one.key for one in about(state, tasks=5)[2]} == {"training"}
    assert Store(store).read(paths.forecasts(END)) == before


@pytest.mark.parametrize("stage", ["window", "train", "evaluate"])
def test_what_fails_in_a_shard_is_what_the_run_fails_with(price_file, tmp_path, monkeypatch, stage):
    prices = price_file(tmp_path / "prices.csv", "AAA")

    def lose(*_, **__):
        raise RuntimeError("device lost")

    monkeypatch.setattr(f"forecasting.pipeline.{stage}", lose)
    state = run(prices=str(prices), output=str(tmp_path / "store"))
    assert state.is_failed()
    with pytest.raises(RuntimeError, match="device lost"):
        state.result()
    assert Store(tmp_path / "store").dates() == ()


def test_old_bulk_is_removed_when_that_is_asked_for(price_file, tmp_path):
    given = {"prices": str(price_file(tmp_path / "prices.csv", "AAA")), "output": str(tmp_path / "store")}
    store, older = Store(given["output"]), date(2024, 6, 27)
    run(**given, as_of=str(older))
    assert (store.root / paths.heldout_part(older, 0)).exists()
    run(**given, keep_heldout=1)
    assert not (store.root / paths.heldout_part(older, 0)).exists()
    assert (store.root / paths.heldout_part(END, 0)).exists()
    assert all(path.exists() for path in ((store.root / paths.report(older)), (store.root / paths.metrics(older))))
    assert store.published(older)


def test_nothing_usable_fails_with_the_reason_and_publishes_nothing(price_file, tmp_path):
    prices = price_file(tmp_path / "prices.csv", "AAA", rows=5)
    state = run(prices=str(prices), output=str(tmp_path / "store"))
    assert state.is_failed()
    with pytest.raises(InputError, match="no ticker can be forecast"):
        exit_status(state)
    assert Store(tmp_path / "store").dates() == ()


def test_wrong_parameters_are_refused_before_a_run_begins(tmp_path):
    with pytest.raises(ParameterTypeError, match="epochs"):
        daily_forecast(epochs=0, output=str(tmp_path / "store"))


def scheduled_at(monkeypatch, moment):
    """Let runs believe that this was their scheduled time."""

    class Run:
        scheduled_start_time = moment

        def __getattr__(self, name):
            return getattr(prefect.runtime.flow_run, name)

    monkeypatch.setattr(job, "flow_run", Run())


def test_a_scheduled_run_takes_the_session_due_and_the_next_has_nothing_to_do(price_file, tmp_path, monkeypatch):
    session = newest_due_session("XNYS", datetime.now(UTC))
    prices = price_file(tmp_path / "prices.csv", "AAA", end=str(session))
    given = {"prices": str(prices), "output": str(tmp_path / "store"), "as_of": "scheduled"}
    # Some time after the session's close, whatever day it is today.
    scheduled_at(monkeypatch, datetime.combine(session, datetime.min.time(), UTC) + timedelta(hours=23))

    first, second = run(**given), run(**given)
    assert (first.result().status, first.result().as_of) == ("published", session)
    assert second.is_completed()
    assert second.result().status == "idle"
    assert "Nothing to do" in second.message
    assert exit_status(second) == 0


def test_on_a_holiday_there_is_nothing_to_do(price_file, tmp_path, monkeypatch):
    prices = price_file(tmp_path / "prices.csv", "AAA", end="2023-12-22")
    scheduled_at(monkeypatch, datetime(2023, 12, 25, 23, 30, tzinfo=UTC))
    state = run(prices=str(prices), output=str(tmp_path / "store"), as_of="scheduled")
    assert state.is_completed()
    assert "Nothing to do" in state.message
    assert Store(tmp_path / "store").dates() == ()


def test_when_the_session_does_not_come_what_there_is_goes_out_as_stale(price_file, tmp_path, monkeypatch):
    prices = price_file(tmp_path / "prices.csv", "AAA", end="2024-06-27")
    scheduled_at(monkeypatch, datetime(2024, 6, 28, 22, 30, tzinfo=UTC))
    began = time.monotonic()
    state = run(prices=str(prices), output=str(tmp_path / "store"), as_of="scheduled", data_deadline=0.02)
    assert time.monotonic() - began > 1.2
    outcome = state.result()
    assert (outcome.as_of, outcome.stale) == (END, True)
    assert "stale: the data have no rows of 2024-06-28" in state.message
    assert outcome.run.forecasts["reason"].str.startswith("stale").all()


def test_a_ticker_that_vanished_is_named_in_message_table_and_event(price_file, tmp_path):
    given = {"prices": str(price_file(tmp_path / "prices.csv", "AAA,BBB")), "output": str(tmp_path / "store")}
    run(**given, as_of="2024-06-27")
    price_file(tmp_path / "prices.csv", "AAA")
    state = run(**given)
    outcome = state.result()
    assert state.message.endswith("not in the input any more: BBB")
    assert dict(news(outcome))["forecast.partial"] == "Partial as of 2024-06-28; not in the input any more: BBB"
    table = next(one for one in about(state, tasks=8)[2] if one.key == "data-quality").data
    assert "not in the input any more" in table.replace("\\n", " ")
    assert exit_status(state) == 0


def test_a_session_that_comes_in_time_is_waited_for(price_file, tmp_path, monkeypatch):
    prices = price_file(tmp_path / "prices.csv", "AAA", end="2024-06-27")
    scheduled_at(monkeypatch, datetime(2024, 6, 28, 22, 30, tzinfo=UTC))
    threading.Timer(2.0, lambda: price_file(prices, "AAA", rows=241)).start()
    state = run(prices=str(prices), output=str(tmp_path / "store"), as_of="scheduled", data_deadline=1)
    outcome = state.result()
    assert (outcome.as_of, outcome.stale) == (END, False)


def test_a_spent_time_budget_publishes_the_best_baseline(price_file, tmp_path):
    prices = price_file(tmp_path / "prices.csv", "AAA")
    state = run(prices=str(prices), output=str(tmp_path / "store"), time_budget=1e-9)
    published = pd.read_parquet(tmp_path / "store" / "forecasts")
    assert state.is_completed()
    assert "1 ticker by a baseline, the time budget being spent" in state.message
    assert set(published["reason"]) == {"time budget spent"}
    assert "lstm" not in set(published["model"])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_stopped_is_cancelled_and_publishes_nothing(price_file, tmp_path, monkeypatch, number):
    prices = price_file(tmp_path / "prices.csv", "AAA")
    stopped = []

    def stop_when_training(board, *_, **__):
        while not board.shares():
            time.sleep(0.05)
        stopped.append(time.monotonic())
        os.kill(os.getpid(), number)
        time.sleep(30)

    monkeypatch.setattr(shards, "follow", stop_when_training)
    # A shell that starts the tests in the background has them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        # The tutorial's training does not stop early.
        state = run(prices=str(prices), output=str(tmp_path / "store"), preset="tutorial", epochs=100_000)
    finally:
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - stopped[0] < 10
    assert state.is_cancelled()
    assert exit_status(state) == 130
    _, tasks, _ = about(state, tasks=5)
    names = {one.name.split(" shard")[0]: one.state_name for one in tasks}
    assert names["train and evaluate"] == "Cancelled"
    assert "publish" not in names
    assert Store(tmp_path / "store").dates() == ()


@pytest.mark.slow
def test_threads_and_processes_give_the_same_bytes(price_file, tmp_path):
    prices = price_file(tmp_path / "prices.csv", "AAA,BBB,CCC")
    stores = {kind: Store(tmp_path / kind) for kind in ("threads", "processes")}
    for kind, store in stores.items():
        assert run(prices=str(prices), output=str(store.root), task_runner=kind).is_completed()
    assert len({(store.root / paths.forecasts(END)).read_bytes() for store in stores.values()}) == 1
