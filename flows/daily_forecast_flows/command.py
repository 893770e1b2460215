"""The command line ``daily-forecast``: one command for all.

Importing Prefect takes a second or two, and so do pandas and torch; each command imports what it needs when it is
called, so that ``--help`` and a plain mistake are answered at once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from cyclopts import App

from daily_forecast_flows import importing
from daily_forecast_flows.options import PROJECT, BackfillOptions, BacktestOptions, Options, RunOptions
from forecasting.commands import COMMANDS, DONE, FAILED, complain, run_command

__all__ = ["main"]

app = App(
    name="daily-forecast",
    help="Forecast the next sessions' Open of every ticker, every day, and look at what was published.",
    version_flags=(),
)


@app.command
def run(*, options: Options | None = None) -> int:
    """Forecast the next sessions' Open of every ticker, and publish it with its scores."""
    return _run_flow("daily_forecast:daily_forecast", options or Options())


for _name, (_place, _purpose) in COMMANDS.items():
    app.command(_place, name=_name, help=_purpose)


@app.command
def backfill(*, options: BackfillOptions | None = None) -> int:
    """Forecast as of each session of a range of dates, as live runs of those days would have."""
    return _run_flow("daily_forecast_flows.backfill:backfill", options or BackfillOptions())


@app.command
def backtest(*, options: BacktestOptions | None = None) -> int:
    """Forecast from many past sessions with what was known then, and compare every model with the best baseline."""
    return _run_flow("daily_forecast_flows.backtest:backtest", options or BacktestOptions())


@app.command
def ui(*, port: int = 4200, notify: str | None = None, home: Path = PROJECT / ".prefect") -> int:
    """Bring up a Prefect server with its UI, the deployments and a worker on this machine, until Ctrl-C.

    Parameters
    ----------
    port
        Port of the UI; 0 takes a free one.
    notify
        Block that automations notify, as TYPE/NAME.
    home
        Folder of the server's database.
    """
    from daily_forecast_flows.operate import bring_up  # noqa: PLC0415

    return bring_up(home, port, notify)


@app.command
def serve() -> int:
    """Poll for the deployments' runs in one process, without a work pool and a worker, until Ctrl-C."""
    from daily_forecast_flows.operate import serve_deployments  # noqa: PLC0415

    return serve_deployments()


@app.command
def automations(*, notify: str | None = None) -> int:
    """Create or update the automations on the server that is configured.

    Parameters
    ----------
    notify
        Block that they notify, as TYPE/NAME: slack-webhook/alerts.
    """
    from daily_forecast_flows.operate import apply_automations  # noqa: PLC0415

    sys.stdout.writelines(f"{line}\n" for line in apply_automations(notify=notify))
    return DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    try:
        return run_command(app, arguments)
    except ConnectionError as error:  # no Prefect server answers
        return complain(error, FAILED)


def _run_flow(place: str, options: RunOptions) -> int:
    """Run the flow at ``module:name``; whatever can be checked in advance is checked before anything starts."""
    _check(options)
    with importing():
        # It sets Prefect's logging up, so it comes before whatever imports Prefect.
        from daily_forecast_flows.launch import run_flow  # noqa: PLC0415

    return run_flow(place, options)


def _check(options: RunOptions) -> None:
    """Check that a run could begin: configuration, calendar, device, input files, output folder.

    An `InputError` says what is wrong. The files' content is read once, by the flow.
    """
    # Slow imports happen only where they are needed: our own server starts after this.
    from forecasting.buckets import address_of  # noqa: PLC0415
    from forecasting.ingest.files import find_files  # noqa: PLC0415
    from forecasting.store.locate import locate  # noqa: PLC0415

    config = options.config()
    if config.calendar != Options.model_fields["calendar"].default:
        from forecasting.calendars import require_calendar  # noqa: PLC0415

        require_calendar(config.calendar)
    if config.device not in ("auto", "cpu"):
        from forecasting.model.device import choose_device  # noqa: PLC0415 - torch takes seconds, and nothing else here needs it

        choose_device(config.device)
    waits = isinstance(options, Options) and options.as_of == "scheduled" and options.data_deadline
    if not waits and address_of(options.prices) is None:
        find_files(options.prices)
    locate(options.output).prepare()
