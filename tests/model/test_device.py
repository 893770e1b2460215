from __future__ import annotations

import pytest
import torch

from forecasting.errors import InputError
from forecasting.model.device import choose_device


@pytest.fixture
def machine(monkeypatch):
    def has(*, cuda, mps) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)

    return has


@pytest.mark.parametrize(
    ("cuda", "mps", "chosen"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_fastest_there_is(machine, cuda, mps, chosen) -> None:
    machine(cuda=cuda, mps=mps)
    assert choose_device("auto").type == chosen


def test_a_device_that_is_named_is_taken(machine) -> None:
    machine(cuda=True, mps=True)
    assert [choose_device(name).type for name in ("cpu", "cuda", "mps")] == ["cpu", "cuda", "mps"]


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(machine, name) -> None:
    machine(cuda=False, mps=False)
    with pytest.raises(InputError, match=f'--device: this machine has no "{name}", only cpu; set --device auto'):
        choose_device(name)
