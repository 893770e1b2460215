"""The interface of a place that can hold a store, which a folder and a bucket both have.

A file appears under its name complete or not at all. It is written as a draft, which readers do not see, and published
by renaming the draft. Files that are published together are all complete before the first one appears.
"""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Protocol

__all__ = ["Entry", "FileRecord", "Lock", "Place", "StoreLockedError", "file_record", "record_of"]


_CHUNK = 1 << 20


class StoreLockedError(Exception):
    """Another run holds the store, and still held it after the wait; the message says which."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """The identity of a file's content.

    Attributes
    ----------
    sha256
        Hexadecimal SHA-256 of its bytes.
    bytes
        Its size.
    """

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Entry:
    """An existing file.

    Attributes
    ----------
    name
        Its path in the place, with ``/``.
    version
        A text that changes whenever the file is written.
    modified
        When it was last written.
    """

    name: str
    version: str
    modified: datetime


class Lock(ABC):
    """A lock with at most one holder among all processes that use the place; a dead process does not keep it.

    Attributes
    ----------
    address
        The place's address, for messages.
    poll_seconds
        Seconds between two tries.
    """

    address: str
    poll_seconds: float

    @property
    @abstractmethod
    def held(self) -> bool:
        """Whether this object holds the lock."""

    def acquire(self, wait: float) -> None:
        """Take the lock, waiting at most `wait` seconds for another run to end.

        Raises
        ------
        StoreLockedError
            When another run still holds it after the wait, or this object already holds it.
        InputError
            When something else is in the lock's place.
        """
        if self.held:
            raise StoreLockedError(f"{self.address} is already locked by this run")
        deadline = time.monotonic() + wait
        while (holder := self._try()) is not None:
            if (left := deadline - time.monotonic()) <= 0:
                raise StoreLockedError(
                    f"{self.address} is in use by another run ({holder}); waited {wait:g} s for it and wrote nothing"
                )
            time.sleep(min(self.poll_seconds, left))

    @abstractmethod
    def release(self) -> None:
        """Release the lock; does nothing when it is not held."""

    @abstractmethod
    def _try(self) -> str | None:
        """Try to take the lock; return its holder, or None when this object holds it now."""


class Place(Protocol):
    """A folder or a bucket. Names are paths in it, with ``/``.

    Every method that touches files raises OSError when the place fails (full, broken, read-only, not answering), and
    InputError when it cannot be used (a symbolic link, refused credentials, no such bucket).
    """

    address: str
    """The place's path or address, for people."""

    @property
    def lock(self) -> Lock:
        """The lock that writers hold."""
        ...

    def prepare(self) -> None:
        """Make the place if it is missing, and try to write; raises InputError when it cannot be a store."""
        ...

    def exists(self) -> bool:
        """Whether there is anything that could be a store."""
        ...

    def list(self, prefix: str) -> list[Entry]:
        """List all files in a folder and its sub-folders, by name; none when there is no such folder."""
        ...

    def entry(self, name: str) -> Entry | None:
        """Look up a file; None when there is none."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading, from any position; raises FileNotFoundError when there is none."""
        ...

    def draft(self, data: bytes, group: str = "") -> str:
        """Write a draft durably, and return its name. Drafts of a `group` are in a folder of that name."""
        ...

    def publish(self, drafts: Sequence[tuple[str, str]]) -> None:
        """Rename drafts, one after another in this order: pairs of draft and name."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file; does nothing when there is none."""
        ...


def record_of(data: bytes) -> FileRecord:
    """Return the record of these bytes."""
    return FileRecord(hashlib.sha256(data).hexdigest(), len(data))


def file_record(place: Place, name: str) -> FileRecord:
    """Read a file and return the record of its content; raises FileNotFoundError when there is none."""
    digest, size = hashlib.sha256(), 0
    with place.open(name) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return FileRecord(digest.hexdigest(), size)
