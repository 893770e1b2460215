"""Which characters: the bytes of a file become UTF-8 with plain line ends, or it is said what they are instead."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from forecasting.arrays import IntArray
from forecasting.errors import InputError
from forecasting.ingest.files import looks_utf16

__all__ = ["Text", "decode"]

_LEGACY = ("cp1252", "cp932", "cp949", "gb18030", "cp1251")
"""Tried, in this order, when a file is not UTF-8: the first under which the header can be read is taken."""
_PIECE = 1 << 20
_MARKUP = re.compile(
    rb"<(?:!|\?|/?(?:html|head|body|title|table|div|p|script|meta|error|response|xml)\b)", re.IGNORECASE
)


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
    """Give the texts that the bytes may be, the most likely first; UTF-8 and UTF-16 leave no other choice."""
    sure = [declared] if declared else []
    if not sure and looks_utf16(data[:4096]):
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
    decoder = codecs.getincrementaldecoder(encoding)()
    pieces = []
    try:
        for start in range(0, len(data), _PIECE):
            piece = decoder.decode(data[start : start + _PIECE], start + _PIECE >= len(data))
            pieces.append(b"" if encoding == "utf-8" else piece.encode())
    except UnicodeError:
        return None
    return data if encoding == "utf-8" else b"".join(pieces)


def _plain(data: bytes, file: str) -> bytes:
    """Write line ends in one way, and refuse what is plainly not a CSV."""
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
    if head.startswith(b"version https://git-lfs"):
        raise InputError("is a git-lfs pointer, not the file itself", file=file, line=1, setting="run git lfs pull")
    if head.startswith((b"{", b"[")):
        raise InputError("JSON, not a CSV (an error message of the vendor?)", file=file, line=1)
    if _MARKUP.match(head):
        raise InputError("a web page or XML, not a CSV (an error page of the vendor?)", file=file, line=1)
    return data
