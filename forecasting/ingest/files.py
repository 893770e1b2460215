"""Which files: a path, a folder, a glob or several of them become a list of files, each with its ticker's name."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from pathlib import Path

from forecasting.errors import InputError

__all__ = ["FOLDER_SUFFIXES", "find_files", "ticker_of"]

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
        for path in _expand(str(one)):
            files.setdefault(path.resolve(), path)
    return list(files.values())


def ticker_of(path: Path) -> str:
    """Give the ticker that a file is named for: ``BRK.B`` for ``BRK.B.csv`` or ``BRK.B.csv.gz``."""
    name = re.sub(r"\.gz$", "", path.name, flags=re.IGNORECASE)
    return re.sub(r"\.(csv|txt|tsv)$", "", name, flags=re.IGNORECASE)


def _expand(text: str) -> list[Path]:
    if not text or "\0" in text:
        raise InputError("a path is empty or holds a NUL character", setting="name a CSV, a folder or a pattern")
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            named = [one for one in sorted(path.iterdir()) if one.name.lower().endswith(FOLDER_SUFFIXES)]
            files = [one for one in named if not one.name.startswith(".") and not one.is_dir()]
            what = "the folder holds no .csv or .csv.gz file"
        elif path.exists() or path.is_symlink():
            return [path]
        else:
            found = glob.glob(str(path), recursive=True) if glob.has_magic(text) else []  # noqa: PTH207 - Path's is relative
            files = [one for one in map(Path, sorted(found)) if not one.is_dir()]
            what = "the pattern matches no file" if glob.has_magic(text) else "there is no such file or folder"
    except OSError as error:
        raise InputError(f"cannot be looked at ({error.strerror})", file=text) from error
    if not files:
        raise InputError(what, file=text)
    return files
