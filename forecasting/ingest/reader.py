"""From a file's text to its tables of numbers: dates first, then which rows are wanted, then their prices."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np
import pyarrow as pa

from forecasting.arrays import Array, BoolArray, IntArray
from forecasting.findings import Finding
from forecasting.ingest.dates import NO_DATE, DateColumn, UndecidedDatesError, read_dates, unknown_clock
from forecasting.ingest.files import Text
from forecasting.ingest.instruments import misplaced_ticker, report_instruments, separating_column, without_turnover
from forecasting.ingest.layout import Block, Layout
from forecasting.ingest.names import NEEDED, PRICES, Role, normalise
from forecasting.ingest.numbers import Decimal, decide, read_numbers
from forecasting.ingest.rows import Rows, read_rows
from forecasting.ingest.strays import Owners, add_misfits, add_undated, cut_field, is_event, why_misfit
from forecasting.ingest.table import Decided, Options, Problem, ReadFile, Table, Verdict

__all__ = ["read_table"]

_LONGEST_TICKER, _LONGEST_CELL = 64, 40
_UNDECIDED = "the numbers can be read with a decimal point and with a decimal comma, and nothing in the file settles it"
_MOSTLY = 0.9


def read_table(text: Text, layout: Layout, ticker: str, options: Options) -> ReadFile:
    """Read a file's rows up to the last day and of the tickers wanted; they are ``ticker``'s when no column says it."""
    reading = _Reading(layout, options, read_rows(text, layout), ticker)
    if problem := reading.read():
        reading.result.problems.append(problem)
    return reading.result


def _unfit(name: str) -> str | None:
    """Say why a name cannot be a ticker's; None when it can."""
    if not name:
        return "the ticker is missing"
    if len(name) > _LONGEST_TICKER:
        return f"the ticker {name[:20]!r}... has {len(name)} characters, more than {_LONGEST_TICKER}"
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in name):
        return f"the ticker {name!r} has control characters in it"
    return None


class _Reading:
    """The steps of reading one file; what is wrong with tickers of it, and what is read, goes into ``result``."""

    def __init__(self, layout: Layout, options: Options, rows: Rows, ticker: str) -> None:
        self._layout, self._options, self._format, self._rows = layout, options, options.format, rows
        self._owners = Owners([ticker], np.zeros(len(rows), dtype=np.int64), None)
        self._unread: list[int] = []
        self.result = ReadFile(findings=[*layout.findings])

    def read(self) -> Problem | None:
        """Fill the result; gives what is wrong with the whole file."""
        rows, layout, result = self._rows, self._layout, self.result
        if not len(rows):
            said = [(why_misfit(one, layout), one.line) for one in rows.misfits[:1]]
            what, line = said[0] if said else ("no rows of data under the header", layout.line)
            return Problem(what, [line])
        texts, codes = rows.distinct(layout.date)
        try:
            dates = read_dates(texts.to_pylist(), self._format, loose=layout.loose_date)
        except UndecidedDatesError as error:
            lines = rows.lines[codes == error.cell][:1].tolist()
            return Problem(error.what, lines, layout.name(layout.date), setting=error.setting)
        days = dates.days[codes]
        self._find_tickers(days)
        wanted = self._wanted(days)
        add_misfits(rows, self._owners, dates, self._options, result)
        wanted &= ~add_undated(rows, self._owners, dates, wanted & (days == NO_DATE), result)
        kept = np.flatnonzero(wanted & (days != NO_DATE))
        if problem := self._doubt_dates(dates, days, kept):
            return problem
        if (decimal := self._decimal(kept)) is None:
            column = layout.name(layout.blocks[0].columns["open"])
            return Problem(_UNDECIDED, rows.lines[kept[:1]].tolist(), column, setting="set --decimal point or comma")
        for block in layout.blocks:
            verdict = self._block(block, kept, days[kept], dates, decimal)
            if verdict is not None:
                self._report_cut(verdict, block, wanted)
                result.tables.append(verdict.table)
                result.problems += verdict.problems
                result.findings += verdict.findings
        result.decided = self._decided(dates, decimal)
        return None

    def _find_tickers(self, days: IntArray) -> None:
        """Take the tickers from their column; or from the one that alone separates rows of the same day."""
        rows, layout, last = self._rows, self._layout, self._options.last_day
        read, ignored = {layout.date, *layout.priced}, set(map(normalise, self._format.ignore))
        unread = [at for at in range(layout.width) if at not in read and normalise(layout.header[at]) not in ignored]
        until = np.flatnonzero(days <= last) if last is not None else np.arange(len(days))  # later rows have no say
        column, what = layout.ticker, ""
        if column is not None and misplaced_ticker(rows.distinct(column)[1][until], days[until]):
            what = f"column {layout.name(column)} is different in nearly every row, and was not taken for tickers"
            column = None
        elif column is None and len(layout.blocks) == 1:
            column = separating_column(rows, unread, until, days[until])
            if column is not None:
                what = f"column {layout.name(column)} separates each day's rows, and was taken for the ticker"
        self.result.findings += [Finding("", "warning", what)] if what else []
        if column is not None:
            texts, codes = rows.distinct(column)
            self._owners = Owners(texts.to_pylist(), codes, column)
        self._unread = [at for at in unread if at != column]

    def _doubt_dates(self, dates: DateColumn, days: IntArray, kept: IntArray) -> Problem | None:
        """Say why the dates of the wanted rows are not known: the clock, the century, or another column of dates."""
        rows, layout = self._rows, self._layout
        texts, codes = rows.distinct(layout.date)
        name = layout.name(layout.date)
        if dates.clocks and (unknown := unknown_clock(dates.clocks, texts, np.unique(codes[kept]).tolist())):
            lines = rows.lines[kept[codes[kept] == unknown[0]]][:1].tolist()
            return Problem(unknown[1], lines, name, setting="set zone and session_opens in a format file")
        today = datetime.now(tz=UTC).date().toordinal() - date(1970, 1, 1).toordinal()
        if dates.unsure and dates.order and len(kept) and days[kept].max() > today:
            at = kept[days[kept].argmax()]
            when, setting = days[at].astype("datetime64[D]"), "set add_years in a format file, 1900 for one"
            what = f"the years have two digits, and {when} is in the future: of which century are they?"
            return Problem(what, rows.lines[[at]].tolist(), name, setting=setting)
        for rival in layout.rivals.get("date", ()):
            others, own = rows.distinct(rival)
            try:
                other = read_dates(others.to_pylist())
            except UndecidedDatesError:
                continue
            theirs = other.days[own][kept]
            differ = kept[(theirs != days[kept]) & (theirs != NO_DATE)]
            if len(differ) and not other.clocks and (other.days != NO_DATE).mean() > _MOSTLY:
                what = f"columns {name} and {layout.name(rival)} could both be the Date, and differ"
                setting = "set columns.date in a format file"
                return Problem(what, rows.lines[differ].tolist(), name, setting=setting)
        return None

    def _wanted(self, days: IntArray) -> BoolArray:
        """Find the rows up to the last day, of tickers that are asked for and have a name that can be one."""
        tickers, codes, _ = self._owners
        asked, last = self._options.tickers, self._options.last_day
        wanted = np.ones(len(days), dtype=np.bool_)
        if self._layout.blocks[0].ticker is not None:
            tickers = []  # each block has its own
        elif asked is not None:
            wanted = np.isin(codes, [code for code, name in enumerate(tickers) if name in asked])
        if last is not None:
            later = wanted & (days > last)
            wanted &= ~later
            if count := int(later.sum()):
                what = f"{count} {'rows' if count > 1 else 'row'} after the as-of date set aside"
                self.result.findings.append(Finding("", "set_aside", what, count))
        settled = self._rows.text.encoding != "cp1252" or self._format.encoding is not None
        for code, name in enumerate(tickers):
            what_is_wrong = _unfit(name)
            if not name.isascii() and not settled:
                what_is_wrong = f"the ticker {name!r} is not UTF-8, and its letters depend on an unknown encoding"
            if what_is_wrong and (own := (codes == code) & wanted).any():
                lines = self._rows.lines[own].tolist()
                self.result.problems.append(Problem(what_is_wrong, lines, ticker=name))
                wanted &= ~own
        return wanted

    def _decimal(self, kept: IntArray) -> Decimal | None:
        if self._format.decimal != "auto":
            return self._format.decimal
        rows, layout = self._rows, self._layout
        priced = {at for block in layout.blocks for role, at in block.columns.items() if role != "volume"}
        others = set(range(len(rows.columns))) - priced - {layout.date, self._owners.column}
        prices, rest = ([rows.cells(at, kept) for at in sorted(columns)] for columns in (priced, others))
        return decide(prices, rest, usual=layout.usual_marks)

    def _block(
        self, block: Block, kept: IntArray, days: IntArray, dates: DateColumn, decimal: Decimal
    ) -> Verdict | None:
        """Read the rows that have prices; None when the block's ticker is not wanted, or cannot be one."""
        layout, rows, (tickers, codes, column) = self._layout, self._rows, self._owners
        names: dict[str, str] = {role: layout.name(at) for role, at in (*block.columns.items(), ("date", layout.date))}
        if column is not None:
            names["ticker"] = layout.name(column)
        elif block.ticker is not None:
            if self._options.tickers is not None and block.ticker not in self._options.tickers:
                return None
            if what := _unfit(block.ticker):
                self.result.problems.append(Problem(what, [layout.line], ticker=block.ticker))
                return None
            tickers, codes = [block.ticker], np.zeros(len(rows), dtype=np.int64)
        prices: dict[Role, Array] = dict.fromkeys(PRICES, np.full(len(kept), np.nan))
        bad: dict[Role, BoolArray] = {}
        for role, at in block.columns.items():
            prices[role], bad[role] = read_numbers(rows.cells(at, kept), decimal, scaled=role == "volume")
            found = np.flatnonzero(bad[role])
            bad[role][found] = [not is_event(rows.row(row), layout) for row in kept[found].tolist()]
            prices[role] = prices[role] * (1 if role == "volume" else self._format.price_factor)
        table = Table(tickers, codes[kept], days, prices, lambda: rows.lines[kept], names)
        table = replace(table, numeric_dates=dates.order != "", unsure=dates.unsure, weekdays=self._format.weekdays)
        verdict = Verdict(table)
        for role, marks in bad.items():
            if marks.any():
                _report_unreadable(verdict, role, marks, rows.cells(block.columns[role], kept))
        if len(layout.blocks) == 1:
            self._report_rivals(verdict, kept, decimal)
        report_instruments(verdict, rows, kept, self._unread)
        without_turnover(verdict, rows, kept, self._unread)
        _set_empty_aside(verdict)
        return verdict

    def _report_rivals(self, verdict: Verdict, kept: IntArray, decimal: Decimal) -> None:
        """Two columns that could be the same price, and differ, refuse the file."""
        rivals, name = self._layout.rivals, self._layout.name
        for role, rival in ((needed, at) for needed in NEEDED for at in rivals.get(needed, ())):
            values, bad = read_numbers(self._rows.cells(rival, kept), decimal)
            same = values * self._format.price_factor == verdict.prices[role]
            lines = verdict.table.lines()[~bad & np.isfinite(values) & (values > 0) & ~same].tolist()
            if lines:
                own, setting = verdict.table.names[role], f"set columns.{role} in a format file"
                what = f"columns {own} and {name(rival)} could both be {role.capitalize()}, and differ"
                self.result.problems.append(Problem(what, lines, own, setting=setting))

    def _report_cut(self, verdict: Verdict, block: Block, wanted: BoolArray) -> None:
        """Take the volume of a last line that was cut off as missing; any other field cut off is a problem."""
        cut = cut_field(self._rows) if wanted[-1] else None
        if cut is None:
            return
        what = f'the last line ends in "{self._rows.columns[cut][-1].as_py()}", shorter than those above it'
        line, (tickers, codes, column) = int(self._rows.lines[-1]), self._owners
        if cut == block.columns.get("volume"):
            said = f"{what}; the volume is taken as missing"
            verdict.take_as_missing(verdict.table.lines() == line, lambda _: said, "volume")
            return
        owner, place = tickers[codes[-1]], self._layout.name(cut)
        owners = [name for name in tickers if name.startswith(owner)] if cut == column else [owner]
        owned = owners if column is not None else [None]
        self.result.problems += [Problem(f"{what} (file cut short?)", [line], place, name) for name in owned]

    def _decided(self, dates: DateColumn, decimal: Decimal) -> Decided:
        layout = self._layout
        columns: dict[Role, int | None] = {"date": layout.date, "ticker": self._owners.column}
        columns |= layout.blocks[0].columns if len(layout.blocks) == 1 else {}
        named = {role: layout.header[at].strip() for role, at in columns.items() if at is not None}
        update = {
            "columns": {role: name for role, name in named.items() if name},
            "delimiter": layout.delimiter,
            "encoding": self._rows.text.encoding,
            "date_order": dates.order or self._format.date_order,
            "decimal": decimal,
        }
        read = {layout.date, self._owners.column, *layout.priced}
        ignored = tuple(layout.name(at) for at in range(layout.width) if at not in read)
        return Decided(self._format.model_copy(update=update), ignored, dates.form, bool(dates.clocks))


def _report_unreadable(verdict: Verdict, role: Role, bad: BoolArray, cells: pa.ChunkedArray) -> None:
    """Make cells that are not a number a problem among Open, High and Low, and a warning elsewhere."""

    def say(row: int) -> str:
        text = cells[row].as_py()
        return f'"{text if len(text) <= _LONGEST_CELL else text[: _LONGEST_CELL - 3] + "..."}" is not a number'

    if role not in NEEDED:
        verdict.warn(bad, lambda row: f"{say(row)}, taken as missing", role)
        return
    verdict.refuse(bad, say, role, keep=True)
    # Infinite, which no price is, and not missing.
    prices = {**verdict.prices, role: np.where(bad, np.inf, verdict.prices[role])}
    verdict.table = replace(verdict.table, prices=prices)


def _set_empty_aside(verdict: Verdict) -> None:
    """Leave out rows without any price, and rare ones with part of them; where they are not rare, refuse."""
    empty = np.all([np.isnan(verdict.prices[role]) for role in NEEDED], axis=0)
    codes = verdict.table.codes
    nothing = (np.bincount(codes[~empty], minlength=len(verdict.table.tickers)) == 0)[codes]
    verdict.set_aside(empty & ~nothing, "no prices")
    verdict.refuse(nothing[~empty | nothing], "no row has prices", "open")
    for role in NEEDED:
        missing = np.isnan(verdict.prices[role])
        verdict.refuse_unless_rare(missing, "the price is missing while others of the row are there", role)
