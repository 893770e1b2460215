"""What can be known before a flow starts is said before it starts."""

from __future__ import annotations

import pydantic

from flows.command import first_problem
from flows.options import Options, RunOptions
from forecasting.calendars import require_calendar
from forecasting.config import parse_as_of
from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices
from forecasting.store.store import Store

__all__ = ["check"]


def check(options: RunOptions) -> None:
    """See that a run with these options could begin: configuration, calendar, input, the output's place.

    Raises
    ------
    InputError
        Naming what is wrong.
    """
    try:
        config = options.config()
    except pydantic.ValidationError as error:
        raise InputError(first_problem(error), setting="see --help") from error
    if isinstance(options, Options):
        parse_as_of(options.as_of)
    require_calendar(config.calendar)
    if config.device not in ("auto", "cpu"):
        from forecasting.model.device import choose_device  # noqa: PLC0415 - torch takes seconds, and is asked for nothing else

        choose_device(config.device)
    read_prices(
        options.prices,
        as_of=options.as_of_day() if isinstance(options, Options) else None,
        tickers=config.tickers,
        date_order=options.date_order,
        decimal=options.decimal,
    )
    Store(options.output)
