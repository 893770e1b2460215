"""Which place a store is in; light, so that a command can try the place before it imports what works on it."""

from __future__ import annotations

from pathlib import Path

from forecasting.buckets import address_of, connect
from forecasting.store.folder import LocalFolder
from forecasting.store.places import Place

__all__ = ["locate"]


def locate(root: Path | str) -> Place:
    """Return the folder or the bucket that a path or an address names; nothing is made or asked of it yet.

    Raises
    ------
    InputError
        When the address is not of a bucket, or the package for buckets is not installed.
    """
    address = address_of(root)
    if address is None:
        return LocalFolder(Path(root))
    connect(address)  # which says so where the package is not installed
    from forecasting.store.bucket import Bucket  # noqa: PLC0415 - it imports a package that is an extra

    return Bucket(address)
