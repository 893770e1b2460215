"""How a vendor writes its files, as declared: nothing of it is guessed, and a file that contradicts it is refused."""

from __future__ import annotations

import codecs
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, NonNegativeInt, ValidationError

from forecasting.config import DateOrder, DecimalMark
from forecasting.errors import InputError
from forecasting.ingest.names import Role

__all__ = ["PriceFormat", "load_format", "to_toml"]

Weekday = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def _known(look_up: Callable[[str], object], what: str) -> AfterValidator:
    def check(name: str) -> str:
        try:
            look_up(name)
        except (LookupError, ValueError, OSError) as error:
            raise ValueError(f"there is no {what} {name!r}") from error
        return name

    return AfterValidator(check)


class PriceFormat(BaseModel):
    """A vendor's format, as a TOML file declares it; every key may be left out, and is then decided from the file."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    columns: dict[Role, str] = {}
    """Columns by role: date, open, high, low, close, volume, ticker (`open = "FIRST"`)."""
    header: tuple[str, ...] | None = None
    """The columns' names, where the file has no line of them or a wrong one."""
    ignore: tuple[str, ...] = ()
    """Columns to leave out: they are neither the ticker nor a second date or price."""
    delimiter: Literal[",", ";", "\t", "|"] | None = None
    """What separates fields."""
    encoding: Annotated[str, _known(codecs.lookup, "encoding")] | None = None
    """The text's encoding, such as cp1250 or euc_jp."""
    skip_lines: NonNegativeInt = 0
    """Lines above the header."""
    skip_footer: NonNegativeInt = 0
    """Lines below the last row."""
    date_format: str | None = None
    """The dates' format in the notation of strptime (`%d/%m/%Y`), or `excel` for day numbers."""
    date_order: DateOrder = "auto"
    """Order of day, month and year where they are numbers."""
    epoch: Literal["s", "ms", "us", "ns"] | None = None
    """The unit of numbers that count from 1970."""
    add_years: int = 0
    """Added to the years as written: 1900 to 30, 1911 to Minguo's, -543 to Buddhist ones."""
    zone: Annotated[str, _known(ZoneInfo, "time zone")] | None = None
    """The exchange's time zone (`Asia/Tokyo`), in which an instant's date is taken."""
    session_opens: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None
    """Local time (`17:00`) from which a row belongs to the next day's session (`23:59`: never)."""
    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1)] | None = None
    """The weekdays on which the market trades."""
    decimal: DecimalMark = "auto"
    """The decimal mark."""
    price_factor: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """Prices are multiplied by it: 0.01 turns pence to pounds."""

    def with_options(self, date_order: DateOrder, decimal: DecimalMark) -> PriceFormat:
        """Return the same with the command line's two options, where they say more than ``auto``."""
        given = {"date_order": date_order, "decimal": decimal}
        return self.model_copy(update={name: value for name, value in given.items() if value != "auto"})


def load_format(path: str | Path) -> PriceFormat:
    """Read a format file; one that cannot be read, or has a key or a value that is not known, is an `InputError`."""
    try:
        content = tomllib.loads(Path(path).expanduser().read_text(encoding="utf-8"))
        return PriceFormat.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(f"{key}: {first['msg']}", file=str(path), setting="see the keys in the README") from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"is not a format file ({error})", file=str(path)) from error


def to_toml(format_: PriceFormat) -> str:
    """Write what a format declares as TOML, each key with its meaning."""
    lines: list[str] = []
    for name, field in PriceFormat.model_fields.items():
        value = getattr(format_, name)
        if name != "columns" and value != field.default:
            lines += [f"# {field.description}", f"{name} = {_written(value)}"]
    columns = [f"{role} = {_written(name)}" for role, name in format_.columns.items()]
    return "\n".join([*lines, *(["", "[columns]", *columns] if columns else [])]) + "\n"


def _written(value: Any) -> str:
    # TOML's texts and lists are written as JSON's, except for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
