"""The tasks of the walk. Each names one call of the library; ``task.fn(...)`` is that call, without Prefect.

Nothing is cached or persisted: prices and weights stay in memory, where hashing or pickling them would cost more than
the work. Only what touches a disk is tried again; bad data and a full disk stay what they are however often one looks.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar

from prefect import Task, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import CancelledRun, TerminationSignal
from prefect.states import Cancelled, Failed

import forecasting.features.series
import forecasting.ingest.prices
import forecasting.monitoring.ledger
import forecasting.pipeline
import forecasting.publish
import forecasting.reports.store_index
import forecasting.reports.track_record
import forecasting.store.retention
from daily_forecast_flows.artifacts import leave_artifacts
from daily_forecast_flows.options import RunOptions
from daily_forecast_flows.outcome import Outcome
from daily_forecast_flows.progress import Board, Reporter
from forecasting.config import ForecastConfig
from forecasting.errors import InputError
from forecasting.features.series import Engineered, TickerSeries
from forecasting.formatting import pluralize
from forecasting.ingest.prices import Ingested
from forecasting.model.training_loop import TrainingStoppedError, Watch
from forecasting.monitoring.ledger import Scoring
from forecasting.publish import Run, ShardForecast
from forecasting.reports.track_record import TrackRecord
from forecasting.store.store import Store, StoreLockedError
from forecasting.store.transaction import Drafts, Published

__all__ = [
    "LASTING",
    "RETRIES",
    "cancellable",
    "describe",
    "engineer",
    "failing_plainly",
    "forecast_shard",
    "ingest",
    "last_day",
    "prune",
    "publish",
    "result_of",
    "score",
    "step",
]

Given = ParamSpec("Given")
Result = TypeVar("Result")

LASTING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT)
"""Errors of a disk that are there at the next try, too."""


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
    """Let a flow fail with the message of what is wrong as its own, where the UI shows it first: input, store, disk."""

    @wraps(function)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Result | State[Any]:
        try:
            return function(*args, **kwargs)
        except (InputError, StoreLockedError, OSError) as error:
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


def step(name: str, **settings: Any) -> Callable[[Callable[..., Result]], Task[..., Result | State[Any]]]:
    """Make a task of the walk; what is large is handed to it in `quote`, so that Prefect does not walk through it.

    A task of a shard is named after it in the UI and the log: "train and evaluate shard 3, 32 tickers".
    """

    def run_name(parameters: dict[str, Any]) -> str:
        if "shard" not in parameters:
            return name
        return f"{name} shard {parameters['number']}, {pluralize(len(parameters['shard']), 'ticker')}"

    def decorate(function: Callable[..., Result]) -> Task[..., Result | State[Any]]:
        settings.setdefault("task_run_name", run_name)
        return task(name=name, cache_policy=NO_CACHE, persist_result=False, **settings)(cancellable(function))

    return decorate


def passing(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - the signature is Prefect's
    """Whether a failure may pass by itself: a disk that did not answer, but not bad data or a full disk."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, OSError) and error.errno not in LASTING


RETRIES: Mapping[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": [2, 10, 30],
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": passing,
}


@step("ingest", **RETRIES)
def ingest(options: RunOptions, as_of: date | None) -> Ingested:
    """Read and check the prices, up to a date or, where none is named, to the last one that the tickers share."""
    return forecasting.ingest.prices.read_prices(
        options.prices,
        as_of=as_of,
        shared=as_of is None,
        tickers=options.config().tickers,
        **options.reading(),
    )


def last_day(ingested: Ingested) -> date:
    """Return the newest date that was read."""
    newest: date = ingested.prices["date"].max().date()
    return newest


@step("engineer")
def engineer(ingested: Ingested, config: ForecastConfig, as_of: date) -> Engineered:
    """Make each ticker's Open and High-Low."""
    return forecasting.features.series.engineer(ingested.prices, config, as_of)


@step("train and evaluate")
def forecast_shard(
    shard: Sequence[TickerSeries],
    number: int,
    *,
    config: ForecastConfig,
    drafts: Drafts,
    heldout: Literal["all", "published", "none"],
    board: Board | None,
    deadline: float | None,
) -> ShardForecast:
    """Lay out a shard's windows, train its LSTMs and score them beside the baselines, reporting how far it is.

    On another machine (``board`` is None) it reports when it is done; it stops there, too, when the run has ended.
    """
    return forecasting.pipeline.forecast_shard(
        number,
        shard,
        config,
        drafts=drafts,
        heldout=heldout,
        watch=Watch(
            progress=Reporter.of(board, number, len(shard), config) if board else lambda _: None,
            stop=board.stopped if board else drafts.closed,
            out_of_time=lambda: deadline is not None and time.time() > deadline,
        ),
    )


@step("score", **RETRIES)
def score(store: Store, ingested: Ingested, config: ForecastConfig, as_of: date) -> tuple[Scoring, TrackRecord | None]:
    """Score the forecasts of earlier dates whose sessions have come in, and write the page on all scores."""
    scoring = forecasting.monitoring.ledger.score_published(store, ingested.prices, config.calendar, as_of)
    return scoring, forecasting.reports.track_record.publish_score_page(store)


@step("publish", **RETRIES)
def publish(
    store: Store, run: Run, options: RunOptions, timings: Mapping[str, Any], record: TrackRecord | None
) -> Published:
    """Write report, scores, models and manifest into the store, the forecasts last, then the page on all dates."""
    published = forecasting.publish.publish(
        store,
        run,
        reading=options.reading(),
        timings=timings,
        restate=options.restate,
        scored=lambda: forecasting.monitoring.ledger.scored(store, run.as_of),
    )
    forecasting.reports.store_index.publish_index(store, record)
    return published


@step("prune")
def prune(store: Store, keep_runs: int | None, keep_heldout: int | None) -> int:
    """Remove old held-out rows, models and reports; forecasts, scores, metrics and manifests stay."""
    return len(forecasting.store.retention.prune(store, keep_runs=keep_runs, keep_heldout=keep_heldout, wait=60.0))


@step("describe")
def describe(outcome: Outcome) -> None:
    """Leave the report, the tables and the link on the run's page."""
    leave_artifacts(outcome)
