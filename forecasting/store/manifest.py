"""What a run was made from and what it wrote: enough to prove later that its forecasts follow from its input.

Everything in a manifest, except for ``timings``, follows from input, configuration and build.
"""

from __future__ import annotations

import contextlib
import json
import platform
from collections.abc import Mapping
from datetime import date
from importlib import metadata
from typing import Annotated, Any, BinaryIO, Self, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, JsonValue, ValidationError

from forecasting.config import DateOrder, DecimalMark, ForecastConfig
from forecasting.errors import InputError
from forecasting.ingest.ingested import Ingested
from forecasting.model.device import choose_device
from forecasting.model.prior import load_prior
from forecasting.store.fingerprints import Fingerprint, describe_rows
from forecasting.store.places import FileRecord

__all__ = [
    "FindingRecord",
    "InputRecord",
    "Manifest",
    "WithheldRecord",
    "config_record",
    "read_manifest",
    "versions_in_use",
]

MANIFEST_VERSION = 1
_SIZE_LIMIT = 1 << 30
_PACKAGES = ("torch", "numpy", "pandas", "pyarrow", "scikit-learn", "safetensors", "exchange-calendars", "pydantic")


def _writable(value: Any) -> Any:
    # File names may hold bytes that are not text; JSON may not.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _inside(name: str) -> str:
    if "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError(f"{name!r} is not a path of a store")
    return name


_READING = {"date_order": get_args(DateOrder), "decimal": get_args(DecimalMark)}


def _known(reading: dict[str, JsonValue]) -> dict[str, JsonValue]:
    for name, value in reading.items():
        if name == "format" and isinstance(value, dict):
            continue  # its keys are checked where it is used
        if value not in _READING.get(name, ()):
            raise ValueError(f"{name} is not a setting of reading, or cannot be {value!r}")
    return reading


_Text = Annotated[str, BeforeValidator(_writable)]
_Path = Annotated[str, AfterValidator(_inside)]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", from_attributes=True)


class InputRecord(_Record):
    """A file that was read: its path as the user named it, and the identity of its content."""

    path: _Text
    sha256: str
    bytes: int


class FindingRecord(_Record):
    """One thing noticed in the data; see `forecasting.findings.Finding`."""

    ticker: _Text
    kind: str
    message: _Text
    rows: int = 0


class WithheldRecord(_Record):
    """A ticker or file without a forecast, and why."""

    ticker: _Text | None = None
    file: _Text | None = None
    reason: _Text


class FileEntry(_Record):
    """A file of the run, as it was written."""

    sha256: str
    bytes: int


class Manifest(_Record):
    """The manifest of one run.

    Attributes
    ----------
    as_of
        The run's date.
    config
        The whole configuration (`config_record`).
    reading
        How the input was read (date order, decimal mark, declared format), as given to `read_prices`.
    inputs
        The files that were read.
    rows
        Each ticker's parsed rows up to `as_of`.
    versions, device
        The packages and the device of the computation.
    findings, withheld
        What was noticed, and the tickers and files without a forecast, with the reason.
    timings
        When the run began and how long it took; the only part that depends on the clock.
    files
        Every other file of the run by its path in the store. Filled in when the run is published.
    """

    schema_version: int = MANIFEST_VERSION
    as_of: date
    config: dict[str, JsonValue]
    reading: Annotated[dict[str, JsonValue], AfterValidator(_known)] = {}
    inputs: tuple[InputRecord, ...] = ()
    rows: dict[str, Fingerprint] = {}
    versions: dict[str, str] = {}
    device: str = "cpu"
    findings: tuple[FindingRecord, ...] = ()
    withheld: tuple[WithheldRecord, ...] = ()
    timings: dict[str, JsonValue] = {}
    files: dict[_Path, FileEntry] = {}

    @classmethod
    def of(cls, ingested: Ingested, config: ForecastConfig, as_of: date, **given: Any) -> Self:
        """Describe a run of this build: what was read, the packages in use, and ``given``, other attributes."""
        return cls(
            as_of=as_of,
            config=config_record(config),
            rows=describe_rows(ingested.prices),
            versions=versions_in_use(),
            device=choose_device(config.device).type,
            **{"inputs": ingested.inputs, "findings": ingested.findings, **given},
        )

    def with_files(self, files: Mapping[str, FileRecord]) -> Manifest:
        """Return the same manifest, naming these files."""
        entries = {name: FileEntry.model_validate(record) for name, record in files.items()}
        return self.model_copy(update={"files": entries})

    def to_json(self) -> bytes:
        """Return the file's bytes: sorted keys, ASCII."""
        return (json.dumps(self.model_dump(mode="json"), sort_keys=True, indent=1) + "\n").encode("ascii")


def config_record(config: ForecastConfig) -> dict[str, JsonValue]:
    """Return a configuration as it is in the manifest; `ForecastConfig.model_validate` reads it back."""
    record = config.model_dump(mode="json")
    if config.tickers is not None:
        record["tickers"] = sorted(config.tickers)  # a set's own order changes from process to process
    return record


def versions_in_use() -> dict[str, str]:
    """Return the versions of Python and of the packages that results depend on, as far as they are installed."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[package] = metadata.version(package)
    return {**versions, "prior": load_prior().sha256}


def read_manifest(file: BinaryIO, name: str) -> Manifest:
    """Read a manifest.

    Parameters
    ----------
    file
        The open file.
    name
        Its path or address, for messages.

    Raises
    ------
    InputError
        When it is damaged, or a later version of this project wrote it.
    """
    data = file.read(_SIZE_LIMIT + 1)
    if len(data) > _SIZE_LIMIT:
        raise InputError("is larger than any manifest", file=name)
    try:
        manifest = Manifest.model_validate_json(data)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in detail["loc"])
        raise InputError(f"is not a manifest, or a damaged one: {place}: {detail['msg']}", file=name) from error
    if manifest.schema_version > MANIFEST_VERSION:
        raise InputError(
            f"was written by a later version (manifest {manifest.schema_version}; this one reads {MANIFEST_VERSION})",
            file=name,
        )
    return manifest
