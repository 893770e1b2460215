"""Which bytes: a file is read whole, within bounds, or refused.

Only regular files are opened; what is read is bounded in size, in the length of a line and, for gzip, in how much it
may swell, so that no file can take the machine down.
"""

from __future__ import annotations

import hashlib
import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from forecasting.errors import InputError

__all__ = ["LARGEST_QUOTED", "Raw", "file_sha256", "looks_utf16", "read_raw"]

_MIB = 1 << 20
_CHUNK = _MIB
_MAX_LINE = _MIB
"""No line of prices is longer than this; a longer one is not a CSV."""
_MAX_BYTES = 1 << 30
LARGEST_QUOTED = 256 * _MIB
"""What is not plain is read row by row, and takes many times its size in memory."""
_MAX_SWELL = 100
"""A gzip that unpacks to more than this many times its size (beyond 64 MiB) is a bomb; prices shrink 3 to 20 times."""
_SWELL_FROM = 64 * _MIB

_GZIP = b"\x1f\x8b"
_SIGNATURES = (
    (b"PK\x03\x04", "a zip archive or an Excel workbook (.xlsx)"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (.xls)"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF", "a PDF"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"SQLite format 3", "a SQLite database"),
    (b"\x89HDF", "an HDF5 file"),
    (b"ARROW1", "an Arrow file"),
    (b"{\\rtf", "a rich text document"),
)


@dataclass(frozen=True, slots=True)
class Raw:
    """The bytes of a file, unpacked if it was a gzip, and what identifies the file as it lies on the disk."""

    data: bytes
    sha256: str
    size: int


def read_raw(path: Path) -> Raw:
    """Read a file whole, within bounds, and unpack it if its first bytes say gzip, whatever its name.

    Raises
    ------
    InputError
        When it is not a regular file, cannot be read, is of a known other kind, is damaged gzip, or exceeds a bound.
    """
    name = str(path)
    try:
        with _open(path) as handle:
            head = handle.read(8)
            _refuse_signature(head, name)
            packed = head.startswith(_GZIP)
            _bound(os.fstat(handle.fileno()).st_size, name)
            if not packed:
                _guard(handle, name)
            handle.seek(0)
            stored = handle.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror or error})", file=name) from error
    _bound(len(stored), name)
    data = _unpack(stored, name) if packed else stored
    return Raw(data=data, sha256=hashlib.sha256(stored).hexdigest(), size=len(stored))


def file_sha256(path: Path) -> tuple[str, int] | None:
    """SHA-256 and size of a file that could not be read as prices; None when it is not a regular file of sane size."""
    try:
        with _open(path) as handle:
            size = os.fstat(handle.fileno()).st_size
            if size > _SWELL_FROM:
                return None
            return hashlib.sha256(handle.read()).hexdigest(), size
    except (OSError, InputError):
        return None


def _open(path: Path) -> BinaryIO:
    # O_NONBLOCK: opening a FIFO must not wait for a writer; the kind is asked of what was opened, not of the name.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | getattr(os, "O_CLOEXEC", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise InputError("is not a regular file (a folder, a pipe or a device)", file=str(path))
    return os.fdopen(descriptor, "rb")


def _refuse_signature(head: bytes, name: str) -> None:
    if not head:
        raise InputError("the file is empty", file=name)
    for signature, kind in _SIGNATURES:
        if head.startswith(signature[:8]):
            raise InputError(f"is {kind}, not a CSV", file=name)


def _guard(handle: BinaryIO, name: str) -> None:
    """Look through a plain file, a piece at a time, before it is taken into memory."""
    large = handle.seek(0, os.SEEK_END) > LARGEST_QUOTED
    handle.seek(0)
    guard = _LineGuard(name)
    while chunk := handle.read(_CHUNK):
        guard.see(chunk)
        if large and b'"' in chunk:
            raise too_large(name)


def _unpack(stored: bytes, name: str) -> bytes:
    """Unpack gzip members one after another, a bounded piece at a time."""
    pieces: list[bytes] = []
    unpacked = 0
    guard = _LineGuard(name)
    stream = zlib.decompressobj(wbits=31)
    try:
        for start in range(0, len(stored), _CHUNK):
            rest = stored[start : start + _CHUNK]
            swell = max(_SWELL_FROM, _MAX_SWELL * (start + len(rest)))
            while rest:
                if stream.eof:
                    rest = rest.lstrip(b"\0")  # padding between members
                    stream = zlib.decompressobj(wbits=31) if rest else stream
                    continue
                piece = stream.decompress(rest, _CHUNK)
                if not pieces:
                    _refuse_packed(piece, name)
                guard.see(piece)
                pieces.append(piece)
                unpacked += len(piece)
                _bound(unpacked, name)
                if unpacked > swell:
                    raise InputError(
                        f"a gzip that swells to {_MAX_SWELL} times its size is not a price file", file=name
                    )
                rest = stream.unused_data or stream.unconsumed_tail  # the first only at a member's end
    except zlib.error as error:
        raise InputError(f"the gzip is damaged ({error})", file=name) from error
    if not stream.eof:
        raise InputError("the gzip ends too early (download cut short?)", file=name)
    return b"".join(pieces)


def _refuse_packed(head: bytes, name: str) -> None:
    if head.startswith(_GZIP):
        raise InputError("is a gzip inside a gzip, not a CSV", file=name)
    if head:
        _refuse_signature(head[:8], name)


def _bound(size: int, name: str) -> None:
    if size > _MAX_BYTES:
        raise InputError(f"holds more than {_MAX_BYTES >> 30} GiB; split it into several files", file=name)


def too_large(name: str) -> InputError:
    """Say that a file is too large to be read row by row."""
    what = f"is not plain (commas, no quotation marks, numbers only) and larger than {LARGEST_QUOTED // _MIB} MiB"
    return InputError(what, file=name, setting="split it into several files")


class _LineGuard:
    """Refuses NUL bytes and endless lines while the bytes come in, before they fill the memory."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._open = 0
        self._seen = 0
        self._lines = 0
        self._wide = False

    def see(self, chunk: bytes) -> None:
        """Check the next bytes, and raise an `InputError` at the first that no price file has."""
        if not self._seen:
            # UTF-16 has a NUL in every ASCII character; it is decoded, and looked at again, afterwards.
            self._wide = looks_utf16(chunk[:4096])
        if not self._wide and (at := chunk.find(b"\0")) >= 0:
            raise InputError(
                f"NUL byte at byte {self._seen + at}: the file is damaged",
                file=self._name,
                line=1 + self._lines + chunk.count(b"\n", 0, at),
            )
        if len(chunk) == _CHUNK and chunk.isspace():
            raise InputError("a whole MiB of blanks; this is not a price file", file=self._name)
        self._seen += len(chunk)
        self._lines += chunk.count(b"\n")
        last = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        self._open = self._open + len(chunk) if last < 0 else len(chunk) - last
        if self._open > _MAX_LINE:
            raise InputError(f"a line is longer than {_MAX_LINE >> 20} MiB; this is not a price file", file=self._name)


def looks_utf16(head: bytes) -> bool:
    """Whether the first bytes are UTF-16: a byte order mark, or NULs in every other place only."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    if len(head) < 4:
        return False
    even, odd = head[0::2], head[1::2]
    return (odd.count(0) > 0.8 * len(odd) and 0 not in even) or (even.count(0) > 0.8 * len(even) and 0 not in odd)
