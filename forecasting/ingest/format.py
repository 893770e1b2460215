"""How a vendor writes its files, declared: nothing of it is guessed, and a file that contradicts it is refused."""

from __future__ import annotations

import codecs
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from forecasting.errors import InputError
from forecasting.ingest.names import Role

__all__ = ["DateOrder", "DecimalMark", "PriceFormat", "load_format", "to_toml"]

DateOrder = Literal["auto", "dmy", "mdy", "ymd"]
DecimalMark = Literal["auto", "point", "comma"]
Weekday = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


class PriceFormat(BaseModel):
    """A vendor's format, as a TOML file declares it; every key may be left out, and is then decided from the file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: Annotated[
        dict[Role, str],
        Field(description='Columns by role: date, open, high, low, close, volume, ticker (`open = "FIRST"`).'),
    ] = {}
    header: Annotated[
        tuple[str, ...] | None,
        Field(description="The columns' names, where the file has no line of them or a wrong one."),
    ] = None
    ignore: Annotated[
        tuple[str, ...],
        Field(description="Columns that are nothing: no ticker, no second date, no second price."),
    ] = ()
    delimiter: Annotated[Literal[",", ";", "\t", "|"] | None, Field(description="What separates fields.")] = None
    encoding: Annotated[str | None, Field(description="The text's encoding, such as cp1250 or euc_jp.")] = None
    skip_lines: Annotated[int, Field(ge=0, description="Lines above the header.")] = 0
    skip_footer: Annotated[int, Field(ge=0, description="Lines below the last row.")] = 0
    date_format: Annotated[
        str | None, Field(description="The dates' format, as strptime has it (`%d/%m/%Y`), or `excel` for day numbers.")
    ] = None
    date_order: Annotated[DateOrder, Field(description="Order of day, month and year where they are numbers.")] = "auto"
    epoch: Annotated[
        Literal["s", "ms", "us", "ns"] | None, Field(description="The unit of numbers that count from 1970.")
    ] = None
    add_years: Annotated[
        int, Field(description="Added to the years as written: 1900 to 30, 1911 to Minguo's, -543 to Buddhist ones.")
    ] = 0
    zone: Annotated[
        str | None, Field(description="The exchange's time zone (`Asia/Tokyo`), in which an instant's date is taken.")
    ] = None
    session_opens: Annotated[
        str | None,
        Field(
            pattern=r"^([01]\d|2[0-3]):[0-5]\d$",
            description="Local time (`17:00`) from which a row belongs to the next day's session (`23:59`: none does).",
        ),
    ] = None
    weekdays: Annotated[
        tuple[Weekday, ...] | None, Field(min_length=1, description="The weekdays on which the market trades.")
    ] = None
    decimal: Annotated[DecimalMark, Field(description="The decimal mark.")] = "auto"
    price_factor: Annotated[
        float, Field(gt=0, allow_inf_nan=False, description="Prices are multiplied by it: 0.01 turns pence to pounds.")
    ] = 1.0

    @field_validator("zone")
    @classmethod
    def _known_zone(cls, zone: str | None) -> str | None:
        try:
            return None if zone is None else ZoneInfo(zone).key
        except (KeyError, ValueError, OSError) as error:
            raise ValueError(f"there is no time zone {zone!r}") from error

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str | None) -> str | None:
        try:
            if encoding is not None:
                codecs.lookup(encoding)
        except LookupError as error:
            raise ValueError(f"there is no encoding {encoding!r}") from error
        return encoding

    def with_options(self, date_order: DateOrder, decimal: DecimalMark) -> PriceFormat:
        """Return the same with the command line's two options, where they say more than ``auto``."""
        given = {"date_order": date_order, "decimal": decimal}
        return self.model_copy(update={name: value for name, value in given.items() if value != "auto"})


def load_format(path: str | Path) -> PriceFormat:
    """Read a format file.

    Raises
    ------
    InputError
        When it cannot be read, is not TOML, or has a key or a value that is not known.
    """
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
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_written, value)) + "]"
    if isinstance(value, str):
        escaped = "".join(c if c.isprintable() and c not in '"\\' else f"\\u{ord(c):04x}" for c in value)
        return f'"{escaped}"'
    return str(value)
