"""Which files: a path, a folder, a glob or several of them become a list of files, each with its ticker's name."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from forecasting.errors import InputError

__all__ = ["FOLDER_SUFFIXES", "find_files", "ticker_of"]

_SUFFIXES = (".csv", ".txt", ".tsv")
FOLDER_SUFFIXES = (".csv", ".csv.gz")


def find_files(source: str | Path | Sequence[str | Path]) -> list[Path]:
    """List the files that a source names, in a fixed order, each once.

    A folder gives its ``*.csv`` and ``*.csv.gz`` (not hidden ones, not those of sub-folders); a pattern gives what it
    matches; whatever is named directly is taken as it is.

    Raises
    ------
    InputError
        When a path does not exist, a folder holds no CSV, or a pattern matches nothing.
    """
    sources: Sequence[str | Path] = [source] if isinstance(source, str | Path) else source
    if not sources:
        raise InputError("no file was named")
    files: dict[Path, Path] = {}
    for one in sources:
        for path in _expand(one):
            files.setdefault(path.resolve(), path)
    return list(files.values())


def ticker_of(path: Path) -> str:
    """Give the ticker that a file is named for: ``BRK.B`` for ``BRK.B.csv`` or ``BRK.B.csv.gz``."""
    name = path.name
    if name.lower().endswith(".gz"):
        name = name[: -len(".gz")]
    for suffix in _SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _expand(source: str | Path) -> Iterator[Path]:
    text = str(source)
    if not text or "\0" in text:
        raise InputError("a path is empty or holds a NUL character", setting="name a CSV, a folder or a pattern")
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            yield from _folder(path)
        elif path.exists() or path.is_symlink():
            yield path
        elif glob.has_magic(text):
            yield from _pattern(str(path))
        else:
            raise InputError("there is no such file or folder", file=text)
    except OSError as error:
        raise InputError(f"cannot be looked at ({error.strerror})", file=text) from error


def _folder(folder: Path) -> list[Path]:
    files = [
        path
        for path in sorted(folder.iterdir())
        if path.name.lower().endswith(FOLDER_SUFFIXES) and not path.name.startswith(".") and not path.is_dir()
    ]
    if not files:
        raise InputError("the folder holds no .csv or .csv.gz file", file=str(folder))
    return files


def _pattern(pattern: str) -> list[Path]:
    found = sorted(glob.iglob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern
    files = [path for path in map(Path, found) if not path.is_dir()]
    if not files:
        raise InputError("the pattern matches no file", file=pattern)
    return files
