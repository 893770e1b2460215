"""The store: the folder in which forecasts are published, and the rules by which anything in it changes.

    DIR/forecasts/as_of=YYYY-MM-DD/forecasts.parquet     the product; the last thing written
    DIR/evaluation/as_of=YYYY-MM-DD/heldout.parquet      every held-out forecast, with the actual
    DIR/evaluation/as_of=YYYY-MM-DD/metrics.parquet      the scores of those
    DIR/models/as_of=YYYY-MM-DD/*.safetensors            weights and scalers
    DIR/reports/as_of=YYYY-MM-DD/report.html             the report
    DIR/runs/as_of=YYYY-MM-DD/manifest.json              inputs, configuration, versions, files
    DIR/scores/...                                       how earlier forecasts turned out
    DIR/backtests/as_of=YYYY-MM-DD/...                   what would have been forecast from many past sessions

Only who holds the store's lock changes it; who reads needs none. Reading never follows what is not yet whole: files are
staged under DIR/.staging and renamed over their places (`forecasting.store.atomic`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path, PurePosixPath

import pyarrow as pa

from forecasting.buckets import refuse_address
from forecasting.errors import InputError
from forecasting.schemas import FORECASTS, read_parquet
from forecasting.store.atomic import FileRecord, StagedFile, ensure_folder, remove_leftovers, sha256_of_file, write_file
from forecasting.store.lock import StoreLock, StoreLockedError
from forecasting.store.manifest import Manifest, load_manifest
from forecasting.store.transaction import Publication

__all__ = ["KINDS", "Store", "StoreLockedError"]

KINDS = ("forecasts", "evaluation", "models", "reports", "runs", "scores", "backtests")
"""The folders of a store."""

_OWN = (*KINDS, ".index")
"""Where the store writes; what is in the hidden folder can be made again from the others."""

_PARTITION = re.compile(r"as_of=(\d{4}-\d{2}-\d{2})")
_SETTING = "set --output to a folder that can be written to"


class Store:
    """A store at `root`.

    Parameters
    ----------
    root
        The folder. With `create`, it is made when absent, and tried by writing to it.
    create
        False to read only: the folder must be there, and nothing is tried or made.

    Raises
    ------
    InputError
        When the place cannot be a store: an address (``s3://...``), a file, not writable, below something that
        is not a folder, or (without `create`) not there.
    """

    def __init__(self, root: Path | str, *, create: bool = True) -> None:
        refuse_address(root)
        # Taken once: a later change of the working directory must not move the store.
        self.root = Path(root).absolute()
        self._lock = StoreLock(self.root / ".lock")
        if create:
            self._prepare()
        elif not self.root.is_dir():
            raise InputError("there is no store here", file=str(root), setting="name the folder of one")

    def __repr__(self) -> str:
        return f"Store({str(self.root)!r})"

    # Places ----------------------------------------------------------------------------------------------------------

    def folder(self, kind: str, as_of: date) -> Path:
        """Return the folder of one kind (of `KINDS`) and date; it may not exist."""
        day = date(as_of.year, as_of.month, as_of.day)  # a datetime is a date too, but would write its time
        return self.root / kind / f"as_of={day.isoformat()}"

    def forecasts_path(self, as_of: date) -> Path:
        """Return where forecasts.parquet stands."""
        return self.folder("forecasts", as_of) / "forecasts.parquet"

    def heldout_path(self, as_of: date) -> Path:
        """Return where heldout.parquet stands."""
        return self.folder("evaluation", as_of) / "heldout.parquet"

    def metrics_path(self, as_of: date) -> Path:
        """Return where metrics.parquet stands."""
        return self.folder("evaluation", as_of) / "metrics.parquet"

    def report_path(self, as_of: date) -> Path:
        """Return where report.html stands."""
        return self.folder("reports", as_of) / "report.html"

    def manifest_path(self, as_of: date) -> Path:
        """Return where manifest.json stands."""
        return self.folder("runs", as_of) / "manifest.json"

    def name_of(self, path: Path) -> str:
        """Return a file's name in the manifest: its path in the store, with ``/``."""
        return path.relative_to(self.root).as_posix()

    # Reading ---------------------------------------------------------------------------------------------------------

    def dates(self, kind: str = "forecasts") -> tuple[date, ...]:
        """Return the dates that have a folder of this kind, oldest first; of forecasts, those that are published."""
        dates = []
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            for entry in os.scandir(self.root / kind):
                match = _PARTITION.fullmatch(entry.name)
                if match and entry.is_dir(follow_symlinks=False):
                    with contextlib.suppress(ValueError):
                        dates.append(date.fromisoformat(match[1]))
        if kind == "forecasts":
            dates = [as_of for as_of in dates if self.forecasts_path(as_of).is_file()]
        return tuple(sorted(dates))

    def latest(self) -> date | None:
        """Return the newest published date, None when nothing is published."""
        return max(self.dates(), default=None)

    def published(self, as_of: date) -> bool:
        """Tell whether a date's publication is complete: its forecasts are the ones that its manifest names.

        False after a run that was killed between manifest and forecasts; such a date should be run again.
        """
        try:
            entry = self.manifest(as_of).files.get(self.name_of(self.forecasts_path(as_of)))
            return entry is not None and sha256_of_file(self.forecasts_path(as_of)).sha256 == entry.sha256
        except (InputError, OSError):
            return False

    def manifest(self, as_of: date) -> Manifest:
        """Read a date's manifest.

        Raises
        ------
        InputError
            When there is none, it cannot be read, or it is another date's.
        """
        path = self.manifest_path(as_of)
        manifest = load_manifest(path)
        if manifest.as_of != as_of:
            raise InputError(f"is the manifest of {manifest.as_of}, in the folder of {as_of}", file=str(path))
        return manifest

    def forecasts(self, as_of: date) -> pa.Table:
        """Read a date's forecasts, as they stand in their file.

        Raises
        ------
        InputError
            When there are none of that date, or the file is damaged.
        """
        try:
            return read_parquet(self.forecasts_path(as_of), FORECASTS)
        except FileNotFoundError:
            raise InputError(f"nothing is published as of {as_of}", file=str(self.root)) from None

    def version(self, path: Path) -> str | None:
        """Return what changes whenever a file of the store is written; None where there is no such file."""
        try:
            status = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return f"{status.st_size}-{status.st_mtime_ns}"

    # Writing ---------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self, wait: float = 0.0) -> Iterator[None]:
        """Hold the store for writing, waiting at most `wait` seconds for another run to end.

        What a killed run has left half-written is removed on the way in.

        Raises
        ------
        StoreLockedError
            When another run holds it after the wait; the message says which.
        """
        self._lock.acquire(wait)
        try:
            remove_leftovers(ensure_folder(self.root, ".staging"))
            yield
        finally:
            self._lock.release()

    @contextlib.contextmanager
    def locked(self, wait: float = 0.0) -> Iterator[None]:
        """Hold the store as `lock` does, or go on under the lock that this object holds already."""
        with contextlib.nullcontext() if self._lock.held else self.lock(wait):
            yield

    @contextlib.contextmanager
    def publication(
        self,
        as_of: date,
        *,
        restate: bool = False,
        scored: bool | Callable[[], bool] = False,
        wait: float = 0.0,
    ) -> Iterator[Publication]:
        """Publish one date: all of it, or (after any error, or without `Publication.commit`) nothing.

        Parameters
        ----------
        as_of
            The date.
        restate
            Replace forecasts although they have been scored already.
        scored
            Whether any forecast published for this date has been scored: then other forecasts than those are not
            published, unless `restate`. Asked at commit, under the lock.
        wait
            Seconds to wait for the lock, where this object does not hold it already.

        Raises
        ------
        StoreLockedError
            When another run holds the store after the wait.
        OSError
            When the disk is full, broken or read-only; the forecasts published before stand.
        """
        with self.locked(wait):
            publication = Publication(self, as_of, restate=restate, scored=scored)
            try:
                yield publication
            finally:
                publication.discard()

    def write(self, name: str, data: bytes) -> FileRecord:
        """Write one further file of the store (scores, say), whole or not at all; only under the lock.

        Parameters
        ----------
        name
            Its path in the store, with ``/``: ``scores/as_of=2024-05-01/scores.parquet``.
        data
            Its bytes.

        Raises
        ------
        ValueError
            When the name leads out of the store's folders.
        OSError
            When it cannot be written; the file there, if any, is as it was.
        """
        target = self._target(name)
        ensure_folder(self.root, *PurePosixPath(name).parts[:-1])
        return write_file(self.root / ".staging", target, data)

    def stage(self, path: Path) -> StagedFile:
        """Begin to write a file of the store; it appears under its name when it is placed. Only under the lock."""
        return StagedFile(self.root / ".staging", self._target(self.name_of(path)))

    def prepare(self, staged: StagedFile) -> None:
        """Make the folder that a staged file will stand in, where it is missing."""
        ensure_folder(self.root, *staged.target.relative_to(self.root).parts[:-1])

    def _target(self, name: str) -> Path:
        if not self._lock.held:
            raise RuntimeError("a store is changed only under its lock")
        parts = name.split("/")
        if len(parts) < 2 or parts[0] not in _OWN or any(part in ("", ".", "..") or "\0" in part for part in parts):
            raise ValueError(f"{name!r} is no path of the store")
        return self.root.joinpath(*parts)

    def _prepare(self) -> None:
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            # Permissions alone do not tell: a read-only mount, a quota and a remote root are only seen by trying.
            ensure_folder(self.root, ".staging")
            probe = StagedFile(self.root / ".staging", self.root / ".probe")
            probe.discard()
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
                raise
            what = "is a file" if isinstance(error, FileExistsError) else f"cannot be written to: {error.strerror}"
            raise InputError(what, file=str(self.root), setting=_SETTING) from error
        for kind in KINDS:
            if (self.root / kind).is_symlink() or ((self.root / kind).exists() and not (self.root / kind).is_dir()):
                raise InputError(
                    "is no folder (a file or a symbolic link); the store writes only to folders of its own",
                    file=str(self.root / kind),
                    setting="move it away or set --output to another folder",
                )
