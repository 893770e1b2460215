"""A Prefect server on loopback that cannot outlive the process which started it.

Prefect's own temporary server is left behind when its flow is killed, and a pool of processes starts one for each of
its processes. This one hangs on a lifeline (`daily_forecast_flows.lifeline`), and all processes are given its address.
Its port is bound before it is started, so that whatever answers there is this server and no other.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import uvicorn
from prefect.client.orchestration import SyncPrefectClient, get_client

from daily_forecast_flows.lifeline import Child, NoServerError, until_parent_ends

__all__ = ["local_server", "require_server", "starting_server"]

START_TIMEOUT = 180.0
"""Seconds; a new database is migrated first, which takes a quarter of a minute on two cores."""


@contextmanager
def local_server(environment: Mapping[str, str] | None = None, *, port: int = 0, ui: bool = False) -> Iterator[str]:
    """Bring a server up for the length of a ``with`` block, as `starting_server` does; yields its address."""
    with starting_server(environment, port=port, ui=ui) as wait:
        yield wait()


@contextmanager
def starting_server(
    environment: Mapping[str, str] | None = None, *, port: int = 0, ui: bool = False
) -> Iterator[Callable[[], str]]:
    """Start a server for the length of a ``with`` block, and leave the caller free while it comes up.

    Parameters
    ----------
    environment
        Variables beside this process's own, such as ``PREFECT_HOME``.
    port
        Where it listens; a free port when 0.
    ui
        Serve the UI too, and run the services that only a lasting server needs: scheduler, automations.

    Yields
    ------
    Callable
        Waits until the server answers, and returns the address of its API.

    Raises
    ------
    NoServerError
        When the port is taken, or the server ends early or does not answer in time.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind(("127.0.0.1", port))
        except OSError as error:
            message = f"port {port} of this machine cannot be listened on ({error.strerror}); name another with --port"
            raise NoServerError(message) from None
        port = bound.getsockname()[1]
        address = f"http://127.0.0.1:{port}/api"
        # The UI's pages call the address that these name; without them, port 4200 whatever the port.
        places = {
            "PREFECT_SERVER_API_PORT": str(port),
            "PREFECT_API_URL": address,
            "PREFECT_UI_URL": address.removesuffix("/api"),
        }
        arguments = [__spec__.name, str(bound.fileno()), *(["--ui"] if ui else [])]
        with Child(arguments, {**(environment or {}), **(places if ui else {})}, [bound.fileno()]) as child:

            def wait() -> str:
                # By its address: this process's own settings may name another server, or none.
                with SyncPrefectClient(address) as client:
                    _wait(client, address, START_TIMEOUT, child.ended)
                return address

            yield wait


def require_server() -> None:
    """Return when the configured API answers, by all settings of Prefect's own client: keys, headers, certificates.

    Raises
    ------
    NoServerError
        When it does not.
    """
    with get_client(sync_client=True) as client:
        _wait(client, str(client.api_url), 10)


def _wait(
    client: SyncPrefectClient, address: str, timeout: float, ended: Callable[[], int | None] = lambda: None
) -> None:
    give_up = time.monotonic() + timeout
    while (problem := client.api_healthcheck()) is not None:
        answer = getattr(getattr(problem, "response", None), "status_code", None)
        if answer in (401, 403):
            message = f"the Prefect server at {address} wants a login; set PREFECT_API_KEY or PREFECT_API_AUTH_STRING"
            raise NoServerError(message)
        if (status := ended()) is not None:
            message = f"the Prefect server ended with status {status} before it answered"
            raise NoServerError(message)
        if time.monotonic() >= give_up:
            message = f"the Prefect server at {address} did not answer within {timeout:.0f} s ({problem})"
            raise NoServerError(message)
        time.sleep(0.1)


def _serve(descriptor: int, *, ui: bool) -> None:
    if not ui:
        # The names under which Prefect marks a temporary server.
        os.environ.update(PREFECT_UI_ENABLED="0", PREFECT__SERVER_EPHEMERAL="1", PREFECT__SERVER_FINAL="1")
    settings = uvicorn.Config(
        "prefect.server.api.server:create_app",
        factory=True,
        log_level="error",
        lifespan="on",
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(settings)

    def stop() -> None:
        server.should_exit = True

    until_parent_ends(stop)
    server.run(sockets=[socket.socket(fileno=descriptor)])


if __name__ == "__main__":
    _serve(int(sys.argv[1]), ui="--ui" in sys.argv)
