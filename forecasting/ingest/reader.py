"""From a file's text to its tables: fast where it is plain, with care where it is not, to the same result."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

import numpy as np

from forecasting.findings import Finding
from forecasting.ingest.blocks import read_block
from forecasting.ingest.careful import Rows, read_rows
from forecasting.ingest.dates import NO_DATE, DateColumn, UndecidedDatesError, centuries, read_dates
from forecasting.ingest.endings import Cut, cut_short
from forecasting.ingest.fast import Plain, read_plain
from forecasting.ingest.layout import Block, Layout
from forecasting.ingest.numbers import Decimal
from forecasting.ingest.table import BoolArray, IntArray, Options, Problem, ReadFile, Table
from forecasting.ingest.text import LATIN_ENCODINGS, Text

__all__ = ["read_table", "unfit_ticker"]

_LONGEST_TICKER = 64
_SATURDAY, _SUNDAY = 5, 6
_EXCEPTIONAL = 0.08
"""Up to this share of Saturdays or Sundays, an exchange has held a session on some of them."""
_OTHER_EPOCHS = re.compile("[\u0600-\u06ff\u0e00-\u0e7f\u4e00-\u9fff]")
"""Arabic, Thai and Chinese: years may be counted from the Hijra, from Buddha, or from the founding of a republic."""
_OUR_EPOCH = re.compile("[\u5024\u76d8\u3040-\u30ff\uac00-\ud7a3]")
"""What only Japanese, Korean and the mainland's Chinese write, where two digits are those of our own years."""
_SHIFTED = (
    "the dates run on into the weekend and leave out weekdays: timestamps of another zone, or numbers or years counted "
    "from another epoch (1904, 1970, an emperor's); the local date cannot be known"
)
_EVERY_DAY = 0.9
"""A market that is open on all seven days goes on to the very next day in at least so many of its steps."""
_UNDECIDED = "the numbers can be read with a decimal point and with a decimal comma, and nothing in the file settles it"


def read_table(text: Text, layout: Layout, ticker: str, options: Options, *, careful: bool = False) -> ReadFile:
    """Read a file's rows up to the last day and of the tickers wanted.

    Parameters
    ----------
    text, layout
        The file and where things stand in it.
    ticker
        Whose the rows are when no column says it.
    options
        What to leave out, and how dates and numbers are to be read.
    careful
        Do not try the fast way (the result is the same).
    """
    plain = None if careful or options.decimal == "comma" else read_plain(text, layout, ticker)
    reading = _Reading(text, layout, options, read_rows(text, layout, ticker) if plain is None else plain)
    reading.read()
    return reading.result


def unfit_ticker(name: str) -> str | None:
    """Say why a name cannot be a ticker's; None when it can."""
    if not name:
        return "the ticker is missing"
    if len(name) > _LONGEST_TICKER:
        return f"the ticker {name[:20]!r}... has {len(name)} characters, more than {_LONGEST_TICKER}"
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for c in name):
        return f"the ticker {name!r} has control characters in it"
    return None


class _Reading:
    """The steps of reading one file: dates first, then which rows are wanted, then their prices."""

    def __init__(self, text: Text, layout: Layout, options: Options, source: Plain | Rows) -> None:
        self._text = text
        self._layout = layout
        self._options = options
        self._source = source
        self.result = ReadFile(findings=[*layout.findings, *source.findings])

    def read(self) -> None:
        """Fill the result."""
        source, layout = self._source, self._layout
        if not len(source.date_codes):
            line, _, what = source.broken[0] if source.broken else (layout.line, (), "no rows of data under the header")
            self._problem(what, [line])
            return
        dates = self._dates()
        if dates is None:
            return
        days = self._days(dates)
        self._add_broken(dates)
        wanted = self._wanted(days)
        self._add_undated(dates, wanted & (days == NO_DATE))
        rows = np.flatnonzero(wanted & (days != NO_DATE))
        if len(shifted := self._shifted(dates, days[rows])):
            self._problem(_SHIFTED, source.lines()[rows[shifted]].tolist(), layout.name(layout.date))
        cut = cut_short(self._text, source, layout) if wanted[-1] else None
        decimal = self._decimal(rows)
        if decimal is None:
            column = layout.name(layout.blocks[0].columns["open"])
            self._problem(_UNDECIDED, source.lines()[rows[:1]].tolist(), column, "set --decimal point or comma")
            return
        for block in layout.blocks:
            table = self._block(block, rows, days[rows], decimal, numeric_dates=dates.numeric_order)
            if table is not None:
                self.result.tables.append(table if cut is None else self._without_cut_volume(table, block, cut))
        if cut is not None and all(cut.column != block.columns.get("volume") for block in layout.blocks):
            place = layout.name(cut.column)
            self.result.problems += [Problem(cut.what, [cut.line], place, ticker) for ticker in cut.tickers]

    def _problem(
        self, what: str, lines: list[int] | None = None, column: str | None = None, setting: str | None = None
    ) -> None:
        self.result.problems.append(Problem(what, lines or [], column, setting=setting))

    def _dates(self) -> DateColumn | None:
        source, layout = self._source, self._layout

        def sequence() -> IntArray:
            commonest = np.bincount(source.ticker_codes).argmax()
            own: IntArray = source.date_codes[source.ticker_codes == commonest]
            return own

        column = layout.name(layout.date)
        try:
            dates = read_dates(source.dates, sequence, order=self._options.date_order, loose=layout.loose_date)
        except UndecidedDatesError as undecided:
            lines = source.lines()[source.date_codes == undecided.cell][:1].tolist()
            self._problem(undecided.what, lines, column, undecided.setting)
            return None
        if self._eastern_years(dates) and not _OUR_EPOCH.search("".join(layout.header)):
            what = "the years have two digits, and under such a header may be counted from another epoch"
            self._problem(what, [layout.line + 1], column)
            return None
        return dates

    def _eastern_years(self, dates: DateColumn) -> bool:
        """Whether years have two digits and stand where they may be counted from another epoch."""
        return dates.short_years and _OTHER_EPOCHS.search("".join(self._layout.header)) is not None

    def _shifted(self, dates: DateColumn, days: IntArray) -> IntArray:
        """Find dates on a weekend where what is written is not plainly a date, and may have been another day."""
        unsure = dates.instants or self._eastern_years(dates)
        if not unsure and (not dates.epochs or np.bincount((days + 3) % 7, minlength=7)[:_SATURDAY].all()):
            return np.zeros(0, dtype=np.int64)  # midnights that leave no weekday out: currencies trade on Sundays
        return _shifted(days)

    def _days(self, dates: DateColumn) -> IntArray:
        """Give each row's day; of two-digit years, the century follows from each ticker's sequence."""
        source = self._source
        days = dates.days[source.date_codes]
        if dates.short_years:
            for code in range(len(source.tickers)):
                rows = np.flatnonzero((source.ticker_codes == code) & (days != NO_DATE))
                days[rows] = centuries(days[rows])
        return days

    def _wanted(self, days: IntArray) -> BoolArray:
        """Find the rows up to the last day, of tickers that are asked for and have a name that can be one."""
        source, options = self._source, self._options
        out = [code for code, name in enumerate(source.tickers) if not self._asked_for(name)]
        wanted = ~np.isin(source.ticker_codes, out) if out else np.ones(len(days), dtype=np.bool_)
        if options.last_day is not None:
            later = wanted & (days > options.last_day)
            wanted &= ~later
            if count := int(later.sum()):
                what = f"{count} {'rows' if count > 1 else 'row'} after the as-of date set aside"
                self.result.findings.append(Finding("", "set_aside", what, count))
        for code, name in enumerate(source.tickers):
            if what_is_wrong := unfit_ticker(name) or self._unsure(name):
                rows = (source.ticker_codes == code) & wanted
                if rows.any():
                    lines = source.lines()[rows].tolist()
                    self.result.problems.append(Problem(what_is_wrong, lines, ticker=name))
                    wanted &= ~rows
        return wanted

    def _unsure(self, ticker: str) -> str | None:
        """Say that a name's letters depend on an encoding that nothing in the file settles."""
        if ticker.isascii() or self._text.encoding not in LATIN_ENCODINGS:
            return None
        return f"the ticker {ticker!r} is no UTF-8, and its letters depend on an encoding that is not known"

    def _asked_for(self, ticker: str) -> bool:
        """Whether a name of the ticker column is wanted; what the file's name says is for the blocks to judge."""
        tickers = self._options.tickers
        return tickers is None or ticker in tickers or self._layout.blocks[0].ticker is not None

    def _add_broken(self, dates: DateColumn) -> None:
        """Rows that are not whole: the ticker's problem where it can still be told whose they are, else the file's."""
        column, last_day = self._layout.ticker, self._options.last_day
        for line, cells, what in self._source.broken:
            day = dates.day_of(cells[self._layout.date]) if len(cells) > self._layout.date else None
            if day is not None and last_day is not None and day > last_day:
                continue
            owner = cells[column] if column is not None and len(cells) > column else None
            if owner is not None and not self._asked_for(owner):
                continue
            known = owner if owner in self._source.tickers else None
            self.result.problems.append(Problem(what, [line], ticker=known))

    def _add_undated(self, dates: DateColumn, undated: BoolArray) -> None:
        source, layout = self._source, self._layout
        for code in np.unique(source.ticker_codes[undated]):
            rows = np.flatnonzero(undated & (source.ticker_codes == code))
            first = int(source.date_codes[rows[0]])
            what = dates.why[first] if source.dates[first] else "the date is missing"
            owner = source.tickers[code] if layout.ticker is not None else None
            lines = source.lines()[rows].tolist()
            self.result.problems.append(Problem(what, lines, layout.name(layout.date), owner))

    def _decimal(self, rows: IntArray) -> Decimal | None:
        if self._options.decimal != "auto":
            return self._options.decimal
        return "point" if isinstance(self._source, Plain) else self._source.decimal(rows)

    def _block(
        self, block: Block, rows: IntArray, days: IntArray, decimal: Decimal, *, numeric_dates: bool
    ) -> Table | None:
        if block.ticker is not None and self._layout.ticker is None:
            if self._options.tickers is not None and block.ticker not in self._options.tickers:
                return None
            if what := unfit_ticker(block.ticker):
                self.result.problems.append(Problem(what, [self._layout.line], ticker=block.ticker))
                return None
        return read_block(
            self._source,
            self._layout,
            block,
            rows,
            days=days,
            decimal=decimal,
            numeric_dates=numeric_dates,
            result=self.result,
        )

    def _without_cut_volume(self, table: Table, block: Block, cut: Cut) -> Table:
        """Take the volume of a last line that was cut off as missing."""
        if cut.column != block.columns.get("volume"):
            return table
        row = table.lines() == cut.line
        for code in table.codes[row]:
            message = f"column {table.names['volume']}, line {cut.line}: {cut.what}; the volume is taken as missing"
            self.result.findings.append(Finding(table.tickers[code], "warning", message))
        return replace(table, prices={**table.prices, "volume": np.where(row, np.nan, table.prices["volume"])})


def _shifted(days: IntArray) -> IntArray:
    """Find dates that are not those of sessions: they fall on the weekend, and do not run on every day."""
    weekdays = (days + 3) % 7
    saturdays, sundays = np.flatnonzero(weekdays == _SATURDAY), np.flatnonzero(weekdays == _SUNDAY)
    if max(len(saturdays), len(sundays)) <= _EXCEPTIONAL * len(days):
        return np.zeros(0, dtype=np.int64)
    steps = np.diff(np.unique(days))
    if min(len(saturdays), len(sundays)) > 0 and np.count_nonzero(steps == 1) >= _EVERY_DAY * len(steps):
        return np.zeros(0, dtype=np.int64)
    return np.concatenate([saturdays, sundays])
