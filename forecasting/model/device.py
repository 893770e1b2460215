"""The one place where the training device is chosen."""

from __future__ import annotations

from typing import Literal

import torch

from forecasting.errors import InputError

__all__ = ["choose_device"]


def choose_device(name: Literal["auto", "cpu", "cuda", "mps"]) -> torch.device:
    """Turn the ``--device`` option into a device of this machine.

    Raises
    ------
    InputError
        When the device named is not to be had here.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, here in present.items() if here))
    if not present[name]:
        here = ", ".join(kind for kind, there in present.items() if there)
        raise InputError(f'--device: this machine has no "{name}", only {here}', setting="set --device auto")
    return torch.device(name)
