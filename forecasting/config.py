"""The configuration of a run: one frozen, documented model, and the two presets.

Everything that changes a number in the output is here, and is written into the run's manifest.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from forecasting.errors import InputError

__all__ = [
    "LEVELS",
    "MEDIAN",
    "QUANTILE_COLUMNS",
    "Anchor",
    "DateOrder",
    "DecimalMark",
    "ForecastConfig",
    "ForecastOptions",
    "Reason",
    "first_problem",
    "parse_as_of",
    "parse_date",
]

LEVELS: tuple[float, ...] = tuple(round(0.05 * k, 2) for k in range(1, 20))
"""The probabilities of the 19 published quantiles, 0.05 to 0.95."""

MEDIAN = LEVELS.index(0.5)
"""Index of the median among them."""

QUANTILE_COLUMNS: tuple[str, ...] = tuple(f"q{round(100 * level):02d}" for level in LEVELS)
"""Their column names, ``q05`` to ``q95``."""


class Reason(StrEnum):
    """Why the published forecast is not from a fresh LSTM, in the column ``reason``; several are joined by ``; ``."""

    STALE = "stale"
    TOO_SHORT = "under {minimum_rows} rows"
    NO_WINDOWS = "no windows to train and validate on"
    NOT_CONVERGED = "did not converge"
    OUT_OF_TIME = "time budget spent"
    ANCHOR_CHANGED = "its anchor has changed since the fit"
    LOST = "lost on validation"
    NOT_JUDGED = "no validation rows"

    def text(self, config: ForecastConfig) -> str:
        """Return the words in the file, which may name a setting."""
        return self.value.format(minimum_rows=config.minimum_rows)


_FIRST_YEAR, _LAST_YEAR = 1800, 2199
"""Years of the dates that a run can be as of."""

_TUTORIAL: dict[str, Any] = {
    "horizon": 2,
    "context": 7,
    "hidden": 4,
    "batch": 35,
    "epochs": 7000,
    "members": 1,
    "learning_rate": 0.01,
    "weight_decay": 0.0,
    "dropout": 0.0,
    "validation_share": 0.0,
    "prior": "none",
}

_FROM_SCRATCH: dict[str, Any] = {
    "later_steps": 0.02,
    "members": 2,
    "epochs": 12,
    "learning_rate": 0.02,
    "weight_decay": 0.1,
    "dropout": 0.2,
    "prior": "none",
}
"""Settings for training from random weights."""

PRIOR_HIDDEN = 6
"""Hidden size of the prior."""


Anchor = Literal["open", "close", "range"]
"""Where forecasts start from: the last Open, the last Close, or an estimate of the Close from Open, High and Low."""

DateOrder = Literal["auto", "dmy", "mdy", "ymd"]
DecimalMark = Literal["auto", "point", "comma"]
PriorName = Literal["sample", "none"]
Members = Annotated[int, Field(ge=1, le=64)]
Epochs = Annotated[int, Field(ge=1, le=100_000)]


class ForecastOptions(BaseModel):
    """The part of the configuration that users set.

    These fields, with their bounds, defaults and descriptions, are defined only here, for the configuration, the
    command line, the flow's parameters and the form in the UI. None leaves a value to the preset.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, use_attribute_docstrings=True)

    horizon: Annotated[int, Field(ge=1, le=60)] = 5
    """Sessions ahead, 1 to N (the tutorial preset has one step, which is 2)."""
    preset: Literal["default", "tutorial"] = "default"
    """The formulation: ours, or the tutorial's to the digit."""
    anchor: Literal["auto", "open", "close", "range"] = "auto"
    """The price that forecasts start from; auto takes the last Close where it is usable, else an estimate of it from
    Open, High and Low (range)."""
    publish: Literal["combination", "lstm", "best"] = "combination"
    """What is published: the mean of the LSTM's and HAR's quantiles, calibrated; the LSTM's alone; or for each ticker
    and step what was best on validation rows."""
    prior: PriorName | None = None
    """What each LSTM starts from: weights trained on the sample, before the ticker's first judged row, or random ones,
    which need more epochs (default: sample; none in the tutorial preset)."""
    calendar: Annotated[str, Field(min_length=1)] = "XNYS"
    """Exchange calendar of the target dates; 24/7 for coins."""
    members: Members | None = None
    """LSTMs per ticker, differing in their seed, whose quantiles are averaged (default: the preset's)."""
    epochs: Epochs | None = None
    """Passes over the training windows, at most; early stopping may keep fewer (default: the preset's)."""
    recurrence: Literal["fused", "loop", "scan"] = "fused"
    """Form of the LSTM's recurrence; the numbers are the same (fused: the loop with its gradient written by hand)."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Root of every random stream; each ticker's stream is this and its name."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where training runs; auto takes cuda, then mps, then cpu."""
    stale_after: Annotated[int, Field(ge=0)] = 5
    """Sessions a ticker may lag the as-of date and still be published, as stale; beyond it is withheld."""


class ForecastConfig(ForecastOptions):
    """The complete configuration of a run.

    Values given by name override those of the preset. ``ForecastConfig(preset="tutorial")`` has the tutorial's
    settings: one output two sessions ahead, windows of 7, hidden 4, Adam 0.01, batches of 35, 7,000 epochs.
    """

    prior: PriorName = "sample"
    members: Members = 1
    epochs: Epochs = 2
    tickers: frozenset[str] | None = None
    """Only these tickers; all when None."""

    context: Annotated[int, Field(ge=2, le=250)] = 10
    """Sessions in a window, the LSTM's number of time steps."""
    hidden: Annotated[int, Field(ge=1, le=256)] = 6
    """Size of the LSTM's hidden state."""
    later_steps: Annotated[float, Field(ge=0)] = 0.1
    """Weight of each step after the first in the training loss; more costs the first step what it gives the others."""

    batch: Annotated[int, Field(ge=1)] = 64
    """Windows in one training step of one model."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.0025
    """Peak of the one-cycle schedule (constant in the tutorial preset)."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    """AdamW's decoupled weight decay."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the last hidden state zeroed in training."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Each model's gradient is scaled down to this norm, at most."""
    patience: Annotated[int, Field(ge=1)] = 8
    """Epochs without a better validation loss after which a model stops."""

    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.30
    """Share of targets, the last ones, on which the reported scores are measured."""
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share of what is not test, its last part, that early stopping and the choice of model see."""
    minimum_rows: Annotated[int, Field(ge=60)] = 150
    """A ticker with fewer rows gets the HAR's forecast instead of an LSTM's."""
    minimum_history: Annotated[int, Field(ge=10)] = 15
    """A ticker with fewer rows is not forecast at all."""

    models_per_batch: Annotated[int, Field(ge=1)] = 128
    """Models that share one tensor program; grouping follows from this alone, never from the machine."""
    shard_tickers: Annotated[int, Field(ge=1)] = 32
    """Tickers trained as one task, at most: a ticker's large arrays are in memory only while its shard is computed."""
    shards: Annotated[int, Field(ge=1, le=64)] = 2
    """The number of training tasks is a multiple of this, so that this many workers end together."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        given = {name: value for name, value in values.items() if value is not None}
        if given.get("preset") == "tutorial":
            return {**_TUTORIAL, **given}
        fits = given.get("hidden", PRIOR_HIDDEN) == PRIOR_HIDDEN
        return given if given.get("prior", "sample" if fits else "none") == "sample" else {**_FROM_SCRATCH, **given}

    @model_validator(mode="after")
    def _prior_fits(self) -> ForecastConfig:
        if self.prior == "sample" and (self.hidden != PRIOR_HIDDEN or self.preset != "default"):
            what = f"the prior is of the default preset, with a hidden size of {PRIOR_HIDDEN}"
            raise ValueError(f'{what}; set prior to "none"')
        return self

    @field_validator("tickers", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        names = frozenset(name.strip() for name in value.split(",") if name.strip())
        if value and not names:
            raise ValueError("should name at least one ticker")
        return names or None


def parse_as_of(text: str) -> date | Literal["latest", "scheduled"]:
    """Read the ``--as-of`` option.

    Raises
    ------
    InputError
        When it is neither of the two words nor an ISO date, or a date outside all calendars.
    """
    if text in ("latest", "scheduled"):
        return "latest" if text == "latest" else "scheduled"
    return parse_date(text, setting="set --as-of latest, scheduled or YYYY-MM-DD")


def parse_date(text: str, *, setting: str) -> date:
    """Read a date in ISO form.

    Raises
    ------
    InputError
        When it is not a date, or outside all calendars; `setting` names the option to set.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InputError(f'"{text}" is not a date', setting=setting) from None
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise InputError(f'"{text}" is not from {_FIRST_YEAR} to {_LAST_YEAR}', setting=setting)
    return day


def first_problem(error: ValidationError) -> str:
    """Describe in plain words the first thing that is wrong with options or a configuration."""
    problem = error.errors(include_url=False)[0]
    option = "--" + str(problem["loc"][0]).replace("_", "-") if problem["loc"] else "the options"
    if problem["type"] == "missing":
        return f"{option} is needed"
    message = problem["msg"].removeprefix("Value error, ")
    return f'{option}: {message[:1].lower()}{message[1:]}, not "{problem["input"]}"'
