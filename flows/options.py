"""What a run can be told: one documented, typed list, which is the command line and the flow's parameter list alike."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, ConfigDict, Field

from forecasting.config import ForecastConfig

__all__ = ["PROJECT", "Options", "RunOptions", "parameters_of"]

Result = TypeVar("Result")

PROJECT = Path(__file__).resolve().parents[1]
"""The project's own folder, where the sample data lies."""


class RunOptions(BaseModel):
    """What every run can be told, whatever its dates.

    A field without a value of its own (None) takes the preset's. Units stand in the descriptions, which are the help
    of the command line and of the form in the UI.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prices: Annotated[
        str,
        Field(min_length=1, description="One CSV, a long CSV with a ticker column, a folder or a glob; .csv.gz too."),
    ] = str(PROJECT / "data")
    output: Annotated[str, Field(min_length=1, description="The store, a folder; made when it is not there.")] = str(
        PROJECT / "data" / "output"
    )
    tickers: Annotated[str | None, Field(description="Only these, comma-separated (default: all).")] = None
    horizon: Annotated[
        int, Field(ge=1, le=60, description="Sessions ahead, 1 to N (the tutorial preset has one step, which is 2).")
    ] = 5
    preset: Annotated[
        Literal["default", "tutorial"], Field(description="The formulation: ours, or the tutorial's to the digit.")
    ] = "default"
    anchor: Annotated[
        Literal["auto", "open", "close"],
        Field(description="The price forecasts start from; auto takes the last Close where it is usable."),
    ] = "auto"
    calendar: Annotated[
        str, Field(min_length=1, description="Exchange calendar of the target dates; 24/7 for coins.")
    ] = "XNYS"
    members: Annotated[
        int | None,
        Field(ge=1, le=64, description="LSTMs a ticker, whose quantiles are averaged (default: the preset's)."),
    ] = None
    epochs: Annotated[
        int | None,
        Field(ge=1, le=100_000, description="Passes over the training windows, at most (default: the preset's)."),
    ] = None
    recurrence: Annotated[
        Literal["fused", "loop", "scan"], Field(description="Form of the LSTM's recurrence; the numbers are the same.")
    ] = "fused"
    seed: Annotated[int, Field(ge=0, lt=2**31, description="Root of every random stream.")] = 0
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], Field(description="Where training runs; auto takes cuda, mps, then cpu.")
    ] = "auto"
    task_runner: Annotated[
        Literal["threads", "processes"],
        Field(description="What trains the shards in parallel; the numbers are the same."),
    ] = "threads"
    date_order: Annotated[
        Literal["auto", "dmy", "mdy", "ymd"], Field(description="Order of day and month in the files' dates.")
    ] = "auto"
    decimal: Annotated[Literal["auto", "point", "comma"], Field(description="Decimal mark of the files' numbers.")] = (
        "auto"
    )
    stale_after: Annotated[
        int, Field(ge=0, description="Sessions a ticker may lag the as-of date and still be published, as stale.")
    ] = 5
    restate: Annotated[bool, Field(description="Replace what is published or scored already, where it differs.")] = (
        False
    )
    time_budget: Annotated[
        float | None,
        Field(
            gt=0,
            description="Minutes for training; tickers left over get their best baseline (default: no limit).",
        ),
    ] = None

    def config(self) -> ForecastConfig:
        """Return the configuration that these options make, the preset filling what was not said.

        Raises
        ------
        pydantic.ValidationError
            When a value does not fit the others.
        """
        given = self.model_dump(include=set(ForecastConfig.model_fields), exclude_none=True)
        if self.preset == "tutorial":
            given.pop("horizon")
        return ForecastConfig(**given)

    def training_deadline(self, now: float) -> float | None:
        """Return when the time budget is spent, in seconds as ``now`` is; None when there is no limit."""
        return None if self.time_budget is None else now + 60 * self.time_budget


class Options(RunOptions):
    """Everything that a run of the daily forecast can be told."""

    as_of: Annotated[
        str,
        Field(
            pattern=r"^(latest|scheduled|\d{4}-\d{2}-\d{2})$",
            description="latest (the last date the tickers share), scheduled (the newest session due), or YYYY-MM-DD. "
            "Rows after it are set aside.",
        ),
    ] = "latest"
    data_deadline: Annotated[
        float, Field(ge=0, description="Minutes to wait for the session that is due, when --as-of is scheduled.")
    ] = 0.0
    keep_heldout: Annotated[
        int | None,
        Field(ge=1, description="Published dates, the newest, that keep their held-out rows (default: all)."),
    ] = None
    keep_runs: Annotated[
        int | None,
        Field(ge=1, description="Published dates, the newest, that keep their models and report (default: all)."),
    ] = None

    def as_of_day(self) -> date | None:
        """Return the day of ``as_of``, None for ``latest`` and ``scheduled``."""
        return None if self.as_of in ("latest", "scheduled") else date.fromisoformat(self.as_of)


def parameters_of(model: type[BaseModel]) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Give a function that takes keywords the fields of ``model`` as its signature and their descriptions as its help.

    Prefect reads both to make the form and the schema that a run's parameters are held to, so one list serves the
    command line and the UI.
    """
    fields = model.model_fields
    parameters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.is_required() else field.default,
            annotation=_annotation(model, name),
        )
        for name, field in fields.items()
    ]
    help_lines = [f"    {name}: {field.description}" for name, field in fields.items()]

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        signature = inspect.signature(function)
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Args:", *help_lines])
        return function

    return decorate


def _annotation(model: type[BaseModel], name: str) -> Any:
    return get_type_hints(model, include_extras=True)[name]
