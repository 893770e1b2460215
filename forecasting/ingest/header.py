"""Which column of a header is what: each role to the column that surest bears its name, or a word on why not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.ingest.format import PriceFormat
from forecasting.ingest.names import PRICES, REQUIRED, Role, is_unit, normalise, rank, split_affix, unmangled
from forecasting.ingest.numbers import MISSING

__all__ = ["DELIMITERS", "Block", "Header", "is_units_row", "ticker_row"]

DELIMITERS = (",", ";", "\t", "|")
_NEEDED: frozenset[Role] = frozenset({"open", "high", "low"})


@dataclass(frozen=True, slots=True)
class Block:
    """The price columns of one ticker, or of all when a ticker column or the file's name says whose they are."""

    ticker: str | None
    columns: Mapping[Role, int]

    @property
    def needed(self) -> list[int]:
        """The columns of Open, High and Low."""
        return [at for role, at in self.columns.items() if role in _NEEDED]


@dataclass(slots=True)
class Header:
    """The cells of a line that may be a header, and what the format declares of them.

    ``findings`` fills with what is left out for being unclear, ``rivals`` with the columns that could be a role's, too.
    """

    cells: Sequence[str]
    file: str
    line: int
    format: PriceFormat
    findings: list[Finding] = field(default_factory=list)
    rivals: dict[Role, list[int]] = field(default_factory=dict)

    def rank(self, role: Role, index: int) -> int | None:
        """How sure a column bears a role's name; what is declared is surest, and every other column is none then."""
        cell, declared = self.cells[index], self.format.columns
        if role in declared:
            exact = cell.strip() == declared[role].strip()
            return 0 if exact else 1 if normalise(cell) == normalise(declared[role]) else None
        others = {normalise(name) for name in (*declared.values(), *self.format.ignore)}
        return None if cell.strip() and normalise(cell) in others else rank(role, cell)

    def blocks(self, tickers: Sequence[str] | None) -> list[Block]:
        """Group the price columns by ticker; nothing when Open, High and Low are not all there.

        Parameters
        ----------
        tickers
            Each column's ticker, where a row of the header names them.

        Raises
        ------
        InputError
            When two columns could be the same needed thing.
        """
        if tickers is not None:
            grouped: dict[str, list[int]] = {}
            for index, ticker in enumerate(tickers):
                if ticker:
                    grouped.setdefault(ticker, []).append(index)
            found = [self._block(ticker, columns) for ticker, columns in grouped.items()]
            return [block for block in found if block] if all(found) else []
        plain = self._block(None, range(len(self.cells)))
        return [plain] if plain else self._affixed()

    def pick(self, role: Role, taken: Iterable[int] = ()) -> int | None:
        """Find the column that surest bears a role's name, among those not taken.

        Of equally sure ones, the one spelled exactly as the role counts. Otherwise two of them are an error, or for
        Close and Volume, which can be done without, a finding.
        """
        out = set(taken)
        ranks = {i: place for i in range(len(self.cells)) if i not in out and (place := self.rank(role, i)) is not None}
        surest = [index for index, place in ranks.items() if place == min(ranks.values())]
        exact = [index for index in surest if unmangled(self.cells[index]).casefold() == role]
        if len(surest) < 2 or len(exact) == 1:
            picked = next(iter(exact or surest), None)
            self.rivals[role] = [index for index in ranks if index != picked]
            return picked
        named = " and ".join(f"{index + 1} ({self.cells[index]!r})" for index in surest)
        if role in {"close", "volume"}:
            what = f"line {self.line}: columns {named} could both be {role.capitalize()}; neither is used"
            self.findings.append(Finding("", "warning", what))
            return None
        what = f"columns {named} could both be {role.capitalize()}"
        raise InputError(what, file=self.file, line=self.line, setting=f"set columns.{role} in a format file")

    def refuse_split_again(self, delimiter: str) -> None:
        """Refuse a whole header inside one cell: the file was split a second time, by another delimiter."""
        for index, cell in enumerate(self.cells):
            for other in DELIMITERS:
                parts = cell.split(other)
                if other != delimiter and sum(any(rank(r, p) is not None for r in REQUIRED) for p in parts) >= 3:
                    what = f"column {index + 1} {cell!r} holds a whole header: the file was split twice"
                    raise InputError(what, file=self.file, line=self.line)

    def _block(self, ticker: str | None, among: Iterable[int]) -> Block | None:
        taken = set(range(len(self.cells))) - set(among)
        if not all(any(self.rank(role, i) is not None for i in among) for role in _NEEDED):
            return None
        columns: dict[Role, int] = {}
        for role in PRICES:
            column = self.pick(role, taken | set(columns.values()))
            if column is not None:
                columns[role] = column
        return Block(ticker, columns) if columns.keys() >= _NEEDED else None

    def _affixed(self) -> list[Block]:
        """Group columns whose names hold the ticker (``AAPL.Open``); nothing when any group is not whole."""
        grouped: dict[str, dict[Role, int]] = {}
        for index, cell in enumerate(self.cells):
            parts = split_affix(cell)
            if parts and grouped.setdefault(parts[0], {}).setdefault(parts[1], index) != index:
                raise InputError(f"column {index + 1} ({cell!r}) is there twice", file=self.file, line=self.line)
        whole = [Block(ticker, columns) for ticker, columns in grouped.items() if columns.keys() >= _NEEDED]
        return whole if len(whole) == len(grouped) else []


def ticker_row(cells: Sequence[str], above: Sequence[str], below: Sequence[str]) -> tuple[list[str], bool] | None:
    """Find the row that names a ticker for each price column (yfinance), and whether it is under the header."""
    columns = {i for i, cell in enumerate(cells) if i and any(rank(role, cell) is not None for role in PRICES)}
    if len(columns) < len(_NEEDED):
        return None
    for row, under in ((below, True), (above, False)):
        said = len(row) == len(cells) and normalise(row[0]) in {"ticker", "tickers", "symbol", "symbols"}
        # Where nothing says that these are tickers, they may be units; where it is said, M is Macy's and no million.
        named = said or (len(row) == len(cells) and not row[0] and not is_unit(row[min(columns)]))
        if named and all(_is_word(row[index]) for index in columns):
            return [cell if index in columns else "" for index, cell in enumerate(row)], under
    return None


def is_units_row(row: Sequence[str], header: Sequence[str]) -> bool:
    """Whether a row under the header says what the columns are, their units or types: words in place of all numbers."""
    said = [cell for cell in row if cell]
    again = [cell.casefold() for cell in row] == [cell.casefold() for cell in header]
    if again or not said or len(row) > len(header) or any(c.isdigit() for cell in said for c in cell):
        return False
    return sum(map(is_unit, said)) * 2 > len(said) or (bool(row[0]) and len(said) > len(header) / 2)


def _is_word(cell: str) -> bool:
    """Whether a cell can name a ticker: ``0700.HK`` is a word, ``139.6`` and ``null`` are not."""
    return any(c.isalpha() for c in cell) and cell.casefold() not in MISSING
