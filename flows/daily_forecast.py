"""The daily forecast: prices from CSV in, an LSTM per ticker, honest forecasts as Parquet out.

python flows/daily_forecast.py --help
"""

from __future__ import annotations

if __name__ == "__main__":
    # Before the imports below, which take seconds: help and plain mistakes are answered at once.
    import sys

    from daily_forecast_flows.command import main

    sys.exit(main(["run", *sys.argv[1:]]))

import time
from datetime import UTC, datetime
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.states import Completed
from prefect.utilities.annotations import quote

from daily_forecast_flows.options import Options, parameters_of
from daily_forecast_flows.outcome import Outcome, emit_events
from daily_forecast_flows.progress import board, follow
from daily_forecast_flows.runners import make_runner, name_run, parents, per_shard, seconds_since
from daily_forecast_flows.sessions import Idle, find_session, notice_missing
from daily_forecast_flows.tasks import (
    cancellable,
    describe,
    engineer,
    failing_plainly,
    forecast_shard,
    ingest,
    last_day,
    prune,
    publish,
    result_of,
    score,
)
from forecasting.features.windows import group
from forecasting.formatting import pluralize
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
    """Ingest, engineer, window and scale, train and evaluate shard by shard, publish."""
    started = datetime.now(UTC)
    options = Options.of(given)
    config, store = options.config(), Store(options.output)

    if options.as_of == "scheduled":
        found = find_session(options, store, flow_run.scheduled_start_time, started)
        if isinstance(found, Idle):
            return end(Outcome("idle", found.message, store=store, overdue=found.overdue))
        ingested, as_of = found
    else:
        ingested = result_of(ingest(options, options.as_of_day()))
        as_of = options.as_of_day() or last_day(ingested)
    ingested = notice_missing(ingested, store, options, as_of)

    scoring, record = result_of(score(store, quote(ingested), config, as_of, wait_for=[ingested]))
    get_run_logger().info("%s", scoring.message)

    # Submitted, though it is waited for at once: its future ties the shards to it in the UI's graph.
    engineering = engineer.submit(quote(ingested), config, as_of, wait_for=[ingested])
    engineered = result_of(engineering.result())
    shards = group(engineered.series, config)
    name_run(f"{as_of}, {pluralize(len(engineered.series), 'ticker')}")

    with store.drafts() as drafts:
        with make_runner(options.task_runner, options.cluster) as runner, board() as progress:
            forecasts = per_shard(
                runner,
                forecast_shard,
                [engineering],
                shard=quote(shards),
                number=list(range(len(shards))),
                config=config,
                drafts=drafts,
                heldout=options.heldout,
                board=progress if options.cluster is None else None,  # a folder of this machine
                deadline=options.training_deadline(time.time()),
            )
            follow(progress, forecasts, len(engineered.series), noun="ticker", key="training")
            run = collect(ingested, engineered, forecasts.result(), config=config, as_of=as_of)
        timings = {"started": started.isoformat(timespec="seconds"), "seconds": seconds_since(started)}
        published = result_of(publish(store, quote(run), options, timings, quote(record), wait_for=parents(forecasts)))
    if options.keep_runs is not None or options.keep_heldout is not None:
        result_of(prune(store, options.keep_runs, options.keep_heldout, wait_for=[published]))
    return end(Outcome.of(store, run, published, record))


def end(outcome: Outcome) -> State[Outcome]:
    """Report what came of the run, on its page, in its log and as events, and end it."""
    logger = get_run_logger()
    logger.info("%s", outcome.message)
    if flow_run.parent_flow_run_id is not None:
        # The days of a backfill wake nobody, and have no page: pictures of hundreds of days would swell the database.
        return Completed(message=outcome.message, data=outcome)
    emit_events(outcome)
    if outcome.run is not None:
        # Published is published: that the page could not be written must not turn the run into a failure.
        described = describe(quote(outcome), return_state=True, wait_for=[outcome.published])
        if described is not None and not described.is_completed():
            logger.warning("The run's page has no report: %s", described.message)
    return Completed(message=outcome.message, data=outcome)
