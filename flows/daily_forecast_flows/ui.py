"""``daily-forecast ui``: everything that operating the job needs, on this machine, until Ctrl-C.

Brings up, on loopback, a Prefect server with its own database, the work pool, the deployments, the automations and a
worker, and prints the address. Whatever ends it, all of it goes down; the database stays, so that the next time shows
what was. No run is left at work when its worker goes, and none that died is left Running: a Prefect worker kills the
processes of its runs at once when it ends, and their runs would stay Running, and hold their deployment's place.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterId,
    FlowRunFilterState,
    FlowRunFilterStateType,
    TaskRunFilter,
    TaskRunFilterState,
    TaskRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Cancelling, Crashed

from daily_forecast_flows.lifeline import Child
from daily_forecast_flows.options import PROJECT
from daily_forecast_flows.serve import DEPLOYMENTS
from daily_forecast_flows.server import local_server
from forecasting.commands import DONE, FAILED, complain
from forecasting.formatting import pluralize

__all__ = ["SETTINGS", "cancel_runs", "crash_leftovers", "operate", "pause_on_sample"]

POOL = "forecasts"
SAMPLE = "data"
"""The prices of deployments/prefect.yaml as it comes."""
CANCEL_WITHIN = 15.0
"""Seconds that runs at work have to end when all is taken down."""
AT_WORK = (StateType.PENDING, StateType.RUNNING, StateType.CANCELLING)
GONE = "The process that ran it is gone; what was published before is unchanged"

SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "forecasting,daily_forecast_flows",
    # What Prefect logs itself is on the runs' pages; the terminal keeps the address in sight.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    # In memory, as is the default, a place that a killed run held would be held forever once the server restarts.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    # The defaults record one task run at a time.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}


def operate(home: Path, port: int, notify: str | None) -> int:
    """Bring everything up, wait until interrupted or the worker ends, and take everything down.

    Parameters
    ----------
    home
        The folder of the server's database.
    port
        Where the server listens.
    notify
        Notification block for the automations, as ``TYPE/NAME``.

    Returns
    -------
    int
        The exit status.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    home.mkdir(parents=True, exist_ok=True)
    try:
        # Released by the kernel when its holder ends, however it ends.
        with FileLock(home / "ui.lock", timeout=0):
            return _operate(home, port, notify)
    except KeyboardInterrupt:
        return DONE
    except Timeout:
        return complain(f"It is up already: another process holds {home}", FAILED)


def _operate(home: Path, port: int, notify: str | None) -> int:
    environment = {**SETTINGS, "PREFECT_HOME": str(home)}
    _say("Starting the server ...")
    with local_server(environment, port=port, ui=True) as api:
        environment |= {"PREFECT_API_URL": api}
        _say("Deploying ...")
        if not all(_done(command, environment) for command in _preparations(notify)):
            return FAILED
        with SyncPrefectClient(api) as client:
            left, paused = crash_leftovers(client), pause_on_sample(client)
        worker = ["-m", "prefect", "worker", "start", "--pool", POOL, "--name", "local"]
        with Child(["daily_forecast_flows.lifeline", sys.executable, *worker], environment) as child:
            _say(f"The UI is at {api.removesuffix('/api')}")
            _say("Run the demo: Deployments, demo, Run. Ctrl-C takes everything down.")
            for line in _notes(left, paused, notify):
                _say(line)
            try:
                while child.ended() is None:
                    time.sleep(1.0)
            finally:
                with SyncPrefectClient(api) as client:
                    cancel_runs(client, CANCEL_WITHIN)
    return complain("The worker has ended", FAILED)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _notes(left: int, paused: Sequence[str], notify: str | None) -> Iterator[str]:
    if left:
        yield f"{pluralize(left, 'run')} of an earlier time had lost their process, and are marked Crashed."
    if paused:
        yield (
            f"The schedules of {' and '.join(paused)} are paused: they read the sample, which ends in 2013. Set prices "
            "in deployments/prefect.yaml to your own."
        )
    if notify is None:
        yield "Nobody is notified of late, failed or degraded runs: --notify names the block that is."


def _preparations(notify: str | None) -> Iterator[list[str]]:
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    yield [*prefect, "work-pool", "create", POOL, "--type", "process", "--overwrite"]
    yield [*prefect, "deploy", "--prefect-file", str(DEPLOYMENTS), "--all"]
    yield [
        sys.executable, "-m", "daily_forecast_flows", "automations", *(["--notify", notify] if notify else []),
    ]  # fmt: skip


def _done(command: Sequence[str], environment: dict[str, str]) -> bool:
    """Run a command in the project's folder, and show what it said when it failed."""
    result = subprocess.run(  # noqa: S603 - this interpreter's own modules
        command,
        cwd=PROJECT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if result.returncode:
        sys.stderr.write(result.stdout)
    return result.returncode == 0


def pause_on_sample(client: SyncPrefectClient) -> list[str]:
    """Pause the schedules of deployments that read the sample, which ends in 2013; returns the deployments' names."""
    paused = []
    for one in client.read_deployments():
        if one.schedules and one.parameters.get("prices") == SAMPLE:
            for schedule in one.schedules:
                client.update_deployment_schedule(one.id, schedule.id, active=False)
            paused.append(one.name)
    return sorted(paused)


def crash_leftovers(client: SyncPrefectClient) -> int:
    """Make the runs that the server has at work Crashed, their tasks too; returns how many there were.

    Only where nothing can be at work: before a server's one worker starts.
    """
    runs = _at_work(client)
    for run in runs:
        of_run = FlowRunFilter(id=FlowRunFilterId(any_=[run.id]))
        open_tasks = TaskRunFilter(state=TaskRunFilterState(type=TaskRunFilterStateType(any_=list(AT_WORK))))
        for task in client.read_task_runs(flow_run_filter=of_run, task_run_filter=open_tasks):
            client.set_task_run_state(task.id, Crashed(message=GONE), force=True)
        client.set_flow_run_state(run.id, Crashed(message=GONE), force=True)
    return len(runs)


def cancel_runs(client: SyncPrefectClient, wait: float) -> int:
    """Ask the runs at work to end, as a cancel in the UI does, and wait until they have; returns how many did not."""
    for run in _at_work(client):
        client.set_flow_run_state(run.id, Cancelling(message="The worker is going down"))
    give_up = time.monotonic() + wait
    while (left := _at_work(client)) and time.monotonic() < give_up:
        time.sleep(0.5)
    return len(left)


def _at_work(client: SyncPrefectClient) -> Sequence[FlowRun]:
    states = FlowRunFilterState(type=FlowRunFilterStateType(any_=list(AT_WORK)))
    return client.read_flow_runs(flow_run_filter=FlowRunFilter(state=states))
