"""The daily forecast: prices from CSV in, an LSTM per ticker, honest forecasts as Parquet out.

python flows/daily_forecast.py --help
"""

from __future__ import annotations

if __name__ == "__main__":
    # Before the imports below, which take seconds: help and plain mistakes are answered at once.
    import sys

    from daily_forecast_flows.command import main

    sys.exit(main(["run", *sys.argv[1:]]))

from datetime import UTC, datetime
from typing import Any

from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.runtime import flow_run
from prefect.utilities.annotations import quote

from daily_forecast_flows.options import Options
from daily_forecast_flows.outcome import Outcome, describe
from daily_forecast_flows.sessions import find_session
from daily_forecast_flows.shards import work_shards
from daily_forecast_flows.tasks import (
    conclude,
    engineer,
    forecast_shard,
    ingest,
    job,
    name_run,
    prune,
    publish,
    result_of,
    score,
)
from forecasting.features.windows import group
from forecasting.formatting import pluralize
from forecasting.monitoring.due import notice_missing
from forecasting.run import collect
from forecasting.store.store import Store

__all__ = ["daily_forecast"]


@job(Options)
def daily_forecast(options: Options) -> State[Any]:
    """Forecast the next sessions' Open of every ticker, and publish it with its scores."""
    started = datetime.now(UTC)
    config, store = options.config(), Store(options.output)

    if options.as_of == "scheduled":
        found = find_session(options, store, flow_run.scheduled_start_time, started)
        if isinstance(found, Outcome):
            return conclude(found, describe)
        ingested, as_of = found
    else:
        ingested = result_of(ingest(options, options.as_of_day()))
        as_of = options.as_of_day() or ingested.last_day
    ingested = notice_missing(ingested, store, config, as_of)

    scoring, record = result_of(score(store, quote(ingested), config, as_of, wait_for=[ingested]))
    get_run_logger().info("%s", scoring.message)

    # Submitted, though it is waited for at once: its future ties the shards to it in the UI's graph.
    engineering = engineer.submit(quote(ingested), config, as_of, wait_for=[ingested])
    engineered = result_of(engineering.result())
    shards = group(engineered.series, config)
    name_run(f"{as_of}, {pluralize(len(engineered.series), 'ticker')}")

    with store.drafts() as drafts:
        # Each shard is windowed, scaled, trained and evaluated.
        forecasts, parents = work_shards(
            forecast_shard, shards, options, drafts, after=engineering, sizes=[len(shard) for shard in shards],
            noun="ticker", key="training", config=config, heldout=options.heldout,
        )  # fmt: skip
        run = collect(ingested, engineered, forecasts, config=config, as_of=as_of)
        published = result_of(publish(store, quote(run), options, started, quote(record), wait_for=parents))
    if options.keep_runs is not None or options.keep_heldout is not None:
        result_of(prune(store, options.keep_runs, options.keep_heldout, wait_for=[published]))
    return conclude(Outcome.of(store, run, published, record), describe, after=published)
