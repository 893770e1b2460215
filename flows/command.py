"""The command line of the flows: reads options, says what is wrong before anything starts, and gives the exit status.

Importing Prefect takes a second or two, and so does torch; neither is imported before the options and the input have
been looked at, so that ``--help`` and a plain mistake are answered at once.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypeVar

import pydantic
from cyclopts import App, CycloptsError, Parameter
from rich.console import Console

from flows.options import Options
from forecasting.errors import InputError
from forecasting.formatting import printable

__all__ = [
    "DONE",
    "FAILED",
    "PARTIAL",
    "STOPPED",
    "WRONG_INPUT",
    "first_problem",
    "main",
    "read_options",
    "run_command",
]

DONE, FAILED, WRONG_INPUT, PARTIAL, STOPPED = 0, 1, 2, 3, 130
"""Exit statuses; a run that was stopped, by Ctrl-C or SIGTERM, ends as shells have it for Ctrl-C."""

Model = TypeVar("Model", bound=pydantic.BaseModel)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the daily forecast from the command line; returns the exit status."""

    def run(options: Options) -> int:
        # Here and not above: pandas, then Prefect and torch, are seconds that help and plain mistakes can be spared.
        from flows.precheck import check  # noqa: PLC0415

        check(options)
        from flows.launch import run_flow  # noqa: PLC0415, I001 - it sets Prefect's logging up, so comes first
        from flows.daily_forecast import daily_forecast  # noqa: PLC0415

        return run_flow(daily_forecast, options)

    purpose = "Forecast the next sessions' Open of every ticker, and publish it beside its scores."
    return run_command(Options, argv, name="daily_forecast.py", purpose=purpose, run=run)


def run_command(
    model: type[Model],
    argv: Sequence[str] | None,
    *,
    name: str,
    purpose: str,
    run: Callable[[Model], int],
) -> int:
    """Read the options and run; what is wrong with the input is one line on standard error and status 2."""
    try:
        options = read_options(model, argv, name=name, purpose=purpose)
        if options is None:
            return DONE
        return run(options)
    except InputError as error:
        return complain(error)
    except KeyboardInterrupt:
        return STOPPED


def complain(error: InputError) -> int:
    """Say what is wrong with the input on one line of standard error; returns the exit status."""
    Console(stderr=True, soft_wrap=True).print(printable(error, 2000), markup=False, highlight=False)
    return WRONG_INPUT


def read_options(model: type[Model], argv: Sequence[str] | None, *, name: str, purpose: str) -> Model | None:
    """Read a command line into a model of options; None when it asked for help, which was given.

    Raises
    ------
    InputError
        When an option is unknown or its value is wrong.
    """
    app = App(name=name, help=purpose, version_flags=[], result_action="return_value")

    def collect(*, options: Any = None) -> Any:
        return model() if options is None else options

    collect.__annotations__["options"] = Annotated[model, Parameter(name="*")]
    app.default(collect)
    try:
        result = app(sys.argv[1:] if argv is None else argv, exit_on_error=False, print_error=False)
    except (CycloptsError, pydantic.ValidationError) as error:
        cause = error.__cause__ if isinstance(error, CycloptsError) else error
        what = first_problem(cause) if isinstance(cause, pydantic.ValidationError) else str(error).rstrip(".")
        raise InputError(what, setting="see --help") from error
    return result if isinstance(result, model) else None


def first_problem(error: pydantic.ValidationError) -> str:
    """Say the first thing that is wrong with options, as a person would."""
    problem = error.errors(include_url=False)[0]
    option = "--" + str(problem["loc"][0]).replace("_", "-") if problem["loc"] else "the options"
    if problem["type"] == "missing":
        return f"{option} is needed"
    return f'{option}: {problem["msg"][:1].lower()}{problem["msg"][1:]}, not "{problem["input"]}"'
