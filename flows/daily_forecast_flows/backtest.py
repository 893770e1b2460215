"""The backtest: what every model would have forecast from many past sessions, compared with the best baseline.

daily-forecast backtest --help
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.utilities.annotations import quote

from daily_forecast_flows.options import BacktestOptions
from daily_forecast_flows.outcome import leave_path
from daily_forecast_flows.shards import Board, work_shards
from daily_forecast_flows.tasks import RETRIES, conclude, ingest, job, name_run, result_of, step, timings
from forecasting.backtest.metrics import score_backtest
from forecasting.backtest.page import Backtest, backtest_markdown, verdict
from forecasting.backtest.store import publish_backtest
from forecasting.backtest.study import Part, Study, deal, forecast_part, judge, never_forecast, origin_dates
from forecasting.config import ForecastConfig
from forecasting.formatting import name_few, pluralize
from forecasting.ingest.prices import Ingested
from forecasting.reports.run_tables import backtest_rows
from forecasting.store.store import Store

__all__ = ["Backtested", "backtest"]


@dataclass(frozen=True)
class Backtested:
    """The result of a backtest: its forecasts and scores, and the folder where they were written."""

    backtest: Backtest
    folder: str

    @property
    def partial(self) -> bool:
        """Whether some tickers could not be read or forecast."""
        return bool(self.backtest.withheld)

    @property
    def message(self) -> str:
        """A few plain sentences."""
        who = name_few((name for name, _ in self.backtest.withheld), 5)
        left = f" Never forecast: {who}." if who else ""
        return f"{verdict(self.backtest)}{left} It is in {self.folder}"


@job(BacktestOptions)
def backtest(options: BacktestOptions) -> State[Any]:
    """Forecast from many past sessions with what was known then, and score every model."""
    started = datetime.now(UTC)
    config, store = options.config(), Store(options.output)
    study = Study(options.origins, options.refit_every, options.window)

    # Submitted, though it is waited for at once: its future ties the parts to it in the UI's graph.
    ingesting = ingest.submit(options, options.as_of_day())
    ingested = result_of(ingesting.result())
    origins = origin_dates(ingested.prices, study, config)
    parts = deal(ingested.prices, origins, study, config)
    name_run(f"{options.as_of_day() or ingested.last_day}, {pluralize(len(origins), 'origin')}")

    with store.drafts() as drafts:
        tables, parents = work_shards(
            forecast, parts, options, drafts, after=ingesting, sizes=[part.fits for part in parts],
            noun="fit", key="backtest-progress", study=study, config=config,
        )  # fmt: skip
    result = result_of(score(quote(tables), quote(ingested), study, config, wait_for=parents))
    folder = result_of(publish(store, quote(result), quote(ingested), options, started, wait_for=[result]))
    return conclude(Backtested(result, folder), describe, after=folder)


@step("forecast")
def forecast(shard: Part, number: int, *, study: Study, config: ForecastConfig, board: Board) -> pa.Table:
    """Forecast from a part's origins, reporting how far it is."""
    times = len(shard.blocks)
    return forecast_part(shard, study, config, board.watch(number, shard.fits // times, config, times))


@step("score")
def score(tables: list[pa.Table], ingested: Ingested, study: Study, config: ForecastConfig) -> Backtest:
    """Compare the forecasts with the actual prices, and score them."""
    judged = judge(pa.concat_tables(tables), ingested.prices)
    refused = tuple((one.ticker or one.file, str(one.error)) for one in ingested.refused)
    last = judged.rows["cutoff"].max().date()
    withheld = (*refused, *never_forecast(ingested.prices, judged, last, config))
    scores = score_backtest(judged.rows, judged.scales)
    return Backtest(ingested.last_day, study, config, judged, scores, withheld)


@step("publish", **RETRIES)
def publish(store: Store, backtest: Backtest, ingested: Ingested, options: BacktestOptions, started: datetime) -> str:
    """Write forecasts, scores, report and manifest into the store."""
    return publish_backtest(store, backtest, ingested, reading=options.reading(), timings=timings(started))


@step("describe")
def describe(done: Backtested) -> None:
    """Leave the report, the scores of every ticker's next session, and where the page is, on the run's page."""
    backtest, said = done.backtest, f"Backtest as of {done.backtest.as_of}"
    create_markdown_artifact(backtest_markdown(backtest), key="backtest", description=verdict(backtest))
    create_table_artifact(backtest_rows(backtest.metrics), key="backtest-scores", description=said)
    leave_path(f"{done.folder}/report.html", "backtest-file", f"{said}, a page by itself")
