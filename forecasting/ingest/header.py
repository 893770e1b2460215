"""Which column of a header has which role: the one whose name is the surest, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

from forecasting.errors import InputError
from forecasting.findings import Finding
from forecasting.ingest.format import PriceFormat
from forecasting.ingest.names import NEEDED, PRICES, REQUIRED, Role, is_unit, normalise, rank, unmangled
from forecasting.ingest.numbers import MISSING

__all__ = ["DELIMITERS", "Block", "Header", "is_units_row", "named_roles", "ticker_row"]

DELIMITERS = (",", ";", "\t", "|")
_TICKERS = frozenset({"ticker", "tickers", "symbol", "symbols"})


class Block(NamedTuple):
    """The price columns of one ticker, or of all when a ticker column or the file's name says whose they are."""

    ticker: str | None
    columns: Mapping[Role, int]


def named_roles(cells: Sequence[str]) -> list[Role]:
    """Give the needed roles that some cells name."""
    return [role for role in REQUIRED if any(rank(role, cell) is not None for cell in cells)]


@dataclass(slots=True)
class Header:
    """The cells of a line that may be a header; collects findings, and columns that could have a role, too."""

    cells: Sequence[str]
    file: str
    line: int
    format: PriceFormat
    findings: list[Finding] = field(default_factory=list)
    rivals: dict[Role, list[int]] = field(default_factory=dict)

    def refuse(self, what: str, key: str | None = None) -> NoReturn:
        """Refuse the file, with the key that settles it."""
        setting = None if key is None else f"set {key} in a format file"
        raise InputError(what, file=self.file, line=self.line, setting=setting)

    def rank(self, role: Role, index: int) -> int | None:
        """How sure it is that a column has a role, 0 the surest; where the role is declared, no other column has it."""
        cell, declared = self.cells[index], self.format.columns
        if role in declared:
            exact = cell.strip() == declared[role].strip()
            return 0 if exact else 1 if normalise(cell) == normalise(declared[role]) else None
        others = {normalise(name) for name in (*declared.values(), *self.format.ignore)}
        return None if cell.strip() and normalise(cell) in others else rank(role, cell)

    def blocks(self, tickers: Sequence[str] | None) -> list[Block]:
        """Group the price columns by ticker (each column's, where it is known); nothing when any are missing."""
        own: dict[str | None, list[int]] = {} if tickers else {None: list(range(len(self.cells)))}
        for index, ticker in enumerate(tickers or ()):
            own.setdefault(ticker, []).append(index)
        found = [self._block(ticker, columns) for ticker, columns in own.items() if ticker != ""]
        return [block for block in found if block] if all(found) else []

    def pick(self, role: Role, taken: Iterable[int] = ()) -> int | None:
        """Find the column whose name is the surest for a role, among those not taken.

        Of equally sure ones, the one spelled exactly like the role counts. Otherwise two of them are an error, or, for
        Close and Volume, which are not required, a finding.
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
        if role not in {"close", "volume"}:
            self.refuse(f"columns {named} could both be {role.capitalize()}", f"columns.{role}")
        what = f"line {self.line}: columns {named} could both be {role.capitalize()}; neither is used"
        self.findings.append(Finding("", "warning", what))
        return None

    def refuse_split_again(self, delimiter: str) -> None:
        """Refuse a whole header inside one cell: the file was split a second time, by another delimiter."""
        for index, cell in enumerate(self.cells):
            if any(len(named_roles(cell.split(other))) >= 3 for other in DELIMITERS if other != delimiter):
                self.refuse(f"column {index + 1} {cell!r} holds a whole header: the file was split twice")

    def _block(self, ticker: str | None, among: Iterable[int]) -> Block | None:
        taken = set(range(len(self.cells))) - set(among)
        if not all(any(self.rank(role, i) is not None for i in among) for role in NEEDED):
            return None
        columns: dict[Role, int] = {}
        for role in PRICES:
            column = self.pick(role, taken | set(columns.values()))
            if column is not None:
                columns[role] = column
        return Block(ticker, columns) if columns.keys() >= set(NEEDED) else None


def ticker_row(cells: Sequence[str], above: Sequence[str], below: Sequence[str]) -> tuple[list[str], bool] | None:
    """Find the row that names a ticker for each price column (yfinance), and whether it is under the header."""
    columns = {i for i, cell in enumerate(cells) if i and any(rank(role, cell) is not None for role in PRICES)}
    for row, under in ((below, True), (above, False)):
        if len(row) != len(cells) or len(columns) < len(NEEDED):
            continue
        # Where nothing says that these are tickers, they may be units; where it is said, M is Macy's and not a million.
        named = normalise(row[0]) in _TICKERS or (not row[0] and not is_unit(row[min(columns)]))
        # 0700.HK is a word, 139.6 and null are not.
        words = all(any(c.isalpha() for c in row[i]) and row[i].casefold() not in MISSING for i in columns)
        if named and words:
            return [cell if index in columns else "" for index, cell in enumerate(row)], under
    return None


def is_units_row(row: Sequence[str], header: Sequence[str]) -> bool:
    """Whether a row under the header says what the columns are, their units or types: words in place of all numbers."""
    said = [cell for cell in row if cell]
    again = [cell.casefold() for cell in row] == [cell.casefold() for cell in header]
    if again or not said or len(row) > len(header) or any(c.isdigit() for cell in said for c in cell):
        return False
    return sum(map(is_unit, said)) * 2 > len(said) or (bool(row[0]) and len(said) > len(header) / 2)
