"""The choice of the training device, and the number of its threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

from forecasting.errors import InputError

__all__ = ["choose_device", "one_thread"]


def choose_device(name: Literal["auto", "cpu", "cuda", "mps"]) -> torch.device:
    """Turn the ``--device`` option into a device of this machine.

    Raises
    ------
    InputError
        When this machine does not have the device named.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, here in present.items() if here))
    if not present[name]:
        here = ", ".join(kind for kind, there in present.items() if there)
        raise InputError(f'--device: this machine has no "{name}", only {here}', setting="set --device auto")
    return torch.device(name)


class _Users:
    """How many calls of `one_thread` are open in this process, and what the last of them restores."""

    lock = threading.Lock()
    count = 0
    before = 1


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread: thread pools are slow on small tensors.

    The setting is of the whole process, so the last of several training threads restores what the first one found.
    """
    with _Users.lock:
        if not _Users.count:
            _Users.before = torch.get_num_threads()
        _Users.count += 1
        torch.set_num_threads(1)
    try:
        yield
    finally:
        with _Users.lock:
            _Users.count -= 1
            if not _Users.count:
                torch.set_num_threads(_Users.before)
