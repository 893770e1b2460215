"""The one exception family for bad input.

An ``InputError`` can be fixed without reading code: its message names the file, the line, the column, what was found,
what was expected and the option that resolves it. Any other exception is a bug or a broken machine, and propagates.
"""

from __future__ import annotations

__all__ = ["InputError"]


class InputError(Exception):
    """Input, an option or the output's place is wrong; the message is written for the person who must fix it.

    Parameters
    ----------
    what
        What was found and what was expected, as one sentence without its full stop.
    file
        The file, as the user named it.
    line
        Line in the file, counted from 1 as an editor does.
    column
        The column's name, as the file spells it.
    setting
        The option that resolves it, where there is one: ``"set --date-order dmy or mdy"``.
    """

    def __init__(
        self,
        what: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: str | None = None,
        setting: str | None = None,
    ) -> None:
        super().__init__(what, file, line, column, setting)
        self.what = what
        self.file = file
        self.line = line
        self.column = column
        self.setting = setting

    def __str__(self) -> str:
        place = ", ".join(
            part
            for part in (
                self.file,
                None if self.line is None else f"line {self.line}",
                None if self.column is None else f"column {self.column}",
            )
            if part
        )
        message = f"{place}: {self.what}" if place else self.what
        return f"{message}; {self.setting}" if self.setting else message

    def __reduce__(self) -> tuple[object, ...]:
        # Keyword-only arguments would be lost on the way between processes.
        return _rebuild, (self.what, self.file, self.line, self.column, self.setting)


def _rebuild(what: str, file: str | None, line: int | None, column: str | None, setting: str | None) -> InputError:
    return InputError(what, file=file, line=line, column=column, setting=setting)
