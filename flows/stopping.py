"""Ends told plainly: what was stopped from outside is Cancelled, not Crashed, and wrong input needs no traceback."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from prefect.client.schemas.objects import State
from prefect.exceptions import CancelledRun, TerminationSignal
from prefect.states import Cancelled, Failed

from forecasting.errors import InputError
from forecasting.model.training import TrainingStoppedError

__all__ = ["cancellable", "failing_plainly", "result_of"]

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


def failing_plainly(function: Callable[Given, Result]) -> Callable[Given, Result | State[Any]]:
    """Let a flow that was given wrong input fail with that message as its own, where the UI shows it first."""

    @wraps(function)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result | State[Any]:
        try:
            return function(*args, **kwargs)
        except InputError as error:
            return Failed(message=str(error), data=error)

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
