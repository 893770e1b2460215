"""``make ui``: everything comes up, everything goes down, and it can be run again."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from flows.local_server import free_port

ROOT = Path(__file__).resolve().parents[1]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="there is no /proc on this machine"),
]


def start(home: Path, port: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "flows.ui", "--home", str(home), "--port", str(port)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


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
        assert process.stdout.readline().strip() == f"The UI is at http://127.0.0.1:{port}"
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
        told, _ = second.communicate(timeout=60)
        assert second.returncode == 1
        assert "It is up already" in told

        process.send_signal(number)
        assert process.wait(timeout=60) == (-9 if number == signal.SIGKILL else 0)
        process.stdout.close()
        give_up = time.monotonic() + 40
        while processes(home) and time.monotonic() < give_up:
            time.sleep(0.5)
        assert processes(home) == []
