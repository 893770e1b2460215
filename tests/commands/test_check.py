"""The check command: what a file holds, in a terminal and as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from forecasting.__main__ import main
from forecasting.commands.check import check_files
from forecasting.ingest.prices import read_prices

HEADER = "Date,Open,High,Low,Close,Volume"
ROWS = [f"2024-01-{day:02d},{100 + day}.10,{102 + day},{99 + day},{101 + day},5" for day in (15, 16, 17, 18, 19)]
BAD = [ROWS[0], ROWS[1].replace("116.10", "oops")]


def write(path: Path, rows: list[str], header: str = HEADER) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def objects(text: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in text.splitlines()]


def test_json_says_per_ticker_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "GOOG.csv", ROWS)

    assert main(["check", str(path), "--json"]) == 0

    expected = {
        "rows": 5,
        "first_date": "2024-01-15",
        "first_open": 115.1,
        "last_date": "2024-01-19",
        "last_open": 119.1,
        "warnings": [],
    }
    (said,) = objects(capsys.readouterr().out)
    decided = said.pop("decided")
    assert said == {"file": str(path), "ok": True, "tickers": {"GOOG": expected}}
    assert decided["columns"]["open"] == "Open"
    assert decided["tickers"]["GOOG"] == {"weekdays": "Mon-Fri", "holes": [], "splits": []}


def test_one_object_a_file_and_2_when_one_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "a.csv", ROWS)
    write(tmp_path / "b.csv", BAD)

    assert main(["check", str(tmp_path), str(tmp_path / "none.csv"), "--json"]) == 2

    good, bad, none = objects(capsys.readouterr().out)
    assert good["ok"] is True
    assert bad.keys() == {"file", "ok", "error"} == none.keys()
    assert (bad["ok"], none["ok"]) == (False, False)
    assert "b.csv, line 3, column Open" in str(bad["error"])


def test_long_file_with_one_bad_ticker_says_which(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"A,{row}" for row in ROWS] + [f"B,{row}" for row in BAD]
    path = write(tmp_path / "long.csv", rows, f"Ticker,{HEADER}")

    assert main(["check", str(path), "--json"]) == 2
    (said,) = objects(capsys.readouterr().out)
    assert "ticker B" in str(said["error"])
    assert "line 8" in str(said["error"])

    assert main(["check", str(path)]) == 2
    shown = capsys.readouterr().out
    assert "ticker B" in shown
    assert "A" in shown
    assert "115.1" in shown


def test_what_was_set_aside_is_a_warning_of_its_ticker(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ["# from a vendor", HEADER, *ROWS, ROWS[4]], "Prices")
    (report,) = check_files([path])
    assert report.tickers["a"].rows == 5
    assert [warning.split(": ")[1] for warning in report.tickers["a"].warnings] == ["lines 1-2", "line 9"]


def test_future_dates_and_tickers_in_two_files_are_warnings(tmp_path: Path) -> None:
    first = write(tmp_path / "1.csv", [f"A,{row.replace('2024', '2098')}" for row in ROWS], f"Ticker,{HEADER}")
    second = write(tmp_path / "2.csv", [f"A,{row}" for row in ROWS], f"Ticker,{HEADER}")
    future, again = check_files([first, second])
    assert any("future" in warning for warning in future.tickers["A"].warnings)
    assert any("also in" in warning for warning in again.tickers["A"].warnings)
    assert future.error is None is again.error


def test_folder_of_one_file_a_day_is_one_table_as_in_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for row in ROWS:
        write(tmp_path / f"{row[:10]}.csv", [f"{who},{row}" for who in ("A", "B")], f"Ticker,{HEADER}")
    write(tmp_path / "C.csv", ROWS)

    assert main(["check", str(tmp_path), "--json"]) == 0
    folder, alone = objects(capsys.readouterr().out)
    assert (folder["file"], alone["file"]) == (str(tmp_path), str(tmp_path / "C.csv"))
    read = read_prices(tmp_path)
    assert {who: said["rows"] for who, said in {**folder["tickers"], **alone["tickers"]}.items()} == dict(
        read.prices.groupby("ticker").size()
    )
    assert folder["decided"]["columns"]["ticker"] == "Ticker"

    write(tmp_path / "2024-01-17.csv", [f"A,{ROWS[2]}", f"B,{ROWS[2].replace(',119,', ',0,')}"], f"Ticker,{HEADER}")
    assert main(["check", str(tmp_path)]) == 2
    shown = capsys.readouterr().out.splitlines()
    assert "2024-01-17.csv, line 3" in shown[1]
    assert "5 rows" in shown[2]


def test_ticker_in_two_files_of_a_folder_cannot_be_read_as_in_a_run(tmp_path: Path) -> None:
    for name in ("1", "2"):
        write(tmp_path / f"{name}.csv", [f"{who},{row}" for who in ("A", name) for row in ROWS], f"Ticker,{HEADER}")
    first, second = check_files([tmp_path])
    assert (set(first.tickers), set(second.tickers)) == ({"1"}, {"2"})
    assert first.error is None
    assert "ticker A is also in" in str(second.error)


def test_folder_of_which_nothing_can_be_read_says_why_of_each_file(tmp_path: Path) -> None:
    for name in ("1", "2"):
        write(tmp_path / f"{name}.csv", BAD)
    assert [f"{name}.csv, line 3" in str(said.error) for name, said in zip("12", check_files([tmp_path]), strict=True)]


def test_options_settle_what_a_file_leaves_open(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"0{day}/01/2024,100,101,99,100,5" for day in (2, 3, 4, 5)]
    path = write(tmp_path / "a.csv", rows)
    assert main(["check", str(path)]) == 2
    assert "--date-order" in capsys.readouterr().out
    assert main(["check", str(path), "--date-order", "dmy"]) == 0
    assert "2024-01-02" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["check"], ["check", "--json"], ["check", "x", "--no-such"], ["nothing"]])
def test_wrong_arguments_end_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_hostile_names_do_not_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"[bold]\x1b[31m,{row}" for row in ROWS] + [f"[red]A,{row}" for row in ROWS]
    path = write(tmp_path / "long.csv", rows, f"Ticker,{HEADER}")
    main(["check", str(path)])
    shown = capsys.readouterr().out
    assert "\x1b[31m" not in shown
    assert "[red]A" in shown


def test_check_needs_neither_torch_nor_prefect(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ROWS)
    code = (
        "import sys; from forecasting.__main__ import main; status = main(['check', sys.argv[1]]); "
        "sys.exit(status or any(name in sys.modules for name in ('torch', 'prefect', 'matplotlib')))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, timeout=60, capture_output=True)
    assert done.returncode == 0


def test_format_that_is_suggested_reads_the_file_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.csv", [f"{row.replace('2024-01-', '')[:2]}/01/2024{row[10:]}" for row in ROWS])
    assert main(["check", str(path), "--suggest"]) == 0
    suggested = capsys.readouterr().out
    assert 'date_order = "dmy"' in suggested
    (tmp_path / "f.toml").write_text(suggested)
    assert main(["check", str(path), "--json", "--format", str(tmp_path / "f.toml")]) == 0
    (said,) = objects(capsys.readouterr().out)
    assert said["ok"] is True
    assert main(["check", str(path), "--format", str(tmp_path / "none.toml")]) == 2


def test_ticker_far_beyond_the_date_that_a_folder_shares_is_a_warning(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write(tmp_path / f"{name}.csv", ROWS)
    write(tmp_path / "late.csv", [*ROWS[:4], ROWS[4].replace("2024-01", "2024-11")])
    warnings = {report.file: report.tickers[Path(report.file).stem].warnings for report in check_files([tmp_path])}
    assert [bool(said) for said in warnings.values()] == [False, False, True]
    assert "2024-01-19" in warnings[str(tmp_path / "late.csv")][-1]


def test_one_line_for_each_normal_file_and_more_where_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for at in range(5):
        write(tmp_path / f"{at}.csv", ROWS)
    assert main(["check", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6
    assert "5 files" in lines[-1]
    assert main(["check", str(tmp_path), "-v"]) == 0
    assert "Open: Open" in capsys.readouterr().out
