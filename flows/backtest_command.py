"""What a backtest can be told, and its command line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

from cyclopts import Parameter
from pydantic import Field

from flows.command import run_command
from flows.options import RunOptions

__all__ = ["BacktestOptions", "backtest_command"]


class BacktestOptions(RunOptions):
    """Everything that a backtest can be told: the same as a run, and how to go about it."""

    preset: Annotated[
        Literal["default"], Field(description="The tutorial's formulation knows what came, and is no study's subject.")
    ] = "default"
    restate: Annotated[
        bool, Parameter(show=False), Field(description="Nothing: a backtest takes the place of one of the same date.")
    ] = False
    as_of: Annotated[
        str,
        Field(
            pattern=r"^(latest|\d{4}-\d{2}-\d{2})$",
            description="latest (the last date the tickers share) or YYYY-MM-DD: the last day whose rows count.",
        ),
    ] = "latest"
    origins: Annotated[int, Field(ge=1, description="Sessions to forecast from, the newest whose targets came.")] = 60
    refit_every: Annotated[int, Field(ge=1, description="Sessions from one fit of the models to the next.")] = 20
    window: Annotated[
        int | None, Field(ge=1, description="Rows that a fit sees, the last so many (default: all before it).")
    ] = None

    def as_of_day(self) -> date | None:
        """Return the day of ``as_of``, None for ``latest``."""
        return None if self.as_of == "latest" else date.fromisoformat(self.as_of)


def backtest_command(argv: Sequence[str] | None = None) -> int:
    """Run the backtest from the command line; returns the exit status."""

    def run(options: BacktestOptions) -> int:
        # Here and not above: pandas, then Prefect and torch, are seconds that help and plain mistakes can be spared.
        from flows.precheck import check  # noqa: PLC0415

        check(options)
        from flows.launch import run_flow  # noqa: PLC0415, I001 - it sets Prefect's logging up, so comes first
        from flows.backtest import backtest  # noqa: PLC0415

        return run_flow(backtest, options)

    purpose = "Forecast from many past sessions by what was known then, and score every model beside the best baseline."
    return run_command(BacktestOptions, argv, name="backtest.py", purpose=purpose, run=run)
