"""From paths to text: which files a path, a folder or a glob names; their bytes, within bounds; their characters.

Only regular files are opened; size, lines and the swelling of a gzip are bounded: no file takes the machine down.
"""

from __future__ import annotations

import codecs
import glob
import gzip
import hashlib
import io
import os
import re
import stat
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from forecasting.arrays import IntArray
from forecasting.errors import InputError

__all__ = ["FOLDER_SUFFIXES", "Text", "decode", "file_sha256", "find_files", "read_raw", "ticker_of"]

FOLDER_SUFFIXES = (".csv", ".csv.gz")
_MIB = 1 << 20  # no line of prices is longer than this; a longer one is not a CSV. As much is read at a time
_MAX_BYTES = 1 << 30
_LARGEST_QUOTED = 256 * _MIB  # a file with quotation marks is read row by row, and takes many times its size in memory
_MAX_SWELL, _SWELL_FROM = 100, 64 * _MIB  # a gzip that unpacks to this many times its size, and this much, is a bomb
_GZIP = b"\x1f\x8b"
_SIGNATURES = {
    _GZIP: "a gzip inside a gzip",
    b"PK\x03\x04": "a zip archive or an Excel workbook (.xlsx)",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)",
    b"PAR1": "a Parquet file",
    b"%PDF": "a PDF",
}
"""Files that users may take for a CSV; other binary files have NUL bytes."""
_LEGACY = ("cp1252", "cp932", "cp949", "gb18030", "cp1251")  # tried in this order, until the header can be read


def find_files(source: str | Path | Sequence[str | Path]) -> list[Path]:
    """List the files that a source names, in a fixed order, each once; a source without any is an `InputError`.

    A folder gives its ``*.csv`` and ``*.csv.gz``, without hidden files and sub-folders; a named file may have any name.
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


def read_raw(path: Path) -> tuple[bytes, str, int]:
    """Read a file whole, within bounds, and unpack it if its first bytes say gzip; gives its SHA-256 and size, too."""
    name = str(path)
    try:
        with _open(path) as handle:
            packed = handle.read(len(_GZIP)) == _GZIP
            handle.seek(0)
            if not packed:
                for _ in _pieces(handle, name, _MAX_BYTES):
                    pass  # only looked through, before it is taken into memory
                handle.seek(0)
            data = stored = handle.read(_MAX_BYTES + 1)
        if packed:
            most = max(_SWELL_FROM, _MAX_SWELL * len(stored))
            data = b"".join(_pieces(gzip.GzipFile(fileobj=io.BytesIO(stored)), name, most))
        _bound(len(stored), name)
        return data, hashlib.sha256(stored).hexdigest(), len(stored)
    except EOFError as error:
        raise InputError("the gzip ends too early (download cut short?)", file=name) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"the gzip is damaged ({error})", file=name) from error
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", file=name) from error


def file_sha256(path: Path) -> tuple[str, int] | None:
    """SHA-256 and size of a file that could not be read as prices; None when it is not a regular file or too large."""
    try:
        with _open(path) as handle:
            size = os.fstat(handle.fileno()).st_size
            return None if size > _SWELL_FROM else (hashlib.sha256(handle.read()).hexdigest(), size)
    except (OSError, InputError):
        return None


def _open(path: Path) -> BinaryIO:
    # O_NONBLOCK: opening a FIFO must not wait for a writer; the kind is that of the opened file, not of its name.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError("is not a regular file (a folder, a pipe or a device)", file=str(path))
    return os.fdopen(descriptor, "rb")


def _bound(size: int, name: str) -> None:
    if size > _MAX_BYTES:
        raise InputError(f"holds more than {_MAX_BYTES >> 30} GiB; split it into several files", file=name)


def _pieces(stream: BinaryIO | gzip.GzipFile, name: str, most: int) -> Iterator[bytes]:
    """Read a stream a piece at a time, and refuse what cannot be a price file before it fills the memory."""
    size = lines = open_line = 0
    quoted = wide = False
    while piece := stream.read(_MIB):
        if not size:
            kind = next((kind for signature, kind in _SIGNATURES.items() if piece.startswith(signature)), None)
            if kind is not None:
                raise InputError(f"is {kind}, not a CSV", file=name)
            # UTF-16 has a NUL in every ASCII character; it is decoded, and looked at again, afterwards.
            wide = _looks_utf16(piece[:4096])
        if not wide and (at := piece.find(b"\0")) >= 0:
            line = 1 + lines + piece.count(b"\n", 0, at)
            raise InputError(f"NUL byte at byte {size + at}: the file is damaged", file=name, line=line)
        if len(piece) == _MIB and piece.isspace():
            raise InputError("a whole MiB of blanks; this is not a price file", file=name)
        last = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
        open_line = open_line + len(piece) if last < 0 else len(piece) - last
        if open_line > _MIB:
            raise InputError(f"a line is longer than {_MIB >> 20} MiB; this is not a price file", file=name)
        size, lines, quoted = size + len(piece), lines + piece.count(b"\n"), quoted or b'"' in piece
        _bound(size, name)
        if size > most:
            raise InputError(f"a gzip that swells to {_MAX_SWELL} times its size is not a price file", file=name)
        if quoted and size > _LARGEST_QUOTED:
            what = f"has quotation marks and is larger than {_LARGEST_QUOTED // _MIB} MiB"
            raise InputError(what, file=name, setting="split it into several files")
        yield piece
    if not size:
        raise InputError("the file is empty", file=name)


def _looks_utf16(head: bytes) -> bool:
    """Whether the first bytes are UTF-16: a byte order mark, or NULs in every other place only."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    even, odd = head[0::2], head[1::2]
    mostly = (len(some) > 1 and some.count(0) > 0.8 * len(some) for some in (even, odd))
    return any(nul and 0 not in other for nul, other in zip(mostly, (odd, even), strict=True))


@dataclass(frozen=True)
class Text:
    """A file's text, as UTF-8 without a byte order mark, lines ended by a line feed; its name; how it was written."""

    data: bytes
    file: str
    encoding: str

    def line_numbers(self, start: int) -> IntArray:
        """Give the numbers of the non-empty lines from byte ``start`` on."""
        ends = np.flatnonzero(np.frombuffer(self.data, dtype=np.uint8)[start:] == ord("\n"))
        if not self.data.endswith(b"\n"):
            ends = np.append(ends, len(self.data) - start)
        return np.flatnonzero(np.diff(ends, prepend=-1) > 1) + self.data.count(b"\n", 0, start) + 1


def decode(data: bytes, file: str, declared: str | None = None, skip_footer: int = 0) -> Iterator[Text]:
    """Give the texts that the bytes may be, the most likely first; only one where they are UTF-8 or UTF-16."""
    sure = [declared] if declared else []
    if not sure and _looks_utf16(data[:4096]):
        little = data.startswith(b"\xff\xfe") or (not data.startswith(b"\xfe\xff") and data[1] == 0)
        sure = ["utf-16-le" if little else "utf-16-be"]
    for encoding in sure or ("utf-8", *_LEGACY):
        if (text := _recode(data, encoding)) is not None:
            text = _plain(text, file)
            if skip_footer:
                text = b"\n".join([*text.rstrip(b"\n").split(b"\n")[:-skip_footer], b""])
            yield Text(text, file, encoding)
            if sure or encoding == "utf-8":
                return
    if sure:
        why = "as the format declares" if declared else "as it looks: it is damaged"
        raise InputError(f"the text is not {sure[0]}, {why}", file=file)
    line = next(number for number, one in enumerate(data.split(b"\n"), 1) if _recode(one, "utf-8") is None)
    what = "the text is not UTF-8, and under none of the common encodings it has a header"
    raise InputError(what, file=file, line=line, setting="set encoding in a format file")


def _recode(data: bytes, encoding: str) -> bytes | None:
    """Turn bytes into UTF-8, a piece at a time: a large text is never held as characters. None when they do not fit."""
    if encoding == "utf-8" and data.isascii():
        return data
    pieces = (data[start : start + _MIB] for start in range(0, len(data), _MIB))
    try:
        return b"".join(text.encode() for text in codecs.iterdecode(pieces, encoding))
    except UnicodeError:
        return None


def _plain(data: bytes, file: str) -> bytes:
    """Write line ends in one way, and refuse what is clearly not a CSV."""
    data = data.replace("\ufeff".encode(), b"")  # files put together have one at each seam
    if (at := data.find(b"\0")) >= 0:
        raise InputError("NUL character: the file is damaged", file=file, line=data.count(b"\n", 0, at) + 1)
    if b"\r" in data:
        # \r\r\n is what two careless conversions make of a line end.
        data = data.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    data = data.removesuffix(b"\x1a")
    head = data[:4096].lstrip()
    if not head:
        raise InputError("the file is empty", file=file)
    if head.startswith((b"{", b"[")):
        raise InputError("JSON, not a CSV (an error message of the vendor?)", file=file, line=1)
    return data
