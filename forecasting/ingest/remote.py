"""Prices from a bucket: files are copied to a temporary folder, and named by their addresses wherever they appear."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from forecasting.buckets import address_of, asking, connect
from forecasting.errors import InputError
from forecasting.ingest.files import FOLDER_SUFFIXES

__all__ = ["local_copies"]

Source = str | Path | Sequence[str | Path]

_MAGIC = frozenset("*?[")


@contextmanager
def local_copies(source: Source) -> Iterator[tuple[Source, dict[Path, str]]]:
    """Copy the files of addresses (an object, a folder or a pattern) to this machine for the length of a block.

    Gives the same source with the copies in place of the addresses, and the address of each copy.
    """
    sources = [source] if isinstance(source, str | Path) else list(source)
    if all(address_of(one) is None for one in sources):
        yield source, {}
        return
    with tempfile.TemporaryDirectory(prefix="daily-forecast-prices-") as folder:
        names: dict[Path, str] = {}
        local: list[str | Path] = []
        for number, one in enumerate(sources):
            address = address_of(one)
            copies = {} if address is None else _copy(address, Path(folder) / str(number))
            names |= copies
            local += list(copies) if address is not None else [one]
        yield local, names


def _copy(address: str, folder: Path) -> dict[Path, str]:
    """Copy what an address names into a folder; returns each copy's own address."""
    bucket, _, path = address.partition("://")[2].partition("/")
    root = f"{address.partition('://')[0]}://{bucket}"
    service = connect(root)
    import obstore  # noqa: PLC0415 - an extra, which `connect` has asked for

    pattern = path if _MAGIC & set(path) else None
    above = str(PurePosixPath(path).parent) if pattern else path
    with asking(address):
        listed = obstore.list_with_delimiter(service, "" if above in ("", ".") else f"{above}/")["objects"]
    names = {meta["path"]: PurePosixPath(meta["path"]).name for meta in listed}
    found = [
        path
        for path, name in names.items()
        if (fnmatchcase(path, pattern) if pattern else name.lower().endswith(FOLDER_SUFFIXES) and name[0] != ".")
    ]
    if not found and not pattern:
        found = [path]  # an object by its own name
    folder.mkdir()
    copies: dict[Path, str] = {}
    for name in sorted(found):
        copy = folder / PurePosixPath(name).name
        try:
            with asking(f"{root}/{name}"), copy.open("wb") as file:
                for chunk in obstore.get(service, name).stream():
                    file.write(chunk)
        except FileNotFoundError:
            raise InputError("there is no such object, and no folder with .csv or .csv.gz", file=address) from None
        copies[copy] = f"{root}/{name}"
    if not copies:
        raise InputError("the pattern matches no object", file=address)
    return copies
