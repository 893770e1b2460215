"""From a file's text to its tables of numbers: dates first, then which rows are wanted, then their prices."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from typing import NoReturn

import numpy as np
import pyarrow as pa

from forecasting.arrays import BoolArray, IntArray, day_of
from forecasting.errors import InputError
from forecasting.ingest.dates import NO_DATE, UndecidedDatesError, read_dates
from forecasting.ingest.files import Text
from forecasting.ingest.instruments import misplaced_ticker, report_instruments, separating_column, without_turnover
from forecasting.ingest.layout import Block, Layout
from forecasting.ingest.names import NEEDED, PRICES, Role, normalise
from forecasting.ingest.numbers import Decimal, decide, read_numbers, why_unread
from forecasting.ingest.rows import read_rows
from forecasting.ingest.stamps import unknown_clock
from forecasting.ingest.strays import Owners, add_cut_line, add_misfits, add_undated, is_event, why_misfit
from forecasting.ingest.table import Decided, ReadOptions, Report, Table, Verdict, error_at

__all__ = ["read_table"]

_LONGEST_TICKER, _LONGEST_CELL = 64, 40
_UNDECIDED = "the numbers can be read with a decimal point and with a decimal comma, and nothing in the file settles it"
_NO_ROWS = "no rows of data under the header"
_MOSTLY = 0.9


def read_table(
    text: Text, layout: Layout, ticker: str, options: ReadOptions, report: Report
) -> tuple[list[Table], Decided]:
    """Read a file's rows, up to the last day and of the tickers asked for.

    The rows are ``ticker``'s when no column names one. Gives a table for each block of columns. What is wrong with the
    whole file is an `InputError`; what is wrong with single tickers goes into the report.
    """
    return _FileReading(text, layout, ticker, options, report).read()


def _unfit(name: str) -> str | None:
    """Say why a name cannot be a ticker's; None when it can."""
    if not name:
        return "the ticker is missing"
    if len(name) > _LONGEST_TICKER:
        return f"the ticker {name[:20]!r}... has {len(name)} characters, more than {_LONGEST_TICKER}"
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in name):
        return f"the ticker {name!r} has control characters in it"
    return None


class _FileReading:
    """The steps of reading one file."""

    def __init__(self, text: Text, layout: Layout, ticker: str, options: ReadOptions, report: Report) -> None:
        self._layout, self._options, self._format, self._report = layout, options, options.format, report
        report.findings += layout.findings
        self._rows = rows = read_rows(text, layout)
        if not len(rows):
            first = rows.misfits[0] if rows.misfits else None
            what, line = (why_misfit(first, layout), first.line) if first else (_NO_ROWS, layout.line)
            unnamed = first is not None and len(first.cells) == layout.width + 1  # an index without a name?
            setting = "set header and skip_lines in a format file" if unnamed else None
            raise InputError(what, file=text.file, line=line, setting=setting)
        texts, self._stamps = rows.distinct(layout.date)
        self._texts = texts.to_pylist()
        try:
            self._dates = read_dates(self._texts, self._format, loose=layout.loose_date)
        except UndecidedDatesError as error:
            self._refuse(error.what, np.flatnonzero(self._stamps == error.cell)[:1], layout.date, error.setting)
        self._days = self._dates.days[self._stamps]
        self._owners, self._unread = self._find_tickers(ticker)

    def read(self) -> tuple[list[Table], Decided]:
        """Take the rows that are wanted, and read them."""
        rows, days, report = self._rows, self._days, self._report
        wanted = self._wanted()
        add_misfits(rows, self._owners, self._dates, self._options, report)
        wanted &= ~add_undated(rows, self._owners, self._dates, wanted & (days == NO_DATE), report)
        cut_volume = bool(wanted[-1]) and add_cut_line(rows, self._owners, report)
        if None in report.refused:
            raise report.refused[None]
        kept = np.flatnonzero(wanted & (days != NO_DATE))
        self._doubt_dates(kept)
        decimal = self._decimal(kept)
        if len(self._layout.blocks) == 1:
            self._doubt_prices(kept, decimal)
        tables = [self._read_block(block, kept, decimal, cut_volume=cut_volume) for block in self._layout.blocks]
        return [table for table in tables if table is not None], self._decided(decimal)

    def _refuse(self, what: str, rows: IntArray, column: int, setting: str | None) -> NoReturn:
        """Refuse the whole file for what is wrong with some rows."""
        lines, files = self._rows.lines[rows].tolist(), [self._report.file]
        raise error_at(lines, files, what, self._layout.name(column), setting)

    def _find_tickers(self, ticker: str) -> tuple[Owners, list[int]]:
        """Take the tickers from their column, or from the only one that separates rows of the same day.

        Gives the rows' tickers, and the columns that are not read.
        """
        rows, layout, last, days = self._rows, self._layout, self._options.last_day, self._days
        read, ignored = {layout.date, *layout.priced}, set(map(normalise, self._format.ignore))
        unread = [at for at in range(layout.width) if at not in read and normalise(layout.header[at]) not in ignored]
        until = np.flatnonzero(days <= last) if last is not None else np.arange(len(days))  # later rows do not count
        column, what = layout.ticker, ""
        if column is not None and misplaced_ticker(rows.distinct(column)[1][until], days[until]):
            what = f"column {layout.name(column)} is different in nearly every row, and was not taken for tickers"
            column = None
        elif column is None and len(layout.blocks) == 1:
            column = separating_column(rows, unread, until, days[until])
            if column is not None:
                what = f"column {layout.name(column)} separates each day's rows, and was taken for the ticker"
        if what:
            self._report.add("warning", what)
        if column is None:
            return Owners([ticker], np.zeros(len(rows), dtype=np.int64), None), unread
        texts, codes = rows.distinct(column)
        return Owners(texts.to_pylist(), codes, column), [at for at in unread if at != column]

    def _wanted(self) -> BoolArray:
        """Find the rows up to the last day, of tickers that are asked for and have a name that can be one."""
        tickers, codes, _ = self._owners
        asked, last = self._options.tickers, self._options.last_day
        wanted = np.ones(len(codes), dtype=np.bool_)
        if self._layout.blocks[0].ticker is not None:
            tickers = []  # each block has its own
        elif asked is not None:
            wanted = np.isin(codes, [code for code, name in enumerate(tickers) if name in asked])
        if last is not None:
            later = wanted & (self._days > last)
            wanted &= ~later
            if count := int(later.sum()):
                what = f"{count} {'rows' if count > 1 else 'row'} after the as-of date set aside"
                self._report.add("set_aside", what, rows=count)
        settled = self._rows.text.encoding != "cp1252" or self._format.encoding is not None
        for code, name in enumerate(tickers):
            what_is_wrong = _unfit(name)
            if not name.isascii() and not settled:
                what_is_wrong = f"the ticker {name!r} is not UTF-8, and its letters depend on an unknown encoding"
            if what_is_wrong and (own := (codes == code) & wanted).any():
                error = error_at(self._rows.lines[own].tolist(), [self._report.file], what_is_wrong)
                self._report.refuse(name, error)
                wanted &= ~own
        return wanted

    def _doubt_dates(self, kept: IntArray) -> None:
        """Refuse dates of the wanted rows that are not known: the clock, the century, or another column of dates."""
        rows, layout, dates, days = self._rows, self._layout, self._dates, self._days[kept]
        stamps = self._stamps[kept]
        if unknown := unknown_clock(dates.clocks, self._texts, np.unique(stamps).tolist()):
            setting = "set zone and session_opens in a format file"
            self._refuse(unknown[1], kept[stamps == unknown[0]][:1], layout.date, setting)
        today = day_of(datetime.now(tz=UTC).date())
        if dates.unsure and dates.order and days.max(initial=today) > today:
            when, setting = np.datetime64(int(days.max()), "D"), "set add_years in a format file, 1900 for one"
            what = f"the years have two digits, and {when} is in the future: of which century are they?"
            self._refuse(what, kept[[days.argmax()]], layout.date, setting)
        for rival in layout.rivals.get("date", ()):
            texts, own = rows.distinct(rival)
            try:
                other = read_dates(texts.to_pylist())
            except UndecidedDatesError:
                continue
            theirs = other.days[own][kept]
            differ = kept[(theirs != days) & (theirs != NO_DATE)]
            if not other.clocks and (other.days != NO_DATE).mean() > _MOSTLY:
                self._refuse_rival("date", layout.date, rival, differ)

    def _doubt_prices(self, kept: IntArray, decimal: Decimal) -> None:
        """Refuse two columns that could be the same price, and differ."""
        for role in NEEDED:
            for rival in self._layout.rivals.get(role, ()):
                own = self._layout.blocks[0].columns[role]
                prices, others = (read_numbers(self._rows.cells(at, kept), decimal)[0] for at in (own, rival))
                differ = kept[np.isfinite(others) & (others > 0) & (others != prices)]
                self._refuse_rival(role, own, rival, differ)

    def _refuse_rival(self, role: Role, column: int, rival: int, differ: IntArray) -> None:
        if len(differ):
            name, other = self._layout.name(column), self._layout.name(rival)
            what = f"columns {name} and {other} could both be {role.capitalize()}, and differ"
            self._refuse(what, differ, column, f"set columns.{role} in a format file")

    def _decimal(self, kept: IntArray) -> Decimal:
        if self._format.decimal != "auto":
            return self._format.decimal
        rows, layout = self._rows, self._layout
        priced = {at for block in layout.blocks for role, at in block.columns.items() if role != "volume"}
        others = set(range(len(rows.columns))) - priced - {layout.date, self._owners.column}
        prices, rest = ([rows.cells(at, kept) for at in sorted(columns)] for columns in (priced, others))
        decimal = decide(prices, rest, usual=layout.usual_marks)
        if decimal is None:
            self._refuse(_UNDECIDED, kept[:1], layout.blocks[0].columns["open"], "set --decimal point or comma")
        return decimal

    def _read_block(self, block: Block, kept: IntArray, decimal: Decimal, *, cut_volume: bool) -> Table | None:
        """Read the rows that have prices, of a block whose ticker is wanted."""
        layout, rows, report, asked = self._layout, self._rows, self._report, self._options.tickers
        tickers, codes, column = self._owners
        named = {**block.columns, "date": layout.date} | ({} if column is None else {"ticker": column})
        if block.ticker is not None:
            tickers, codes = [block.ticker], np.zeros(len(rows), dtype=np.int64)
            if asked is not None and block.ticker not in asked:
                return None
            if what := _unfit(block.ticker):
                report.refuse(block.ticker, InputError(what, file=report.file, line=layout.line))
                return None
        prices = dict.fromkeys(PRICES, np.full(len(kept), np.nan))
        bad: dict[Role, BoolArray] = {}
        for role, at in block.columns.items():
            prices[role], bad[role] = read_numbers(rows.cells(at, kept), decimal, scaled=role == "volume")
            prices[role] = prices[role] * (1 if role == "volume" else self._format.price_factor)
        if cut_volume and block.columns.get("volume") == len(rows.columns) - 1:
            prices["volume"] = np.where(kept == len(rows) - 1, np.nan, prices["volume"])
        names: dict[str, str] = {role: layout.name(at) for role, at in named.items()}
        dates, files = self._dates, [report.file]
        table = Table(tickers, codes[kept], self._days[kept], kept, rows.lines[kept], prices, names, files)
        table = replace(table, numeric_dates=dates.order != "", unsure=dates.unsure, weekdays=self._format.weekdays)
        verdict = Verdict(table.sorted(), report)
        for role, marks in bad.items():
            found = [at for at in kept[marks].tolist() if not is_event(rows.row(at), layout)]
            if found:
                _report_unreadable(verdict, role, found, rows.columns[block.columns[role]], decimal)
        report_instruments(verdict, rows, self._unread)
        without_turnover(verdict, rows, self._unread)
        _set_empty_aside(verdict)
        return verdict.table

    def _decided(self, decimal: Decimal) -> Decided:
        layout, dates, format_, ticker = self._layout, self._dates, self._format, self._owners.column
        columns: dict[Role, int | None] = {"date": layout.date, "ticker": ticker}
        columns |= layout.blocks[0].columns if len(layout.blocks) == 1 else {}
        named = {role: layout.header[at].strip() for role, at in columns.items() if at is not None}
        update = {
            "columns": {role: name for role, name in named.items() if name},
            "delimiter": layout.delimiter,
            "encoding": self._rows.text.encoding,
            "date_order": dates.order or format_.date_order,
            "decimal": decimal,
        }
        read = {layout.date, ticker, *layout.priced}
        ignored = tuple(layout.name(at) for at in range(layout.width) if at not in read)
        return Decided(format_.model_copy(update=update), ignored, dates.form, bool(dates.clocks))


def _report_unreadable(
    verdict: Verdict, role: Role, found: list[int], cells: pa.ChunkedArray, decimal: Decimal
) -> None:
    """Refuse cells of Open, High and Low that are not numbers; elsewhere warn of them."""
    places, bad = verdict.table.places, np.isin(verdict.table.places, found)

    def say(row: int) -> str:
        text = cells[int(places[row])].as_py()
        shown = text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 3] + "..."
        return f'"{shown}" {why_unread(text, decimal, scaled=role == "volume")}'

    if role in NEEDED:
        verdict.refuse(bad, say, role)
    else:
        verdict.warn(bad, lambda row: f"{say(row)}, taken as missing", role)


def _set_empty_aside(verdict: Verdict) -> None:
    """Set aside rows without any price, and rare rows without some prices; refuse them where they are not rare."""
    empty = np.all([np.isnan(verdict.prices[role]) for role in NEEDED], axis=0)
    codes = verdict.table.codes
    nothing = (np.bincount(codes[~empty], minlength=len(verdict.table.tickers)) == 0)[codes]
    verdict.set_aside(empty & ~nothing, "no prices")
    verdict.refuse(nothing[~empty | nothing], "no row has prices", "open")
    for role in NEEDED:
        missing = np.isnan(verdict.prices[role])
        verdict.refuse_unless_rare(missing, "the price is missing while others of the row are there", role)
