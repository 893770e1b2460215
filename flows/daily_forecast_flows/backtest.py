"""The backtest: what every model would have forecast from many past sessions, scored beside the best baseline.

daily-forecast backtest --help
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from prefect import flow
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed
from prefect.utilities.annotations import quote

from daily_forecast_flows.artifacts import MOST_ROWS, leave_path, ticker_cell
from daily_forecast_flows.options import BacktestOptions, parameters_of
from daily_forecast_flows.progress import Board, Reporter, board, follow
from daily_forecast_flows.runners import make_runner, name_run, per_shard, seconds_since
from daily_forecast_flows.tasks import RETRIES, cancellable, failing_plainly, ingest, last_day, result_of, step
from forecasting.backtest.metrics import score_backtest
from forecasting.backtest.page import Backtest, backtest_markdown, verdict
from forecasting.backtest.store import publish_backtest
from forecasting.backtest.study import Part, Study, deal, forecast_part, judge, never_forecast, origin_dates
from forecasting.config import ForecastConfig
from forecasting.formatting import format_number, name_few, p_value, percent, pluralize
from forecasting.ingest.prices import Ingested
from forecasting.model.training_loop import Watch
from forecasting.reports.html import plain
from forecasting.store.store import Store

__all__ = ["Backtested", "backtest"]


@dataclass(frozen=True)
class Backtested:
    """What came of a backtest.

    Attributes
    ----------
    backtest
        Its forecasts and scores.
    folder
        Where they were written.
    """

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


@flow(
    name="backtest",
    description="Forecasts from many past sessions by what was known then, and scores every model.",
    persist_result=False,
)
@parameters_of(BacktestOptions)
@failing_plainly
@cancellable
def backtest(**given: Any) -> Backtested | State[Backtested]:
    """Ingest, forecast from every origin, judge and score, publish."""
    started = datetime.now(UTC)
    options = BacktestOptions.of(given)
    config, store = options.config(), Store(options.output)
    study = Study(options.origins, options.refit_every, options.window)

    # Submitted, though it is waited for at once: its future ties the parts to it in the UI's graph.
    ingesting = ingest.submit(options, options.as_of_day())
    ingested = result_of(ingesting.result())
    origins = origin_dates(ingested.prices, study, config)
    parts = deal(ingested.prices, origins, study, config)
    as_of = options.as_of_day() or last_day(ingested)
    name_run(f"{as_of}, {pluralize(len(origins), 'origin')}")

    with make_runner(options.task_runner) as runner, board() as progress:
        deadline = options.training_deadline(time.time())
        numbers = list(range(len(parts)))
        forecasts = per_shard(
            runner, forecast, [ingesting], part=quote(parts), study=study, config=config, number=numbers,
            board=progress, deadline=deadline,
        )  # fmt: skip
        follow(progress, forecasts, sum(part.fits for part in parts), noun="fit", key="backtest-progress")
        tables = forecasts.result()

    result = result_of(score(quote(tables), quote(ingested), study, config, wait_for=forecasts))
    timings = {"started": started.isoformat(timespec="seconds"), "seconds": seconds_since(started)}
    folder = result_of(publish(store, quote(result), quote(ingested), options, timings, wait_for=[result]))
    done = Backtested(result, folder)
    get_run_logger().info("%s", done.message)
    described = describe(quote(done), return_state=True, wait_for=[folder])
    if described is not None and not described.is_completed():
        get_run_logger().warning("The run's page has no report: %s", described.message)
    return Completed(message=done.message, data=done)


@step("forecast", task_run_name="forecast part {number}")
def forecast(
    part: Part, study: Study, config: ForecastConfig, *, number: int, board: Board, deadline: float | None
) -> pa.Table:
    """Forecast from a part's origins, reporting how far it is."""
    return forecast_part(
        part,
        study,
        config,
        Watch(
            progress=Reporter.of(board, number, part.fits, config),
            stop=board.stopped,
            out_of_time=lambda: deadline is not None and time.time() > deadline,
        ),
    )


@step("score")
def score(tables: list[pa.Table], ingested: Ingested, study: Study, config: ForecastConfig) -> Backtest:
    """Put what came beside what was forecast, and score it."""
    judged = judge(pa.concat_tables(tables), ingested.prices)
    refused = tuple((one.ticker or one.file, str(one.error)) for one in ingested.refused)
    last = judged.rows["cutoff"].max().date()
    return Backtest(
        last_day(ingested),
        study,
        config,
        judged,
        score_backtest(judged.rows, judged.scales),
        (*refused, *never_forecast(ingested.prices, judged, last, config)),
    )


@step("publish", **RETRIES)
def publish(
    store: Store, backtest: Backtest, ingested: Ingested, options: BacktestOptions, timings: Mapping[str, Any]
) -> str:
    """Write forecasts, scores, report and manifest into the store."""
    return publish_backtest(store, backtest, ingested, reading=options.reading(), timings=timings)


@step("describe")
def describe(done: Backtested) -> None:
    """Leave the report, the scores and a link on the run's page."""
    backtest = done.backtest
    create_markdown_artifact(backtest_markdown(backtest), key="backtest", description=verdict(backtest))
    create_table_artifact(
        score_rows(backtest)[:MOST_ROWS], key="backtest-scores", description=f"Backtest as of {backtest.as_of}"
    )
    leave_path(f"{done.folder}/report.html", "backtest-file", f"The backtest as of {backtest.as_of}, a page by itself")


def score_rows(backtest: Backtest) -> list[dict[str, Any]]:
    """List the scores of every ticker's next session, in plain values."""
    nearest = backtest.metrics[backtest.metrics["step"] == 1]
    return [
        {
            "ticker": ticker_cell(row["ticker"]),
            "model": plain(row["model"]),
            "CRPS": format_number(row["crps"], 4),
            "in 80 %": percent(row["coverage_80"]),
            "chosen at": percent(row["chosen_share"]),
            "best baseline": plain(row["best_baseline"]) if isinstance(row["best_baseline"], str) else "",
            "CRPS / best": format_number(row["crps_ratio"], 3),
            "p (Holm)": plain(p_value(row["dm_p_holm"])),
            "q": plain(p_value(row["dm_q_value"])),
        }
        for row in nearest.to_dict("records")
    ]
