"""The deployments, on a real server with its database and, where a run is made, a real worker."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pandas as pd
import pytest
import yaml

from forecasting.calendars import newest_due_session
from forecasting.store.store import Store

ROOT = Path(__file__).resolve().parents[2]
NEW_YORK = ZoneInfo("America/New_York")
QUICK = {"epochs": 1, "members": 1, "horizon": 2}


def test_the_daily_deployment_is_one_at_a_time_and_held_to_its_parameters(deployed):
    daily = deployed.daily_forecast
    assert daily["global_concurrency_limit"]["limit"] == 1
    assert daily["concurrency_options"]["collision_strategy"] == "ENQUEUE"
    assert daily["enforce_parameter_schema"]
    assert daily["parameters"]["as_of"] == "scheduled"
    properties = daily["parameter_openapi_schema"]["properties"]
    assert properties["device"]["enum"] == ["auto", "cpu", "cuda", "mps"]
    assert properties["horizon"]["description"].startswith("Sessions ahead")
    assert deployed.demo["parameters"]["as_of"] == "latest"


def test_the_scheduler_makes_the_next_runs_by_itself(deployed):
    give_up = time.monotonic() + 90
    chosen = {"deployments": {"id": {"any_": [deployed.daily_forecast["id"]]}}, "flow_runs": {"state": {}}}
    while not (found := deployed.api.post("/flow_runs/filter", **chosen)) and time.monotonic() < give_up:
        time.sleep(1)
    assert {(one["auto_scheduled"], one["state_type"]) for one in found} == {(True, "SCHEDULED")}


@pytest.mark.parametrize("change", [date(2027, 3, 14), date(2027, 11, 7)])
def test_runs_are_scheduled_after_the_close_in_new_york_across_a_clock_change(deployed, change):
    began, ended = (datetime.combine(change, datetime.min.time(), UTC) + timedelta(days=d) for d in (-7, 7))
    daily = deployed.daily_forecast["id"]
    window = {"start_time": began.isoformat(), "end_time": ended.isoformat(), "min_runs": 10, "max_runs": 50}
    deployed.api.post(f"/deployments/{daily}/schedule", **window)
    found = deployed.api.post(
        "/flow_runs/filter",
        deployments={"id": {"any_": [daily]}},
        flow_runs={"expected_start_time": {"after_": began.isoformat(), "before_": ended.isoformat()}},
    )
    times = sorted(datetime.fromisoformat(one["expected_start_time"]) for one in found)
    local = [one.astimezone(NEW_YORK) for one in times]
    assert {(one.hour, one.minute) for one in local} == {(18, 30)}
    assert [one.weekday() for one in local] == [0, 1, 2, 3, 4] * 2
    assert len({one.hour for one in times}) == 2, "the clock does not change in these weeks"


def test_serving_without_a_worker_makes_the_same_deployments():
    from daily_forecast_flows.operate import DEPLOYMENTS, deployments

    served = {one.name: one for one in deployments()}
    given = {one["name"]: one for one in yaml.safe_load(DEPLOYMENTS.read_text())["deployments"]}
    assert list(served) == list(given)
    for name, one in given.items():
        assert served[name].concurrency_limit == one["concurrency_limit"]["limit"]
        assert [each.schedule.cron for each in served[name].schedules] == [each["cron"] for each in one["schedules"]]
        assert {key: served[name].parameters[key] for key in one["parameters"] if key not in ("prices", "output")} == {
            key: value for key, value in one["parameters"].items() if key not in ("prices", "output")
        }


@pytest.mark.usefixtures("prefect_api", "deployed")
def test_serving_what_is_deployed_to_a_pool_is_refused(capsys):
    from daily_forecast_flows.command import main

    assert main(["serve"]) == 2
    assert "deployed to the work pool forecasts, which serving would break" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["docker", "kubernetes"])
def test_the_examples_for_containers_deploy_without_an_edited_file(kind, deployed, prefect_api, tmp_path):
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import VariableCreate, WorkPoolCreate

    example = yaml.safe_load((ROOT / "deployments" / f"{kind}.yaml").read_text())
    places = {"forecast_image": "registry.example/forecast", "forecast_prices": "/prices", "forecast_store": "/store"}
    # No image is built here, as there is no Docker: the rest is applied as it is, from a folder without the project.
    example = {key: value for key, value in example.items() if key not in ("build", "push")}
    example["deployments"][0]["work_pool"]["job_variables"]["image"] = "{{ prefect.variables.forecast_image }}"
    (tmp_path / "prefect.yaml").write_text(yaml.safe_dump(example))
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=f"forecasts-{kind}", type=kind))
        for name, value in places.items():
            if client.read_variable_by_name(name) is None:
                client.create_variable(VariableCreate(name=name, value=value))
    command = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--prefect-file", "prefect.yaml", "--all"]
    environment = {**os.environ, "PREFECT_API_URL": prefect_api}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    made = deployed.api.get(f"/deployments/name/daily-forecast/daily-forecast-{kind}")
    assert (made["parameters"]["prices"], made["parameters"]["output"]) == ("/prices", "/store")
    assert made["entrypoint"] == "daily_forecast.daily_forecast"
    assert made["job_variables"]["image"] == "registry.example/forecast"
    assert [list(step) for step in made["pull_steps"]] == [["prefect.deployments.steps.set_working_directory"]]


def test_the_images_entry_point_leaves_the_commands_of_work_pools_alone():
    (entry,) = [line for line in (ROOT / "Dockerfile").read_text().splitlines() if line.startswith("ENTRYPOINT")]
    shell, *rest = json.loads(entry.removeprefix("ENTRYPOINT"))
    script = [shell, rest[0], rest[1].replace("exec", "echo"), rest[2]]

    def started(*command: str) -> str:
        return subprocess.run([*script, *command], capture_output=True, text=True, check=True).stdout.strip()

    assert started("prefect", "flow-run", "execute") == "prefect flow-run execute"
    assert started("run", "--prices", "a b") == "daily-forecast run --prices a b"


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"device": "abacus"}, {"as_of": "tomorrow"}])
def test_wrong_parameters_are_refused_at_submission(deployed, wrong):
    with pytest.raises(httpx.HTTPStatusError, match=r"409|422"):
        deployed.api.start(deployed.daily_forecast["id"], wrong)


def test_a_triggered_run_completes_on_a_worker_and_publishes(deployed, worker, price_file, tmp_path):
    prices = price_file(tmp_path / "prices.csv", "AAA")
    given = {"prices": str(prices), "output": str(tmp_path / "store"), **QUICK}
    run = deployed.api.wait(deployed.api.start(deployed.demo["id"], given))
    assert (run["state_type"], run["name"]) == ("COMPLETED", "2024-06-28, 1 ticker")
    assert list(pd.read_parquet(tmp_path / "store" / "forecasts")["ticker"].unique()) == ["AAA"]


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_api")
def test_credentials_of_a_bucket_come_from_blocks_and_are_in_no_log_or_file(deployed, price_file, tmp_path, request):
    pytest.importorskip("obstore")
    moto, boto3 = pytest.importorskip("moto.server"), pytest.importorskip("boto3")
    from prefect.blocks.system import Secret
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.actions import WorkPoolUpdate

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    request.addfinalizer(server.stop)
    where = "http://{}:{}".format(*server.get_host_and_port())
    secrets = {"AWS_ACCESS_KEY_ID": "a-key-to-look-for", "AWS_SECRET_ACCESS_KEY": "a-secret-to-look-for"}
    env = {"AWS_ENDPOINT": where, "AWS_REGION": "us-east-1", "AWS_ALLOW_HTTP": "true"}
    for name, value in secrets.items():
        block = name.lower().replace("_", "-")
        Secret(value=value).save(block, overwrite=True)
        env[name] = f"{{{{ prefect.blocks.secret.{block} }}}}"
    with get_client(sync_client=True) as client:
        template = client.read_work_pool("forecasts").base_job_template
        own = json.loads(json.dumps(template))
        own["variables"]["properties"]["env"]["default"] = env
        client.update_work_pool("forecasts", WorkPoolUpdate(base_job_template=own))
    aws = boto3.client(
        "s3", endpoint_url=where, region_name="us-east-1", **{name.lower(): value for name, value in secrets.items()}
    )
    aws.create_bucket(Bucket="forecasts")
    aws.upload_file(str(price_file(tmp_path / "AAA.csv", "AAA")), "forecasts", "prices/AAA.csv")
    request.getfixturevalue("worker")
    given = {"prices": "s3://forecasts/prices/", "output": "s3://forecasts/store", **QUICK}
    try:
        ended = deployed.api.wait(deployed.api.start(deployed.demo["id"], given))
    finally:
        with get_client(sync_client=True) as client:
            client.update_work_pool("forecasts", WorkPoolUpdate(base_job_template=template))
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    files = [one["Key"] for one in aws.list_objects_v2(Bucket="forecasts", Prefix="store/")["Contents"]]
    assert any(name.endswith("forecasts.parquet") for name in files)
    texts = [aws.get_object(Bucket="forecasts", Key=name)["Body"].read() for name in files]
    texts += [json.dumps(one).encode() for one in (ended, deployed.demo)]
    chosen = {"flow_run_id": {"any_": [ended["id"]]}}
    texts += [one["message"].encode() for one in deployed.api.post("/logs/filter", logs=chosen)]
    assert not any(b"to-look-for" in text for text in texts)


@pytest.mark.slow
def test_three_missed_ticks_end_in_one_publication_of_the_newest_session(
    deployed, prefect_server, request, price_file, tmp_path
):
    session = newest_due_session("XNYS", datetime.now(UTC))
    prices = price_file(tmp_path / "prices.csv", "AAA", end=str(session))
    given = {"prices": str(prices), "output": str(tmp_path / "store"), "data_deadline": 0, **QUICK}
    past = pd.bdate_range(end=session, periods=3).date
    ticks = [datetime.combine(day, datetime.min.time(), NEW_YORK).replace(hour=18, minute=30) for day in past]
    runs = [deployed.api.start(deployed.daily_forecast["id"], given, at=tick) for tick in ticks]
    request.getfixturevalue("worker")

    states = [deployed.api.wait(run) for run in runs]
    # What comes while another is at work waits for it, and then has nothing to do.
    assert {one["state_type"] for one in states} == {"COMPLETED"}
    published = [one for one in states if "published" in (one["state"]["message"] or "") and "1 ticker" in one["name"]]
    assert len(published) == 1
    assert Store(tmp_path / "store").dates() == (session,)


@pytest.mark.slow
def test_a_cancelled_run_ends_within_seconds_with_its_tasks_and_the_next_succeeds(
    deployed, worker, price_file, tmp_path
):
    prices = price_file(tmp_path / "prices.csv", "AAA")
    given = {"prices": str(prices), "output": str(tmp_path / "store"), **QUICK}
    run = deployed.api.start(deployed.demo["id"], {**given, "preset": "tutorial", "epochs": 100_000})
    give_up = time.monotonic() + 120
    while deployed.api.tasks(run).get("train and evaluate") != "Running":
        assert time.monotonic() < give_up
        time.sleep(0.5)
    asked = time.monotonic()
    cancelling = {"type": "CANCELLING", "name": "Cancelling"}
    deployed.api.post(f"/flow_runs/{run}/set_state", state=cancelling)
    ended = deployed.api.wait(run)
    assert (ended["state_type"], ended["state_name"]) == ("CANCELLED", "Cancelled")
    assert time.monotonic() - asked < 25
    time.sleep(2)
    assert set(deployed.api.tasks(run).values()) <= {"Completed", "Cancelled"}
    logs = deployed.api.post("/logs/filter", logs={"flow_run_id": {"any_": [run]}}, sort="TIMESTAMP_ASC")
    assert [one["message"] for one in logs if "Traceback" in one["message"]] == []
    assert Store(tmp_path / "store").dates() == ()
    assert deployed.api.wait(deployed.api.start(deployed.demo["id"], given))["state_type"] == "COMPLETED"
