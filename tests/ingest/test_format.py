"""A declared format: read strictly, written back as it was decided, and never overruled by the file."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from forecasting.errors import InputError
from forecasting.ingest.format import PriceFormat, load_format, to_toml
from forecasting.ingest.prices import read_prices

ROWS = [f"{day:02d}/01/2024;1{day}.10;1{day + 1}.25;1{day - 1}.05;1{day}.15;9{day}" for day in range(15, 20)]


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n")
    return path


def test_every_key_survives_the_way_to_a_file_and_back(tmp_path: Path) -> None:
    whole = PriceFormat.model_validate({
        "columns": {"open": 'FIRST "px"', "ticker": "Größe\\x"}, "header": ["a", "b\t"], "ignore": ["c"],
        "delimiter": "\t", "encoding": "cp1250", "skip_lines": 2, "skip_footer": 1, "date_format": "%d.%m.%y",
        "date_order": "dmy", "epoch": "ms", "add_years": -543, "zone": "Asia/Tokyo", "session_opens": "16:30",
        "weekdays": ["Sun", "Mon"], "decimal": "comma", "price_factor": 0.01,
    })  # fmt: skip
    (tmp_path / "f.toml").write_text(to_toml(whole), encoding="utf-8")
    assert load_format(tmp_path / "f.toml") == whole
    assert PriceFormat.model_validate(whole.model_dump(mode="json", exclude_defaults=True)) == whole


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("colums = 1", "colums"),
        ("[columns]\nopne = 'x'", "columns"),
        ("epoch = 'minutes'", "epoch"),
        ("zone = 'Mars/Olympus'", "time zone"),
        ("encoding = 'klingon'", "encoding"),
        ("session_opens = '25:00'", "session_opens"),
        ("weekdays = ['Mon', 'Someday']", "weekdays"),
        ("price_factor = 0", "price_factor"),
        ("skip_lines = -1", "skip_lines"),
        ("= 5", "format file"),
    ],
)
def test_unknown_key_or_value_is_an_input_error(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        load_format(write(tmp_path / "f.toml", content))
    with pytest.raises(InputError):
        load_format(tmp_path / "none.toml")


@pytest.mark.parametrize(
    "declared",
    [
        {"columns": {"open": "First"}},
        {"columns": {"ticker": "Symbol"}},
        {"date_format": "%m/%d/%Y"},
        {"date_format": "excel"},
        {"date_order": "ymd"},
        {"date_order": "mdy"},
        {"epoch": "s"},
        {"decimal": "comma"},
        {"weekdays": ["Tue", "Wed"]},
        {"delimiter": "|"},
        {"encoding": "utf-16"},
        {"header": ["a", "b", "c", "d", "e", "f"]},
        {"add_years": 543},
        {"skip_lines": 3},
    ],
)
def test_file_that_contradicts_what_is_declared_is_refused(tmp_path: Path, declared: dict[str, object]) -> None:
    path = write(tmp_path / "a.csv", "Date;Open;High;Low;Close;Volume", *ROWS)
    assert len(read_prices(path).prices) == 5
    with pytest.raises(InputError):
        read_prices(path, format=declared)


def test_what_was_decided_reads_the_file_again_the_same(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "Datum;Anfangskurs;Hoch;Tief;Schluss;Stücke", *ROWS)
    read = read_prices(path)
    decided = read.decided[str(path)].format
    assert (decided.date_order, decided.decimal, decided.columns["open"]) == ("dmy", "point", "Anfangskurs")
    again = read_prices(path, format=decided)
    pd.testing.assert_frame_equal(read.prices, again.prices)
    assert again.decided[str(path)].format == decided
