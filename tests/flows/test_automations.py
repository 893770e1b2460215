"""The automations on a real server: applied once however often, and what they notify and end."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
QUICK = {"epochs": 1, "members": 1, "horizon": 2}


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted to it."""

    def do_POST(self):
        self.server.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def webhook():
    """A web server on loopback that notifications reach."""
    server = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
    server.received = []
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.usefixtures("prefect_api")
def test_automations_are_applied_once_however_often_and_reach_the_block(deployed, webhook, price_file, tmp_path):
    from prefect.blocks.notifications import CustomWebhookNotificationBlock

    from daily_forecast import daily_forecast
    from daily_forecast_flows.operate import AUTOMATIONS, apply_automations

    block = CustomWebhookNotificationBlock(
        name="alerts",
        url=f"http://127.0.0.1:{webhook.server_port}/",
        json_data={"subject": "{{subject}}", "body": "{{body}}"},
    )
    block.save("alerts", overwrite=True)
    for _ in range(2):
        apply_automations(notify="custom-webhook/alerts")
    names = [one["name"] for one in yaml.safe_load(AUTOMATIONS.read_text())["automations"]]
    found = deployed.api.post("/automations/filter")
    assert sorted(one["name"] for one in found) == sorted(names)
    assert all(one["enabled"] for one in found)

    time.sleep(3)  # the server takes new automations up a moment after they are written
    folder = tmp_path / "prices"
    folder.mkdir()
    price_file(folder / "AAA.csv", "AAA")
    (folder / "BAD.csv").write_text("Date,Open\n2024-01-02,abc\n")
    daily_forecast(prices=str(folder), output=str(tmp_path / "partial"), **QUICK)
    state = daily_forecast(prices="/no/such/folder", output=str(tmp_path / "failed"), return_state=True)
    assert state.is_failed()

    give_up = time.monotonic() + 60
    while len(webhook.received) < 2 and time.monotonic() < give_up:
        time.sleep(0.5)
    by_subject = {one["subject"]: one["body"] for one in webhook.received}
    assert "Partial as of 2024-06-28; withheld: BAD" in by_subject["forecast.partial"]
    assert "None" not in by_subject["forecast.partial"]
    assert "/flow-run/" in by_subject["forecast.partial"]
    assert "is Failed" in by_subject["daily-forecast: Failed"]


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_api")
def test_a_run_that_died_becomes_crashed(deployed, price_file, tmp_path):
    from daily_forecast_flows.operate import AUTOMATIONS, apply_automations

    quicker = tmp_path / "automations.yaml"
    quicker.write_text(AUTOMATIONS.read_text().replace("within: 540", "within: 60"))
    apply_automations(quicker)
    time.sleep(3)
    prices = price_file(tmp_path / "prices.csv", "AAA")
    command = [sys.executable, "flows/daily_forecast.py", "--prices", str(prices), "--output", str(tmp_path / "store")]
    command += ["--preset", "tutorial", "--epochs", "100000"]
    environment = {**os.environ, "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    process = subprocess.Popen(command, cwd=ROOT, env=environment)
    running = {"flow_runs": {"state": {"type": {"any_": ["RUNNING"]}}}}
    give_up = time.monotonic() + 60
    while not (found := deployed.api.post("/flow_runs/filter", **running)):
        assert time.monotonic() < give_up
        time.sleep(0.5)
    time.sleep(5)
    process.kill()
    process.wait()
    ended = deployed.api.wait(found[0]["id"], patience=200)
    assert (ended["state_type"], ended["state"]["message"][:12]) == ("CRASHED", "Not heard of")
    apply_automations()
