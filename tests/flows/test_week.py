"""A fortnight of operating it on a real server with a real worker, with what goes wrong in one."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pandas as pd
import pytest

from daily_forecast_flows.command import main
from forecasting.monitoring.ledger import read_scores
from forecasting.store.store import Store

NEW_YORK = ZoneInfo("America/New_York")
TICKERS = ("AAA", "BBB", "CCC", "DDD")
DAYS = [date.fromisoformat(f"2024-06-{day}") for day in (17, 18, 20, 21, 24, 25, 26, 27, 28)]
HOLIDAY = date(2024, 6, 19)
QUICK = {"epochs": 1, "members": 1, "horizon": 2}


class Vendor:
    """Writes each ticker's whole file again every day, as vendors do."""

    def __init__(self, folder: Path, price_file) -> None:
        self.folder = folder
        folder.mkdir()
        whole = pd.read_csv(price_file(folder / ".whole", ",".join(TICKERS), rows=200))
        self.rows = {ticker: rows.drop(columns="ticker") for ticker, rows in whole.groupby("ticker")}

    def deliver(self, day: date, *tickers: str) -> None:
        for ticker in tickers or TICKERS:
            rows = self.rows[ticker]
            draft = self.folder / f".{ticker}.draft"
            rows[rows["date"] <= str(day)].to_csv(draft, index=False)
            draft.replace(self.folder / f"{ticker}.csv")

    def split(self, ticker: str, day: date) -> None:
        """Halve the prices from a day on; what came before stays, as in unadjusted files."""
        self._scale(ticker, 0.5, self.rows[ticker]["date"] >= str(day))

    def restate(self, ticker: str, day: date) -> None:
        """Change the history before a day a little."""
        self._scale(ticker, 1.001, self.rows[ticker]["date"] < str(day))

    def _scale(self, ticker: str, factor: float, where: pd.Series) -> None:
        prices = ["open", "high", "low", "close"]
        rows = self.rows[ticker].copy()
        rows.loc[where, prices] = rows.loc[where, prices] * factor
        self.rows[ticker] = rows


class Job:
    """The daily deployment, and the store that it fills."""

    def __init__(self, deployed, vendor: Vendor, store: Path) -> None:
        self.api, self.vendor, self.store = deployed.api, vendor, Store(store)
        self.deployment = deployed.daily_forecast["id"]
        self.given = {"prices": str(vendor.folder), "output": str(store), "data_deadline": 0, **QUICK}

    def start(self, day: date, **given) -> str:
        tick = datetime.combine(day, datetime.min.time(), NEW_YORK).replace(hour=18, minute=30)
        return self.api.start(self.deployment, {**self.given, **given}, at=tick)

    def tick(self, day: date, **given) -> str:
        """Run the tick of a day to its end; gives its message."""
        ended = self.api.wait(self.start(day, **given), patience=600)
        assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
        return ended["state"]["message"]

    def running(self) -> list[str]:
        """The runs at work."""
        found = self.api.post("/flow_runs/filter", flow_runs={"state": {"type": {"any_": ["RUNNING"]}}})
        return [one["id"] for one in found]

    def trains(self, run: str) -> bool:
        return self.api.tasks(run).get("train and evaluate") == "Running"

    def says(self, run: str, words: str) -> bool:
        """Whether a run has logged these words."""
        found = self.api.post("/logs/filter", logs={"flow_run_id": {"any_": [run]}})
        return any(words in one["message"] for one in found)

    def until(self, reached: Callable[[], bool]) -> None:
        give_up = time.monotonic() + 300
        while not reached():
            assert time.monotonic() < give_up
            time.sleep(0.5)

    def published(self, day: date) -> dict[str, date]:
        """Each ticker's cutoff as of a date."""
        table = self.store.forecasts(day).to_pylist()
        return {row["ticker"]: row["cutoff"] for row in table}


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.usefixtures("worker")
def test_a_fortnight(deployed, prefect_server, price_file, tmp_path, capsys):
    vendor = Vendor(tmp_path / "prices", price_file)
    job = Job(deployed, vendor, tmp_path / "store")
    first, late, split, restated, vanished, killed, cancelled, taken, last = DAYS

    vendor.deliver(first)
    assert "published; 4 tickers" in job.tick(first)

    # One file is late: the run waits for it, and publishes all.
    vendor.deliver(late, "AAA", "CCC", "DDD")
    run = job.start(late, data_deadline=10)
    job.until(lambda: job.says(run, "3 of 4 tickers have rows of 2024-06-18; waiting"))
    assert job.store.dates() == (first,)
    vendor.deliver(late, "BBB")
    assert job.api.wait(run, patience=600)["state_type"] == "COMPLETED"
    assert set(job.published(late).values()) == {late}

    assert job.tick(HOLIDAY).startswith("Nothing to do: no XNYS session closed")

    # A split of two for one; what was published before it is scored in its own unit.
    vendor.split("AAA", split)
    vendor.deliver(split)
    job.tick(split)
    findings = job.store.manifest(split).findings
    assert any(one.kind == "split" and one.ticker == "AAA" for one in findings)
    scores = read_scores(job.store).query("ticker == 'AAA'")
    assert len(scores)
    assert (scores["error"].abs() < 0.2 * scores["forecast"]).all()

    # A restated history: the run goes on, and an older date no longer comes out the same, which verify says.
    vendor.restate("CCC", first)
    vendor.deliver(restated)
    job.tick(restated)
    assert main(["verify", str(job.store.root), "--as-of", str(first)]) == 1
    assert "CCC" in capsys.readouterr().out

    # A file that vanished is named; an earlier date can still be verified.
    (vendor.folder / "DDD.csv").unlink()
    vendor.deliver(vanished, "AAA", "BBB", "CCC")
    assert job.tick(vanished).endswith("not in the input any more: DDD")
    assert "DDD" in job.published(restated)

    # A run that is killed leaves what was published; its day is made up for by the tick.
    vendor.deliver(killed, "AAA", "BBB", "CCC")
    command = [sys.executable, "-m", "daily_forecast_flows", "run", "--prices", str(vendor.folder)]
    command += ["--output", str(job.store.root), "--preset", "tutorial", "--epochs", "100000"]
    process = subprocess.Popen(command, env={**os.environ, "PREFECT_API_URL": prefect_server})
    job.until(lambda: any(map(job.trains, job.running())))
    process.kill()
    process.wait()
    assert max(job.store.dates()) == vanished
    job.tick(killed)
    assert max(job.store.dates()) == killed

    # A cancelled run publishes nothing; the next tick does.
    vendor.deliver(cancelled, "AAA", "BBB", "CCC")
    run = job.start(cancelled, epochs=100_000)
    job.until(lambda: job.trains(run))
    job.api.post(f"/flow_runs/{run}/set_state", state={"type": "CANCELLING", "name": "Cancelling"})
    assert job.api.wait(run)["state_type"] == "CANCELLED"
    assert max(job.store.dates()) == killed
    job.tick(cancelled)

    # `ui` on this server's port touches nothing of it, a run at work included.
    vendor.deliver(taken, "AAA", "BBB")
    run = job.start(taken, data_deadline=10)
    job.until(lambda: job.says(run, "2 of 3 tickers have rows of 2024-06-27; waiting"))
    port = prefect_server.split(":")[2].split("/")[0]
    assert main(["ui", "--port", port, "--home", str(tmp_path / "home")]) == 1
    assert "name another with --port" in capsys.readouterr().err
    schedules = job.api.get(f"/deployments/{job.deployment}")["schedules"]
    assert all(one["active"] for one in schedules)
    vendor.deliver(taken, "CCC")
    assert job.api.wait(run, patience=600)["state_type"] == "COMPLETED"

    vendor.deliver(last, "AAA", "BBB", "CCC")
    job.tick(last)
    assert job.store.dates() == tuple(DAYS)
    assert set(job.published(last)) == {"AAA", "BBB", "CCC"}
    assert set(job.store.dates("scores")) >= set(DAYS[:-2])
