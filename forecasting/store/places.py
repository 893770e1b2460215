"""Where a store's files are: what a folder and a bucket both can do, and all that the store asks of either.

A file appears under its name whole or not at all. It is written as a draft, which no reader sees, and published by
giving the draft its name; what is published together is written whole before the first file appears.
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
    """Another run holds the store, and still held it after the wait; its message says who."""


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


@dataclass(frozen=True, slots=True)
class Entry:
    """A file that is there.

    Attributes
    ----------
    name
        Its path in the place, with ``/``.
    version
        What changes whenever the file is written.
    modified
        When it was last written.
    """

    name: str
    version: str
    modified: datetime


class Lock(ABC):
    """At most one holder at a time, of all processes that use the place; one that dies does not hold it on.

    Attributes
    ----------
    address
        Of the place, for messages.
    poll_seconds
        How long to wait between two tries.
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
            When another run still holds it after the wait, or this object holds it already.
        InputError
            When the lock's place is taken by something else.
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
        """Give the lock back; does nothing when it is not held."""

    @abstractmethod
    def _try(self) -> str | None:
        """Try to take the lock; return who holds it, None when it is ours."""


class Place(Protocol):
    """A folder or a bucket. Names are paths in it, with ``/``.

    Every method that touches files raises OSError when the place fails (full, broken, read-only, not answering), and
    InputError when it is not one that can be used (a link in the way, refused credentials, no such bucket).
    """

    address: str
    """The place as a person would name it."""

    @property
    def lock(self) -> Lock:
        """The lock that writers hold."""
        ...

    def prepare(self) -> None:
        """Make the place where it is missing, and try it by writing; raises InputError when it cannot be a store."""
        ...

    def exists(self) -> bool:
        """Whether there is anything that could be a store."""
        ...

    def list(self, prefix: str) -> list[Entry]:
        """List all files in a folder and the folders below it, by name; none where there is no such folder."""
        ...

    def entry(self, name: str) -> Entry | None:
        """Look one file up; None where there is none."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading, from any position; raises FileNotFoundError where there is none."""
        ...

    def draft(self, data: bytes, group: str = "") -> str:
        """Write a draft, so that it lasts, and return its name. Drafts of a `group` are in a folder of that name."""
        ...

    def publish(self, drafts: Sequence[tuple[str, str]]) -> None:
        """Give drafts their names, one after another in this order: pairs of draft and name."""
        ...

    def delete(self, name: str) -> None:
        """Remove a file; does nothing where there is none."""
        ...


def record_of(data: bytes) -> FileRecord:
    """Return what identifies these bytes."""
    return FileRecord(hashlib.sha256(data).hexdigest(), len(data))


def file_record(place: Place, name: str) -> FileRecord:
    """Read a file and return what identifies its content; raises FileNotFoundError where there is none."""
    digest, size = hashlib.sha256(), 0
    with place.open(name) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
    return FileRecord(digest.hexdigest(), size)
