"""Addresses with a scheme (``s3://bucket/folder``) in the place of a path."""

from __future__ import annotations

import re
from pathlib import Path

from forecasting.errors import InputError

__all__ = ["address_of", "refuse_address"]

# pathlib makes one slash of two.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,2}(.*)", re.DOTALL)


def address_of(place: str | Path) -> str | None:
    """Return the address that a text is, with both its slashes; None for a path.

    Parameters
    ----------
    place
        What the user named: a path, or an address, which may have gone through `pathlib.Path`.
    """
    match = _ADDRESS.fullmatch(str(place))
    return f"{match[1].lower()}://{match[2]}" if match else None


def refuse_address(place: str | Path) -> None:
    """Refuse an address where only a path of this machine will do.

    Raises
    ------
    InputError
        When it is one: a folder named ``s3:`` is not what was meant.
    """
    address = address_of(place)
    if address is not None:
        raise InputError(
            "is an address; only files and folders of this machine can be used",
            file=address,
            setting="mount it, or copy its files, and name the folder",
        )
