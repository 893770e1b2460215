"""What a backfill can be told, and its command line."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated

from cyclopts import Parameter
from pydantic import Field

from flows.command import run_command
from flows.options import RunOptions

__all__ = ["BackfillOptions", "backfill_command"]


class BackfillOptions(RunOptions):
    """Everything that a backfill can be told: the same as a run, and a range of dates."""

    first: Annotated[
        date | None,
        Parameter(name=["--from", "--first"]),
        Field(
            description="The first date to forecast as of, YYYY-MM-DD (default: the oldest published, to fill gaps)."
        ),
    ] = None
    last: Annotated[
        date | None,
        Parameter(name=["--to", "--last"]),
        Field(description="The last date to forecast as of, YYYY-MM-DD (default: the last in the data)."),
    ] = None


def backfill_command(argv: Sequence[str] | None = None) -> int:
    """Run the backfill from the command line; returns the exit status."""

    def run(options: BackfillOptions) -> int:
        # Here and not above: pandas, then Prefect and torch, are seconds that help and plain mistakes can be spared.
        from flows.precheck import check  # noqa: PLC0415

        check(options)
        from flows.launch import run_flow  # noqa: PLC0415, I001 - it sets Prefect's logging up, so comes first
        from flows.backfill import backfill  # noqa: PLC0415

        return run_flow(backfill, options)

    purpose = "Forecast as of each session of a range of dates, as live runs of those days would have."
    return run_command(BackfillOptions, argv, name="backfill.py", purpose=purpose, run=run)
