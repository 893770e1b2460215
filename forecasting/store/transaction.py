"""One run's way into the store: everything is staged first, then renamed into place, the forecasts last."""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from forecasting.errors import InputError
from forecasting.formatting import count, printable
from forecasting.frame_checks import check_forecasts
from forecasting.schemas import FORECASTS, HELDOUT, METRICS, as_table, parquet_bytes, write_parquet
from forecasting.store.atomic import FileRecord, StagedFile, sha256_of_file
from forecasting.store.manifest import Manifest
from forecasting.store.model_file import file_name, model_bytes

if TYPE_CHECKING:
    from forecasting.store.store import Store

__all__ = ["Publication", "Published"]

_log = logging.getLogger(__name__)

_NAMED = 5
"""So many tickers are named in a message."""


@dataclass(frozen=True, slots=True)
class Published:
    """What came of a publication.

    Attributes
    ----------
    status
        ``new``: the date's first. ``same``: the forecasts there already were these, byte for byte. ``replaced``: others
        stood there and had not been scored, or `restate` was asked for. ``kept``: others stand there that have been
        scored, or have tickers that this run lacks; nothing was written.
    path
        The date's forecasts.parquet.
    message
        The same as one plain sentence.
    """

    status: Literal["new", "same", "replaced", "kept"]
    path: Path
    message: str


class Publication:
    """The files of one date on their way into the store; made by `Store.publication`.

    Each method but `commit` stages a file, which no reader sees. What is staged is on the disk, whole, before the first
    rename, so that a full disk is met while nothing has changed.
    """

    def __init__(self, store: Store, as_of: date, *, restate: bool, scored: bool | Callable[[], bool]) -> None:
        self.store = store
        self.as_of = as_of
        self._restate = restate
        self._scored = scored
        self._staged: dict[str, tuple[StagedFile, FileRecord]] = {}

    def heldout(self, tables: Iterable[pd.DataFrame | pa.Table]) -> int:
        """Stage heldout.parquet from its pieces, read one at a time; returns the number of rows.

        Raises
        ------
        ValueError
            When a piece has other columns than `schemas.HELDOUT`, or missing values.
        """
        with self._stage(self.store.heldout_path(self.as_of)) as sink:
            return write_parquet(sink, tables, HELDOUT)

    def metrics(self, data: pd.DataFrame | pa.Table) -> None:
        """Stage metrics.parquet.

        Raises
        ------
        ValueError
            When it has other columns than `schemas.METRICS`.
        """
        with self._stage(self.store.metrics_path(self.as_of)) as sink:
            write_parquet(sink, [data], METRICS)

    def model(self, name: str, tensors: Mapping[str, npt.NDArray[Any]], card: Mapping[str, Any]) -> None:
        """Stage a model file; any `name` will do, and is no part of a path (`modelfile.file_name`)."""
        path = self.store.folder("models", self.as_of) / f"{file_name(name)}.safetensors"
        with self._stage(path) as sink:
            sink.write(model_bytes(tensors, card))

    def report(self, html: str) -> None:
        """Stage report.html."""
        with self._stage(self.store.report_path(self.as_of)) as sink:
            sink.write(html.encode("utf-8", "backslashreplace"))

    def commit(self, forecasts: pd.DataFrame | pa.Table, manifest: Manifest) -> Published:
        """Publish what was staged, the manifest and, last, the forecasts; then remove what an older run left.

        Parameters
        ----------
        forecasts
            Columns of `schemas.FORECASTS`.
        manifest
            Of this date; the files of the run are filled in here.

        Raises
        ------
        ValueError
            When the forecasts are not what their readers rely on, or the manifest is another date's.
        OSError
            When a file cannot be written or renamed; the forecasts published before stand.
        """
        if manifest.as_of != self.as_of:
            raise ValueError(f"the manifest of {manifest.as_of} does not belong to {self.as_of}")
        table = as_table(forecasts, FORECASTS)
        check_forecasts(table)
        data = parquet_bytes(table, FORECASTS)
        outcome = self._outcome(hashlib.sha256(data).hexdigest(), set(table["ticker"].to_pylist()))
        if outcome.status == "kept":
            _log.warning("%s", outcome.message)
            self.discard()
            return outcome
        path = self.store.forecasts_path(self.as_of)
        with self._stage(path) as sink:
            sink.write(data)
        product = self._staged.pop(self.store.name_of(path))
        files = {name: record for name, (_, record) in self._staged.items()}
        files[self.store.name_of(path)] = product[1]
        with self._stage(self.store.manifest_path(self.as_of)) as sink:
            sink.write(manifest.with_files(files).to_json())
        self._staged[self.store.name_of(path)] = product
        for staged, _ in self._staged.values():
            self.store.prepare(staged)
        for staged, _ in self._staged.values():
            staged.place()
        self._remove_obsolete()
        self._staged.clear()
        return outcome

    def discard(self) -> None:
        """Drop what is staged and not yet in place."""
        for staged, _ in self._staged.values():
            staged.discard()
        self._staged.clear()

    @contextlib.contextmanager
    def _stage(self, path: Path) -> Iterator[StagedFile]:
        name = self.store.name_of(path)
        if name in self._staged:
            raise ValueError(f"{name} is already part of this publication")
        staged = self.store.stage(path)
        try:
            yield staged
            self._staged[name] = staged, staged.seal()
        except BaseException:
            staged.discard()
            raise

    def _outcome(self, sha256: str, tickers: set[str]) -> Published:
        path = self.store.forecasts_path(self.as_of)
        try:
            there = sha256_of_file(path).sha256
        except FileNotFoundError:
            return Published("new", path, f"the forecasts as of {self.as_of} are published")
        if there == sha256:
            return Published("same", path, f"the forecasts as of {self.as_of} are what they were, byte for byte")
        if self._restate:
            return Published("replaced", path, f"the forecasts as of {self.as_of} are restated")
        if self._scored() if callable(self._scored) else self._scored:
            return Published(
                "kept",
                path,
                f"the forecasts as of {self.as_of} have been scored already and are kept; this run's differ from them "
                "and are not published (set --restate to replace them)",
            )
        # A run that was told of fewer tickers, or whose vendor had fewer that hour, must not take the others away.
        lost = sorted(self._published_tickers() - tickers)
        if lost:
            names = ", ".join(printable(name, 24) for name in lost[:_NAMED]) + (" ..." if len(lost) > _NAMED else "")
            return Published(
                "kept",
                path,
                f"the forecasts as of {self.as_of} have {count(len(lost), 'ticker')} that this run lacks ({names}) and "
                "are kept; this run's are not published (set --restate to replace them)",
            )
        return Published("replaced", path, f"the forecasts as of {self.as_of} replace earlier ones, not scored yet")

    def _published_tickers(self) -> set[str]:
        try:
            return set(self.store.forecasts(self.as_of).column("ticker").to_pylist())
        except InputError:
            return set()  # damaged: nothing is lost by replacing it

    def _remove_obsolete(self) -> None:
        """Remove the date's files that are not part of this run; what is published stands, whatever comes of it."""
        models = self.store.folder("models", self.as_of)
        optional = (self.store.heldout_path, self.store.metrics_path, self.store.report_path)
        for path in (*sorted(models.glob("*.safetensors")), *(place(self.as_of) for place in optional)):
            if self.store.name_of(path) not in self._staged:
                try:
                    path.unlink(missing_ok=True)
                except OSError as error:
                    _log.warning("%s of an earlier run could not be removed: %s", path, error.strerror)
