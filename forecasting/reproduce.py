"""Verify a published date: whether its forecasts still follow from its input.

Three questions, in this order: are the store's files those of the manifest; does the input still have, for each ticker,
the rows that the forecast was made from (files may have grown since); and does the same run give the same bytes again?
"""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import ValidationError

from forecasting.config import ForecastConfig, Reason
from forecasting.errors import InputError
from forecasting.features.history import histories
from forecasting.formatting import name_few, printable
from forecasting.schemas import FORECASTS, parquet_bytes
from forecasting.store import paths
from forecasting.store.fingerprints import first_change
from forecasting.store.manifest import Manifest, versions_in_use
from forecasting.store.store import Store

if TYPE_CHECKING:
    from forecasting.ingest.prices import Ingested

__all__ = ["FileDifference", "Verification", "compare_forecasts", "verify", "verify_files"]

Source = str | Path | Sequence[str | Path]
Reader = Callable[..., "Ingested"]
Rerun = Callable[[ForecastConfig, "Ingested", date], bytes]

_SHOWN = 5
_KEY = ["ticker", "step"]


@dataclass(frozen=True, slots=True)
class FileDifference:
    """A file of a run that is not as its manifest says.

    Attributes
    ----------
    name
        Its path in the store.
    kind
        ``missing``; ``changed``, when its bytes differ; ``unlisted``, when the manifest does not name it.
    """

    name: str
    kind: Literal["missing", "changed", "unlisted"]

    @property
    def prunable(self) -> bool:
        """Whether it is only a file that retention may have removed."""
        metrics = self.name.endswith("/metrics.parquet")
        return self.kind == "missing" and paths.is_part_of_run(self.name) and not metrics


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of verifying a date.

    Attributes
    ----------
    differences
        What differs, one sentence each; none when the forecasts are identical.
    notes
        Other things to know: removed files, other versions, new tickers in the input.
    """

    differences: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def identical(self) -> bool:
        """Whether the forecasts have the same bytes, from the same rows, and every file is as it was written."""
        return not self.differences


def verify_files(store: Store, as_of: date) -> tuple[FileDifference, ...]:
    """Compare each file of a date's run with its SHA-256 in the manifest; returns those that differ, by name.

    Raises
    ------
    InputError
        When the date has no manifest that can be read.
    """
    known = store.manifest(as_of).files
    differences = []
    for name, entry in known.items():
        try:
            if store.record(name).sha256 != entry.sha256:
                differences.append(FileDifference(name, "changed"))
        except FileNotFoundError:
            differences.append(FileDifference(name, "missing"))
        except OSError:
            differences.append(FileDifference(name, "changed"))  # for example a folder of this name
    for kind in ("forecasts", "evaluation", "models", "reports"):
        present = (entry.name for entry in store.files(paths.folder(kind, as_of)))
        differences += [FileDifference(name, "unlisted") for name in present if name not in known]
    return tuple(sorted(differences, key=lambda difference: difference.name))


def verify(store: Store, as_of: date, prices: Source | None, *, read: Reader, rerun: Rerun) -> Verification:
    """Read a published date's input again, run it again, and compare.

    Parameters
    ----------
    store
        The store; it is only read.
    as_of
        The published date.
    prices
        Where the input is now; where it was, according to the manifest, when None.
    read
        `forecasting.ingest.prices.read_prices`.
    rerun
        Returns the bytes of forecasts.parquet for a configuration, the rows and a date; it writes nothing.

    Raises
    ------
    InputError
        When the date is not published, its manifest cannot be read, or the input cannot.
    """
    manifest = store.manifest(as_of)
    published = _published_bytes(store, as_of)
    try:
        config = ForecastConfig.model_validate(manifest.config)
    except ValidationError as error:
        raise InputError(
            f"its configuration is not one that this version can run: {error.errors()[0]['msg']}",
            file=store.where(paths.manifest(as_of)),
        ) from error
    files = verify_files(store, as_of)
    differences = [f"{file.name} is {_WORDS[file.kind]}" for file in files if not file.prunable]
    notes = [f"{file.name} is gone (removed as old, or lost)" for file in files if file.prunable]
    source = [entry.path for entry in manifest.inputs] if prices is None else prices
    ingested = read(source, as_of=as_of, tickers=config.tickers, **manifest.reading)
    rows = ingested.prices
    differences += _restated(manifest, rows)
    unknown = sorted(set(rows["ticker"].unique()) - set(manifest.rows))
    if unknown:
        notes.append(f"not in the published run, and left out here: {_names(unknown)}")
        ingested = dataclasses.replace(ingested, prices=rows[rows["ticker"].isin(list(manifest.rows))])
    notes += _other_versions(manifest)
    again = rerun(config, ingested, as_of)
    untrained = _untrained(published)
    if untrained:
        notes.append(f"had no time to be trained (time budget), and are not compared: {_names(untrained)}")
        published, again = (_without(data, untrained) for data in (published, again))
    differences += compare_forecasts(published, again)
    return Verification(tuple(differences), tuple(notes))


def compare_forecasts(published: bytes, again: bytes) -> tuple[str, ...]:
    """Compare two forecasts.parquet; returns what differs, one sentence each, none when the bytes are the same."""
    if published == again:
        return ()
    before, now = (
        pq.read_table(io.BytesIO(data)).to_pandas().set_index(_KEY).sort_index() for data in (published, again)
    )
    sentences = []
    for what, missing in (
        ("no longer", before.index.difference(now.index)),
        ("newly", now.index.difference(before.index)),
    ):
        if len(missing):
            sentences.append(f"{len(missing)} forecasts are {what} made: {_names(missing.get_level_values('ticker'))}")
    common = before.index.intersection(now.index)
    for column in before.columns.intersection(now.columns):
        sentence = _column_difference(before.loc[common, column], now.loc[common, column])
        if sentence:
            sentences.append(f"{column}: {sentence}")
    sentences += [f"column {name} is not in both" for name in before.columns.symmetric_difference(now.columns)]
    return tuple(sentences) or ("all values are the same, but the files' bytes are not",)


_WORDS = {"missing": "missing", "changed": "not as it was written", "unlisted": "not part of the run"}


def _published_bytes(store: Store, as_of: date) -> bytes:
    store.forecasts(as_of)  # an error when there are none, or they are damaged
    return store.read(paths.forecasts(as_of))


def _untrained(published: bytes) -> list[str]:
    """List the tickers whose LSTM was not trained for lack of time, which the same run may not repeat."""
    table = pq.read_table(io.BytesIO(published), columns=["ticker", "reason"])
    pairs = zip(table["ticker"].to_pylist(), table["reason"].to_pylist(), strict=True)
    return sorted({ticker for ticker, reason in pairs if reason and Reason.OUT_OF_TIME in reason})


def _without(forecasts: bytes, tickers: list[str]) -> bytes:
    table = pq.read_table(io.BytesIO(forecasts))
    others = table.filter(pc.invert(pc.is_in(table["ticker"], pa.array(tickers, pa.string()))))
    return parquet_bytes(others, FORECASTS)


def _restated(manifest: Manifest, prices: pd.DataFrame) -> list[str]:
    found = {history.ticker: history for history in histories(prices)}
    sentences = []
    for ticker, known in manifest.rows.items():
        if ticker not in found:
            sentences.append(f"{printable(ticker)}: is no longer in the input")
        elif change := first_change(known, found[ticker]):
            sentences.append(f"{printable(ticker)}: history restated: {change.message}")
    return sentences


def _other_versions(manifest: Manifest) -> list[str]:
    now = versions_in_use()
    changed = [
        f"{name} {version}, now {now.get(name)}"
        for name, version in manifest.versions.items()
        if now.get(name) != version
    ]
    return [f"computed with {', '.join(changed)}"] if changed else []


def _column_difference(before: pd.Series, now: pd.Series) -> str:
    size = ""
    if pd.api.types.is_float_dtype(before) and pd.api.types.is_float_dtype(now):
        old, new = before.to_numpy(), now.to_numpy()
        differs = old != new
        if differs.any():
            relative = np.abs(new - old)[differs] / np.maximum(np.abs(old[differs]), np.finfo(float).tiny)
            size = f" by up to {relative.max():.2g} of their value"
    else:
        differs = before.map(repr).to_numpy() != now.map(repr).to_numpy()
    if not differs.any():
        return ""
    return f"{differs.sum()} forecasts differ{size}: {_names(before.index[differs].get_level_values('ticker'))}"


def _names(tickers: Iterable[str]) -> str:
    return name_few(dict.fromkeys(tickers), _SHOWN)
