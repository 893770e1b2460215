"""One run at a time on a bucket: a lease, which its holder renews, and which another run may take when it does not.

The lease is one object. A run takes it by creating the object, or, when the lease is free or not renewed any more, by
replacing exactly the version that it has seen; the service allows this to only one run (a conditional write). A waiting
run observes, by its own clock, whether the lease changes; clocks of different machines are compared only over times
that are many times as long as the lease.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import obstore
from obstore.exceptions import AlreadyExistsError, PreconditionError
from obstore.store import ObjectStore

from forecasting.buckets import asking
from forecasting.store.places import Lock, StoreLockedError

__all__ = ["Lease"]

_log = logging.getLogger(__name__)

NAME = ".lock"
SECONDS = 45.0
"""A lease that has not been renewed for this long is not held any more."""

_CERTAINLY_OVER = 10
"""This many times `SECONDS` after its last renewal by the service's clock, a lease is over, whatever our clock says."""


class Lease(Lock):
    """A lease on a bucket.

    Parameters
    ----------
    connect
        Returns the service.
    address
        The store's address, for messages.
    """

    poll_seconds = 1.0

    def __init__(self, connect: Callable[[], ObjectStore], address: str) -> None:
        self._connect = connect
        self.address = address
        self._version: str | None = None
        self._renewed = 0.0
        self._seen: tuple[str | None, float] = (None, 0.0)
        self._released = threading.Event()
        self._renewing = threading.Lock()
        self._renewal: threading.Thread | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lease: its last renewal is recent enough."""
        return self._version is not None and time.monotonic() - self._renewed < SECONDS

    def confirm(self) -> None:
        """Renew the lease now.

        Raises
        ------
        StoreLockedError
            When another run has taken it, because it was not renewed for too long.
        """
        with self._renewing:
            started = time.monotonic()
            try:
                if self._version is None:
                    raise StoreLockedError(f"{self.address}: the lease on it was lost")
                with asking(self.address):
                    self._version = self._write(replacing=self._version)
            except (PreconditionError, FileNotFoundError):
                self._version = None
                raise StoreLockedError(f"{self.address}: the lease on it was lost; another run has it") from None
            self._renewed = started

    def release(self) -> None:
        """Release the lease; does nothing when it is not held. An error does not matter: the lease ends by itself."""
        self._released.set()
        if self._renewal is not None:
            self._renewal.join()
            self._renewal = None
        if self.held:
            with contextlib.suppress(Exception):
                self._write(free=True, replacing=self._version)
        self._version = None

    def _try(self) -> str | None:
        started = time.monotonic()
        try:
            with asking(self.address):
                self._version = self._write()
        except AlreadyExistsError:
            holder, version = self._look()
            if holder is not None:
                return holder
            try:
                with asking(self.address):
                    self._version = self._write(replacing=version)
            except (PreconditionError, AlreadyExistsError, FileNotFoundError):
                return "another run was faster"
        self._renewed = started
        self._released = threading.Event()
        self._renewal = threading.Thread(target=self._renew_until, args=(self._released,), name="lease", daemon=True)
        self._renewal.start()
        return None

    def _look(self) -> tuple[str | None, str | None]:
        """Return the holder of the lease (None when it is free), and the version that was seen."""
        try:
            with asking(self.address):
                answer = obstore.get(self._connect(), NAME)
                meta, data = answer.meta, bytes(answer.bytes())
        except FileNotFoundError:
            return "another run was faster", None
        version, now = meta["e_tag"], time.monotonic()
        if version != self._seen[0]:
            self._seen = (version, now)
        age = (datetime.now(UTC) - meta["last_modified"]).total_seconds()
        over = now - self._seen[1] >= SECONDS or age >= _CERTAINLY_OVER * SECONDS
        note = _read(data)
        return (None if over or note.get("free") else str(note.get("holder", "it is not known which"))), version

    def _write(self, *, free: bool = False, replacing: str | None = None) -> str | None:
        # Never the same bytes twice: services compute the version from them, and waiting runs observe it.
        note = {
            "free": free,
            "holder": f"process {os.getpid()} on {socket.gethostname()}",
            "nonce": secrets.token_hex(8),
        }
        mode: Any = {"e_tag": replacing} if replacing else "create"
        return obstore.put(self._connect(), NAME, json.dumps(note).encode(), mode=mode)["e_tag"]

    def _renew_until(self, released: threading.Event) -> None:
        while not released.wait(SECONDS / 3):
            try:
                self.confirm()
            except StoreLockedError:
                return
            except Exception as error:  # noqa: BLE001 - the next try, or the end of the lease, settles it
                _log.warning("the lease on %s could not be renewed: %s", self.address, error)


def _read(data: bytes) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        note = json.loads(data)
        if isinstance(note, dict):
            return note
    return {}
