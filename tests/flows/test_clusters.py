"""Shards on a cluster: the same bytes as on threads, whatever happens to a worker."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest
from prefect import get_client, task, unmapped
from prefect.client.schemas.filters import TaskRunFilter

from daily_forecast import daily_forecast
from daily_forecast_flows import shards
from daily_forecast_flows.shards import make_runner
from forecasting.errors import InputError
from forecasting.store import paths
from forecasting.store.store import Store

QUICK = {"epochs": 1, "members": 1, "horizon": 2, "calendar": "24/7"}


def test_an_address_needs_a_cluster():
    with pytest.raises(InputError, match="--task-runner is threads"):
        make_runner("threads", "tcp://127.0.0.1:8786")


@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_a_package_that_is_not_installed_is_named(monkeypatch, kind):
    monkeypatch.setitem(sys.modules, f"prefect_{kind}", None)
    monkeypatch.setitem(sys.modules, f"prefect_{kind}.task_runners", None)
    with pytest.raises(InputError, match=rf"pip install 'daily-forecast\[{kind}\]'"):
        make_runner(kind)


@pytest.fixture(scope="module")
def prices(make_prices, tmp_path_factory):
    folder = tmp_path_factory.mktemp("prices")
    for number in range(4):
        make_prices(f"T{number}", 200, seed=number).drop(columns="ticker").to_csv(
            folder / f"T{number}.csv", index=False
        )
    return folder


def published(prices, folder, kind):
    state = daily_forecast(**QUICK, prices=str(prices), output=str(folder), task_runner=kind, return_state=True)
    assert state.is_completed(), state.message
    store = Store(folder)
    names = [entry.name for entry in store.files("evaluation")] + [paths.forecasts(store.latest())]
    return {name: store.read(name) for name in names}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("prefect_api")
@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_a_cluster_gives_the_same_bytes_as_threads(prices, tmp_path, kind):
    pytest.importorskip(f"prefect_{kind}")
    assert published(prices, tmp_path / kind, kind) == published(prices, tmp_path / "threads", "threads")


@pytest.fixture
def stopped_while_training(monkeypatch):
    """Press Ctrl-C once a shard is at work."""
    at_work = {"state": {"type": {"any_": ["RUNNING"]}}, "name": {"like_": "train and evaluate"}}

    def stop(*_, **__):
        with get_client(sync_client=True) as client:
            while not client.read_task_runs(task_run_filter=TaskRunFilter.model_validate(at_work)):
                time.sleep(0.2)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(120)

    monkeypatch.setattr(shards, "follow", stop)
    # A shell that starts the tests in the background has them ignore Ctrl-C.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("prefect_api", "stopped_while_training")
@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_a_run_that_is_stopped_is_cancelled_and_publishes_nothing(prices, tmp_path, kind):
    pytest.importorskip(f"prefect_{kind}")
    # The tutorial's training does not stop early.
    given = {"prices": str(prices), "output": str(tmp_path), "preset": "tutorial", "epochs": 100_000}
    state = daily_forecast(**given, calendar="24/7", task_runner=kind, return_state=True)
    assert state.is_cancelled()
    assert Store(tmp_path).dates() == ()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("prefect_api", "stopped_while_training")
def test_the_workers_of_a_cluster_that_stays_are_free_again_after_a_run_was_stopped(prices, tmp_path):
    distributed = pytest.importorskip("distributed")
    pytest.importorskip("prefect_dask")
    given = {"prices": str(prices), "output": str(tmp_path), "preset": "tutorial", "epochs": 100_000}
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        where = {"task_runner": "dask", "cluster": cluster.scheduler_address}
        assert daily_forecast(**given, **where, calendar="24/7", return_state=True).is_cancelled()
        give_up = time.monotonic() + 60
        while any(client.run(tasks_at).values()):
            assert time.monotonic() < give_up, "a shard is still at work"
            time.sleep(0.5)


def tasks_at(dask_worker):
    """What a worker is at; what nobody waits for any more counts until it has ended."""
    return list(dask_worker.state.tasks)


@task
def die_the_first_time(number, marker):
    """Kill its worker once; give the number when it is done again."""
    if number == 1 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.5)
    return number


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("prefect_api")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["dask", "ray"])
def test_what_a_killed_worker_was_at_is_done_again_by_another(tmp_path, kind):
    pytest.importorskip(f"prefect_{kind}")
    marker = tmp_path / "died"
    with make_runner(kind, workers=2) as runner:
        futures = runner.map(die_the_first_time, {"number": [0, 1, 2], "marker": unmapped(marker)})
        assert sorted(futures.result()) == [0, 1, 2]
    assert marker.exists()
