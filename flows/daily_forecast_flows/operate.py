"""``daily-forecast ui``, ``serve`` and ``automations``: operating the deployments of deployments/prefect.yaml.

``ui`` brings up, on loopback, a Prefect server with its own database, the work pool, the deployments, the automations
and a worker. However it ends, all of these stop; the database stays, so that the next start shows the earlier runs. No
run is left active when its worker stops, and no dead run is left Running: a Prefect worker that ends kills the
processes of its runs, and these runs would stay Running and keep their deployment's concurrency slot.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import yaml
from filelock import FileLock, Timeout
from prefect import serve
from prefect.automations import Automation
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import ConcurrencyLimitConfig, FlowRun, State, StateType
from prefect.deployments.runner import RunnerDeployment
from prefect.exceptions import ObjectNotFound
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL, temporary_settings
from prefect.states import Cancelling, Crashed
from rich.console import Console

from daily_forecast_flows.options import PROJECT
from daily_forecast_flows.server import child, require_server, starting_server
from forecasting.buckets import address_of
from forecasting.commands import DONE, FAILED, complain
from forecasting.errors import InputError
from forecasting.formatting import pluralize
from forecasting.ingest.files import find_files

__all__ = ["SETTINGS", "apply_automations", "bring_up", "deployments", "serve_deployments"]

_INSTALLED = Path(__file__).with_name("deployments")
DEPLOYMENTS = (_INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "deployments") / "prefect.yaml"
"""A wheel brings the folder along inside the package."""
AUTOMATIONS = DEPLOYMENTS.with_name("automations.yaml")

POOL = "forecasts"
PRICES, SAMPLE = "data", "stocks.csv.gz"
"""Where deployments/prefect.yaml as it comes reads prices, and the file there that is the sample."""
CANCEL_WITHIN = 15.0
"""Seconds that active runs have to end when everything is shut down."""
AT_WORK = {"state": {"type": {"any_": [StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]}}}

SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "forecasting,daily_forecast_flows",
    # Prefect's own log is on the runs' pages; without it the address stays visible in the terminal.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    # With the default, in memory, the slot of a killed run would be taken forever once the server restarts.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    # The defaults record one task run at a time.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}


def bring_up(home: Path, port: int, notify: str | None) -> int:
    """Start everything, wait until interrupted or until the worker ends, and stop it all; returns the exit status.

    The server keeps its database in ``home``; the automations notify through the block ``notify``, a ``TYPE/NAME``.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    home.mkdir(parents=True, exist_ok=True)
    try:
        # Released by the kernel when its holder ends, however it ends.
        with FileLock(home / "ui.lock", timeout=0):
            return _bring_up({**SETTINGS, "PREFECT_HOME": str(home)}, port, notify)
    except KeyboardInterrupt:
        return DONE
    except Timeout:
        return complain(f"It is up already: another process holds {home}", FAILED)


def _bring_up(environment: dict[str, str], port: int, notify: str | None) -> int:
    say = Console(highlight=False, soft_wrap=True).print
    say("Starting the server ...")
    with starting_server(environment, port=port, ui=True) as wait, temporary_settings({PREFECT_API_URL: wait()}):
        environment |= {"PREFECT_API_URL": (api := PREFECT_API_URL.value())}
        say("Deploying ...")
        for command in (
            ["work-pool", "create", POOL, "--type", "process", "--overwrite"],
            ["deploy", "--prefect-file", str(DEPLOYMENTS), "--all"],
        ):
            own = [sys.executable, "-m", "prefect", "--no-prompt", *command]
            env = {**os.environ, **environment}
            done = subprocess.run(own, cwd=PROJECT, env=env, input="", capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode:
                sys.stderr.write(f"{done.stdout}{done.stderr}")
                return FAILED
        apply_automations(notify=notify)
        with SyncPrefectClient(api) as client:
            left, files = _crash_leftovers(client), _price_files()
            paused = [] if files - {SAMPLE} else _pause_unfed(client)
        with child(["prefect", "worker", "start", "--pool", POOL, "--name", "local"], environment) as worker:
            say(f"The UI is at {api.removesuffix('/api')}")
            say("Run the demo: Deployments, demo, Run. Ctrl-C takes everything down.")
            if not files:
                say(f"There are no prices in {(PROJECT / PRICES).absolute()} yet: put CSV files there before a run.")
            if left:
                say(f"{pluralize(left, 'run')} of an earlier time had lost their process, and are marked Crashed.")
            if paused:
                what = f"{PRICES}/ has no prices of your own (the sample ends in 2013). Put them there and start again."
                say(f"The schedules of {' and '.join(paused)} are paused: {what}")
            if notify is None:
                say("Nobody is notified of late, failed or degraded runs: --notify names the block that is.")
            try:
                while worker.poll() is None:
                    time.sleep(1.0)
            finally:
                with SyncPrefectClient(api) as client:
                    _cancel_runs(client)
    return complain("The worker has ended", FAILED)


def _price_files() -> set[str]:
    """Return the names of the price files that the deployments read as they come."""
    try:
        return {path.name for path in find_files(PROJECT / PRICES)}
    except InputError:
        return set()


def _pause_unfed(client: SyncPrefectClient) -> list[str]:
    """Pause the schedules of deployments that read the sample's folder; returns the deployments' names."""
    paused = [one for one in client.read_deployments() if one.schedules and one.parameters.get("prices") == PRICES]
    for one in paused:
        for schedule in one.schedules:
            client.update_deployment_schedule(one.id, schedule.id, active=False)
    return sorted(one.name for one in paused)


def _crash_leftovers(client: SyncPrefectClient) -> int:
    """Set the runs that the server believes to be active, and their tasks, to Crashed; returns how many there were.

    Only right while nothing can be running: before the server's only worker starts.
    """
    gone: State[Any] = Crashed(message="The process that ran it is gone; what was published before is unchanged")
    open_tasks, runs = TaskRunFilter.model_validate(AT_WORK), _at_work(client)
    for run in runs:
        of_run = FlowRunFilter.model_validate({"id": {"any_": [run.id]}})
        for task in client.read_task_runs(flow_run_filter=of_run, task_run_filter=open_tasks):
            client.set_task_run_state(task.id, gone, force=True)
        client.set_flow_run_state(run.id, gone, force=True)
    return len(runs)


def _cancel_runs(client: SyncPrefectClient) -> None:
    """Ask the active runs to end, as Cancel in the UI does, and wait until they have ended."""
    for run in _at_work(client):
        client.set_flow_run_state(run.id, Cancelling(message="The worker is going down"))
    give_up = time.monotonic() + CANCEL_WITHIN
    while _at_work(client) and time.monotonic() < give_up:
        time.sleep(0.5)


def _at_work(client: SyncPrefectClient) -> Sequence[FlowRun]:
    return client.read_flow_runs(flow_run_filter=FlowRunFilter.model_validate(AT_WORK))


def deployments() -> Iterator[RunnerDeployment]:
    """Make the deployments of deployments/prefect.yaml, without their work pool."""
    for one in yaml.safe_load(DEPLOYMENTS.read_text(encoding="utf-8"))["deployments"]:
        # From the project's folder, where a worker would run.
        places = {name: one["parameters"][name] for name in ("prices", "output")}
        absolute = {name: str(PROJECT.absolute() / path) for name, path in places.items() if address_of(path) is None}
        given = {key: value for key, value in one.items() if key != "work_pool"} | {
            "parameters": one["parameters"] | absolute,
            "concurrency_limit": ConcurrencyLimitConfig.model_validate(one["concurrency_limit"]),
            "schedules": [Cron(each.pop("cron"), **each) for each in one["schedules"]],
        }
        yield RunnerDeployment.from_entrypoint(**given)


def serve_deployments() -> int:
    """Poll for the deployments' runs without a work pool and a worker, until interrupted; returns the exit status.

    When it stops, their schedules are paused, because nothing would start their runs. An `InputError` says that no
    server is configured, or that the same deployments exist for a worker: serving would break those.
    """
    if not PREFECT_API_URL.value():
        raise InputError("no server is configured", setting="start one (make ui does) and set PREFECT_API_URL")
    require_server()
    made = list(deployments())
    with get_client(sync_client=True) as client:
        pools = {one.name: one.work_pool_name for one in client.read_deployments() if one.work_pool_name}
    if taken := [one.name for one in made if one.name in pools]:
        what = f"the server has {taken[0]} deployed to the work pool {pools[taken[0]]}, which serving would break"
        raise InputError(what, setting="start a worker for the pool, or `prefect deployment delete` them first")
    serve(*made, pause_on_shutdown=True, limit=2)
    return DONE


def apply_automations(path: Path = AUTOMATIONS, notify: str | None = None) -> list[str]:
    """Create the automations of a file on the server that is configured, or update those of the same name.

    Returns a sentence per automation. Those that notify use the block ``notify``, a ``TYPE/NAME`` (an `InputError` says
    that it does not exist); without one they are left as they are on the server.
    """
    require_server()
    given = yaml.safe_load(path.read_text(encoding="utf-8"))["automations"]
    with get_client(sync_client=True) as client:
        block = None if notify is None else _block(client, notify)
        return [_apply(client, one, block) for one in given]


def _apply(client: SyncPrefectClient, given: dict[str, Any], block: UUID | None) -> str:
    name = given["name"]
    sends = [action for action in given["actions"] if action["type"] == "send-notification"]
    if sends and block is None:
        return f"{name}: left out, since no notification block is named (--notify)"
    for action in sends:
        action["block_document_id"] = str(block)
    wanted = Automation.model_validate(given)
    there = client.read_automations_by_name(name)
    for double in there[1:]:
        client.delete_automation(double.id)
    if not there:
        wanted.create()
        return f"{name}: created"
    wanted.id = there[0].id
    wanted.update()
    return f"{name}: updated"


def _block(client: SyncPrefectClient, notify: str) -> UUID:
    kind, _, name = notify.partition("/")
    try:
        return client.read_block_document_by_name(name, kind).id
    except ObjectNotFound:
        setting = "make it in the UI under Blocks, or with `prefect block create`, and name it --notify TYPE/NAME"
        raise InputError(f'there is no notification block "{notify}"', setting=setting) from None
