"""Read CSVs as a run would, and report what was decided and found: ``daily-forecast check PATH...``."""

from __future__ import annotations

import json as json_format
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from forecasting.arrays import day_of
from forecasting.commands import Flag, Reading
from forecasting.errors import InputError
from forecasting.formatting import pluralize, printable

if TYPE_CHECKING:
    # These take half a second to import, which --help should not wait for.
    import pandas as pd

    from forecasting.ingest.prices import Refusal
    from forecasting.ingest.table import Decided

__all__ = ["FileReport", "TickerReport", "check_files", "run_check"]

_MOST_NAMED, _MOST_WARNINGS = 5, 2
_LONGEST = 400
_HOLE = 14  # ten sessions, in days


@dataclass(frozen=True, slots=True)
class TickerReport:
    """What was read of a ticker, its prices as they are in the file, and what was set aside or looks odd."""

    rows: int
    first_date: str
    first_open: float
    last_date: str
    last_open: float
    warnings: list[str]


@dataclass(frozen=True, slots=True)
class TickerFacts:
    """Facts about a ticker's rows: their weekdays, holes of more than ten sessions, splits that are adjusted."""

    weekdays: str
    holes: list[str]
    splits: list[str]


@dataclass(frozen=True, slots=True)
class FileReport:
    """The result of reading a file: its tickers, how it was read, and why it (or a ticker of it) cannot be read."""

    file: str
    tickers: dict[str, TickerReport]
    error: str | None = None
    decided: Decided | None = None
    facts: dict[str, TickerFacts] = field(default_factory=dict)

    def as_json(self) -> str:
        """Write one line: ``file``, ``ok``, ``error`` if there is one, ``tickers`` that can be read, ``decided``."""
        said: dict[str, Any] = {"file": self.file, "ok": self.error is None}
        said |= {} if self.error is None else {"error": self.error}
        if self.tickers:
            said["tickers"] = {ticker: asdict(report) for ticker, report in self.tickers.items()}
        if self.decided is not None:
            said["decided"] = {
                "columns": self.decided.format.columns,
                "ignored": self.decided.ignored,
                "dates": self.decided.dates,
                "clock_dropped": self.decided.clock,
                "decimal": self.decided.format.decimal,
                "delimiter": self.decided.format.delimiter,
                "encoding": self.decided.format.encoding,
                "tickers": {ticker: asdict(facts) for ticker, facts in self.facts.items()},
            }
        return json_format.dumps(said)


def run_check(
    *paths: Path,
    json: Flag = False,
    verbose: Annotated[bool, Parameter(name=["--verbose", "-v"], negative=())] = False,
    suggest: Flag = False,
    reading: Reading = Reading(),  # noqa: B008 - it is frozen
) -> int:
    """Read the CSVs as a run would, and report what was decided and found: one line per file, more where it is odd.

    Parameters
    ----------
    paths
        CSVs, folders of them, or patterns.
    json
        Print one JSON object per file, each on one line.
    verbose
        Also report each ticker, and how each file was read: its columns, dates, numbers, weekdays, holes, splits.
    suggest
        Print the format that was decided for the first readable file, as TOML, to be edited and given to --format.
    reading
        How the files are to be read.

    Returns
    -------
    int
        The exit status: 0 when all can be read, else 2.
    """
    from forecasting.ingest.format import to_toml  # noqa: PLC0415 - after --help

    if not paths:
        raise InputError("no path was named", setting="name a CSV, a folder or a pattern")
    reports = check_files(paths, **reading.given())
    readable = all(report.error is None for report in reports)
    if suggest:
        decided = next((report.decided for report in reports if report.decided is not None), None)
        if decided is None:
            raise InputError(reports[0].error or "nothing can be read")
        sys.stdout.write(to_toml(decided.format))
    elif json:
        sys.stdout.writelines(report.as_json() + "\n" for report in reports)
    else:
        _print(reports, verbose=verbose)
    return 0 if readable else 2


def check_files(paths: Sequence[Path], **reading: Any) -> list[FileReport]:
    """Read each path as a run would, and report on its files; a path without any file is reported like a file.

    ``reading`` are the options of `read_prices`.
    """
    first_in: dict[str, str] = {}
    return [report for path in paths for report in _with_ahead(list(_check_path(path, reading, first_in)))]


def _check_path(path: Path, reading: Mapping[str, Any], first_in: dict[str, str]) -> Iterator[FileReport]:
    from forecasting.ingest.prices import find_files, read_prices  # noqa: PLC0415 - after --help

    files = []
    try:
        files = find_files(path)
        ingested = read_prices(path, **reading)
    except InputError as error:
        if len(files) < 2:
            yield FileReport(str(path), {}, str(error))
        else:  # nothing can be read: report the reason for each file
            yield from (report for file in files for report in _check_path(file, reading, first_in))
        return
    named = {*ingested.files.values(), *(refusal.file for refusal in ingested.refused)}
    groups: dict[str, list[str]] = {}
    for file in files:  # those of single days that were read as one table are reported as their folder
        groups.setdefault(str(file if str(file) in named else file.parent), []).append(str(file))
    histories = {str(ticker): rows for ticker, rows in ingested.prices.groupby("ticker", sort=False)}
    warnings: dict[str, list[str]] = {}
    for finding in ingested.findings:
        warnings.setdefault(finding.ticker, []).append(finding.message)
    for name, group in groups.items():
        refused = [refusal for refusal in ingested.refused if refusal.file == name]
        tickers = {ticker: rows for ticker, rows in histories.items() if ingested.files[ticker] == name}
        of_file = [said for said in warnings.get("", ()) if any(said.startswith(f"{one}: ") for one in group)]
        reports = {}
        for ticker, rows in tickers.items():
            reports[ticker] = _ticker(rows, [*of_file, *warnings.get(ticker, ())])
            if (other := first_in.setdefault(ticker, name)) != name:
                reports[ticker].warnings.append(f"ticker {ticker} is also in {other}; one run cannot take both")
        yield FileReport(
            name,
            reports,
            _reasons(refused) if refused else None,
            ingested.decided.get(group[0]) if tickers else None,
            {ticker: _facts(rows) for ticker, rows in tickers.items()},
        )


def _ticker(rows: pd.DataFrame, warnings: list[str]) -> TickerReport:
    first, last = rows.iloc[0], rows.iloc[-1]
    if last["date"].date() > datetime.now(tz=UTC).date():
        warnings.append(f"the last date, {last['date'].date()}, is in the future by this machine's clock")
    return TickerReport(
        rows=len(rows),
        first_date=str(first["date"].date()),
        first_open=float(first["open"]),
        last_date=str(last["date"].date()),
        last_open=float(last["open"]),
        warnings=warnings,
    )


def _facts(rows: pd.DataFrame) -> TickerFacts:
    """Collect the facts about a ticker's rows."""
    from forecasting.features.splits import find_splits  # noqa: PLC0415 - after --help
    from forecasting.ingest.days import weekdays_of  # noqa: PLC0415
    from forecasting.ingest.table import WEEK  # noqa: PLC0415

    days = rows["date"].to_numpy().astype("datetime64[D]")
    numbers = days.astype("int64")
    kept = sorted(weekdays_of(numbers))
    run = kept == list(range(kept[0], kept[-1] + 1)) and len(kept) > 1
    names = [WEEK[one][:3] for one in kept]
    weekdays = f"{names[0]}-{names[-1]}" if run else ", ".join(names)
    steps = numbers[1:] - numbers[:-1]
    holes = [f"{days[at]} to {days[at + 1]}" for at in (steps > _HOLE).nonzero()[0]]
    columns = [rows[name].to_numpy() for name in ("open", "high", "low", "close", "volume")]
    return TickerFacts(weekdays, holes, [f"{split} on {split.date}" for split in find_splits(days, *columns)])


def _with_ahead(reports: Sequence[FileReport]) -> Iterator[FileReport]:
    """Warn of a ticker far beyond the last date that the tickers share: a run as of `latest` would withhold it."""
    from forecasting.ingest.latest import FAR, far_ahead, last_shared  # noqa: PLC0415 - after --help

    def last_day(one: TickerReport) -> int:
        return day_of(date.fromisoformat(one.last_date))

    found = [one for report in reports for one in report.tickers.values()]
    ends = [(last_day(one), any("a hole of weeks" in said for said in one.warnings)) for one in found]
    shared = last_shared(ends) if ends else 0
    for report in reports:
        tickers = dict(report.tickers)
        for name, one in tickers.items():
            if last_day(one) > shared + FAR:
                tickers[name] = replace(one, warnings=[*one.warnings, far_ahead(name, last_day(one), shared)])
        yield replace(report, tickers=tickers)


def _reasons(refused: Sequence[Refusal]) -> str:
    named = [f"ticker {refusal.ticker or 'unknown'}: {refusal.error}" for refusal in refused[:_MOST_NAMED]]
    more = len(refused) - len(named)
    return "; ".join([*named, f"and {more} more tickers"] if more else named)


def _print(reports: Sequence[FileReport], *, verbose: bool) -> None:
    """Print one line per file, and under it what is odd; with ``verbose`` also each ticker, and how it was read."""
    console = Console(highlight=False, soft_wrap=True)
    for report in reports:
        console.print(_line(report))
        if report.error is not None:
            console.print(Text(f"    {printable(report.error, 4 * _LONGEST)}", style="red"))
        if verbose or report.error is not None:
            for ticker, found in report.tickers.items():
                console.print(Text(f"    {_ticker_line(ticker, found, report.facts.get(ticker))}"))
        if verbose and report.decided is not None:
            console.print(Text(f"    {_decided_line(report.decided)}", style="dim"))
        warnings = list(dict.fromkeys(said for one in report.tickers.values() for said in one.warnings))
        for said in warnings if verbose else warnings[:_MOST_WARNINGS]:
            text = printable(said.removeprefix(f"{report.file}: "), _LONGEST)
            console.print(Text(f"    {text}", style="yellow"))
        if not verbose and len(warnings) > _MOST_WARNINGS:
            console.print(Text(f"    and {len(warnings) - _MOST_WARNINGS} more (-v shows them)", style="yellow"))
    if len(reports) > 1:
        refused = sum(report.error is not None for report in reports)
        odd = sum(any(one.warnings for one in report.tickers.values()) for report in reports)
        summary = f"{pluralize(len(reports), 'file')}: {refused} cannot be read whole, {odd} with warnings"
        console.print(Text(summary, style="bold"))


def _line(report: FileReport) -> Text:
    head = Text(printable(report.file, _LONGEST), style="bold")
    if report.error is not None:
        head.append("  cannot be read whole" if report.tickers else "  cannot be read", style="bold red")
    elif len(report.tickers) == 1:
        ((ticker, one),) = report.tickers.items()
        head.append("  " + _ticker_line(ticker, one, report.facts.get(ticker)), style="not bold")
    else:
        rows = sum(one.rows for one in report.tickers.values())
        first = min(one.first_date for one in report.tickers.values())
        last = max(one.last_date for one in report.tickers.values())
        line = f"  {pluralize(len(report.tickers), 'ticker')}  {rows:,} rows  {first} to {last}"
        head.append(line, style="not bold")
    return head


def _ticker_line(ticker: str, one: TickerReport, facts: TickerFacts | None) -> str:
    line = f"{printable(ticker)}  {one.rows} rows  {one.first_date} Open {one.first_open!r}"
    line += f"  to  {one.last_date} Open {one.last_open!r}"
    if facts is None:
        return line
    line += f"  {facts.weekdays}"
    line += f"  {pluralize(len(facts.holes), 'hole')}: {', '.join(facts.holes[:2])}" if facts.holes else ""
    return line + (f"  split {', '.join(facts.splits)}" if facts.splits else "")


def _decided_line(decided: Decided) -> str:
    columns = ", ".join(f"{role.capitalize()}: {printable(name)}" for role, name in decided.format.columns.items())
    parts = [columns, f"dates {decided.dates}" + (", times of day dropped" if decided.clock else "")]
    parts += [f"decimal {decided.format.decimal}", f"fields by {decided.format.delimiter!r}"]
    parts += [str(decided.format.encoding)]
    parts += [f"not read: {', '.join(map(printable, decided.ignored))}"] if decided.ignored else []
    return "; ".join(parts)
