"""The options of a run, defined once: they are the command line, the flow's parameters and the form in the UI.

Options that change a number of the forecast are `ForecastOptions`, which the configuration shares.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar, get_type_hints

from cyclopts import Parameter
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema, field_validator

from forecasting.config import (
    DateOrder,
    DecimalMark,
    ForecastConfig,
    ForecastOptions,
    first_problem,
    parse_as_of,
    parse_date,
)
from forecasting.errors import InputError

__all__ = ["PROJECT", "BackfillOptions", "BacktestOptions", "Options", "RunOptions", "parameters_of"]

Result = TypeVar("Result")

_CHECKOUT = Path(__file__).resolve().parents[2]
PROJECT = _CHECKOUT if (_CHECKOUT / "flows" / "daily_forecast.py").is_file() else Path()
"""Where default paths begin: the checkout's folder; installed from a wheel, the current folder."""


@Parameter(name="*")
class _Places(BaseModel):
    """Where the prices come from, where the results go, and which tickers are meant."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    prices: Annotated[str, Field(min_length=1)] = str(PROJECT / "data")
    """One CSV, a long CSV with a ticker column, a folder or a glob; .csv.gz too."""
    output: Annotated[str, Field(min_length=1)] = str(PROJECT / "data" / "output")
    """The store, a folder; made when it is not there."""
    tickers: str | None = None
    """Only these, comma-separated (default: all)."""


class RunOptions(ForecastOptions, _Places):
    """The options of every run, without its dates; units are in the descriptions."""

    task_runner: Literal["threads", "processes", "dask", "ray"] = "threads"
    """What trains the shards in parallel; the numbers are the same. Dask and Ray are extras."""
    cluster: Annotated[str, Field(min_length=1)] | None = None
    """Address of the Dask or Ray cluster, which must reach --output (default: one on this machine, for the run)."""
    date_order: DateOrder = "auto"
    """Order of day and month in the files' dates."""
    decimal: DecimalMark = "auto"
    """Decimal mark of the files' numbers."""
    format: Annotated[str, Field(min_length=1)] | None = None
    """A TOML file that declares how the vendor writes its files (default: decided from the files)."""
    time_budget: Annotated[float, Field(gt=0)] | None = None
    """Minutes for training; tickers left over get HAR (default: no limit)."""

    @classmethod
    def of(cls, given: dict[str, Any]) -> Self:
        """Check the parameters of a run; an `InputError` says what is wrong."""
        try:
            options = cls(**given)
        except ValidationError as error:
            raise InputError(first_problem(error)) from error
        options.config()
        return options

    def config(self) -> ForecastConfig:
        """Return the configuration that these options make; an `InputError` says what does not fit the others."""
        given = self.model_dump(include=set(ForecastConfig.model_fields), exclude_none=True)
        if self.preset == "tutorial":
            given.pop("horizon")
        try:
            return ForecastConfig(**given)
        except ValidationError as error:
            raise InputError(first_problem(error), setting="see --help") from error

    def reading(self) -> dict[str, Any]:
        """Return how the files are to be read, as arguments of `read_prices` and for the manifest."""
        given: dict[str, Any] = {"date_order": self.date_order, "decimal": self.decimal}
        if self.format is None:
            return given
        from forecasting.ingest.format import load_format  # noqa: PLC0415 - help is spared what reading imports

        return given | {"format": load_format(self.format).model_dump(mode="json", exclude_defaults=True)}

    def training_deadline(self, now: float) -> float | None:
        """Return when the time budget is spent, in seconds as ``now`` is; None when there is no limit."""
        return None if self.time_budget is None else now + 60 * self.time_budget


class _PublishOptions(RunOptions):
    """The additional options of a run that publishes."""

    heldout: Literal["all", "published", "none"] = "all"
    """Which held-out forecasts are kept: of every model, of what is published, or none."""
    restate: bool = False
    """Replace what is published or scored already, where it differs."""


class _AsOf(_Places):
    """The date that forecasts are made as of."""

    as_of: Annotated[str, Field(json_schema_extra={"pattern": r"^(latest|scheduled|\d{4}-\d{2}-\d{2})$"})] = "latest"
    """latest (the last date the tickers share), scheduled (the newest session due) or YYYY-MM-DD.

    Rows after it are set aside before any other check.
    """

    @field_validator("as_of")
    @classmethod
    def _is_a_date(cls, value: str) -> str:
        parse_as_of(value)
        return value

    def as_of_day(self) -> date | None:
        """Return the day of ``as_of``, None for a word."""
        day = parse_as_of(self.as_of)
        return day if isinstance(day, date) else None


class Options(_PublishOptions, _AsOf):
    """The options of the daily forecast."""

    data_deadline: Annotated[float, Field(ge=0)] = 0.0
    """Minutes to wait for the rows of the session that is due, when --as-of is scheduled."""
    data_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of the tickers published last time, 0 to 1, whose rows end that wait."""
    keep_heldout: Annotated[int, Field(ge=1)] | None = None
    """Published dates, the newest, that keep their held-out rows (default: all)."""
    keep_runs: Annotated[int, Field(ge=1)] | None = None
    """Published dates, the newest, that keep their models and report (default: all)."""


class BackfillOptions(_PublishOptions):
    """The options of a backfill: those of a run, and a range of dates."""

    first: Annotated[date | None, Parameter(name=["--from", "--first"])] = None
    """The first date to forecast as of, YYYY-MM-DD (default: the oldest published, to fill gaps)."""
    last: Annotated[date | None, Parameter(name=["--to", "--last"])] = None
    """The last date to forecast as of, YYYY-MM-DD (default: the last in the data)."""

    @field_validator("first", "last", mode="before")
    @classmethod
    def _is_a_date(cls, value: Any) -> Any:
        return value if value is None else parse_date(str(value), setting="set --from and --to YYYY-MM-DD")


class BacktestOptions(RunOptions, _AsOf):
    """The options of a backtest."""

    preset: Literal["default"] = "default"
    """The tutorial's formulation uses the future, and is not studied."""
    origins: Annotated[int, Field(ge=1)] = 60
    """Sessions to forecast from, the newest whose targets have come."""
    refit_every: Annotated[int, Field(ge=1)] = 20
    """Sessions from one fit of the models to the next."""
    window: Annotated[int, Field(ge=1)] | None = None
    """How many of the last rows a fit sees (default: all before it)."""

    @field_validator("as_of")
    @classmethod
    def _is_not_scheduled(cls, value: str) -> str:
        if value == "scheduled":
            raise InputError('a backtest has no "scheduled"', setting="set --as-of latest or YYYY-MM-DD")
        return value


_ASKED_FIRST = ("as_of", "first", "last", "tickers", "restate")
"""The options that people usually set in the UI's form; the others are labelled as advanced."""


def parameters_of(model: type[BaseModel]) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Give a function that takes keywords the fields of ``model`` as its signature and their descriptions as its help.

    Prefect reads both to make the form and the schema that a run's parameters are held to.
    """
    names = sorted(model.model_fields, key=lambda name: (*_ASKED_FIRST, name).index(name))
    help_lines = [f"    {name}: {' '.join((model.model_fields[name].description or '').split())}" for name in names]
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=field.default, annotation=_in_form(model, name))
        for name, field in ((name, model.model_fields[name]) for name in names)
    ]

    def decorate(function: Callable[..., Result]) -> Callable[..., Result]:
        signature = inspect.signature(function)
        function.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        function.__doc__ = "\n".join([inspect.cleandoc(function.__doc__ or ""), "", "Args:", *help_lines])
        return function

    return decorate


def _in_form(model: type[BaseModel], name: str) -> Any:
    """Return a field's annotation with its label; one that may be left out is shown by its own type alone."""
    hint = get_type_hints(model, include_extras=True)[name]
    given = model.model_fields[name].json_schema_extra
    label = name if name in _ASKED_FIRST else f"Advanced: {name}"
    extra = Field(json_schema_extra={**(given if isinstance(given, dict) else {}), "title": label})
    kinds = TypeAdapter(hint).json_schema().get("anyOf", [])
    shown = [kind for kind in kinds if kind != {"type": "null"}]
    return Annotated[hint, WithJsonSchema(shown[0]), extra] if len(shown) == 1 else Annotated[hint, extra]
