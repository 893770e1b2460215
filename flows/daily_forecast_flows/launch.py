"""Running a flow from the command line: with the server that is configured, or with one of its own on loopback."""

from __future__ import annotations

import logging
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

# Before Prefect is imported, which reads them then. What Prefect logs itself goes to the run's page; the terminal
# gets what the command says, and this project's own warnings.
os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "forecasting,daily_forecast_flows")
os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")

import httpx
from prefect import Flow
from prefect.client.schemas.objects import State
from prefect.context import refresh_global_settings_context
from prefect.events.worker import EventsWorker
from prefect.exceptions import PrefectException
from prefect.logging.handlers import APILogWorker
from prefect.settings import PREFECT_API_URL, PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings

from daily_forecast_flows.options import RunOptions
from daily_forecast_flows.outcome import Outcome
from daily_forecast_flows.screen import show
from daily_forecast_flows.server import local_server, require_server
from daily_forecast_flows.tasks import LASTING
from forecasting.commands import DONE, FAILED, PARTIAL, STOPPED, complain
from forecasting.errors import InputError
from forecasting.store.store import Store, StoreLockedError

__all__ = ["conclude", "drain", "prefect_api", "run_flow"]


@contextmanager
def prefect_api() -> Iterator[None]:
    """Have an API to report to for the length of a ``with`` block: the one configured, else a server of our own.

    Raises
    ------
    NoServerError
        When none answers.
    """
    if PREFECT_API_URL.value():
        require_server()
        yield
        return
    with local_server() as address:
        # For all threads and processes: one that does not know of it would start another server.
        os.environ["PREFECT_API_URL"] = address
        refresh_global_settings_context()
        # Heartbeats let a lasting server find runs that died; here they would only cost a second at the flow's end.
        quiet: dict[Any, Any] = {PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
        try:
            with temporary_settings(quiet):
                yield
        finally:
            drain()
            del os.environ["PREFECT_API_URL"]
            refresh_global_settings_context()


def drain() -> None:
    """Send what is still on its way: it must be there before the server goes."""
    EventsWorker.drain_all(timeout=10)
    APILogWorker.drain_all(timeout=10)


def run_flow(flow: Flow[..., Any], options: RunOptions) -> int:
    """Run a flow with these options and say how it ended; returns the exit status.

    Raises
    ------
    InputError
        When the input turned out wrong.
    NoServerError
        When no server answers.
    """
    warnings = logging.StreamHandler()
    warnings.setLevel(logging.WARNING)
    for name in ("forecasting", "daily_forecast_flows"):
        logging.getLogger(name).addHandler(warnings)
    # Until the flow takes it over, and after: what is under way is taken down in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with prefect_api():
        try:
            state = flow(**options.model_dump(), return_state=True)
        except (httpx.TransportError, PrefectException) as error:
            newest = Store(options.output, create=False).latest()
            lost = f"the Prefect server was lost: {type(error).__name__}: {error}"
            return complain(f"{lost}; the newest date published in {options.output}: {newest}", FAILED)
    return conclude(cast("State[Any]", state))


def conclude(state: State[Any]) -> int:
    """Say how a run ended; returns the exit status.

    Raises
    ------
    InputError
        When the input turned out wrong.
    """
    if state.is_cancelled():
        return complain(state.message or "Stopped", STOPPED)
    outcome = state.result(raise_on_failure=False)
    if isinstance(outcome, InputError):
        raise outcome
    if isinstance(outcome, StoreLockedError) or (isinstance(outcome, OSError) and outcome.errno in LASTING):
        return complain(outcome, FAILED)
    if isinstance(outcome, BaseException):
        traceback.print_exception(outcome)
        return FAILED
    if isinstance(outcome, Outcome):
        show(outcome)
    else:
        sys.stdout.write(f"{outcome.message}\n")
    return PARTIAL if outcome.partial else DONE
