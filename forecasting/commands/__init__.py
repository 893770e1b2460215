"""The library's commands, each imported only when it is called, and how a command line is run."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from pydantic import ValidationError

from forecasting.config import DateOrder, DecimalMark, first_problem
from forecasting.errors import InputError
from forecasting.formatting import printable

__all__ = [
    "COMMANDS",
    "DONE",
    "FAILED",
    "PARTIAL",
    "STOPPED",
    "WRONG_INPUT",
    "Flag",
    "Reading",
    "complain",
    "run_command",
]

DONE, FAILED, WRONG_INPUT, PARTIAL, STOPPED = 0, 1, 2, 3, 130
"""Exit statuses; a run stopped by Ctrl-C or SIGTERM ends with the status that shells use for Ctrl-C."""

COMMANDS: Mapping[str, tuple[str, str]] = {
    "check": ("forecasting.commands.check:run_check", "Read CSVs as a run would, and say what was found in them."),
    "show": ("forecasting.commands.cli:run_show", "Show what was published."),
    "scores": ("forecasting.commands.cli:run_scores", "Show how published forecasts turned out."),
    "verify": ("forecasting.commands.cli:run_verify", "Run a published date again, and compare."),
    "predict": ("forecasting.commands.cli:run_predict", "Forecast from a saved model, without training."),
    "prune": ("forecasting.commands.cli:run_prune", "Remove old held-out rows, models and reports."),
}
"""Where each command is, and what it is for."""


Flag = Annotated[bool, Parameter(negative=())]
"""An option without its negation."""


@Parameter(name="*")
@dataclass(frozen=True)
class Reading:
    """How price files are to be read.

    Parameters
    ----------
    date_order
        The order of day, month and year where they are numbers.
    decimal
        The decimal mark.
    format
        A TOML file that declares how the vendor writes its files.
    """

    date_order: DateOrder = "auto"
    decimal: DecimalMark = "auto"
    format: Path | None = None

    def given(self) -> dict[str, Any]:
        """Return it as `read_prices` takes it."""
        from forecasting.ingest.format import load_format  # noqa: PLC0415 - help is spared what reading imports

        declared = None if self.format is None else load_format(self.format)
        return {"date_order": self.date_order, "decimal": self.decimal, "format": declared}


def run_command(app: App, arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status; wrong input gives one plain line on standard error."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        status = app(given, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        cause = error.__cause__
        what = first_problem(cause) if isinstance(cause, ValidationError) else str(error).rstrip(".")
        return complain(InputError(what, setting="see --help"))
    except InputError as error:
        return complain(error)
    except KeyboardInterrupt:
        return STOPPED
    except BrokenPipeError:
        # The reader has closed the pipe (head, for example); what Python has buffered cannot be written any more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    return status if isinstance(status, int) else DONE


def complain(error: Exception | str, status: int = WRONG_INPUT) -> int:
    """Say what is wrong on one line of standard error; returns the exit status."""
    sys.stderr.write(f"{printable(str(error), 2000)}\n")
    return status
