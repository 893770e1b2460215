"""The tasks of the walk, and what the flows share. Each task is one call of the library; ``task.fn(...)`` is that call.

Nothing is cached or persisted: prices and weights stay in memory, because hashing or pickling them would cost more than
the work. Only tasks that touch a disk are retried, and not for bad data or a full disk, which a retry does not change.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import UTC, date, datetime
from functools import wraps
from typing import Any, Literal, TypeVar

from prefect import Flow, Task, flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.exceptions import CancelledRun, TerminationSignal
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Cancelled, Completed, Failed
from prefect.utilities.annotations import quote

from daily_forecast_flows.options import Options, RunOptions, parameters_of
from daily_forecast_flows.shards import Board
from forecasting import pipeline
from forecasting.config import ForecastConfig
from forecasting.errors import InputError
from forecasting.features import series
from forecasting.formatting import pluralize
from forecasting.ingest import prices
from forecasting.model.training_loop import TrainingStoppedError
from forecasting.monitoring.ledger import Scoring, score_published, scored
from forecasting.publish import publish as publish_run
from forecasting.reports.store_index import publish_index
from forecasting.reports.track_record import TrackRecord, publish_score_page
from forecasting.run import Run, ShardForecast
from forecasting.store import retention
from forecasting.store.store import Store, StoreLockedError
from forecasting.store.transaction import Published

Result = TypeVar("Result")
OptionsT = TypeVar("OptionsT", bound=RunOptions)

LASTING = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT)
"""Disk errors that a retry does not change."""

STOPS = (TerminationSignal, KeyboardInterrupt, CancelledRun)
"""The exceptions with which a run is stopped from outside."""

listener: ContextVar[Callable[[Any], object]] = ContextVar("listener", default=lambda _: None)
"""Gets the result of a run as soon as it is published, whatever happens to the Prefect server after that."""


def job(model: type[OptionsT]) -> Callable[[Callable[[OptionsT], State[Any]]], Flow[..., Any]]:
    """Make a flow of a function that takes checked options: the flow's parameters are the fields of ``model``.

    When input, store or disk are wrong it ends Failed, with that error's message, which the UI shows first. When it is
    stopped from outside it ends Cancelled.
    """

    def decorate(function: Callable[[OptionsT], State[Any]]) -> Flow[..., Any]:
        @flow(description=function.__doc__, persist_result=False, on_crashed=[_refuse_unknown])
        @parameters_of(model)
        @wraps(function)
        def run(**given: Any) -> State[Any]:
            logging.getLogger("prefect.flow_runs").addFilter(_is_not_a_cancel)
            try:
                return function(model.of(given))
            except STOPS:
                return Cancelled(message="Stopped on request; what was published before is unchanged")
            except (InputError, StoreLockedError, OSError) as error:
                return Failed(message=str(error), data=error)

        return run

    return decorate


def _is_not_a_cancel(record: logging.LogRecord) -> bool:
    """Drop the traceback with which Prefect logs a cancelled run, as if it were an unexpected error."""
    return not (record.exc_info and isinstance(record.exc_info[1], CancelledRun))


def _refuse_unknown(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - a hook of Prefect's
    """Say why a run with an unknown parameter failed: Prefect ends such a run before it begins, without a reason."""
    if unknown := sorted(flow_run.parameters.keys() - flow.parameters.properties.keys()):
        message = f"there is no parameter {' or '.join(unknown)} of {flow.name}"
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(flow_run.id, Failed(message=message), force=True)


def result_of(value: Result | State[Any]) -> Result:
    """Return a task's result, or end the flow as cancelled (`CancelledRun`) when the task was cancelled."""
    if isinstance(value, State):
        raise CancelledRun(value.message)
    return value


def name_run(name: str) -> None:
    """Set the run's name in the UI."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_name(flow_run.id, name)


def timings(started: datetime) -> dict[str, Any]:
    """Return when a run began and how long it has taken, for its manifest."""
    seconds = (datetime.now(UTC) - started).total_seconds()
    return {"started": started.isoformat(timespec="seconds"), "seconds": round(seconds, 1)}


def conclude(ended: Any, describe: Task[..., Any] | None = None, after: Any = None) -> State[Any]:
    """End a run: log its result, then let a task describe it on the run's page.

    The days of a backfill emit no events and have no page: pictures of hundreds of days would fill the database.
    """
    get_run_logger().info("%s", ended.message)
    if flow_run.parent_flow_run_id is None:
        listener.get()(ended)
        # The forecasts are published: a page that could not be written must not turn the run into a failure.
        described = describe(quote(ended), return_state=True, wait_for=[after]) if describe else None
        if described is not None and not described.is_completed():
            get_run_logger().warning("The run's page has no report: %s", described.message)
    return Completed(message=ended.message, data=ended)


def step(name: str, **settings: Any) -> Callable[[Callable[..., Result]], Task[..., Result | State[Any]]]:
    """Make a task of the walk; large arguments are passed in `quote`, so that Prefect does not walk through them.

    A task of a shard is named after it in the UI and the log: "train and evaluate shard 3, 32 tickers".
    """

    def run_name(parameters: dict[str, Any]) -> str:
        shard, number = parameters.get("shard"), parameters.get("number")
        of = f", {pluralize(len(shard), 'ticker')}" if isinstance(shard, Sequence) else ""
        return name if shard is None else f"{name} shard {number}{of}"

    def decorate(function: Callable[..., Result]) -> Task[..., Result | State[Any]]:
        @wraps(function)
        def run(*args: Any, **kwargs: Any) -> Result | State[Any]:
            try:
                return function(*args, **kwargs)
            except (TrainingStoppedError, *STOPS):
                return Cancelled(message="Stopped; nothing of it is kept")

        own: dict[str, Any] = {"task_run_name": run_name, "cache_policy": NO_CACHE, "persist_result": False}
        return task(name=name, **own, **settings)(run)

    return decorate


def passing(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - the signature is Prefect's
    """Whether a failure may pass by itself: a disk that did not answer, but not bad data or a full disk."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, OSError) and error.errno not in LASTING


RETRIES = {"retries": 3, "retry_delay_seconds": [2, 10, 30], "retry_jitter_factor": 0.5, "retry_condition_fn": passing}


@step("ingest", **RETRIES)
def ingest(options: RunOptions, as_of: date | None) -> prices.Ingested:
    """Read and check the prices, up to a date or, where none is named, to the last one that the tickers share."""
    tickers = options.config().tickers
    return prices.read_prices(options.prices, as_of=as_of, shared=as_of is None, tickers=tickers, **options.reading())


@step("engineer")
def engineer(ingested: prices.Ingested, config: ForecastConfig, as_of: date) -> series.Engineered:
    """Make each ticker's Open and High-Low."""
    return series.engineer(ingested.prices, config, as_of)


@step("train and evaluate")
def forecast_shard(
    shard: Sequence[series.TickerSeries],
    number: int,
    *,
    config: ForecastConfig,
    heldout: Literal["all", "published", "none"],
    board: Board,
) -> ShardForecast:
    """Make a shard's windows, train its LSTMs and score them together with the baselines, reporting the progress."""
    watch = board.watch(number, len(shard), config)
    return pipeline.forecast_shard(number, shard, config, drafts=board.drafts, heldout=heldout, watch=watch)


@step("score", **RETRIES)
def score(
    store: Store, ingested: prices.Ingested, config: ForecastConfig, as_of: date
) -> tuple[Scoring, TrackRecord | None]:
    """Score the forecasts of earlier dates whose sessions have arrived, and write the page on all scores."""
    scoring = score_published(store, ingested.prices, config.calendar, as_of)
    return scoring, publish_score_page(store)


@step("publish", **RETRIES)
def publish(store: Store, run: Run, options: Options, started: datetime, record: TrackRecord | None) -> Published:
    """Write report, scores, models and manifest into the store, the forecasts last, then the page on all dates."""
    given: dict[str, Any] = {"reading": options.reading(), "restate": options.restate}
    given |= {"timings": timings(started), "scored": lambda: scored(store, run.as_of)}
    published = publish_run(store, run, **given)
    publish_index(store, record)
    return published


@step("prune")
def prune(store: Store, keep_runs: int | None, keep_heldout: int | None) -> int:
    """Remove old held-out rows, models and reports; forecasts, scores, metrics and manifests stay."""
    return len(retention.prune(store, keep_runs=keep_runs, keep_heldout=keep_heldout, wait=60.0))
