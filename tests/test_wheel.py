"""The wheel in an empty environment elsewhere: what a person gets who has no checkout."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[1]


class Elsewhere:
    """An environment with the wheel and what it depends on, at the tested versions, and without this checkout."""

    def __init__(self, folder: Path) -> None:
        self.bin = folder / "env" / "bin"
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
        subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, ROOT], check=True)
        subprocess.run([sys.executable, "-m", "venv", self.bin.parent], check=True)
        (wheel,) = folder.glob("*.whl")
        install = [self.bin / "python", "-m", *pip[2:], "install", "-c", ROOT / "constraints.txt", wheel]
        subprocess.run(install, check=True)

    def command(self, home: Path, program: str, *arguments: object, **more: str) -> dict[str, Any]:
        """What starts one of its programs in a folder, with nothing of the shell's that tests are run from."""
        clean = {"PATH": os.defpath, "HOME": str(home), "PREFECT_HOME": str(home / ".prefect"), **more}
        return {"args": [self.bin / program, *map(str, arguments)], "cwd": home, "env": clean}

    def run(self, home: Path, *command: object, **more: str) -> tuple[int, str]:
        """Run one to its end; gives its status, and what it said."""
        both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        done = subprocess.run(check=False, **self.command(home, *command, **more), **both)
        return done.returncode, done.stdout

    @contextlib.contextmanager
    def running(self, home: Path, *command: object, **more: str) -> Iterator[Path]:
        """Have one running, which is ended as by Ctrl-C; gives the file of what it says."""
        log = home / f"{command[1]}.log"
        with log.open("w") as said:
            process = subprocess.Popen(**self.command(home, *command, **more), stdout=said, stderr=said)
        try:
            yield log
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    return Elsewhere(tmp_path_factory.mktemp("elsewhere"))


@pytest.fixture
def home(price_file, tmp_path):
    """A folder with prices where the deployments look for them."""
    (tmp_path / "data").mkdir()
    price_file(tmp_path / "data" / "prices.csv", "AAA")
    return tmp_path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _left(home: Path) -> list[Path]:
    """Processes of a Prefect home, where there is a /proc."""
    mine = f"PREFECT_HOME={home}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            found += [entry.parent] if mine in entry.read_bytes() else []
    return found


def _wait(reached, seconds: float = 120) -> None:
    give_up = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < give_up
        time.sleep(0.5)


def _forecast(api: httpx.Client, deployment: str) -> dict:
    """Run a deployment to its end."""
    found = api.get(f"/deployments/name/{deployment}").raise_for_status().json()
    given = {"parameters": {"epochs": 1, "members": 1, "horizon": 2}}
    answers = (api.post(f"/deployments/{found['id']}/create_flow_run", json=given) for _ in range(10))
    # SQLite may be busy for a moment; Prefect's own client asks again, too.
    run = next(one for one in answers if one.status_code != httpx.codes.SERVICE_UNAVAILABLE).json()["id"]
    final = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
    _wait(lambda: api.get(f"/flow_runs/{run}").json()["state_type"] in final)
    return api.get(f"/flow_runs/{run}").json()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_runs_elsewhere(elsewhere, home):
    where = "import daily_forecast_flows, forecasting; print(daily_forecast_flows.__file__, forecasting.__file__)"
    _, said = elsewhere.run(home, "python", "-c", where)
    assert all(Path(path).is_relative_to(elsewhere.bin.parent) for path in said.split())

    status, said = elsewhere.run(home, "daily-forecast", "run", "--prices", "nothing.csv")
    assert (status, said.count("\n")) == (2, 1)
    assert said.startswith("nothing.csv: there is no such file or folder")

    given = ["--prices", "data/prices.csv", "--output", "store", "--epochs", 1, "--members", 1]
    status, said = elsewhere.run(home, "daily-forecast", "run", *given)
    assert (status, "The forecasts as of 2024-06-28 are published; 1 ticker" in said) == (0, True), said
    assert (home / "store" / "reports" / "as_of=2024-06-28" / "report.html").is_file()
    for command in (["show", "store"], ["check", "data"], ["backfill", "--help"], ["backtest", "--help"]):
        assert elsewhere.run(home, "daily-forecast", *command)[0] == 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheels_ui_comes_up_elsewhere_runs_the_demo_and_goes_down(elsewhere, home):
    address = f"http://127.0.0.1:{_free_port()}"
    with (
        elsewhere.running(home, "daily-forecast", "ui", "--port", address.rsplit(":", maxsplit=1)[-1]) as log,
        httpx.Client(base_url=f"{address}/api", timeout=30) as api,
    ):
        _wait(lambda: f"The UI is at {address}\n" in log.read_text())
        assert "<title>" in httpx.get(address).text
        names = {one["name"] for one in api.post("/deployments/filter", json={}).json()}
        assert names == {"daily-forecast", "demo", "backtest", "backfill"}
        # The prices in data/ are this person's own: the schedules are left as they are deployed.
        assert "paused" not in log.read_text()
        ended = _forecast(api, "daily-forecast/demo")
        assert (ended["state_type"], ended["name"]) == ("COMPLETED", "2024-06-28, 1 ticker"), ended["state"]["message"]
        assert (home / "data" / "output" / "forecasts").is_dir()
    _wait(lambda: not _left(home), 40)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_wheel_serves_and_watches_against_a_server_of_your_own(elsewhere, home):
    port = _free_port()
    address = f"http://127.0.0.1:{port}/api"
    mine = {"PREFECT_API_URL": address, "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    with (
        elsewhere.running(home, "prefect", "server", "start", "--port", port, **mine),
        httpx.Client(base_url=address, timeout=30) as api,
    ):
        _wait(lambda: _answers(api))
        status, said = elsewhere.run(home, "daily-forecast", "automations", **mine)
        assert (status, said.count(": created\n") > 0) == (0, True), said
        for _ in range(2):
            with elsewhere.running(home, "daily-forecast", "serve", **mine):
                _wait(lambda: _paused(api) == [False] * 4)
                ended = _forecast(api, "daily-forecast/demo")
                assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
            assert _paused(api) == [True] * 4
    _wait(lambda: not _left(home), 40)


def _paused(api: httpx.Client) -> list[bool]:
    return [one["paused"] for one in api.post("/deployments/filter", json={}).json()]


def _answers(api: httpx.Client) -> bool:
    try:
        return api.get("/health").is_success
    except httpx.TransportError:
        return False
