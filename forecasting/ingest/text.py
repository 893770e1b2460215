"""Which characters: the bytes of a file become UTF-8 with plain line ends, or it is said what they are instead."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from forecasting.errors import InputError
from forecasting.ingest.raw import looks_utf16

__all__ = ["Text", "decode"]

_LEGACY = ("cp1252", "cp932", "cp949", "gb18030", "cp1251")
"""Tried, in this order, when a file is not UTF-8: the first under which the header can be read is taken."""

_JSON = re.compile(rb"\s*[\[{]")
_MARKUP = re.compile(
    rb"\s*<(?:!|\?|/?(?:html|head|body|title|table|div|p|script|meta|error|response|xml)\b)", re.IGNORECASE
)
_PIECE = 1 << 20
_POINTER = b"version https://git-lfs"


@dataclass(frozen=True)
class Text:
    """A file's text.

    Attributes
    ----------
    data
        UTF-8 without a byte order mark, lines ended by a line feed.
    file
        Its name, as the user gave it.
    encoding
        What it was written in.
    """

    data: bytes
    file: str
    encoding: str

    def without_footer(self, lines: int) -> Text:
        """Leave out so many lines at the end."""
        if not lines:
            return self
        kept = self.data.rstrip(b"\n").split(b"\n")[:-lines]
        return replace(self, data=b"\n".join([*kept, b""]))

    def line_numbers(self, start: int) -> NDArray[np.int64]:
        """Give the numbers of the non-empty lines from byte ``start`` on."""
        tail = np.frombuffer(self.data, dtype=np.uint8)[start:]
        ends = np.flatnonzero(tail == ord("\n"))
        if len(tail) and (not len(ends) or ends[-1] != len(tail) - 1):
            ends = np.append(ends, len(tail))
        widths = np.diff(ends, prepend=-1)
        first = self.data.count(b"\n", 0, start) + 1
        return np.flatnonzero(widths > 1).astype(np.int64) + first


def decode(data: bytes, file: str, declared: str | None = None) -> Iterator[Text]:
    """Give the texts that the bytes may be, the most likely first; UTF-8 and UTF-16 leave no other choice.

    Raises
    ------
    InputError
        When the bytes are not text at all, or a text that is plainly not a CSV.
    """
    if declared is not None:
        if (text := _recode(data, declared)) is None:
            raise InputError(f"the text is not {declared}, as the format declares", file=file)
        yield _finish(text, file, declared)
    elif looks_utf16(data[:4096]):
        yield _finish(_utf16(data, file), file, "utf-16")
    elif (text := _recode(data, "utf-8")) is not None:
        yield _finish(text, file, "utf-8")
    else:
        for encoding in _LEGACY:
            if (text := _recode(data, encoding)) is not None:
                yield _finish(text, file, encoding)
        line = next(number for number, one in enumerate(data.split(b"\n"), 1) if _recode(one, "utf-8") is None)
        what = "the text is not UTF-8, and under none of the common encodings it has a header"
        raise InputError(what, file=file, line=line, setting="set encoding in a format file")


def _utf16(data: bytes, file: str) -> bytes:
    little = data.startswith(b"\xff\xfe") or (not data.startswith(b"\xfe\xff") and data[1] == 0)
    text = _recode(data, "utf-16-le" if little else "utf-16-be")
    if text is None:
        raise InputError("looks like UTF-16, but is damaged", file=file)
    return text


def _recode(data: bytes, encoding: str) -> bytes | None:
    """Turn bytes into UTF-8, a piece at a time: a large text is never held as characters. None when they do not fit."""
    if encoding == "utf-8" and data.isascii():
        return data
    decoder = codecs.getincrementaldecoder(encoding)()
    pieces = []
    try:
        for start in range(0, len(data), _PIECE):
            piece = decoder.decode(data[start : start + _PIECE], start + _PIECE >= len(data))
            pieces.append(b"" if encoding == "utf-8" else piece.encode())
    except UnicodeError:
        return None
    return data if encoding == "utf-8" else b"".join(pieces)


def _finish(data: bytes, file: str, encoding: str) -> Text:
    data = data.replace("\ufeff".encode(), b"")  # files put together have one at each seam
    if (at := data.find(b"\0")) >= 0:
        raise InputError("NUL character: the file is damaged", file=file, line=data.count(b"\n", 0, at) + 1)
    if b"\r" in data:
        # \r\r\n is what two careless conversions make of a line end.
        data = data.replace(b"\r\r\n", b"\n").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    data = data.removesuffix(b"\x1a")
    _refuse_others(data, file)
    return Text(data=data, file=file, encoding=encoding)


def _refuse_others(data: bytes, file: str) -> None:
    head = data[:4096]
    if not head.strip():
        raise InputError("the file is empty", file=file)
    if head.startswith(_POINTER):
        raise InputError("is a git-lfs pointer, not the file itself", file=file, line=1, setting="run git lfs pull")
    if _JSON.match(head):
        raise InputError("JSON, not a CSV (an error message of the vendor?)", file=file, line=1)
    if _MARKUP.match(head):
        raise InputError("a web page or XML, not a CSV (an error page of the vendor?)", file=file, line=1)
