"""One run at a time on a store: a lock that the kernel releases when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
from pathlib import Path

from forecasting.errors import InputError
from forecasting.store.places import Lock

__all__ = ["FolderLock"]


class FolderLock(Lock):
    """An exclusive ``flock`` on a file.

    The kernel holds the lock: it ends with the process, also after SIGKILL, and a remaining file locks nothing. The
    file's content (process and host) is only for the message of waiting runs.

    Parameters
    ----------
    path
        The lock file; made when missing, never removed.
    """

    poll_seconds = 0.1

    def __init__(self, path: Path) -> None:
        self.path = path
        self.address = str(path.parent)
        self._descriptor: int | None = None

    def __reduce__(self) -> tuple[type[FolderLock], tuple[Path]]:
        # Another process gets the path, but not the lock.
        return FolderLock, (self.path,)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def release(self) -> None:
        """Release the lock; does nothing when it is not held."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None
            _HELD.discard(self)

    def _try(self) -> str | None:
        if (descriptor := self._open()) is None:
            return self._holder()
        self._descriptor = descriptor
        _HELD.add(self)
        with contextlib.suppress(OSError):  # on a full disk the lock works without its note
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        return None

    def _open(self) -> int | None:
        """Return the locked file's descriptor, or None while another holds it."""
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        try:
            descriptor = os.open(self.path, flags, 0o666)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise InputError(
                    "is not a plain file", file=str(self.path), setting="remove it or set --output to another folder"
                ) from error
            raise
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The file may have been removed since it was opened; a lock on a file without a name excludes no other run.
            if os.path.samestat(os.fstat(descriptor), self.path.stat()):
                return descriptor
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)
        return None

    def _holder(self) -> str:
        with contextlib.suppress(OSError):
            note = self.path.read_bytes()[:200].decode("ascii", "replace").strip()
            if note.isprintable() and note:
                return note
        return "its process is not known"

    def forget(self) -> None:
        """Close a forked child's copy of the lock; the parent's stays."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


# A forked process inherits flock: without this, a worker that outlives its killed parent would keep the lock. It is
# registered once, because a registered function cannot be removed.
_HELD: set[FolderLock] = set()


def _forget_all() -> None:
    while _HELD:
        _HELD.pop().forget()


os.register_at_fork(after_in_child=_forget_all)
