"""A Prefect server on loopback that cannot outlive the process which started it.

Prefect's own temporary server is left behind when its flow is killed, and a pool of processes starts one for each of
its processes. This one hangs on a lifeline (`flows.lifeline`), and all processes are given its address.
"""

from __future__ import annotations

import argparse
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from urllib.error import URLError
from urllib.request import urlopen

import uvicorn

from flows.lifeline import Child, until_parent_ends

__all__ = ["NoServerError", "free_port", "local_server", "wait_until_healthy"]

START_TIMEOUT = 180.0
"""Seconds; a new database is migrated first, which takes a quarter of a minute on two cores."""


class NoServerError(Exception):
    """No Prefect server answers; the message says which, or why."""


@contextmanager
def local_server(
    environment: Mapping[str, str] | None = None, *, port: int | None = None, ui: bool = False
) -> Iterator[str]:
    """Bring a server up for the length of a ``with`` block.

    Parameters
    ----------
    environment
        Variables beside this process's own, such as ``PREFECT_HOME``.
    port
        Where it listens; a free port when None.
    ui
        Serve the UI too, and run the services that only a lasting server needs: scheduler, automations.

    Yields
    ------
    str
        The address of its API.

    Raises
    ------
    NoServerError
        When it ends early or does not answer in time.
    """
    port = free_port() if port is None else port
    address = f"http://127.0.0.1:{port}/api"
    # The UI's pages call the address that these name; without them, port 4200 whatever the port.
    places = {"PREFECT_SERVER_API_PORT": str(port), "PREFECT_API_URL": address} if ui else {}
    command = [__spec__.name, str(port), *(["--ui"] if ui else [])]
    with Child(command, {**(environment or {}), **places}, quiet=True) as child:
        wait_until_healthy(address, child.ended)
        yield address


def wait_until_healthy(
    address: str, ended: Callable[[], int | None] = lambda: None, timeout: float = START_TIMEOUT
) -> None:
    """Return when the API at ``address`` answers.

    Raises
    ------
    NoServerError
        When ``ended`` gives an exit status first, or ``timeout`` seconds pass.
    """
    give_up = time.monotonic() + timeout
    while time.monotonic() < give_up:
        status = ended()
        if status is not None:
            message = f"the Prefect server ended with status {status} before it answered"
            raise NoServerError(message)
        with suppress(URLError, OSError), urlopen(f"{address}/health", timeout=5) as answer:  # noqa: S310 - an http address
            if answer.status == 200:
                return
        time.sleep(0.1)
    message = f"the Prefect server at {address} did not answer within {timeout:.0f} s"
    raise NoServerError(message)


def free_port() -> int:
    """Return a port of the loopback address that nothing listens on."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _serve(port: int, *, ui: bool) -> None:
    if not ui:
        # The names under which Prefect marks a temporary server.
        os.environ.update(PREFECT_UI_ENABLED="0", PREFECT__SERVER_EPHEMERAL="1", PREFECT__SERVER_FINAL="1")
    settings = uvicorn.Config(
        "prefect.server.api.server:create_app",
        factory=True,
        host="127.0.0.1",
        port=port,
        log_level="error",
        lifespan="on",
        timeout_graceful_shutdown=3,
    )
    server = uvicorn.Server(settings)

    def stop() -> None:
        server.should_exit = True

    until_parent_ends(stop)
    server.run()


if __name__ == "__main__":
    reader = argparse.ArgumentParser()
    reader.add_argument("port", type=int)
    reader.add_argument("--ui", action="store_true")
    given = reader.parse_args()
    _serve(given.port, ui=given.ui)
