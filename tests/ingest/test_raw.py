"""Bytes: only regular files of sane size and shape are read, whatever they claim to be."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zlib
from functools import partial
from pathlib import Path

import pytest

from forecasting.errors import InputError
from forecasting.ingest.files import read_raw
from forecasting.ingest.prices import read_prices

GOOD = b"Date,Open,High,Low\n2024-01-02,1,2,0.5\n"


# Without the time, so that each process makes the same bytes.
zipped = partial(gzip.compress, mtime=0)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        (b"\0" * 100 + GOOD, "NUL"),
        (GOOD + b"\0" * 100, "NUL"),
        (b"PK\x03\x04rest", "zip"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "Excel"),
        (b"PAR1rest", "Parquet"),
        (b"%PDF-1.7", "PDF"),
        (zipped(zipped(GOOD)), "inside"),
        (zipped(GOOD * 1000)[:-9], "cut short|damaged"),
        (zipped(GOOD)[:20], "cut short"),
        (zipped(GOOD)[:-8] + b"\0" * 8, "damaged"),
        (zipped(b"PK\x03\x04rest"), "zip"),
        (zipped(b""), "empty"),
        (b"\x1f\x8b" + b"rubbish" * 9, "damaged"),
        (b'{"Note": "limit"}', "JSON"),
        (b"[1, 2]", "JSON"),
        (b"<!DOCTYPE html><html></html>", "no header.*DOCTYPE"),
        (b"<?xml version='1.0'?><Error/>", "no header.*xml"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "no header.*git-lfs"),
        (b"<<<<<<< HEAD\n" + GOOD, "merge"),
        ("\ufeff".encode("utf-16-le") + b"D\xd8" * 3, "damaged"),
        (b"a" * (3 << 20), "longer than"),
        (GOOD + b"\n" * (3 << 20), "blanks"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_what_is_not_a_text_of_rows_is_refused(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=what):
        read_prices(path)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo.csv"
    os.mkfifo(fifo)
    for path in (fifo, Path("/dev/zero"), Path("/dev/null"), tmp_path):
        with pytest.raises(InputError, match="not a regular file"):
            read_raw(path)
    (tmp_path / "link.csv").symlink_to("/dev/zero")
    with pytest.raises(InputError, match="not a regular file"):
        read_prices(tmp_path / "link.csv")


def test_dangling_link_and_unreadable_file_are_input_errors(tmp_path: Path) -> None:
    (tmp_path / "link.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError):
        read_prices(tmp_path / "link.csv")


_BOUNDED = """
import resource, sys
from forecasting.errors import InputError
from forecasting.ingest.prices import read_prices
try:
    read_prices(sys.argv[1])
except InputError:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 if sys.platform == "darwin" else 1 / 1024) // 2**20)
"""


def _endless_line(path: Path) -> None:
    with path.open("wb") as handle:
        handle.write(GOOD)
        for _ in range(1024):
            handle.write(b"1" * (1 << 20))


def _bomb(path: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    with path.open("wb") as handle:
        handle.write(packer.compress(GOOD))
        for _ in range(2000):
            handle.write(packer.compress(b"2024-01-02,1,2,0.5\n" * 50_000))
        handle.write(packer.flush())


def _endless_field(path: Path) -> None:
    with path.open("wb") as handle:
        handle.write(GOOD + b'"')
        for _ in range(1000):
            handle.write((b"a" * 1023 + b"\n") * 1024)


@pytest.mark.slow
@pytest.mark.parametrize("make", [_endless_line, _bomb, _endless_field])
def test_monstrous_files_are_refused_in_bounded_time_and_memory(make: object, tmp_path: Path) -> None:
    path = tmp_path / "monster.csv"
    make(path)  # type: ignore[operator]
    done = subprocess.run(
        [sys.executable, "-c", _BOUNDED, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    path.unlink()
    assert float(done.stdout) < 1024
