"""The daily forecast: prices from CSV in, an LSTM per ticker, honest forecasts as Parquet out.

python flows/daily_forecast.py --help
"""

from __future__ import annotations

if __name__ == "__main__":
    # Before the imports below, which take seconds: help and plain mistakes are answered at once.
    import sys

    from flows.command import main

    sys.exit(main())

import time
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.utilities.annotations import quote

from flows.events import emit_events
from flows.following import follow
from flows.options import Options, parameters_of
from flows.outcome import Outcome
from flows.progress import board
from flows.runners import make_runner, per_shard, results_of
from flows.sessions import is_settled, nothing_to_do, sessions_due
from flows.stopping import cancellable, failing_plainly, result_of
from flows.tasks import describe, engineer, evaluate, ingest, prune, publish, score, train, window_and_scale
from flows.waiting import ingest_session, last_day
from forecasting.features.windows import group
from forecasting.formatting import count
from forecasting.publish import collect
from forecasting.store.store import Store

__all__ = ["daily_forecast"]


@flow(
    name="daily-forecast",
    description="Forecasts the next sessions' Open of every ticker, and publishes them beside their scores.",
    persist_result=False,
)
@parameters_of(Options)
@failing_plainly
@cancellable
def daily_forecast(**given: Any) -> Outcome | State[Outcome]:
    """Ingest, engineer, window and scale, train, evaluate, publish."""
    started = datetime.now(UTC)
    options = Options(**given)
    config, store = options.config(), Store(options.output)

    if options.as_of == "scheduled":
        due = sessions_due(config.calendar, flow_run.scheduled_start_time, started)
        idle = nothing_to_do(due, config.calendar, store)
        if idle is not None:
            return end(Outcome.idle(idle))
        ingested, as_of, fresh = ingest_session(options, due)
        if fresh and is_settled(store, as_of):
            return end(Outcome.idle(f"Nothing to do: {as_of}, the newest session in the data, is published already"))
    else:
        ingested, fresh = result_of(ingest(options, options.as_of_day())), True
        as_of = options.as_of_day() or last_day(ingested)

    scoring, record = result_of(score(store, quote(ingested), config, as_of, wait_for=[ingested]))
    get_run_logger().info("%s", scoring.message)

    # Submitted, though it is waited for at once: its future ties the shards to it in the UI's graph.
    engineering = engineer.submit(quote(ingested), config, as_of, wait_for=[ingested])
    engineered = result_of(engineering.result())
    shards = group(engineered.series, config)
    name_run(f"{as_of}, {count(len(engineered.series), 'ticker')}")

    with make_runner(options.task_runner) as runner, board() as progress:
        numbers = list(range(len(shards)))
        deadline = options.training_deadline(time.time())
        windows = per_shard(runner, window_and_scale, [engineering], shard=quote(shards), config=config)
        trained = per_shard(
            runner, train, windows=windows, config=config, number=numbers, board=progress, deadline=deadline
        )
        follow(progress, trained, len(engineered.series))
        evaluated = per_shard(runner, evaluate, windows=windows, trained=trained, config=config, number=numbers)
        done = results_of(windows, trained, evaluated)

    results, models = [result for result, _ in done], [model for _, model in done]
    run = collect(ingested, engineered, results, models, config=config, as_of=as_of)
    timings = {"started": started.isoformat(timespec="seconds"), "seconds": seconds_since(started)}
    published = result_of(publish(store, quote(run), options, timings, wait_for=evaluated))
    if options.keep_runs is not None or options.keep_heldout is not None:
        result_of(prune(store, options.keep_runs, options.keep_heldout, wait_for=[published]))
    return end(Outcome.of(store, run, published, stale=not fresh, record=record))


def end(outcome: Outcome) -> State[Outcome]:
    """Tell what came of the run, on its page, in its log and as events, and end it."""
    logger = get_run_logger()
    logger.info("%s", outcome.message)
    if outcome.run is not None and flow_run.parent_flow_run_id is None:
        emit_events(outcome)  # nobody is to be woken for the days of a backfill
    # Part of a backfill, a run has no page of its own: pictures of hundreds of days would swell the server's database.
    if outcome.run is not None and flow_run.parent_flow_run_id is None:
        # Published is published: that the page could not be written must not turn the run into a failure.
        told = describe(quote(outcome), return_state=True, wait_for=[outcome.published])
        if told is not None and not told.is_completed():
            logger.warning("The run's page lacks its report: %s", told.message)
    return Completed(message=outcome.message, data=outcome)


def name_run(name: str) -> None:
    """Name the run after what it is about."""
    with get_client(sync_client=True) as client:
        client.set_flow_run_name(flow_run.id, name)


def seconds_since(moment: datetime) -> float:
    """Seconds from a moment to now, to the tenth."""
    return round((datetime.now(UTC) - moment).total_seconds(), 1)
