"""Reading CSVs as a run would, and saying what was found: ``daily-forecast check PATH...``."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from forecasting.errors import InputError
from forecasting.formatting import printable
from forecasting.ingest.prices import Ingested, Refusal, find_files, read_prices

__all__ = ["FileReport", "TickerReport", "check_files", "run_check"]

_MOST_NAMED = 5
_LONGEST = 400


@dataclass(frozen=True, slots=True)
class TickerReport:
    """What was read of a ticker, its prices as they stand in the file, and what was set aside or looks odd."""

    rows: int
    first_date: str
    first_open: float
    last_date: str
    last_open: float
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class FileReport:
    """What was read of a file: its tickers, or why it (or one of its tickers) cannot be read."""

    file: str
    tickers: dict[str, TickerReport]
    error: str | None = None

    def as_json(self) -> str:
        """One line: ``file``, ``ok``, and ``tickers`` or ``error``."""
        if self.error is not None:
            return json_format.dumps({"file": self.file, "ok": False, "error": self.error})
        tickers = {ticker: asdict(report) for ticker, report in self.tickers.items()}
        return json_format.dumps({"file": self.file, "ok": True, "tickers": tickers})


def run_check(
    *paths: Path,
    json: Annotated[bool, Parameter(negative=())] = False,
    date_order: Literal["auto", "dmy", "mdy", "ymd"] = "auto",
    decimal: Literal["auto", "point", "comma"] = "auto",
) -> int:
    """Read the CSVs as a run would, and say what was found in them.

    Parameters
    ----------
    paths
        CSVs, folders of them, or patterns.
    json
        Print one JSON object a file, one a line.
    date_order
        The order of day, month and year where they are numbers.
    decimal
        The decimal mark.

    Returns
    -------
    int
        The exit status: 0 when all can be read, else 2.
    """
    if not paths:
        raise InputError("no path was named", setting="name a CSV, a folder or a pattern")
    console = Console(highlight=False, soft_wrap=True)
    readable = True
    for report in check_files(paths, date_order=date_order, decimal=decimal):
        readable &= report.error is None
        if json:
            sys.stdout.write(report.as_json() + "\n")
        else:
            _print(console, report)
    return 0 if readable else 2


def check_files(
    paths: Sequence[Path],
    *,
    date_order: Literal["auto", "dmy", "mdy", "ymd"] = "auto",
    decimal: Literal["auto", "point", "comma"] = "auto",
) -> Iterator[FileReport]:
    """Read each file by itself and report on it; a path that leads to no file is reported like a file."""
    first_in: dict[str, str] = {}
    for path in paths:
        try:
            files = find_files(path)
        except InputError as error:
            yield FileReport(str(path), {}, str(error))
            continue
        for file in files:
            try:
                ingested = read_prices(file, date_order=date_order, decimal=decimal)
            except InputError as error:
                yield FileReport(str(file), {}, str(error))
                continue
            if ingested.refused:
                yield FileReport(str(file), _tickers(ingested, first_in, str(file)), _reasons(ingested.refused))
            else:
                yield FileReport(str(file), _tickers(ingested, first_in, str(file)))


def _tickers(ingested: Ingested, first_in: dict[str, str], file: str) -> dict[str, TickerReport]:
    warnings: dict[str, list[str]] = {}
    for finding in ingested.findings:
        warnings.setdefault(finding.ticker, []).append(finding.message)
    reports = {}
    for ticker, rows in ingested.prices.groupby("ticker", sort=False):
        name = str(ticker)
        first, last = rows.iloc[0], rows.iloc[-1]
        told = [*warnings.get("", []), *warnings.get(name, [])]
        if last["date"].date() > datetime.now(tz=UTC).date():
            told.append(f"the last date, {last['date'].date()}, is in the future by this machine's clock")
        if first_in.setdefault(name, file) != file:
            told.append(f"ticker {name} is also in {first_in[name]}; one run cannot take both")
        reports[name] = TickerReport(
            rows=len(rows),
            first_date=str(first["date"].date()),
            first_open=float(first["open"]),
            last_date=str(last["date"].date()),
            last_open=float(last["open"]),
            warnings=told,
        )
    return reports


def _reasons(refused: Sequence[Refusal]) -> str:
    named = [f"ticker {refusal.ticker or 'unknown'}: {refusal.error}" for refusal in refused[:_MOST_NAMED]]
    more = len(refused) - len(named)
    return "; ".join([*named, f"and {more} more tickers"] if more else named)


def _print(console: Console, report: FileReport) -> None:
    """For a person: the file, a line for each ticker, and under it what was noticed."""
    head = Text(printable(report.file, _LONGEST), style="bold")
    if report.error is not None:
        head.append("  cannot be read whole" if report.tickers else "  cannot be read", style="bold red")
    console.print(head)
    if report.error is not None:
        console.print(Text(f"  {printable(report.error, 4 * _LONGEST)}", style="red"))
    width = max((len(printable(ticker)) for ticker in report.tickers), default=0)
    for ticker, found in report.tickers.items():
        console.print(
            Text(
                f"  {printable(ticker):{width}}  {found.rows:>6} rows  {found.first_date} Open {found.first_open!r}"
                f"  to  {found.last_date} Open {found.last_open!r}"
            )
        )
        for warning in found.warnings:
            console.print(Text(f"    {printable(warning, _LONGEST)}", style="yellow"))
