"""Ends that are asked for: a cancel in the UI, SIGTERM and Ctrl-C leave a run and its tasks Cancelled, not Crashed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect.client.schemas.objects import State
from prefect.exceptions import CancelledRun, TerminationSignal
from prefect.states import Cancelled

from forecasting.training import TrainingStoppedError

__all__ = ["cancellable", "result_of"]

Given = ParamSpec("Given")
Result = TypeVar("Result")


def cancellable(function: Callable[Given, Result]) -> Callable[Given, Result | State[Any]]:
    """Let a task or a flow end in the state Cancelled when it is stopped from outside."""

    @wraps(function)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result | State[Any]:
        try:
            return function(*args, **kwargs)
        except TrainingStoppedError:
            return Cancelled(message="Stopped while training; nothing of it is kept")
        except (TerminationSignal, KeyboardInterrupt, CancelledRun):
            return Cancelled(message="Stopped on request; what was published before stands")

    return run


def result_of(value: Result | State[Any]) -> Result:
    """Return what a task gave, or end the flow as cancelled when the task was.

    Raises
    ------
    CancelledRun
        When it was.
    """
    if isinstance(value, State):
        raise CancelledRun(value.message)
    return value
