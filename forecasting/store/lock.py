"""One run at a time on a store: a lock that the kernel releases when its holder dies, however it dies."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import time
from pathlib import Path

from forecasting.errors import InputError
from forecasting.store.places import StoreLockedError

__all__ = ["FolderLock"]

_POLL_SECONDS = 0.1


class FolderLock:
    """An exclusive ``flock`` on a file.

    The lock is the kernel's: it ends with the process, also after SIGKILL, and a file left behind locks nobody out.
    What the file holds (process and host) is only for the message to those who wait.

    Parameters
    ----------
    path
        The lock file; made when absent, never removed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def __reduce__(self) -> tuple[type[FolderLock], tuple[Path]]:
        # Another process gets the place, never the lock.
        return FolderLock, (self.path,)

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def acquire(self, wait: float) -> None:
        """Take the lock, waiting at most `wait` seconds for another run to end.

        Raises
        ------
        StoreLockedError
            When it is still held after the wait, by another process or another object of this one.
        InputError
            When the lock file's place is taken by something else than a file.
        """
        if self.held:
            raise StoreLockedError(f"{self.path.parent} is already locked by this run")
        deadline = time.monotonic() + wait
        while (descriptor := self._try()) is None:
            if time.monotonic() >= deadline:
                raise StoreLockedError(
                    f"{self.path.parent} is in use by another run ({self._holder()}); waited {wait:g} s for it and "
                    "wrote nothing"
                )
            time.sleep(_POLL_SECONDS)
        self._descriptor = descriptor
        _HELD.add(self)
        with contextlib.suppress(OSError):  # On a full disk the lock holds as well without its note.
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back; does nothing when it is not held."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None
            _HELD.discard(self)

    def _try(self) -> int | None:
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
            # Somebody may have removed the file since it was opened; a lock on a nameless file excludes nobody.
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


# flock is inherited over fork: without this, a worker that outlives its killed parent would keep the lock. Registered
# once: what is registered can never be taken back.
_HELD: set[FolderLock] = set()


def _forget_all() -> None:
    while _HELD:
        _HELD.pop().forget()


os.register_at_fork(after_in_child=_forget_all)
