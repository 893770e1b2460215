"""Prices from CSV: the first step of the walk, and the only one that reads a file of prices.

A vendor's columns, dates and numbers are understood, or the file is refused with its line; nothing is guessed.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from forecasting.arrays import day_of
from forecasting.config import DateOrder, DecimalMark
from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.formatting import printable
from forecasting.ingest.checks import check_rows
from forecasting.ingest.files import file_sha256, find_files, read_raw, ticker_of
from forecasting.ingest.format import PriceFormat
from forecasting.ingest.ingested import CheckedRows, Ingested, InputFile, Refusal, checked_rows, frame_of
from forecasting.ingest.latest import FAR, ending, far_ahead, last_shared
from forecasting.ingest.layout import understand
from forecasting.ingest.reader import read_table
from forecasting.ingest.remote import local_copies
from forecasting.ingest.table import Decided, ReadOptions, Report, Table, joined

__all__ = ["Ingested", "InputFile", "Refusal", "find_files", "read_prices"]

_log = logging.getLogger(__name__)


def read_prices(
    source: str | Path | Sequence[str | Path],
    *,
    as_of: date | None = None,
    shared: bool = False,
    tickers: Collection[str] | None = None,
    date_order: DateOrder = "auto",
    decimal: DecimalMark = "auto",
    format: PriceFormat | Mapping[str, Any] | None = None,  # noqa: A002 - as the option is called
) -> Ingested:
    """Read daily prices from one CSV, a folder of them, a glob, or several of these.

    Parameters
    ----------
    source
        A CSV with one ticker (named as the file is) or many (a ticker, symbol or name column), plain or gzip; a folder
        or a pattern of such files; the same in a bucket (``s3://bucket/folder``).
    as_of
        Rows after this date are set aside before any other check; all are read when None.
    shared
        Set aside rows after the last date that the tickers share (`forecasting.ingest.latest`), as ``as_of`` would; a
        ticker whose rows go far beyond it is refused, because its dates are the doubtful ones.
    tickers
        Only these; all when None.
    date_order, decimal, format
        The order of day, month and year, the decimal mark, and other declarations; what is not declared is decided
        from each file.

    Returns
    -------
    Ingested
        The rows, and everything to report about them. A bad file, or a bad ticker of a file, is a refusal; the
        others are read.

    Raises
    ------
    InputError
        When nothing at all is usable: the first reason, in the order of the files.
    """
    options = ReadOptions(
        last_day=None if as_of is None else day_of(as_of),
        tickers=None if tickers is None else frozenset(tickers),
        format=PriceFormat.model_validate(format or {}).with_options(date_order, decimal),
    )
    with local_copies(source) as (local, addresses):
        return _read_files(find_files(local), addresses, options, shared=shared)


def _read_files(files: list[Path], addresses: Mapping[Path, str], options: ReadOptions, *, shared: bool) -> Ingested:
    reading = _Files(files, addresses, options)
    day, newest = reading.shared_day()
    if not shared or newest <= day:
        return reading.result()
    doubted = reading.doubted(day)
    del reading  # before all is read again, up to that day
    return _Files(files, addresses, replace(options, last_day=day)).result(doubted)


class _Files:
    """The prices and reports of the files that were read so far."""

    def __init__(self, files: Iterable[Path], addresses: Mapping[Path, str], options: ReadOptions) -> None:
        self._options = options
        self._rows: dict[str, CheckedRows] = {}
        self._files: dict[str, list[str]] = defaultdict(list)
        self._findings: list[Finding] = []
        self._refused: list[Refusal] = []
        self._inputs: list[InputFile] = []
        self._decided: dict[str, Decided] = {}
        self._days: list[tuple[list[Table], Report]] = []
        for path in files:
            self._add(path, addresses.get(path, str(path)))
        self._join_days()
        self._settle()

    def _add(self, path: Path, file: str) -> None:
        """Read a file, and keep what is sound."""
        ticker: str | None = ticker_of(path)
        report = Report(file)
        try:
            data, sha256, size = read_raw(path)
            self._inputs.append(InputFile(file, sha256, size))
            text, layout = understand(data, file, self._options.format)
            ticker = None if layout.ticker is not None else ticker
            tables, self._decided[file] = read_table(text, layout, ticker_of(path), self._options, report)
        except InputError as error:
            if not self._inputs or self._inputs[-1].path != file:
                known = file_sha256(path)
                self._inputs += [InputFile(file, *known)] if known else []
            self._refuse(ticker, file, error)
            return
        if not report.refused and all(table.is_one_day() for table in tables):
            self._days.append((tables, report))
        else:
            self._check(tables, report)

    def _check(self, tables: Iterable[Table], report: Report) -> None:
        """Check tables of numbers; what is sound is kept, the other tickers are refused."""
        checked = [check_rows(table, report) for table in tables]
        for ticker, error in report.refused.items():
            self._refuse(printable(ticker, 64) or None, report.file, error)
        for finding in report.findings:
            if finding.ticker not in report.refused:
                self._findings.append(replace(finding, message=f"{report.file}: {finding.message}"))
        for name, rows in (one for table in checked for one in checked_rows(table, report.file)):
            if name not in report.refused:
                self._files[name].append(report.file)
                self._rows[name] = rows

    def _refuse(self, ticker: str | None, file: str, error: InputError) -> None:
        wanted = self._options.tickers
        if wanted is None or ticker is None or ticker in wanted:
            self._refused.append(Refusal(ticker, file, error))

    def _join_days(self) -> None:
        """Check the files of single days, as one table where tickers are in several of them."""
        table = joined([table for tables, _ in self._days for table in tables]) if self._days else None
        if table is None:
            for tables, report in self._days:
                self._check(tables, report)
            return
        self._check([table], Report(str(Path(self._days[0][1].file).parent)))
        said: dict[Finding, list[str]] = defaultdict(list)  # each once
        for _, report in self._days:
            for finding in report.findings:
                said[finding].append(report.file)
        for finding, (file, *more) in said.items():
            others = f" (and in {len(more)} more files)" if more else ""
            self._findings.append(replace(finding, message=f"{file}: {finding.message}{others}"))

    def _settle(self) -> None:
        """Leave out tickers that several files give, and refuse to give nothing at all."""
        for ticker, files in self._files.items():
            if len(files) > 1:  # it cannot be known which is right
                what = f"ticker {ticker} is also in {files[0]}; give each ticker in one file"
                self._refuse(ticker, files[1], InputError(what, file=files[1]))
                del self._rows[ticker]
        last = self._options.last_day
        until = "" if last is None else f" up to {np.datetime64(last, 'D')}"
        there = {*self._rows, *(refusal.ticker for refusal in self._refused)}
        for ticker in sorted((self._options.tickers or frozenset()) - there):
            what = f"ticker {ticker} is in none of the files{', or has no rows' if until else ''}{until}"
            self._refused.append(Refusal(ticker, "", InputError(what, setting="see --tickers and --as-of")))
        if not self._rows:
            only = self._inputs[0].path if len(self._inputs) == 1 else None
            raise self._refused[0].error if self._refused else InputError(f"there are no rows{until}", file=only)

    def shared_day(self) -> tuple[int, int]:
        """Return the last day that the tickers share, and the last of all."""
        days = [rows.days for rows in self._rows.values()]
        return last_shared(map(ending, days)), int(max(own[-1] for own in days))

    def doubted(self, day: int) -> list[Refusal]:
        """Refuse the tickers whose last row is far beyond the last date that the tickers share."""
        refused = []
        for ticker, rows in self._rows.items():
            last = int(rows.days[-1])
            if last > day + FAR:
                when = np.datetime64(last, "D")
                setting = f"correct the date, or set --as-of {when} if it is the others that are old"
                refused.append(Refusal(ticker, rows.file, rows.error(far_ahead(ticker, last, day), setting=setting)))
        return refused

    def result(self, doubted: Sequence[Refusal] = ()) -> Ingested:
        """Join all files, without some tickers; this object gives up its rows."""
        for refusal in doubted:
            self._rows.pop(refusal.ticker or "", None)
        kept = {"", *self._rows}
        findings = tuple(finding for finding in self._findings if finding.ticker in kept)
        files = {ticker: rows.file for ticker, rows in self._rows.items()}
        ingested = Ingested(
            frame_of(self._rows), findings, (*self._refused, *doubted), tuple(self._inputs), self._decided, files
        )
        if ingested.last_day > datetime.now(tz=UTC).date():  # no finding: what is read must not depend on the clock
            _log.warning("The last date, %s, is in the future by this machine's clock.", ingested.last_day)
        return ingested
