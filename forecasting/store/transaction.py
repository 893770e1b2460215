"""How a run enters the store: everything is written as drafts first, then renamed, the forecasts last."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from forecasting.errors import InputError
from forecasting.formatting import name_few, pluralize
from forecasting.frame_checks import check_forecasts
from forecasting.schemas import (
    FORECASTS,
    HELDOUT,
    METRICS,
    as_table,
    parquet_bytes,
    read_parquet,
)
from forecasting.store import paths
from forecasting.store.manifest import Manifest
from forecasting.store.model_file import file_name, model_bytes
from forecasting.store.places import FileRecord, Place, file_record, record_of

__all__ = ["Draft", "Drafts", "Publication", "Published"]

_log = logging.getLogger(__name__)

_NAMED = 5
"""Tickers that a message names, at most."""


@dataclass(frozen=True, slots=True)
class Published:
    """The result of a publication.

    Attributes
    ----------
    status
        ``new``: the date's first. ``same``: the existing forecasts are the same, byte for byte. ``replaced``: existing
        ones were replaced, which had not been scored, or because of `restate`. ``kept``: existing ones have been
        scored, or have tickers that this run does not have; nothing was written.
    name
        The name of the date's forecasts.parquet in the store.
    message
        The same as one plain sentence.
    """

    status: Literal["new", "same", "replaced", "kept"]
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A file that is written, but not published.

    Attributes
    ----------
    name
        Its path in the place.
    record
        What identifies its content.
    """

    name: str
    record: FileRecord


@dataclass(frozen=True, slots=True)
class Drafts:
    """Files that the shards of a run write, on whatever machine they run, so that large tables need not be sent back.

    Parameters
    ----------
    place
        Where the store is. Workers on other machines must reach the same place.
    group
        The run's name.
    marker
        A draft that exists as long as the run.
    """

    place: Place
    group: str
    marker: str

    def closed(self) -> bool:
        """Whether the run has ended, so that its shards are not needed any more."""
        return self.place.entry(self.marker) is None

    def heldout(self, rows: pa.Table) -> Draft:
        """Write a shard's held-out rows.

        Raises
        ------
        ValueError
            When they have other columns than `schemas.HELDOUT`, or missing values.
        """
        data = parquet_bytes(rows, HELDOUT)
        return Draft(self.place.draft(data, self.group), record_of(data))

    def discard(self) -> None:
        """Remove the unpublished files; never raises, so that it does not hide another error."""
        with contextlib.suppress(OSError, InputError):
            for entry in self.place.list(f"{paths.STAGING}/{self.group}"):
                self.place.delete(entry.name)


class Publication:
    """The files of one date on their way into the store; made by `Store.publication`.

    Each method but `commit` writes a draft, which readers do not see. All drafts are on the disk before the first one
    is renamed, so that a full disk is noticed while nothing has changed.
    """

    def __init__(self, place: Place, as_of: date, *, restate: bool, scored: bool | Callable[[], bool]) -> None:
        self.as_of = as_of
        self._place = place
        self._restate = restate
        self._scored = scored
        self._drafts: dict[str, Draft] = {}

    def heldout(self, shard: int, rows: Draft | pd.DataFrame | pa.Table) -> None:
        """Take one shard's held-out rows, which a `Drafts` has written already, or write them.

        Raises
        ------
        ValueError
            When they have other columns than `schemas.HELDOUT`, or missing values.
        """
        name = paths.heldout_part(self.as_of, shard)
        if isinstance(rows, Draft):
            self._take(name, rows)
        else:
            self._write(name, parquet_bytes(rows, HELDOUT))

    def metrics(self, data: pd.DataFrame | pa.Table) -> None:
        """Write metrics.parquet.

        Raises
        ------
        ValueError
            When it has other columns than `schemas.METRICS`.
        """
        self._write(paths.metrics(self.as_of), parquet_bytes(data, METRICS))

    def model(self, name: str, tensors: Mapping[str, npt.NDArray[Any]], card: Mapping[str, Any]) -> None:
        """Write a model file; `name` may be any text, since the path is not made from it (`model_file.file_name`)."""
        self._write(paths.model(self.as_of, file_name(name)), model_bytes(tensors, card))

    def report(self, html: str) -> None:
        """Write report.html."""
        self._write(paths.report(self.as_of), html.encode("utf-8", "backslashreplace"))

    def commit(self, forecasts: pd.DataFrame | pa.Table, manifest: Manifest) -> Published:
        """Publish the drafts, the manifest and, last, the forecasts; then remove files of an earlier run.

        Parameters
        ----------
        forecasts
            Columns of `schemas.FORECASTS`.
        manifest
            Of this date; the files of the run are filled in here.

        Raises
        ------
        ValueError
            When the forecasts break a rule that readers rely on, or the manifest is another date's.
        OSError
            When a file cannot be written or renamed; the forecasts published before stay.
        """
        if manifest.as_of != self.as_of:
            raise ValueError(f"the manifest of {manifest.as_of} does not belong to {self.as_of}")
        table = as_table(forecasts, FORECASTS)
        check_forecasts(table)
        data = parquet_bytes(table, FORECASTS)
        outcome = self._outcome(record_of(data), set(table["ticker"].to_pylist()))
        if outcome.status == "kept":
            _log.warning("%s", outcome.message)
            self.discard()
            return outcome
        self._write(outcome.name, data)
        product = self._drafts.pop(outcome.name)
        files = {name: draft.record for name, draft in self._drafts.items()} | {outcome.name: product.record}
        self._write(paths.manifest(self.as_of), manifest.with_files(files).to_json())
        self._drafts[outcome.name] = product
        self._place.publish([(draft.name, name) for name, draft in self._drafts.items()])
        self._remove_obsolete()
        self._drafts.clear()
        return outcome

    def discard(self) -> None:
        """Remove this object's unpublished drafts; never raises, so that it does not hide another error."""
        for draft in self._drafts.values():
            if paths.is_draft(draft.name, grouped=False):  # drafts of shards stay for another try
                with contextlib.suppress(OSError):
                    self._place.delete(draft.name)
        self._drafts.clear()

    def _write(self, name: str, data: bytes) -> None:
        self._take(name, None)
        self._drafts[name] = Draft(self._place.draft(data), record_of(data))

    def _take(self, name: str, draft: Draft | None) -> None:
        paths.check_name(name)
        if name in self._drafts:
            raise ValueError(f"{name} is already part of this publication")
        if draft is not None:
            self._drafts[name] = draft

    def _outcome(self, record: FileRecord, tickers: set[str]) -> Published:
        name = paths.forecasts(self.as_of)
        try:
            there = file_record(self._place, name)
        except FileNotFoundError:
            return Published("new", name, f"the forecasts as of {self.as_of} are published")
        if there == record:
            return Published("same", name, f"the forecasts as of {self.as_of} are what they were, byte for byte")
        if self._restate:
            return Published("replaced", name, f"the forecasts as of {self.as_of} are restated")
        if self._scored() if callable(self._scored) else self._scored:
            return Published(
                "kept",
                name,
                f"the forecasts as of {self.as_of} have been scored already and are kept; this run's differ from them "
                "and are not published (set --restate to replace them)",
            )
        # A run of fewer tickers, or whose vendor had fewer at that time, must not remove the others.
        lost = sorted(self._published_tickers(name) - tickers)
        if lost:
            names = name_few(lost, _NAMED)
            return Published(
                "kept",
                name,
                f"the forecasts as of {self.as_of} have {pluralize(len(lost), 'ticker')} that this run does not have "
                f"({names}) and are kept; this run's are not published (set --restate to replace them)",
            )
        return Published("replaced", name, f"the forecasts as of {self.as_of} replace earlier ones, not scored yet")

    def _published_tickers(self, name: str) -> set[str]:
        try:
            with self._place.open(name) as file:
                return set(read_parquet(file, FORECASTS, ["ticker"], name=name)["ticker"].to_pylist())
        except InputError:
            return set()  # damaged: nothing is lost by replacing it

    def _remove_obsolete(self) -> None:
        """Remove the date's files that are not part of this run; an error does not matter, the run is published."""
        for kind in ("models", "evaluation", "reports"):
            for entry in self._place.list(paths.folder(kind, self.as_of)):
                if paths.is_part_of_run(entry.name) and entry.name not in self._drafts:
                    try:
                        self._place.delete(entry.name)
                    except OSError as error:
                        _log.warning("%s of an earlier run could not be removed: %s", entry.name, error.strerror)
