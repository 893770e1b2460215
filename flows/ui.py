"""``make ui``: everything that operating the job needs, on this machine, until Ctrl-C.

Brings up, on loopback, a Prefect server with its own database under .prefect/, the work pool, the deployments, the
automations and a worker, and prints the address. Whatever ends it, all of it goes down; the database stays, so that the
next time shows what was.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from filelock import FileLock, Timeout
from prefect.client.orchestration import SyncPrefectClient
from rich.console import Console

from flows.leftovers import cancel_runs, crash_leftovers
from flows.lifeline import Child
from flows.local_server import NoServerError, free_port, local_server
from flows.options import PROJECT
from forecasting.formatting import count

__all__ = ["main", "operate", "pause_on_sample"]

POOL = "forecasts"
PORT = 4200
SAMPLE = "data"
"""The prices of deployments/prefect.yaml as it comes."""
CANCEL_WITHIN = 15.0
"""Seconds that runs at work have to end when all is taken down."""

SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "forecasting,flows",
    # What Prefect says of itself stands on the runs' pages; the terminal keeps the address in sight.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    # In memory, as is the default, a place that a killed run held would be held for ever once the server restarts.
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
    # The defaults record one task run at a time.
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_BATCH_SIZE": "100",
    "PREFECT_SERVER_SERVICES_TASK_RUN_RECORDER_FLUSH_INTERVAL": "1",
}


def operate(home: Path, port: int | None, notify: str | None) -> int:
    """Bring everything up, wait until interrupted or the worker ends, and take everything down.

    Parameters
    ----------
    home
        The folder of the server's database.
    port
        Where the server listens; 4200, or a free port when that is taken, when None.
    notify
        Notification block for the automations, as ``TYPE/NAME``.

    Returns
    -------
    int
        The exit status.
    """
    console = Console(highlight=False, soft_wrap=True)
    environment = {**SETTINGS, "PREFECT_HOME": str(home)}
    with local_server(environment, port=port or _port(), ui=True) as api:
        environment |= {"PREFECT_API_URL": api}
        ready = all(_done(command, environment) for command in _preparations(notify))
        if not ready:
            return 1
        with _client(api) as client:
            left = crash_leftovers(client)
            paused = pause_on_sample(client)
        # Its own output is the runs' log, which the UI has; errors come through.
        worker = Child(["flows.lifeline", *_worker()], environment, quiet=True)
        with worker:
            console.print(f"The UI is at {api.removesuffix('/api')}", markup=False)
            console.print("Run the demo: Deployments, demo, Run. Ctrl-C takes everything down.", markup=False)
            for line in _told(left, paused, notify):
                console.print(line, markup=False)
            try:
                while worker.ended() is None:
                    time.sleep(1.0)
            finally:
                with _client(api) as client:
                    cancel_runs(client, CANCEL_WITHIN)
        console.print("The worker has ended", markup=False)
    return 1


def pause_on_sample(client: SyncPrefectClient) -> list[str]:
    """Pause the schedules of deployments that read the sample, which ends in 2013; returns the deployments' names."""
    paused = []
    for one in client.read_deployments():
        if one.schedules and one.parameters.get("prices") == SAMPLE:
            for schedule in one.schedules:
                client.update_deployment_schedule(one.id, schedule.id, active=False)
            paused.append(one.name)
    return sorted(paused)


def _told(left: int, paused: Sequence[str], notify: str | None) -> Iterator[str]:
    if left:
        yield f"{count(left, 'run')} of an earlier time had lost their process, and are marked Crashed."
    if paused:
        yield (
            f"The schedules of {' and '.join(paused)} are paused: they read the sample, which ends in 2013. Set prices "
            "in deployments/prefect.yaml to your own."
        )
    if notify is None:
        yield "Nobody is told of late, failed or degraded runs: --notify names the block that is."


def _client(api: str) -> SyncPrefectClient:
    # By its address: this process's own settings may name another server, or none.
    return SyncPrefectClient(api)


def _preparations(notify: str | None) -> Iterator[list[str]]:
    prefect = [sys.executable, "-m", "prefect", "--no-prompt"]
    yield [*prefect, "work-pool", "create", POOL, "--type", "process", "--overwrite"]
    yield [*prefect, "deploy", "--prefect-file", "deployments/prefect.yaml", "--all"]
    yield [sys.executable, "-m", "flows.automations", *(["--notify", notify] if notify else [])]


def _worker() -> list[str]:
    return [sys.executable, "-m", "prefect", "worker", "start", "--pool", POOL, "--name", "local"]


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


def _port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        return free_port() if probe.connect_ex(("127.0.0.1", PORT)) == 0 else PORT


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    # Released by the kernel when its holder ends, however it ends.
    with FileLock(home / "ui.lock", timeout=0):
        yield


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    app = App(name="python -m flows.ui", help=__doc__, version_flags=[], result_action="return_value")

    @app.default
    def run(
        *,
        port: Annotated[int | None, Parameter(help="Port of the UI (default: 4200, or a free one).")] = None,
        notify: Annotated[str | None, Parameter(help="Block that automations notify, as TYPE/NAME.")] = None,
        home: Annotated[Path, Parameter(help="Folder of the server's database.")] = PROJECT / ".prefect",
    ) -> int:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.default_int_handler)
        try:
            with _only_one(home):
                return operate(home, port, notify)
        except KeyboardInterrupt:
            return 0
        except Timeout:
            Console(stderr=True, soft_wrap=True).print(f"It is up already: another make ui holds {home}", markup=False)
            return 1
        except NoServerError as error:
            Console(stderr=True, soft_wrap=True).print(str(error), markup=False)
            return 1

    status: int = app(argv) or 0
    return status


if __name__ == "__main__":
    sys.exit(main())
