"""A Prefect server on loopback, and other child processes, that cannot outlive the process which started them.

Prefect's own temporary server keeps running when its flow is killed, and each process of a pool starts another one. A
`child` reads from a pipe whose writing end only its parent holds. When the parent ends, even by a kill, the pipe closes
and the child stops, on Linux and on macOS. The server's port is bound before it starts, so that only this server can
answer there.
"""

from __future__ import annotations

import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import uvicorn
from prefect.client.orchestration import SyncPrefectClient, get_client

from daily_forecast_flows import importing

__all__ = ["NoServerError", "child", "require_server", "starting_server"]

GRACE = 10.0
"""Seconds between asking a process to end and ending it."""

START_TIMEOUT = 180.0
"""Seconds; a new database is migrated first, which takes a quarter of a minute on two cores."""


class NoServerError(ConnectionError):
    """No Prefect server answers; the message says which, or why."""


@contextmanager
def child(
    arguments: Sequence[str], environment: Mapping[str, str] | None = None, descriptors: Sequence[int] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Run this module as a process that ends with its parent, for the length of a ``with`` block.

    Its arguments are ``prefect`` and those of Prefect's own command, or ``serve`` and the descriptor of a bound socket.
    """
    # In its own session: Ctrl-C in the terminal reaches only the parent, which ends its children in order.
    # Errors are shown; the rest of its output is in the UI.
    process = subprocess.Popen(  # noqa: S603 - this interpreter and this module
        [sys.executable, "-m", __spec__.name, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
        pass_fds=descriptors,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(timeout=2 * GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def starting_server(
    environment: Mapping[str, str] | None = None, *, port: int = 0, ui: bool = False
) -> Iterator[Callable[[], str]]:
    """Start a server for the length of a ``with`` block; the caller can work while it starts.

    It listens at ``port``, or at a free port when that is 0. With ``ui`` it has pages, scheduler and automations.
    Yields a function that waits until the server answers and returns the address of its API. A `NoServerError` says
    that the port is taken, or that the server ended early or does not answer in time.
    """
    try:
        bound = socket.create_server(("127.0.0.1", port))
    except OSError as error:
        what = f"port {port} of this machine cannot be listened on ({os.strerror(error.errno or 0)})"
        raise NoServerError(f"{what}; name another with --port") from None
    port = bound.getsockname()[1]
    address = f"http://127.0.0.1:{port}/api"
    settings = {**(environment or {})}
    if ui:  # its pages call this address; without it they would call port 4200, whatever the server's port is
        settings |= {"PREFECT_SERVER_API_PORT": str(port), "PREFECT_API_URL": address}
        settings |= {"PREFECT_UI_URL": address.removesuffix("/api")}
    else:  # the names under which Prefect marks a temporary server
        settings |= {"PREFECT_UI_ENABLED": "0", "PREFECT__SERVER_EPHEMERAL": "1", "PREFECT__SERVER_FINAL": "1"}
    with child(["serve", str(bound.fileno())], settings, [bound.fileno()]) as server:
        bound.close()  # only the child holds it now: when the child is gone, connections are refused at once

        def wait() -> str:
            # By its address: this process's settings may name another server, or none.
            with SyncPrefectClient(address) as client:
                _wait(client, address, START_TIMEOUT, server.poll)
            return address

        yield wait


def require_server() -> None:
    """Check that the configured API answers, with all settings of Prefect's own client: keys, headers, certificates.

    Raises
    ------
    NoServerError
        When it does not answer.
    """
    with get_client(sync_client=True) as client:
        _wait(client, str(client.api_url), 10)


def _wait(
    client: SyncPrefectClient, address: str, timeout: float, ended: Callable[[], int | None] = lambda: None
) -> None:
    give_up = time.monotonic() + timeout
    while (problem := client.api_healthcheck()) is not None:
        answer = getattr(getattr(problem, "response", None), "status_code", None)
        who = f"the Prefect server at {address}"
        if answer in (401, 403):
            raise NoServerError(f"{who} requires a login; set PREFECT_API_KEY or PREFECT_API_AUTH_STRING")
        if (status := ended()) is not None:
            raise NoServerError(f"{who} ended with status {status} before it answered")
        if time.monotonic() >= give_up:
            raise NoServerError(f"{who} did not answer within {timeout:.0f} s ({problem})")
        time.sleep(0.1)


def _stop_with_parent(stop: Callable[[], None]) -> None:
    """Call ``stop`` when the parent has ended; `GRACE` later, kill this process and all that it started."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        stop()
        time.sleep(GRACE)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


def _serve(descriptor: int) -> None:
    app = "prefect.server.api.server:create_app"
    settings = uvicorn.Config(app, factory=True, log_level="error", lifespan="on", timeout_graceful_shutdown=3)
    server = uvicorn.Server(settings)
    _stop_with_parent(lambda: setattr(server, "should_exit", True))
    with importing():
        settings.load()
    server.run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        _serve(int(sys.argv[2]))
    else:
        _stop_with_parent(lambda: os.killpg(0, signal.SIGTERM))
        sys.argv = sys.argv[1:]
        runpy.run_module("prefect", run_name="__main__", alter_sys=True)
