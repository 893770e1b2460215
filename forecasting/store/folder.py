"""A store in a folder: files that appear complete or not at all.

A draft is written in the hidden folder ``.staging`` of the same store, flushed to the disk, and renamed; then the
folder's entry is flushed, too. A reader, at any moment and after any crash, finds the old file or the new one, never a
part of either. Drafts are not in the folders of published files, because some readers of a folder (Polars) fail on any
file that is not Parquet, hidden or not.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from forecasting.errors import InputError
from forecasting.store.lock import FolderLock
from forecasting.store.paths import KINDS, STAGING
from forecasting.store.places import Entry

__all__ = ["LocalFolder"]

_SETTING = "set --output to a folder that can be written to"
_BROKEN = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


class LocalFolder:
    """A folder of this machine, as a `forecasting.store.places.Place`.

    Parameters
    ----------
    root
        The folder; a later change of the working directory does not change it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.address = str(self.root)

    @cached_property
    def lock(self) -> FolderLock:
        """The lock that writers hold."""
        return FolderLock(self.root / ".lock")

    def prepare(self) -> None:
        """Make the folder if it is missing, and try to write to it.

        Raises
        ------
        InputError
            When it cannot be a store: a file, not writable, below something that is not a folder, or with links in it.
        OSError
            When the disk is full or broken.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            # Permissions do not show everything: a read-only mount, a quota or a remote root show only in a try.
            self._folder(STAGING)
            probe = self._draft_path("")
            _discard(_create(probe), probe)
        except OSError as error:
            if error.errno in _BROKEN:
                raise
            what = "is a file" if isinstance(error, FileExistsError) else f"cannot be written to: {error.strerror}"
            raise InputError(what, file=self.address, setting=_SETTING) from error
        for kind in KINDS:
            folder = self.root / kind
            if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                raise _not_a_folder(folder)

    def exists(self) -> bool:
        """Whether the folder is there."""
        return self.root.is_dir()

    def list(self, prefix: str) -> list[Entry]:
        """List all files in a folder and the folders below it, by name; links to folders are not followed."""
        return sorted(self._walk(PurePosixPath(prefix)), key=lambda entry: entry.name)

    def entry(self, name: str) -> Entry | None:
        """Look one file up; None where there is none."""
        try:
            return _entry(name, (self.root / name).stat())
        except (FileNotFoundError, NotADirectoryError):
            return None

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading.

        Raises
        ------
        OSError
            When it cannot be read, or is not a regular file: a pipe or a device might never end.
        """
        path = self.root / name
        if path.exists() and not path.is_file():
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        return path.open("rb")

    def draft(self, data: bytes, group: str = "") -> str:
        """Write a draft, so that it lasts, and return its name."""
        self._folder(*PurePosixPath(STAGING, group).parts)
        path = self._draft_path(group)
        file = _create(path)
        try:
            file.write(data)
            file.flush()
            _sync(file.fileno())
        except BaseException as error:
            _discard(file, path)
            if isinstance(error, OSError) and error.filename is None:
                error.filename = str(self.root)  # errors of writing have no path; a full disk must be named
            raise
        file.close()
        return path.relative_to(self.root).as_posix()

    def publish(self, drafts: Sequence[tuple[str, str]]) -> None:
        """Rename drafts, in this order, each durably."""
        for _, name in drafts:
            self._folder(*PurePosixPath(name).parts[:-1])
        for draft, name in drafts:
            target = self.root / name
            (self.root / draft).replace(target)
            _sync_folder(target.parent)
            self._remove_empty_folders(self.root / draft)

    def delete(self, name: str) -> None:
        """Remove a file, and the folders that become empty."""
        path = self.root / name
        path.unlink(missing_ok=True)
        self._remove_empty_folders(path)

    def _remove_empty_folders(self, path: Path) -> None:
        """Remove the folders that became empty when a file left, except for the store's own."""
        for folder in path.parents:
            if len(folder.relative_to(self.root).parts) < 2:
                break
            try:
                folder.rmdir()
            except OSError:
                break  # other files are in it

    def _walk(self, prefix: PurePosixPath) -> Iterator[Entry]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if (self.root / prefix).is_symlink():
                return
            for found in os.scandir(self.root / prefix):
                name = prefix / found.name
                if found.is_dir(follow_symlinks=False):
                    yield from self._walk(name)
                else:
                    yield _entry(name.as_posix(), found.stat(follow_symlinks=False))

    def _draft_path(self, group: str) -> Path:
        return self.root / STAGING / group / f"{secrets.token_hex(8)}.part"

    def _folder(self, *parts: str) -> Path:
        """Make a folder of the store, one part after another; refuse links, which could lead out of the store."""
        folder = self.root
        for part in parts:
            folder = folder / part
            with contextlib.suppress(FileExistsError):
                folder.mkdir()
                _sync_folder(folder.parent)
            if not stat.S_ISDIR(folder.lstat().st_mode):
                raise _not_a_folder(folder)
        return folder


def _not_a_folder(path: Path) -> InputError:
    return InputError(
        "is not a folder (a file or a symbolic link); the store writes only to folders of its own",
        file=str(path),
        setting="move it away or set --output to another folder",
    )


def _entry(name: str, status: os.stat_result) -> Entry:
    version = f"{status.st_size}-{status.st_mtime_ns}"
    return Entry(name, version, datetime.fromtimestamp(status.st_mtime, UTC))


def _create(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    # The umask applies, as for any file of the user; with tempfile's 0600 other users could not read it.
    return os.fdopen(os.open(path, flags, 0o666), "wb", buffering=1 << 20)


def _discard(file: BinaryIO, path: Path) -> None:
    """Remove an unfinished draft; never raises, so that it does not hide another error."""
    with contextlib.suppress(OSError):
        file.close()
    with contextlib.suppress(OSError):
        path.unlink()


def _sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, where the file system supports it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _sync(descriptor)
    except OSError as error:
        # Some network file systems have no such operation on folders.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _sync(descriptor: int) -> None:
    # On macOS fsync leaves the data in the drive's cache; F_FULLFSYNC writes them to the disk.
    full_sync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, full_sync)
            return
    os.fsync(descriptor)
