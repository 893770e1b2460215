"""Files that appear whole or not at all.

A file is written under a temporary name in the staging folder of the same store, flushed to the disk, and renamed over
its place; the folder's own entry is flushed after it. Whoever reads, at any moment and after any crash, finds the old
file or the new one, never a part of either. The staging folder is hidden and stands beside the published folders, not
in them: some readers of a folder (Polars) stop at any file in it that is not Parquet, hidden or not.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import io
import os
import re
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from forecasting.errors import InputError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["FileRecord", "StagedFile", "ensure_folder", "remove_leftovers", "sha256_of_file", "write_file"]

_TEMPORARY = re.compile(r"[0-9a-f]{16}\.part")
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileRecord:
    """What identifies a file's content.

    Attributes
    ----------
    sha256
        Hexadecimal SHA-256 of its bytes.
    bytes
        Its size.
    """

    sha256: str
    bytes: int


class StagedFile(io.BufferedIOBase):
    """A file being written, which nobody sees under its name until it is placed.

    Parameters
    ----------
    staging
        Folder of the temporary file; on the same file system as `target`.
    target
        Where the file will stand. Its folder must exist by the time of `place`.

    Raises
    ------
    OSError
        From any method, when the disk is full, broken or read-only. Nothing has changed at `target` then.
    """

    def __init__(self, staging: Path, target: Path) -> None:
        super().__init__()
        self.target = target
        self._temporary = staging / f"{secrets.token_hex(8)}.part"
        self._hash = hashlib.sha256()
        self._size = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        # The mode is cut by the umask, as for any file that the user makes; tempfile's 0600 would shut readers out.
        self._file = os.fdopen(os.open(self._temporary, flags, 0o666), "wb", buffering=_CHUNK)

    def writable(self) -> bool:
        """Tell that this stream can be written to."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Append `data`; returns its number of bytes."""
        view = memoryview(data).cast("B")
        self._hash.update(view)
        self._file.write(view)
        self._size += len(view)
        return len(view)

    def tell(self) -> int:
        """Return the number of bytes written."""
        return self._size

    def seal(self) -> FileRecord:
        """Flush everything to the disk and return what identifies the content; no write can follow."""
        self._file.flush()
        _sync(self._file.fileno())
        self._file.close()
        return FileRecord(self._hash.hexdigest(), self._size)

    def place(self) -> None:
        """Rename the sealed file over its place, lastingly."""
        self._temporary.replace(self.target)
        sync_folder(self.target.parent)

    def discard(self) -> None:
        """Remove the temporary file, if it is still there; never raises, so that it hides no other error."""
        with contextlib.suppress(OSError):
            self._file.close()
        with contextlib.suppress(OSError):
            self._temporary.unlink()


def write_file(staging: Path, target: Path, data: bytes) -> FileRecord:
    """Write `data` to `target`, whole or not at all.

    Raises
    ------
    OSError
        When it cannot be written; `target` is as it was.
    """
    staged = StagedFile(staging, target)
    try:
        staged.write(data)
        record = staged.seal()
        staged.place()
    finally:
        staged.discard()
    return record


def ensure_folder(root: Path, *parts: str) -> Path:
    """Make the folder `root`/`parts`, one after another, and return it.

    Raises
    ------
    InputError
        When one of `parts` is something else than a folder, a symbolic link included: a link could lead writing out of
        the store.
    """
    folder = root
    for part in parts:
        folder = folder / part
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            sync_folder(folder.parent)
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise InputError(
                "is no folder (a file or a symbolic link); the store writes only to folders of its own",
                file=str(folder),
                setting="move it away or set --output to another folder",
            )
    return folder


def remove_leftovers(staging: Path) -> int:
    """Remove the temporary files that a killed run has left, and return how many there were.

    Only under the store's lock: another run's temporary files look the same.
    """
    leftovers = [path for path in staging.iterdir() if _TEMPORARY.fullmatch(path.name) and not path.is_dir()]
    for path in leftovers:
        path.unlink(missing_ok=True)  # another's attempt to open the store may have ended meanwhile
    return len(leftovers)


def sha256_of_file(path: Path) -> FileRecord:
    """Read a file and return what identifies its content.

    Raises
    ------
    OSError
        When it cannot be read, or is no regular file: a pipe or a device might never end.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no regular file", str(path))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return FileRecord(digest.hexdigest(), file.tell())


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, where its file system can."""
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
    # macOS keeps what fsync has written in the drive's cache; this is its way to ask for more.
    full_sync = getattr(fcntl, "F_FULLFSYNC", None)
    if full_sync is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, full_sync)
            return
    os.fsync(descriptor)
