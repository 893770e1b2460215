"""Which place a store is in; quick to import, so that a command can check the place before anything else."""

from __future__ import annotations

from pathlib import Path

from forecasting.buckets import address_of, connect
from forecasting.store.folder import LocalFolder
from forecasting.store.places import Place

__all__ = ["locate"]


def locate(root: Path | str) -> Place:
    """Return the folder or the bucket that a path or an address names, without touching it.

    Raises
    ------
    InputError
        When the address is not of a bucket, or the package for buckets is not installed.
    """
    address = address_of(root)
    if address is None:
        return LocalFolder(Path(root))
    connect(address)  # an error where the package is not installed
    from forecasting.store.bucket import Bucket  # noqa: PLC0415 - it imports a package that is an extra

    return Bucket(address)
