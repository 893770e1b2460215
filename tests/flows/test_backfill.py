"""The backfill: the same bytes as live runs, what exists is left alone, and what was stopped or killed goes on."""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from datetime import date

import pytest

pytest.importorskip("prefect")

from prefect.context import refresh_global_settings_context

import daily_forecast_flows.backfill
from daily_forecast import daily_forecast
from daily_forecast_flows.backfill import backfill
from daily_forecast_flows.command import main
from daily_forecast_flows.options import PROJECT
from daily_forecast_flows.outcome import exit_status
from forecasting.calendars import sessions_between
from forecasting.errors import InputError
from forecasting.store import paths
from forecasting.store.store import Store

QUICK = {"epochs": 1, "members": 1, "horizon": 1}
DAYS = [date(2024, 6, 26), date(2024, 6, 27), date(2024, 6, 28)]


def content(store):
    """Every file of a store by its name, as its bytes; what depends on the clock left out."""
    files = {}
    for path in sorted(store.root.rglob("*")):
        name = path.relative_to(store.root).as_posix()
        if path.is_file() and not name.startswith("."):
            files[name] = path.read_bytes()
            if path.name == "manifest.json":
                files[name] = {key: value for key, value in json.loads(files[name]).items() if key != "timings"}
    return files


def test_the_command_line_says_what_is_wrong_before_anything_starts(tmp_path, capsys):
    for wrong in ("yesterday", "2024-02-31", "0001-01-01"):
        assert main(["backfill", "--from", wrong]) == 2
        said = capsys.readouterr().err
        assert wrong in said
        assert said.count("\n") == 1
    assert main(["backfill", "--prices", str(tmp_path / "none.csv")]) == 2
    assert "none.csv" in capsys.readouterr().err


@pytest.fixture(scope="module")
def given(price_file, tmp_path_factory):
    """The options of all runs of these tests."""
    return {"prices": str(price_file(tmp_path_factory.mktemp("prices") / "prices.csv", "AAA", rows=160)), **QUICK}


@pytest.fixture(scope="module")
def live(given, prefect_server, tmp_path_factory):
    """A store in which a live run of each day has left what it does."""
    store = Store(tmp_path_factory.mktemp("live"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", prefect_server)
        refresh_global_settings_context()
        for day in DAYS:
            daily_forecast(**given, output=str(store.root), as_of=day.isoformat())
    refresh_global_settings_context()
    return store


def test_a_killed_backfill_goes_on_and_leaves_the_store_as_live_runs_do(
    given, live, tmp_path, prefect_api, monkeypatch
):
    store = Store(tmp_path / "store")
    options = {**given, "output": store.root, "from": DAYS[0], "to": DAYS[2]}
    command = [sys.executable, "flows/backfill.py", *(f"--{name}={value}" for name, value in options.items())]
    with subprocess.Popen(
        command, cwd=PROJECT, env={**os.environ, "PREFECT_API_URL": prefect_api}, start_new_session=True
    ) as killed:
        give_up = time.monotonic() + 120
        while not store.dates() and killed.poll() is None and time.monotonic() < give_up:
            time.sleep(0.01)
        os.killpg(killed.pid, signal.SIGKILL)
    there = store.dates()
    assert 1 <= len(there) < len(DAYS)
    before = (store.root / paths.forecasts(DAYS[0])).stat().st_mtime_ns
    runs, alive = [], []

    def watched(**run):
        gc.collect()
        alive.append(sum(one() is not None for one in runs))
        state = daily_forecast(**run)
        runs.append(weakref.ref(state.result().run))
        return state

    monkeypatch.setattr(daily_forecast_flows.backfill, "daily_forecast", watched)
    state = backfill(**given, output=str(store.root), return_state=True)  # from the oldest published

    done = state.result()
    assert (done.there, done.published, done.failed) == (len(there), DAYS[len(there) :], {})
    assert (store.root / paths.forecasts(DAYS[0])).stat().st_mtime_ns == before
    assert content(store) == content(live)
    assert len(live.dates("scores")) == 2
    # What the killed run's shards wrote is removed when it is old enough to belong to no run.
    assert len(list((store.root / ".staging").iterdir())) <= 1
    assert set(alive) == {0}, "a run of many tickers is large, and of no use any more"
    assert exit_status(state) == 0


@pytest.mark.usefixtures("prefect_api")
def test_a_backfill_that_is_stopped_is_cancelled(given, tmp_path, monkeypatch):
    def stopped(**run):
        assert run["as_of"] == "2024-06-27"
        raise KeyboardInterrupt

    monkeypatch.setattr(daily_forecast_flows.backfill, "daily_forecast", stopped)
    state = backfill(**given, output=str(tmp_path / "store"), first=DAYS[1], return_state=True)
    assert state.is_cancelled()
    assert exit_status(state) == 130


@pytest.mark.usefixtures("prefect_api")
def test_dates_and_tickers_that_cannot_be_forecast_are_reported_and_the_others_are_published(price_file, tmp_path):
    price_file(tmp_path / "prices.csv", "AAA", rows=15)
    (tmp_path / "BAD.csv").write_text("Date,Open\n2024-01-02,abc\n")
    where = {"prices": str(tmp_path / "*.csv"), "output": str(tmp_path / "store")}
    state = backfill(**QUICK, **where, first=DAYS[1], return_state=True)
    done = state.result()
    assert list(done.failed) == [DAYS[1]]
    assert done.published == done.withheld == [DAYS[2]]
    assert "1 could not be forecast, the first 2024-06-27" in done.message
    assert exit_status(state) == 3


@pytest.mark.usefixtures("prefect_api")
def test_nothing_to_go_by_is_wrong_input(price_file, tmp_path):
    prices = price_file(tmp_path / "prices.csv", "AAA", rows=8)
    where = {"prices": str(prices), "output": str(tmp_path / "store")}
    for wrong, said in (({}, "set --from"), ({"first": DAYS[2]}, "no date of the range can be forecast")):
        state = backfill(**QUICK, **where, **wrong, return_state=True)
        assert state.is_failed()
        with pytest.raises(InputError, match=said):
            exit_status(state)


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_api")
def test_a_fortnight_of_several_tickers_is_what_live_runs_would_have_left(price_file, tmp_path):
    given = {"prices": str(price_file(tmp_path / "prices.csv", "AAA,BBB", rows=170)), **QUICK, "horizon": 3}
    live, filled = Store(tmp_path / "live"), Store(tmp_path / "filled")
    days = sessions_between("XNYS", date(2024, 6, 17), DAYS[-1])
    for day in days:
        daily_forecast(**given, output=str(live.root), as_of=day.isoformat())
    for day in days[2::4]:  # some are there already, in any order
        daily_forecast(**given, output=str(filled.root), as_of=day.isoformat())
    backfill(**given, output=str(filled.root), first=days[0])
    assert content(filled) == content(live)
    done = backfill(**given, output=str(filled.root), first=days[-2], restate=True)
    assert done.published == days[-2:]
    assert content(filled) == content(live)
