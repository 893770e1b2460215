"""The configuration: one frozen, documented model that a run is made from, and the two presets.

Everything that changes a number in the output is here, and is written into the run's manifest.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from forecasting.errors import InputError

__all__ = ["LEVELS", "OUT_OF_TIME", "QUANTILE_COLUMNS", "ForecastConfig", "parse_as_of"]

LEVELS: tuple[float, ...] = tuple(round(0.05 * k, 2) for k in range(1, 20))
"""The probabilities of the 19 published quantiles, 0.05 to 0.95."""

QUANTILE_COLUMNS: tuple[str, ...] = tuple(f"q{round(100 * level):02d}" for level in LEVELS)
"""Their column names, ``q05`` to ``q95``."""

OUT_OF_TIME = "time budget spent"
"""The published reason of a ticker whose LSTM there was no time to train."""

_FIRST_YEAR, _LAST_YEAR = 1800, 2199
"""Years of dates that anything here can be as of."""

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
}


class ForecastConfig(BaseModel):
    """What a run does, completely.

    Values given by name override the preset's; the preset fills the rest. ``ForecastConfig(preset="tutorial")`` is the
    tutorial's setting: one output two sessions ahead, windows of 7, hidden 4, Adam 0.01, batches of 35, 7,000 epochs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    preset: Literal["default", "tutorial"] = "default"
    """Which formulation: ours, or the tutorial's to the digit."""
    tickers: frozenset[str] | None = None
    """Only these tickers; all when None."""
    horizon: Annotated[int, Field(ge=1, le=60)] = 5
    """Sessions ahead that are forecast, 1 to this."""
    anchor: Literal["auto", "open", "close"] = "auto"
    """The price that forecasts start from: the last Close where it is usable (auto), or always the one named."""
    calendar: str = "XNYS"
    """Exchange calendar of the target dates, as exchange_calendars names it; ``24/7`` for coins."""
    stale_after: Annotated[int, Field(ge=0)] = 5
    """A ticker lagging the as-of date by up to so many sessions is published as stale; beyond it is withheld."""

    context: Annotated[int, Field(ge=2, le=250)] = 10
    """Sessions in a window, the LSTM's number of time steps."""
    hidden: Annotated[int, Field(ge=1, le=256)] = 6
    """Size of the LSTM's hidden state."""
    recurrence: Literal["fused", "loop", "scan"] = "fused"
    """Form of the recurrence; the three give the same numbers (fused: the loop with its gradient written by hand)."""
    later_steps: Annotated[float, Field(ge=0)] = 0.02
    """Weight of each step after the first in the training loss; more costs the first step what it gives the others."""
    members: Annotated[int, Field(ge=1, le=64)] = 2
    """LSTMs a ticker, differing in their seed; their quantiles are averaged."""

    epochs: Annotated[int, Field(ge=1, le=100_000)] = 12
    """Passes over the training windows, at most (early stopping may keep fewer)."""
    batch: Annotated[int, Field(ge=1)] = 64
    """Windows in one training step of one model."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.02
    """Peak of the one-cycle schedule (constant in the tutorial preset)."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.1
    """AdamW's decoupled weight decay."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    """Share of the last hidden state zeroed in training."""
    clip_norm: Annotated[float, Field(gt=0)] = 1.0
    """Each model's gradient is scaled down to this norm, at most."""
    patience: Annotated[int, Field(ge=1)] = 8
    """Epochs without a better validation loss after which a model stops."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Root of every random stream; each ticker's stream is this and its name."""

    test_share: Annotated[float, Field(gt=0, lt=1)] = 0.30
    """Share of targets, the last ones, on which the reported scores are measured."""
    validation_share: Annotated[float, Field(ge=0, lt=1)] = 0.15
    """Share of what is not test, its last part, that early stopping and the choice of model see."""
    minimum_rows: Annotated[int, Field(ge=60)] = 150
    """A ticker with fewer rows gets its best baseline instead of an LSTM."""
    minimum_history: Annotated[int, Field(ge=10)] = 15
    """A ticker with fewer rows is not forecast at all."""

    models_per_batch: Annotated[int, Field(ge=1)] = 128
    """Models that share one tensor program; grouping follows from this alone, never from the machine."""
    shard_tickers: Annotated[int, Field(ge=1)] = 32
    """Tickers trained as one task, at least, while there are enough of them."""
    shards: Annotated[int, Field(ge=1, le=64)] = 16
    """Tasks that training is dealt into, at most; with more tickers each gets more."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where training runs; auto takes cuda, then mps, then cpu."""

    @model_validator(mode="before")
    @classmethod
    def _fill_from_preset(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("preset") == "tutorial":
            given = {name: value for name, value in values.items() if value is not None}
            return {**_TUTORIAL, **given}
        return values

    @field_validator("tickers", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        if isinstance(value, str):
            return frozenset(name.strip() for name in value.split(",") if name.strip()) or None
        return value


def parse_as_of(text: str) -> date | Literal["latest", "scheduled"]:
    """Read the ``--as-of`` option.

    Raises
    ------
    InputError
        When it is neither one of the two words nor an ISO date, or a date outside all calendars.
    """
    if text in ("latest", "scheduled"):
        return "latest" if text == "latest" else "scheduled"
    setting = "set --as-of latest, scheduled or YYYY-MM-DD"
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InputError(f'"{text}" is not a date', setting=setting) from None
    if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
        raise InputError(f'"{text}" is not from {_FIRST_YEAR} to {_LAST_YEAR}', setting=setting)
    return day
