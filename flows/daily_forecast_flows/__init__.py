"""The orchestration: thin Prefect flows over the library, their command line, and what brings Prefect up and down."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["importing"]


@contextmanager
def importing() -> Iterator[None]:
    """Import without the garbage collector: it finds nothing, and takes a fifth of the time looking through it all."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
