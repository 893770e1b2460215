"""The store: where forecasts are published, in a folder or a bucket, and the rules by which anything in it changes.

The names of its files are in `forecasting.store.paths`. Only the holder of the store's lock changes it; readers need no
lock, and never see a file that is not complete (`forecasting.store.places`).
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from forecasting.errors import InputError
from forecasting.schemas import FORECASTS, HELDOUT, read_parquet
from forecasting.store import paths
from forecasting.store.locate import locate
from forecasting.store.manifest import Manifest, read_manifest
from forecasting.store.places import Entry, FileRecord, StoreLockedError, file_record, record_of
from forecasting.store.transaction import Drafts, Publication

__all__ = ["PATIENCE", "Store", "StoreLockedError"]

PATIENCE = 60.0
"""Seconds that a run waits for another run to release the store."""

_ABANDONED = timedelta(hours=12)
"""A run whose shards have not written anything for this long was killed."""


class Store:
    """A store.

    Parameters
    ----------
    root
        The folder, or a bucket's address (``s3://bucket/folder``). With `create`, it is made when missing, and writing
        to it is tried.
    create
        False to only read: the store must exist, and nothing is made.

    Raises
    ------
    InputError
        When the place cannot be a store: a file, not writable, below something that is not a folder, a bucket that
        does not exist or refuses access, or (without `create`) missing.
    """

    def __init__(self, root: Path | str, *, create: bool = True) -> None:
        self.place = locate(root)
        self.address = self.place.address
        if create:
            self.place.prepare()
        elif not self.place.exists():
            raise InputError("there is no store here", file=str(root), setting="name the folder of one")

    def __repr__(self) -> str:
        return f"Store({self.address!r})"

    @property
    def root(self) -> Path:
        """The folder of a store in a folder."""
        return Path(self.address)

    def where(self, name: str) -> str:
        """Return a file's path or address, for people."""
        return f"{self.address}/{name}"

    # Reading ---------------------------------------------------------------------------------------------------------

    def files(self, folder: str) -> list[Entry]:
        """List the files in a folder of the store and below it, by name."""
        return self.place.list(folder)

    def exists(self, name: str) -> bool:
        """Whether there is a file of this name."""
        return self.place.entry(name) is not None

    def read(self, name: str) -> bytes:
        """Read a file; raises FileNotFoundError where there is none."""
        with self.place.open(name) as file:
            return file.read()

    def record(self, name: str) -> FileRecord:
        """Read a file and return what identifies its content; raises FileNotFoundError where there is none."""
        return file_record(self.place, name)

    def table(
        self,
        name: str,
        schema: pa.Schema,
        columns: Sequence[str] | None = None,
        filters: list[tuple[str, str, object]] | None = None,
    ) -> pa.Table:
        """Read a Parquet file, or some of it (`forecasting.schemas.read_parquet`).

        Raises
        ------
        FileNotFoundError
            Where there is none.
        InputError
            When it is damaged or of another schema.
        """
        with self.place.open(name) as file:
            return read_parquet(file, schema, columns, filters, name=self.where(name))

    def dates(self, kind: str = "forecasts") -> tuple[date, ...]:
        """Return the dates that have files of this kind, oldest first; of forecasts, those that are published."""
        names = {entry.name for entry in self.files(kind)}
        dates = {day for day in map(paths.partition_date, names) if day is not None}
        if kind == "forecasts":
            dates = {day for day in dates if paths.forecasts(day) in names}
        return tuple(sorted(dates))

    def latest(self) -> date | None:
        """Return the newest published date, None when nothing is published."""
        return max(self.dates(), default=None)

    def published(self, as_of: date) -> bool:
        """Whether a date's publication is complete: its forecasts are the ones that its manifest names.

        False after a run that was killed between manifest and forecasts; such a date should be run again.
        """
        name = paths.forecasts(as_of)
        try:
            entry = self.manifest(as_of).files.get(name)
            return entry is not None and self.record(name).sha256 == entry.sha256
        except (InputError, OSError):
            return False

    def manifest(self, as_of: date) -> Manifest:
        """Read a date's manifest.

        Raises
        ------
        InputError
            When there is none, it cannot be read, or it is another date's.
        """
        name = paths.manifest(as_of)
        try:
            with self.place.open(name) as file:
                manifest = read_manifest(file, self.where(name))
        except OSError as error:
            raise InputError(
                f"there is no manifest that can be read: {error.strerror}", file=self.where(name)
            ) from error
        if manifest.as_of != as_of:
            raise InputError(f"is the manifest of {manifest.as_of}, in the folder of {as_of}", file=self.where(name))
        return manifest

    def forecasts(self, as_of: date) -> pa.Table:
        """Read a date's forecasts, as they are in their file.

        Raises
        ------
        InputError
            When there are none of that date, or the file is damaged.
        """
        try:
            return self.table(paths.forecasts(as_of), FORECASTS)
        except FileNotFoundError:
            raise InputError(f"nothing is published as of {as_of}", file=self.address) from None

    def heldout(
        self,
        as_of: date,
        columns: Sequence[str] | None = None,
        filters: list[tuple[str, str, object]] | None = None,
    ) -> pa.Table:
        """Read a date's held-out rows, or some of them, from all their parts; an empty table where there are none.

        Raises
        ------
        InputError
            When a part is damaged.
        """
        names = [entry.name for entry in self.files(paths.folder("evaluation", as_of)) if "/heldout" in entry.name]
        parts = [self.table(name, HELDOUT, columns, filters) for name in names if name.endswith(".parquet")]
        return pa.concat_tables(parts) if parts else HELDOUT.empty_table().select(columns or HELDOUT.names)

    # Writing ---------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def lock(self, wait: float = 0.0) -> Iterator[None]:
        """Lock the store for writing, waiting at most `wait` seconds for another run to end.

        Unfinished files of killed runs are removed first. Raises StoreLockedError when another run still holds the lock
        after the wait; the message says which.
        """
        self.place.lock.acquire(wait)
        try:
            self._remove_leftovers()
            yield
        finally:
            self.place.lock.release()

    @contextlib.contextmanager
    def locked(self, wait: float = 0.0) -> Iterator[None]:
        """Lock the store as `lock` does, or continue under the lock that this object already holds."""
        with contextlib.nullcontext() if self.place.lock.held else self.lock(wait):
            yield

    @contextlib.contextmanager
    def drafts(self) -> Iterator[Drafts]:
        """Give a run a place for the files that its shards write before publication; it is emptied at the end."""
        group = secrets.token_hex(8)
        drafts = Drafts(self.place, group, self.place.draft(b"", group))
        try:
            yield drafts
        finally:
            drafts.discard()

    @contextlib.contextmanager
    def publication(
        self,
        as_of: date,
        *,
        restate: bool = False,
        scored: bool | Callable[[], bool] = False,
        wait: float = 0.0,
    ) -> Iterator[Publication]:
        """Publish one date: everything, or (after any error, or without `Publication.commit`) nothing.

        Parameters
        ----------
        as_of
            The date.
        restate
            Replace forecasts although they have already been scored.
        scored
            Whether any forecast published for this date has been scored: then different forecasts are not published,
            unless `restate`. A function is called at commit, under the lock.
        wait
            Seconds to wait for the lock, where this object does not hold it already.

        Raises
        ------
        StoreLockedError
            When another run holds the store after the wait.
        """
        with self.locked(wait):
            publication = Publication(self.place, as_of, restate=restate, scored=scored)
            try:
                yield publication
            finally:
                publication.discard()

    def write(self, name: str, data: bytes) -> FileRecord:
        """Write another file of the store (scores, for example), as `write_all` does."""
        return self.write_all({name: data})[name]

    def write_all(self, files: dict[str, bytes]) -> dict[str, FileRecord]:
        """Write files, which appear in this order once all are complete; only under the lock.

        Raises
        ------
        ValueError
            When a name is not in the store's folders.
        OSError
            When a file cannot be written; existing files are unchanged.
        """
        for name in files:
            paths.check_name(name)
        if not self.place.lock.held:
            raise RuntimeError("a store is changed only under its lock")
        drafts: list[tuple[str, str]] = []
        try:
            for name, data in files.items():
                drafts.append((self.place.draft(data), name))
            self.place.publish(drafts)
        except BaseException:
            for draft, _ in drafts:
                with contextlib.suppress(OSError):
                    self.place.delete(draft)
            raise
        return {name: record_of(data) for name, data in files.items()}

    def _remove_leftovers(self) -> None:
        """Remove drafts that will not be published: other holders' of the lock, and old ones of shards."""
        abandoned = datetime.now(UTC) - _ABANDONED
        drafts = self.files(paths.STAGING)
        groups = {paths.group_of(entry.name) for entry in drafts if entry.modified >= abandoned}
        for entry in drafts:
            if paths.is_draft(entry.name, grouped=False) or (
                paths.is_draft(entry.name, grouped=True) and paths.group_of(entry.name) not in groups
            ):
                self.place.delete(entry.name)
