"""Constants that were fitted once on the sample: the weights that every LSTM starts from, and HAR's coefficients.

They are the same for every ticker, and made by `forecasting.model.pretrain`. There is one set for each of several cuts
in time, fitted on the sample's rows up to that day. A ticker gets the newest set that ends before its own first judged
target, so that no score is computed on rows that its constants have seen.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib import resources
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load

from forecasting.config import LEVELS, Anchor, ForecastConfig
from forecasting.features.windows import Windows
from forecasting.findings import Finding
from forecasting.model.network import RowLayout

__all__ = [
    "ANCHORS",
    "HORIZON",
    "PRIOR_FILE",
    "Prior",
    "har_coefficients",
    "load_prior",
    "prior_findings",
    "starting_rows",
    "unseen",
]

ANCHORS: tuple[Anchor, ...] = get_args(Anchor)

HORIZON = 5
"""Steps of the LSTM's prior; later steps start from its last one."""

PRIOR_FILE = "prior.safetensors"
_KEY = "card"


@dataclass(frozen=True)
class Prior:
    """The constants, oldest cut first.

    Attributes
    ----------
    cuts
        ``(cuts,)``: last session of the sample that each set has seen.
    lstm
        By anchor, ``(cuts, parameters)``: rows as `forecasting.model.network.RowLayout` cuts them, of `HORIZON` steps.
    har
        By anchor, ``(cuts, 60, 3)``: coefficients of `Windows.log_ranges` in the log scale of each step.
    sha256
        Of the file.
    card
        How they were made.
    """

    cuts: NDArray[np.datetime64]
    lstm: Mapping[Anchor, NDArray[np.float32]]
    har: Mapping[Anchor, NDArray[np.float64]]
    sha256: str
    card: Mapping[str, Any]


@cache
def load_prior() -> Prior:
    """Read the file that is part of the package."""
    data = (resources.files("forecasting.model") / PRIOR_FILE).read_bytes()
    tensors = load(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    card = json.loads(header["__metadata__"][_KEY])
    return Prior(
        cuts=np.array(card["cuts"], dtype="datetime64[D]"),
        lstm={anchor: tensors[f"lstm.{anchor}"] for anchor in ANCHORS},
        har={anchor: tensors[f"har.{anchor}"] for anchor in ANCHORS},
        sha256=hashlib.sha256(data).hexdigest(),
        card=card,
    )


def prior_findings(config: ForecastConfig, as_of: date) -> tuple[Finding, ...]:
    """Report that a run's date is before the end of the newest constants, which it therefore does not use."""
    newest = load_prior().cuts[-1]
    if config.preset == "tutorial" or np.datetime64(as_of, "D") >= newest:
        return ()
    message = (
        f"as of {as_of}, before {newest}, where the newest prior ends: every ticker starts from an "
        "older one, which ends before its own first judged session"
    )
    return (Finding("", "prior", message),)


def unseen(windows: Windows) -> NDArray[np.int64]:
    """Index ``(tickers,)`` of each ticker's set: the newest that ends before its first judged target.

    -1 where none does; such a ticker gets the first set, with a finding.
    """
    rows = windows.validation_start - windows.first
    first = [one.dates[min(row, one.rows - 1)] for one, row in zip(windows.series, rows, strict=True)]
    return np.searchsorted(load_prior().cuts, np.array(first, dtype="datetime64[D]"), side="left") - 1


def starting_rows(windows: Windows, hidden: int) -> NDArray[np.float32]:
    """Parameters ``(tickers, parameters)`` that training starts from, for all steps of the windows."""
    prior, places = load_prior(), unseen(windows).clip(0)
    own = np.stack([prior.lstm[one.anchor][place] for one, place in zip(windows.series, places, strict=True)])
    inputs = windows.inputs.shape[2]
    recurrent, head, drivers, gaps = np.split(own, np.cumsum(RowLayout(inputs, hidden, HORIZON).sizes)[:-1], axis=1)
    step = np.minimum(np.arange(windows.horizon), HORIZON - 1)
    tickers = len(own)
    parts = (
        recurrent,
        head.reshape(tickers, 2, HORIZON, hidden + 1)[:, :, step],
        drivers.reshape(tickers, HORIZON, 2)[:, step],
        gaps.reshape(tickers, HORIZON, len(LEVELS) - 1)[:, step],
    )
    return np.concatenate([part.reshape(tickers, -1) for part in parts], axis=1)


def har_coefficients(windows: Windows) -> NDArray[np.float64]:
    """Coefficients ``(tickers, horizon, 3)`` of HAR's log scale."""
    prior, places = load_prior(), unseen(windows).clip(0)
    own = [prior.har[one.anchor][place] for one, place in zip(windows.series, places, strict=True)]
    return np.stack(own)[:, : windows.horizon]
