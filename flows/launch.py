"""Running a flow from the command line: with the server that is configured, or with one of its own on loopback."""

from __future__ import annotations

import logging
import os
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

# Before Prefect is imported, which reads them then. What Prefect says of itself goes to the run's page; the terminal
# gets what the command says, and this project's own warnings.
os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "forecasting,flows")
os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

from prefect import Flow
from prefect.client.schemas.objects import State
from prefect.context import refresh_global_settings_context
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from rich.console import Console

from flows.command import DONE, FAILED, PARTIAL, STOPPED
from flows.local_server import NoServerError, local_server, wait_until_healthy
from flows.options import RunOptions
from flows.outcome import Outcome
from flows.screen import show
from forecasting.errors import InputError
from forecasting.store.store import StoreLockedError


@contextmanager
def prefect_api() -> Iterator[str]:
    """Have an API to report to for the length of a ``with`` block: the one configured, else a server of our own.

    Raises
    ------
    NoServerError
        When none answers.
    """
    configured = PREFECT_API_URL.value()
    if configured:
        wait_until_healthy(configured, lambda: None, timeout=10)
        yield configured
        return
    with local_server() as address:
        # For all threads and processes: one that does not know of it would start another server.
        os.environ["PREFECT_API_URL"] = address
        refresh_global_settings_context()
        # Heartbeats tell a lasting server of runs that died; here they would only cost a second at the flow's end.
        quiet: dict[Any, Any] = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        try:
            with temporary_settings(quiet):
                yield address
        finally:
            drain()
            del os.environ["PREFECT_API_URL"]
            refresh_global_settings_context()


def drain() -> None:
    """Send what is still on its way: it must be there before the server goes."""
    EventsWorker.drain_all(timeout=10)
    APILogWorker.drain_all(timeout=10)


def run_flow(flow: Flow[..., Any], options: RunOptions) -> int:
    """Run a flow with these options and say what came of it; returns the exit status.

    Raises
    ------
    InputError
        When the input turned out wrong.
    """
    _show_warnings()
    # Until the flow takes it over, and after: what is under way is taken down in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with prefect_api():
            state = flow(**options.model_dump(), return_state=True)
    except NoServerError as error:
        _complain(str(error))
        return FAILED
    return conclude(cast("State[Any]", state))


def conclude(state: State[Any]) -> int:
    """Say how a run ended; returns the exit status.

    Raises
    ------
    InputError
        When the input turned out wrong.
    """
    if state.is_cancelled():
        _complain(state.message or "Stopped")
        return STOPPED
    outcome = state.result(raise_on_failure=False)
    if isinstance(outcome, InputError):
        raise outcome
    if isinstance(outcome, StoreLockedError):
        _complain(str(outcome))
        return FAILED
    if isinstance(outcome, BaseException):
        traceback.print_exception(outcome)
        return FAILED
    if isinstance(outcome, Outcome):
        show(outcome)
    else:
        Console(soft_wrap=True, highlight=False).print(outcome.message, markup=False)
    return PARTIAL if outcome.partial else DONE


def _show_warnings() -> None:
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    for name in ("forecasting", "flows"):
        logging.getLogger(name).addHandler(handler)


def _complain(message: str) -> None:
    Console(stderr=True, soft_wrap=True, highlight=False).print(message, markup=False)
