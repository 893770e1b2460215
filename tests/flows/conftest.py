"""What tests on a real server share: its API, the deployments of prefect.yaml, a worker."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

ROOT = Path(__file__).resolve().parents[2]
FINAL = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


class Api:
    """The server's API, as plain requests."""

    def __init__(self, address: str) -> None:
        self.client = httpx.Client(base_url=address, timeout=30)

    def post(self, path: str, **body):
        # As Prefect's own client does: SQLite may be busy for a moment.
        for _ in range(5):
            if (answer := self.client.post(path, json=body)).status_code != httpx.codes.SERVICE_UNAVAILABLE:
                break
            time.sleep(1)
        answer.raise_for_status()
        return answer.json()

    def get(self, path: str):
        answer = self.client.get(path)
        answer.raise_for_status()
        return answer.json()

    def start(self, deployment: str, parameters: dict, at: datetime | None = None) -> str:
        state = {"type": "SCHEDULED", "state_details": {"scheduled_time": (at or datetime.now(UTC)).isoformat()}}
        body = {"parameters": parameters, "state": state}
        return self.post(f"/deployments/{deployment}/create_flow_run", **body)["id"]

    def wait(self, run: str, *, until=FINAL, patience: float = 240.0) -> dict:
        give_up = time.monotonic() + patience
        while (found := self.get(f"/flow_runs/{run}"))["state_type"] not in until:
            assert time.monotonic() < give_up, f"{run} is {found['state_name']}"
            time.sleep(0.5)
        return found

    def tasks(self, run: str) -> dict[str, str]:
        found = self.post("/task_runs/filter", flow_runs={"id": {"any_": [run]}})
        return {one["name"].split(" shard")[0]: one["state_name"] for one in found}


def prefect(*arguments: str, api: str) -> str:
    command = [sys.executable, "-m", *arguments]
    environment = {**os.environ, "PREFECT_API_URL": api}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module")
def deployed(prefect_server):
    """The deployments of prefect.yaml, by their names."""
    prefect(
        "prefect",
        "--no-prompt",
        "work-pool",
        "create",
        "forecasts",
        "--type",
        "process",
        "--overwrite",
        api=prefect_server,
    )
    prefect(
        "prefect", "--no-prompt", "deploy", "--prefect-file", "deployments/prefect.yaml", "--all", api=prefect_server
    )
    api = Api(prefect_server)
    return SimpleNamespace(api=api, **{one["name"].replace("-", "_"): one for one in api.post("/deployments/filter")})


@pytest.fixture
def worker(prefect_server, deployed):
    """A worker, for as long as the test runs."""
    from daily_forecast_flows.operate import SETTINGS
    from daily_forecast_flows.server import child

    environment = {**SETTINGS, "PREFECT_API_URL": prefect_server, "PREFECT_WORKER_QUERY_SECONDS": "1"}
    with child(["prefect", "worker", "start", "--pool", "forecasts"], environment) as process:
        yield process
