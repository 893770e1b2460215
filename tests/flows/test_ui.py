"""``make ui``: everything comes up, everything goes down, and it can be run again."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc on this machine"),
]


def start(home: Path, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "daily_forecast_flows", "ui", "--home", str(home), "--port", str(port)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def address(process: subprocess.Popen[str]) -> str:
    """Wait until it says where the UI is."""
    for line in process.stdout:
        if line.startswith("The UI is at "):
            return line.split()[-1]
    raise AssertionError("it ended before the UI was up")


def end(process: subprocess.Popen[str], number: int) -> int:
    process.send_signal(number)
    status = process.wait(timeout=60)
    process.stdout.close()
    return status


def processes(home: Path) -> list[int]:
    """Processes that have this PREFECT_HOME."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"PREFECT_HOME={home}".encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def test_it_comes_up_goes_down_and_comes_up_again(tmp_path):
    home, port = tmp_path / "home", free_port()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        process = start(home, port)
        assert address(process) == f"http://127.0.0.1:{port}"
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            names = {one["name"] for one in client.post("/api/deployments/filter", json={}).json()}
            assert {"daily-forecast", "demo", "backtest", "backfill"} <= names
            assert "<title>" in client.get("/").text
            automations = [one["name"] for one in client.post("/api/automations/filter", json={}).json()]
            assert len(automations) == len(set(automations)) > 0
            give_up = time.monotonic() + 60
            while not (workers := client.post("/api/work_pools/forecasts/workers/filter", json={}).json()):
                assert time.monotonic() < give_up
                time.sleep(0.5)
            assert workers[0]["status"] == "ONLINE"

        second = start(home, port)
        output, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert "It is up already" in output

        assert end(process, number) == (-9 if number == signal.SIGKILL else 0)
        give_up = time.monotonic() + 40
        while processes(home) and time.monotonic() < give_up:
            time.sleep(0.5)
        assert processes(home) == []


class Job:
    """A run of a deployment on the server at a port."""

    def __init__(self, port: int, deployment: str, **parameters) -> None:
        self._api = f"http://127.0.0.1:{port}/api"
        found = httpx.get(f"{self._api}/deployments/name/{deployment}", timeout=30).json()
        run = {"parameters": parameters}
        made = httpx.post(f"{self._api}/deployments/{found['id']}/create_flow_run", json=run, timeout=30)
        self.id = made.raise_for_status().json()["id"]

    def state(self) -> str:
        return httpx.get(f"{self._api}/flow_runs/{self.id}", timeout=30).json()["state_type"]

    def tasks(self) -> dict[str, str]:
        asked = {"flow_runs": {"id": {"any_": [self.id]}}}
        found = httpx.post(f"{self._api}/task_runs/filter", json=asked, timeout=30).json()
        return {one["name"].split(" shard")[0]: one["state_type"] for one in found}

    def wait(self, reached, seconds: float = 120) -> None:
        give_up = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < give_up, (self.state(), self.tasks())
            time.sleep(0.5)


@pytest.mark.parametrize(("number", "ended"), [(signal.SIGINT, "CANCELLED"), (signal.SIGKILL, "CRASHED")])
def test_a_run_at_work_is_not_left_running_and_the_next_one_is(price_file, tmp_path, number, ended):
    home, port = tmp_path / "home", free_port()
    given = {"prices": str(price_file(tmp_path / "prices.csv", "AAA")), "output": str(tmp_path / "store")}
    process = start(home, port)
    assert address(process)
    # The tutorial's training does not stop early.
    job = Job(port, "daily-forecast/demo", **given, preset="tutorial", epochs=100_000)
    job.wait(lambda: job.tasks().get("train and evaluate") == "RUNNING")
    end(process, number)
    give_up = time.monotonic() + 40
    while processes(home) and time.monotonic() < give_up:
        time.sleep(0.5)
    assert processes(home) == []

    process = start(home, port)
    assert address(process)
    assert job.state() == ended
    assert job.tasks()["train and evaluate"] == ended
    # It holds no place of its deployment, which has one.
    after = Job(port, "daily-forecast/demo", **given, epochs=1, members=1, horizon=1)
    after.wait(lambda: after.state() == "COMPLETED")
    assert end(process, signal.SIGTERM) == 0


def test_the_schedules_on_the_sample_are_paused_and_it_is_said(tmp_path):
    home, port = tmp_path / "home", free_port()
    process = start(home, port)
    assert address(process)
    printed = [process.stdout.readline() for _ in range(3)]
    assert printed[1].startswith(
        "The schedules of backtest and daily-forecast are paused: data/ has no prices of your own"
    )
    assert "--notify" in printed[2]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}/api", timeout=30) as client:
        found = client.post("/deployments/filter", json={}).json()
    assert not any(schedule["active"] for one in found for schedule in one["schedules"])
    assert end(process, signal.SIGTERM) == 0
