"""Shards on a cluster: the same bytes as on threads, whatever happens to a worker."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest
from prefect import task, unmapped

from daily_forecast import daily_forecast
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
