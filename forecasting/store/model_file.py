"""Model files: tensors and a card in one safetensors file, checked before use.

A safetensors file has only numbers and text; nothing in it can be executed, and nothing is unpickled. The header has
the card (any JSON object) and a SHA-256 over card, names, shapes and values, so that a damaged file is noticed. The
manifest has the SHA-256 of the whole file, too.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from forecasting.errors import InputError

__all__ = ["ModelFileError", "file_name", "load_model", "model_bytes"]

Tensors = Mapping[str, npt.NDArray[Any]]

_FORMAT = 1
# A single key: safetensors keeps its metadata in a hash map, and would write two keys in changing order.
_KEY = "forecasting"
_DTYPES = frozenset({"float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8", "bool"})
_TENSOR_NAME = re.compile(r"[A-Za-z0-9_./-]{1,200}")
_HEADER_LIMIT = 100_000_000
_FILE_LIMIT = 8 << 30

_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,59}")
_RESERVED = re.compile(r"con|prn|aux|nul|com[0-9]|lpt[0-9]")


class _Header(BaseModel):
    """Our entry of the file's header: the card as JSON, and a SHA-256 over card and tensors."""

    card: str
    format: int
    sha256: str


class ModelFileError(InputError):
    """A model file that cannot be trusted: cut, changed, of another shape, or not a safetensors file."""


def model_bytes(tensors: Tensors, card: Mapping[str, Any]) -> bytes:
    """Return the model file of `tensors` and `card`; the same ones give the same bytes.

    Parameters
    ----------
    tensors
        Arrays of numbers by name. Names are plain (letters, digits, ``_ . / -``); tickers belong in the card.
    card
        The model's description: any JSON object.

    Raises
    ------
    ValueError
        When a tensor's name or dtype, or the card, cannot be written so that it reads back the same.
    """
    arrays = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
    for name, array in arrays.items():
        if not _TENSOR_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a tensor name")
        if array.dtype.name not in _DTYPES:
            raise ValueError(f"tensor {name} has dtype {array.dtype}")
    text = json.dumps(dict(card), sort_keys=True, allow_nan=False, separators=(",", ":"))
    header = _Header(card=text, format=_FORMAT, sha256=_content_sha256(arrays, text))
    return bytes(save_tensors(arrays, metadata={_KEY: header.model_dump_json()}))


def load_model(path: Path) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
    """Read a model file, and check that it is exactly what was written.

    Returns
    -------
    tensors, card
        As they were given to `model_bytes`.

    Raises
    ------
    ModelFileError
        When the file is missing, cut, changed, or of another kind (a pickle, for example).
    """
    data = _read(path)
    header = _header(data, path)
    try:
        tensors = load_tensors(data)
    except (SafetensorError, KeyError, ValueError) as error:
        raise ModelFileError(f"is damaged: {error}", file=str(path)) from error
    if _content_sha256(tensors, header.card) != header.sha256:
        raise ModelFileError("is damaged: its content does not have the SHA-256 of its header", file=str(path))
    return tensors, json.loads(header.card)


def file_name(name: str) -> str:
    """Return a file name, without its suffix, for any text.

    Different names give different file names, also on file systems that ignore case, and the same name always gives
    the same one. Short lower-case names stay as they are; others become their readable part, ``~`` and a hash.
    """
    if _PLAIN.fullmatch(name) and not _RESERVED.fullmatch(name):
        return name
    readable = re.sub(r"[^a-z0-9_-]+", "_", name.lower(), flags=re.ASCII)[:40]
    return f"{readable}~{hashlib.sha256(name.encode('utf-8', 'surrogatepass')).hexdigest()[:32]}"


def _read(path: Path) -> bytes:
    try:
        status = path.stat()
        # Reading a FIFO could wait forever, a device never ends.
        if stat.S_ISREG(status.st_mode) and status.st_size <= _FILE_LIMIT:
            return path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"cannot be read: {error.strerror}", file=str(path)) from error
    raise ModelFileError("is not a file, or is larger than any model file", file=str(path))


def _header(data: bytes, path: Path) -> _Header:
    """Read our entry of the file's header, to which safetensors gives no access."""
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(_HEADER_LIMIT, len(data) - 8):
        raise ModelFileError("is not a safetensors file, or only a part of one", file=str(path))
    try:
        header = _Header.model_validate_json(json.loads(data[8 : 8 + length])["__metadata__"][_KEY])
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ModelFileError(
            "is not a model file of this project: its header does not say so", file=str(path)
        ) from error
    if header.format != _FORMAT:
        raise ModelFileError(f"has format {header.format}; this version reads format {_FORMAT}", file=str(path))
    return header


def _content_sha256(tensors: Tensors, card: str) -> str:
    digest = hashlib.sha256(card.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(json.dumps([name, array.dtype.name, array.shape]).encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
