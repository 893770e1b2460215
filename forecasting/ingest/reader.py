"""From a file's text to its tables of numbers: dates first, then which rows are wanted, then their prices."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np

from forecasting.arrays import BoolArray, IntArray
from forecasting.findings import Finding
from forecasting.ingest.blocks import BlockReader
from forecasting.ingest.dates import NO_DATE, DateColumn, UndecidedDatesError, read_dates
from forecasting.ingest.instants import unknown_clock
from forecasting.ingest.instruments import misplaced_ticker, separating_column
from forecasting.ingest.layout import Block, Layout
from forecasting.ingest.names import Role, normalise
from forecasting.ingest.numbers import Decimal, decide
from forecasting.ingest.rows import Rows, cut_field, read_rows
from forecasting.ingest.strays import Owners, add_broken, add_undated
from forecasting.ingest.table import Decided, Options, Problem, ReadFile, Table
from forecasting.ingest.text import Text

__all__ = ["read_table", "unfit_ticker"]

_LONGEST_TICKER = 64
_EASTERN_DIGITS = "the years have two digits, and under such a header may be counted from another epoch"
_UNDECIDED = "the numbers can be read with a decimal point and with a decimal comma, and nothing in the file settles it"
_MOSTLY = 0.9
_WEEK = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


def read_table(text: Text, layout: Layout, ticker: str, options: Options) -> ReadFile:
    """Read a file's rows up to the last day and of the tickers wanted.

    Parameters
    ----------
    text, layout
        The file and where things are in it.
    ticker
        Whose the rows are when no column says it.
    options
        What to leave out, and what is declared.
    """
    reading = _Reading(layout, options, read_rows(text, layout), ticker)
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
    """The steps of reading one file."""

    def __init__(self, layout: Layout, options: Options, rows: Rows, ticker: str) -> None:
        self._layout = layout
        self._options = options
        self._rows = rows
        self._ticker_column = layout.ticker
        self._tickers: Sequence[str] = [ticker]
        self._codes: IntArray = np.zeros(len(rows), dtype=np.int64)
        self.result = ReadFile(findings=[*layout.findings, *rows.findings])

    def read(self) -> None:
        """Fill the result."""
        rows, layout = self._rows, self._layout
        if not len(rows):
            line, _, what = rows.broken[0] if rows.broken else (layout.line, (), "no rows of data under the header")
            self._problem(what, [line])
            return
        dates = self._dates()
        if dates is None:
            return
        days = dates.days[rows.distinct(layout.date)[1]]
        self._find_tickers(days)
        wanted = self._wanted(days)
        owners = Owners(self._tickers, self._codes, self._ticker_column)
        add_broken(rows, owners, dates, self._options, self.result)
        wanted &= ~add_undated(rows, owners, dates, wanted & (days == NO_DATE), self.result)
        kept = np.flatnonzero(wanted & (days != NO_DATE))
        if (clash := self._doubt_dates(dates, days, kept)) is not None:
            self._problem(*clash)
            return
        decimal = self._decimal(kept)
        if decimal is None:
            column = layout.name(layout.blocks[0].columns["open"])
            self._problem(_UNDECIDED, rows.lines[kept[:1]].tolist(), column, "set --decimal point or comma")
            return
        format_ = self._options.format
        read = BlockReader(rows, kept, decimal, format_.price_factor, self._unread, self.result)
        cut = cut_field(rows) if wanted[-1] else None
        for block in layout.blocks:
            table = self._without_prices(block, kept, days[kept], dates)
            if table is not None:
                table = read.read(block, table)
                self.result.tables.append(table if cut is None else self._without_cut(table, block, cut))
        self.result.decided = self._decided(dates, decimal)

    def _problem(
        self, what: str, lines: list[int] | None = None, column: str | None = None, setting: str | None = None
    ) -> None:
        self.result.problems.append(Problem(what, lines or [], column, setting=setting))

    def _find_tickers(self, days: IntArray) -> None:
        """Take the tickers from their column; or from the one that alone separates rows of the same day."""
        rows, read = self._rows, {at for block in self._layout.blocks for at in block.columns.values()}
        read.add(self._layout.date)
        names, ignored = self._layout.header, set(map(normalise, self._options.format.ignore))
        unread = [at for at in range(self._layout.width) if at not in read and normalise(names[at]) not in ignored]
        column = self._ticker_column
        last = self._options.last_day
        until = np.flatnonzero(days <= last) if last is not None else np.arange(len(days))  # later rows have no say
        if column is not None and misplaced_ticker(rows.codes(column)[1][until], days[until]):
            what = f"column {self._layout.name(column)} is different in nearly every row, and was not taken for tickers"
            self.result.findings.append(Finding("", "warning", what))
            column = None
        elif column is None and len(self._layout.blocks) == 1:
            column = separating_column(rows, unread, until, days[until])
            if column is not None:
                what = f"column {self._layout.name(column)} separates each day's rows, and was taken for the ticker"
                self.result.findings.append(Finding("", "warning", what))
        self._ticker_column = column
        if column is not None:
            self._tickers, self._codes = rows.distinct(column)
        self._unread = [at for at in unread if at != column]

    def _dates(self) -> DateColumn | None:
        return self._dates_of(self._layout.date, loose=self._layout.loose_date)

    def _dates_of(self, column: int, *, loose: bool) -> DateColumn | None:
        rows, layout = self._rows, self._layout
        texts, codes = rows.distinct(column)

        def sequence() -> IntArray:
            if layout.ticker is None:
                return codes
            owners = rows.distinct(layout.ticker)[1]
            own: IntArray = codes[owners == np.bincount(owners).argmax()]
            return own

        try:
            dates = read_dates(texts, sequence, self._options.format, loose=loose)
        except UndecidedDatesError as undecided:
            lines = rows.lines[codes == undecided.cell][:1].tolist()
            self._problem(undecided.what, lines, layout.name(column), undecided.setting)
            return None
        if dates.numeric_order and dates.unsure and layout.foreign_years:
            keys = "set date_order and add_years in a format file"
            self._problem(_EASTERN_DIGITS, [layout.line + 1], layout.name(column), keys)
            return None
        return dates

    def _doubt_dates(self, dates: DateColumn, days: IntArray, kept: IntArray) -> tuple[str, list[int], str, str] | None:
        """Say why the dates of the wanted rows are not known: the clock, the century, or another column of dates."""
        rows, column = self._rows, self._layout.date
        texts, codes = rows.distinct(column)
        name = self._layout.name(column)
        if dates.clocks and (unknown := unknown_clock(dates.clocks, texts, np.unique(codes[kept]).tolist())):
            lines = rows.lines[kept[codes[kept] == unknown[0]]][:1].tolist()
            return unknown[1], lines, name, "set zone and session_opens in a format file"
        today = datetime.now(tz=UTC).date().toordinal() - date(1970, 1, 1).toordinal()
        if dates.unsure and dates.numeric_order and len(kept) and days[kept].max() > today:
            at = kept[days[kept].argmax()]
            when = np.datetime64(int(days[at]), "D")
            what = f"the years have two digits, and {when} is in the future: of which century are they?"
            return what, rows.lines[[at]].tolist(), name, "set add_years in a format file, 1900 for one"
        for rival in self._layout.rivals.get("date", ()):
            other = self._other_days(rival)
            if other is None:
                continue
            theirs = other[kept]
            differ = np.flatnonzero((theirs != days[kept]) & (theirs != NO_DATE))
            if len(differ):
                what = f"columns {name} and {self._layout.name(rival)} could both be the Date, and differ"
                return what, rows.lines[kept[differ]].tolist(), name, "set columns.date in a format file"
        return None

    def _other_days(self, column: int) -> IntArray | None:
        """Give the days of another column that could be the date; None when it is not of plain dates."""
        texts, codes = self._rows.distinct(column)
        try:
            dates = read_dates(texts, lambda: codes)
        except UndecidedDatesError:
            return None
        plain = not dates.clocks and (dates.days != NO_DATE).mean() > _MOSTLY
        return dates.days[codes] if plain else None

    def _wanted(self, days: IntArray) -> BoolArray:
        """Find the rows up to the last day, of tickers that are asked for and have a name that can be one."""
        rows, options = self._rows, self._options
        out = [code for code, name in enumerate(self._tickers) if not self._asked_for(name)]
        wanted = ~np.isin(self._codes, out) if out else np.ones(len(days), dtype=np.bool_)
        if options.last_day is not None:
            later = wanted & (days > options.last_day)
            wanted &= ~later
            if count := int(later.sum()):
                what = f"{count} {'rows' if count > 1 else 'row'} after the as-of date set aside"
                self.result.findings.append(Finding("", "set_aside", what, count))
        for code, name in enumerate(self._tickers):
            if what_is_wrong := unfit_ticker(name) or self._unsure(name):
                own = (self._codes == code) & wanted
                if own.any():
                    self.result.problems.append(Problem(what_is_wrong, rows.lines[own].tolist(), ticker=name))
                    wanted &= ~own
        return wanted

    def _unsure(self, ticker: str) -> str | None:
        """Say that a name's letters depend on an encoding that nothing in the file settles."""
        if ticker.isascii() or self._rows.text.encoding != "cp1252" or self._options.format.encoding is not None:
            return None
        return f"the ticker {ticker!r} is not UTF-8, and its letters depend on an encoding that is not known"

    def _asked_for(self, ticker: str) -> bool:
        """Whether a name of the ticker column is wanted; what the file's name says is for the blocks to judge."""
        tickers = self._options.tickers
        return tickers is None or ticker in tickers or self._layout.blocks[0].ticker is not None

    def _decimal(self, kept: IntArray) -> Decimal | None:
        if self._options.format.decimal != "auto":
            return self._options.format.decimal
        rows, layout = self._rows, self._layout
        priced = {at for block in layout.blocks for role, at in block.columns.items() if role != "volume"}
        others = set(range(len(rows.columns))) - priced - {layout.date, self._ticker_column}
        prices, rest = ([rows.cells(at, kept) for at in sorted(columns)] for columns in (priced, others))
        return decide(prices, rest, usual=layout.usual_marks)

    def _without_prices(self, block: Block, kept: IntArray, days: IntArray, dates: DateColumn) -> Table | None:
        """Give the wanted rows' tickers and days; None when the block's ticker is not wanted, or cannot be one."""
        layout, rows, format_ = self._layout, self._rows, self._options.format
        tickers, codes = self._tickers, self._codes[kept]
        names: dict[Role, str] = {"date": layout.name(layout.date)}
        if self._ticker_column is not None:
            names["ticker"] = layout.name(self._ticker_column)
        elif block.ticker is not None:
            if self._options.tickers is not None and block.ticker not in self._options.tickers:
                return None
            if what := unfit_ticker(block.ticker):
                self.result.problems.append(Problem(what, [layout.line], ticker=block.ticker))
                return None
            tickers, codes = [block.ticker], np.zeros(len(kept), dtype=np.int64)
        return Table(
            tickers=tickers,
            codes=codes,
            days=days,
            prices={},
            lines=lambda: rows.lines[kept],
            names=names,
            numeric_dates=dates.numeric_order,
            unsure=dates.unsure,
            weekdays=None if format_.weekdays is None else frozenset(map(_WEEK.index, format_.weekdays)),
        )

    def _without_cut(self, table: Table, block: Block, cut: int) -> Table:
        """Take the volume of a last line that was cut off as missing; any other field cut off is a problem."""
        line = int(self._rows.lines[-1])
        what = f'the last line ends in "{self._rows.columns[cut][-1].as_py()}", shorter than those above it'
        owner = self._tickers[self._codes[-1]]
        if cut != block.columns.get("volume"):
            owners = (
                [name for name in self._tickers if name.startswith(owner)] if cut == self._ticker_column else [owner]
            )
            for name in owners if self._ticker_column is not None else [None]:
                self.result.problems.append(Problem(f"{what} (file cut short?)", [line], self._layout.name(cut), name))
            return table
        last = table.lines() == line
        message = f"column {table.names['volume']}, line {line}: {what}; the volume is taken as missing"
        for code in table.codes[last]:
            self.result.findings.append(Finding(table.tickers[code], "warning", message))
        return replace(table, prices={**table.prices, "volume": np.where(last, np.nan, table.prices["volume"])})

    def _decided(self, dates: DateColumn, decimal: Decimal) -> Decided:
        layout = self._layout
        columns: dict[Role, int | None] = {"date": layout.date, "ticker": self._ticker_column}
        columns |= layout.blocks[0].columns if len(layout.blocks) == 1 else {}
        named = {role: layout.header[at].strip() for role, at in columns.items() if at is not None}
        read = {layout.date, self._ticker_column, *(at for block in layout.blocks for at in block.columns.values())}
        format_ = self._options.format.model_copy(
            update={
                "columns": {role: name for role, name in named.items() if name},
                "delimiter": layout.delimiter,
                "encoding": self._rows.text.encoding,
                "date_order": dates.order or self._options.format.date_order,
                "decimal": decimal,
            }
        )
        ignored = tuple(layout.name(at) for at in range(layout.width) if at not in read)
        return Decided(format_, ignored, dates.form, bool(dates.clocks))
