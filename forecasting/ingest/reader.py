"""From a file's text to its tables of numbers: dates first, then which rows are wanted, then their prices."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np

from forecasting.findings import Finding
from forecasting.ingest.dates import NO_DATE, DateColumn, UndecidedDatesError, read_dates, unknown_clock
from forecasting.ingest.instruments import misplaced_ticker, separating_column, tell_instruments
from forecasting.ingest.layout import Block, Layout
from forecasting.ingest.names import PRICES, Role
from forecasting.ingest.numbers import Decimal, decide, read_numbers, read_volumes
from forecasting.ingest.rows import Rows, cut_field, is_event, is_note, left_out, read_rows, shown
from forecasting.ingest.table import BoolArray, Decided, FloatArray, IntArray, Options, Problem, ReadFile, Table, where
from forecasting.ingest.text import Text
from forecasting.ingest.verdict import is_rare

__all__ = ["read_table", "unfit_ticker"]

_LONGEST_TICKER = 64
_NEEDED: tuple[Role, ...] = ("open", "high", "low")
_EASTERN_DIGITS = "the years have two digits, and under such a header may be counted from another epoch"
_UNDECIDED = "the numbers can be read with a decimal point and with a decimal comma, and nothing in the file settles it"
_SUMMARIES = frozenset({"average", "avg", "mean", "median", "total", "sum", "count", "max", "min", "std"})
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
        self._add_broken(dates)
        wanted &= ~self._add_undated(dates, wanted & (days == NO_DATE))
        kept = np.flatnonzero(wanted & (days != NO_DATE))
        if (clash := self._doubt_dates(dates, days, kept)) is not None:
            self._problem(*clash)
            return
        decimal = self._decimal(kept)
        if decimal is None:
            column = layout.name(layout.blocks[0].columns["open"])
            self._problem(_UNDECIDED, rows.lines[kept[:1]].tolist(), column, "set --decimal point or comma")
            return
        cut = cut_field(rows) if wanted[-1] else None
        for block in layout.blocks:
            table = self._block(block, kept, days[kept], decimal, dates)
            if table is not None:
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
        names, ignored = self._layout.header, self._options.format.ignore
        unread = [at for at in range(self._layout.width) if at not in read and names[at].strip() not in ignored]
        column = self._ticker_column
        if column is not None and misplaced_ticker(*rows.distinct(column), days):
            what = f"column {self._layout.name(column)} is different in nearly every row, and was not taken for tickers"
            self.result.findings.append(Finding("", "warning", what))
            column = None
        elif column is None and len(self._layout.blocks) == 1:
            column = separating_column(rows, unread, days)
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
        if dates.clocks and (unknown := unknown_clock(dates, texts, np.unique(codes[kept]).tolist())) is not None:
            lines = rows.lines[kept[codes[kept] == unknown.cell]][:1].tolist()
            return unknown.what, lines, name, str(unknown.setting)
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

    def _add_broken(self, dates: DateColumn) -> None:
        """Rows that are not whole: set aside where they are rare, else a problem of the ticker, or of the file."""
        column, last_day = self._ticker_column, self._options.last_day
        texts = self._rows.distinct(self._layout.date)[0]
        known = dict(zip(texts, dates.days.tolist(), strict=True))
        concerned: dict[str | None, list[Problem]] = {}
        for line, cells, what in self._rows.broken:
            day = known.get(cells[self._layout.date].strip()) if len(cells) > self._layout.date else None
            if day is None and last_day is not None and len(cells) > self._layout.date:
                day = self._day_of(cells[self._layout.date])
            if day is not None and day != NO_DATE and last_day is not None and day > last_day:
                continue
            owner = cells[column] if column is not None and len(cells) > column else None
            if owner is not None and not self._asked_for(owner):
                continue
            owner = owner if owner in self._tickers else None
            concerned.setdefault(owner, []).append(Problem(what, [line], ticker=owner))
        for owner, problems in concerned.items():
            code = self._tickers.index(owner) if owner is not None else None
            own = len(self._codes) / len(self._tickers) if code is None else (self._codes == code).sum()
            count = float(own)
            if is_rare(len(problems), count) and not any("merge" in one.what for one in problems):
                lines = [problem.lines[0] for problem in problems]
                message = f"{where(lines)}: {problems[0].what}, set aside"
                self.result.findings.append(Finding(owner or "", "set_aside", message, len(lines)))
            else:
                self.result.problems += problems

    def _day_of(self, text: str) -> int | None:
        try:
            return int(read_dates([text.strip()], lambda: np.zeros(1, dtype=np.int64), self._options.format).days[0])
        except UndecidedDatesError:
            return None

    def _add_undated(self, dates: DateColumn, undated: BoolArray) -> BoolArray:
        """Find text without a date below the table, which is left out; other rows without one are a problem."""
        none = np.zeros(len(undated), dtype=np.bool_)
        if not undated.any():
            return none
        rows, layout = self._rows, self._layout
        texts, codes = rows.distinct(layout.date)
        empty = np.array([not any(rows.row(at)) for at in np.flatnonzero(undated).tolist()])
        blank, none[undated] = none.copy(), False
        blank[undated] = empty
        undated = undated & ~blank
        dated = np.flatnonzero(dates.days[codes] != NO_DATE)
        notes = none.copy()
        if len(dated):
            opened = layout.blocks[0].columns["open"]
            for at in np.flatnonzero(undated).tolist():
                cells = rows.row(at)
                summary = texts[codes[at]].casefold().strip(" :") in _SUMMARIES or (
                    cells[0].casefold().strip(" :") in _SUMMARIES
                )
                if at > dated[-1]:
                    notes[at] = summary or (is_note(cells, layout) and not any(c.isdigit() for c in cells[opened]))
            if notes.any():
                self.result.findings.append(left_out(rows.lines[notes].tolist()))
        undated = undated & ~notes
        for code in np.unique(self._codes[undated]):
            own = np.flatnonzero(undated & (self._codes == code))
            what = dates.why[int(codes[own[0]])] if texts[codes[own[0]]] else "the date is missing"
            cells = rows.row(int(own[0]))
            if "\n".join(cells[: layout.width]).casefold() == "\n".join(layout.header[: layout.width]).casefold():
                what = "the header again (two files in one?)"
            elif is_note(cells, layout):
                what = f'"{shown(cells)}" is not a row of prices'
            owner = self._tickers[code] if self._ticker_column is not None else None
            self.result.problems.append(Problem(what, rows.lines[own].tolist(), layout.name(layout.date), owner))
        return notes | blank

    def _decimal(self, kept: IntArray) -> Decimal | None:
        if self._options.format.decimal != "auto":
            return self._options.format.decimal
        rows, layout = self._rows, self._layout
        priced = {at for block in layout.blocks for role, at in block.columns.items() if role != "volume"}
        others = set(range(len(rows.columns))) - priced - {layout.date, self._ticker_column}
        prices, rest = ([rows.cells(at, kept) for at in sorted(columns)] for columns in (priced, others))
        return decide(prices, rest, usual=layout.usual_marks)

    def _block(self, block: Block, kept: IntArray, days: IntArray, decimal: Decimal, dates: DateColumn) -> Table | None:
        """Read the prices of one block of columns."""
        layout, rows, format_ = self._layout, self._rows, self._options.format
        tickers, codes = self._tickers, self._codes[kept]
        if block.ticker is not None and self._ticker_column is None:
            if self._options.tickers is not None and block.ticker not in self._options.tickers:
                return None
            if what := unfit_ticker(block.ticker):
                self.result.problems.append(Problem(what, [layout.line], ticker=block.ticker))
                return None
            tickers, codes = [block.ticker], np.zeros(len(kept), dtype=np.int64)
        prices: dict[Role, FloatArray] = dict.fromkeys(PRICES, np.full(len(kept), np.nan))
        bad: dict[Role, BoolArray] = {}
        for role, at in block.columns.items():
            read = read_volumes if role == "volume" else read_numbers
            prices[role], bad[role] = read(rows.cells(at, kept), decimal)
            if bad[role].any():
                events = [is_event(rows.row(at), layout) for at in kept[bad[role]].tolist()]
                bad[role][bad[role]] = ~np.array(events)
            if role != "volume" and format_.price_factor != 1:
                prices[role] = prices[role] * format_.price_factor
        names: dict[Role, str] = {"date": layout.name(layout.date)}
        names |= {} if self._ticker_column is None else {"ticker": layout.name(self._ticker_column)}
        table = Table(
            tickers=tickers,
            codes=codes,
            days=days,
            prices=prices,
            lines=lambda: rows.lines[kept],
            names=names | {role: layout.name(at) for role, at in block.columns.items()},
            numeric_dates=dates.numeric_order,
            unsure=dates.unsure,
            weekdays=None if format_.weekdays is None else frozenset(map(_WEEK.index, format_.weekdays)),
        )
        self._add_rivals(table, kept, decimal)
        self._add_unreadable(table, bad, kept, block)
        table = tell_instruments(table, rows, kept, unread=self._unread, result=self.result)
        return self._without_empty(table, bad)

    def _add_rivals(self, table: Table, kept: IntArray, decimal: Decimal) -> None:
        """Two columns that could be the same price, and differ, refuse the file."""
        for role in _NEEDED:
            for rival in self._layout.rivals.get(role, ()) if len(self._layout.blocks) == 1 else ():
                values, bad = read_numbers(self._rows.cells(rival, kept), decimal)
                differ = ~bad & np.isfinite(values) & (values > 0) & (values != table.prices[role])
                if differ.any():
                    name, other = table.names[role], self._layout.name(rival)
                    what = f"columns {name} and {other} could both be {role.capitalize()}, and differ"
                    lines = table.lines()[differ].tolist()
                    self._problem(what, lines, name, f"set columns.{role} in a format file")

    def _add_unreadable(self, table: Table, bad: dict[Role, BoolArray], kept: IntArray, block: Block) -> None:
        """Cells that are not a number: a problem among Open, High and Low, a warning elsewhere."""
        for role, cells in bad.items():
            for code in np.unique(table.codes[cells]):
                own = np.flatnonzero(cells & (table.codes == code))
                lines = table.lines()[own].tolist()
                text = self._rows.columns[block.columns[role]][int(kept[own[0]])].as_py()
                what = f'"{text if len(text) <= 40 else text[:37] + "..."}" is not a number'
                if role in _NEEDED:
                    self.result.problems.append(Problem(what, lines, table.names[role], table.tickers[code]))
                else:
                    message = f"column {table.names[role]}, {where(lines)}: {what}, taken as missing"
                    self.result.findings.append(Finding(table.tickers[code], "warning", message))

    def _without_empty(self, table: Table, bad: dict[Role, BoolArray]) -> Table:
        """Leave out rows without any price, and rare ones with part of them; where they are not rare, refuse."""
        absent = np.stack([np.isnan(table.prices[role]) for role in _NEEDED])
        if not absent.any():
            return table
        missing = absent & ~np.stack([bad[role] for role in _NEEDED])
        empty = np.asarray(missing.all(axis=0))
        partly = missing.any(axis=0) & ~empty
        for code in np.unique(table.codes[partly | empty]):
            own = table.codes == code
            self._set_aside_empty(table, own, empty)
            lines = table.lines()[partly & own].tolist()
            if is_rare(len(lines), float(own.sum())):
                message = f"{where(lines)}: part of the prices is missing, set aside"
                self.result.findings.append(Finding(table.tickers[code], "set_aside", message, len(lines)))
            elif lines:
                role = _NEEDED[int(missing[:, np.flatnonzero(partly & own)[0]].argmax())]
                what = "the price is missing while others of the row are there"
                self.result.problems.append(Problem(what, lines, table.names[role], table.tickers[code]))
        return table.take(np.flatnonzero(~absent.any(axis=0)))

    def _set_aside_empty(self, table: Table, own: BoolArray, empty: BoolArray) -> None:
        lines = table.lines()[empty & own].tolist()
        ticker = table.tickers[table.codes[own][0]]
        if empty[own].all():
            self.result.problems.append(Problem("no row has prices", lines, table.names["open"], ticker))
        elif lines:
            message = f"{where(lines)}: no prices, set aside"
            self.result.findings.append(Finding(ticker, "set_aside", message, len(lines)))

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
