"""A store in a bucket: S3, Google Cloud Storage, Azure, and compatible services.

An object always appears complete. Drafts are objects under ``.staging``, and are published by a copy inside the
service. A lease keeps two runs apart (`forecasting.store.lease`); it is checked before each file appears.
"""

from __future__ import annotations

import contextlib
import io
import secrets
from collections.abc import Sequence
from functools import cached_property
from typing import Any, BinaryIO

import obstore
from obstore.store import ObjectStore

from forecasting.buckets import asking, connect
from forecasting.store.lease import Lease
from forecasting.store.paths import STAGING
from forecasting.store.places import Entry, StoreLockedError

__all__ = ["Bucket"]


class Bucket:
    """A folder in a bucket, as a `forecasting.store.places.Place`.

    Parameters
    ----------
    address
        ``s3://bucket/folder``, ``gs://...`` or ``az://...``.
    """

    def __init__(self, address: str) -> None:
        self.address = address

    def __reduce__(self) -> tuple[type[Bucket], tuple[str]]:
        # Another process gets the address, but neither the lease nor the credentials.
        return Bucket, (self.address,)

    @cached_property
    def lock(self) -> Lease:
        """The lease that writers hold."""
        return Lease(lambda: self._service, self.address)

    def prepare(self) -> None:
        """Try to write to the bucket; raises InputError when it does not exist or refuses."""
        self.delete(self.draft(b""))
        self.list(STAGING)

    def exists(self) -> bool:
        """Whether there are any files."""
        with asking(self.address):
            return any(len(chunk) for chunk in obstore.list(self._service, chunk_size=1))

    def list(self, prefix: str) -> list[Entry]:
        """List all files in a folder and its sub-folders, by name."""
        with asking(self.address):
            found = [_entry(meta) for chunk in obstore.list(self._service, f"{prefix}/") for meta in chunk]
        return sorted(found, key=lambda entry: entry.name)

    def entry(self, name: str) -> Entry | None:
        """Look up a file; None when there is none."""
        try:
            with asking(self.address):
                return _entry(obstore.head(self._service, name))
        except FileNotFoundError:
            return None

    def open(self, name: str) -> BinaryIO:
        """Read a whole file into memory: no file of a store is larger than one of a shard."""
        with asking(f"{self.address}/{name}"):
            return io.BytesIO(obstore.get(self._service, name).bytes())

    def draft(self, data: bytes, group: str = "") -> str:
        """Write a draft and return its name."""
        name = "/".join(part for part in (STAGING, group, f"{secrets.token_hex(8)}.part") if part)
        with asking(self.address):
            obstore.put(self._service, name, data)
        return name

    def publish(self, drafts: Sequence[tuple[str, str]]) -> None:
        """Copy drafts to their names, in this order.

        Raises
        ------
        StoreLockedError
            When the lease was lost meanwhile: another run may hold it now.
        """
        self.lock.confirm()
        for draft, name in drafts:
            if not self.lock.held:
                raise StoreLockedError(f"{self.address}: the lease on it was lost, and the run stopped publishing")
            with asking(self.address):
                obstore.copy(self._service, draft, name)
        for draft, _ in drafts:
            with contextlib.suppress(OSError):  # the next run removes it
                self.delete(draft)

    def delete(self, name: str) -> None:
        """Remove a file; does nothing when there is none."""
        with contextlib.suppress(FileNotFoundError), asking(self.address):
            obstore.delete(self._service, name)

    @cached_property
    def _service(self) -> ObjectStore:
        return connect(self.address)


def _entry(meta: Any) -> Entry:
    return Entry(meta["path"], meta["e_tag"] or f"{meta['size']}-{meta['last_modified']}", meta["last_modified"])
