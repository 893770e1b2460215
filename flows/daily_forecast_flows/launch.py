"""Running a flow from the command line: with the configured Prefect server, or with its own server on loopback."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from typing import Any

# Before Prefect is imported, which reads them then. What Prefect logs itself goes to the run's page; the terminal
# gets what the command says, and this project's own warnings.
os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "forecasting,daily_forecast_flows")
os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

import httpx
from prefect.context import refresh_global_settings_context
from prefect.events.worker import EventsWorker
from prefect.exceptions import PrefectException
from prefect.logging.handlers import APILogWorker
from prefect.settings import (
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    temporary_settings,
)

from daily_forecast_flows import importing
from daily_forecast_flows.options import RunOptions
from daily_forecast_flows.server import require_server, starting_server
from forecasting.commands import DONE, FAILED, PARTIAL, complain

__all__ = ["drain", "run_flow"]


def run_flow(place: str, options: RunOptions) -> int:
    """Run the flow at ``module:name`` with these options and say how it ended; returns the exit status.

    Raises
    ------
    InputError, NoServerError
        When the input turned out wrong, or no server answers.
    """
    warnings = logging.StreamHandler()
    warnings.setLevel(logging.WARNING)
    for name in ("forecasting", "daily_forecast_flows"):
        logging.getLogger(name).addHandler(warnings)
    logging.raiseExceptions = False  # a log line that did not reach the server says nothing about the run
    # Before the flow installs its own handler, and after: a SIGTERM shuts everything down in order, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _prefect_api() as wait:
        # torch and pandas take as long to import as a server to start: here the two overlap.
        with importing():
            module, _, name = place.partition(":")
            flow: Callable[..., Any] = getattr(import_module(module), name)
            from daily_forecast_flows.outcome import exit_status, show  # noqa: PLC0415
            from daily_forecast_flows.tasks import listener  # noqa: PLC0415
            from forecasting.store.store import Store  # noqa: PLC0415

        wait()
        ended: list[Any] = []

        def hear(what: Any) -> None:
            show(what)
            ended.append(what)
            patience.enter_context(_hurrying())

        hearing, patience = listener.set(hear), ExitStack()
        try:
            return exit_status(flow(**options.model_dump(), return_state=True))
        except (httpx.TransportError, PrefectException) as error:
            lost = f"the Prefect server was lost: {type(error).__name__}: {error}"
            if ended:
                return complain(lost, PARTIAL if ended[0].partial else DONE)
            newest = Store(options.output, create=False).latest()
            return complain(f"{lost}; the newest date published in {options.output}: {newest}", FAILED)
        finally:
            patience.close()
            listener.reset(hearing)


@contextmanager
def _prefect_api() -> Iterator[Callable[[], None]]:
    """Provide a Prefect API for the length of a ``with`` block: the configured one, else that of our own server.

    Yields a function that waits until the API answers, and makes this process use it.
    """
    if PREFECT_API_URL.value():
        yield require_server
        return
    # Heartbeats would only cost a second at the flow's end; and our own server, when it does not answer, is gone.
    own: dict[Any, Any] = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None, PREFECT_CLIENT_MAX_RETRIES: 2}
    with ExitStack() as stack:
        answer = stack.enter_context(starting_server())

        def wait() -> None:
            # For all threads and processes: one that does not know the address would start another server.
            os.environ["PREFECT_API_URL"] = answer()
            refresh_global_settings_context()
            stack.callback(refresh_global_settings_context)  # callbacks run last in, first out
            stack.callback(os.environ.pop, "PREFECT_API_URL")
            stack.enter_context(temporary_settings(own))
            stack.callback(drain)

        yield wait


@contextmanager
def _hurrying() -> Iterator[None]:
    """Ask a server that does not answer only once more, not for a minute each time: little is left to report."""
    before = os.environ.get("PREFECT_CLIENT_MAX_RETRIES")
    os.environ["PREFECT_CLIENT_MAX_RETRIES"] = "1"
    refresh_global_settings_context()
    try:
        yield
    finally:
        del os.environ["PREFECT_CLIENT_MAX_RETRIES"]
        os.environ |= {} if before is None else {"PREFECT_CLIENT_MAX_RETRIES": before}
        refresh_global_settings_context()


def drain() -> None:
    """Send the events and logs that are still queued, before the server stops."""
    EventsWorker.drain_all(timeout=10)
    APILogWorker.drain_all(timeout=10)
