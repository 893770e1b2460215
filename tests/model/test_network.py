from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from forecasting.config import LEVELS
from forecasting.model.lstm import RECURRENCES
from forecasting.model.network import (
    MEDIAN,
    RANGE,
    RowLayout,
    initial_parameters,
    pinball_loss,
    quantiles,
    random_stream,
    standard_quantiles,
)

LAYOUT = RowLayout(inputs=2, hidden=3, horizon=4)


def drawn(layout, models, seed=0):
    return torch.from_numpy(
        np.stack([initial_parameters(layout, np.random.default_rng([seed, k]), (1.0, 0.5)) for k in range(models)])
    )


def naive_loss(location, log_scale, z, target, weight):
    tau = torch.tensor(LEVELS, dtype=z.dtype)[:, None]
    q = location[:, :, None, :] + log_scale.exp()[:, :, None, :] * z[:, :, :, None]
    error = target[:, :, None, :] - q
    return (torch.maximum(tau * error, (tau - 1) * error).mean(2) * weight).sum((1, 2))


def loss_arguments(dtype):
    stream = torch.Generator().manual_seed(3)
    location, log_scale, target = (torch.randn(2, 3, 5, generator=stream, dtype=dtype) for _ in range(3))
    z = torch.randn(2, 3, 19, generator=stream, dtype=dtype).sort(dim=2).values
    weight = torch.rand(2, 3, 5, generator=stream, dtype=dtype)
    return location.requires_grad_(), log_scale.requires_grad_(), z.requires_grad_(), target, weight


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
def test_the_loss_and_its_gradient_are_those_of_the_formula(dtype, tolerance) -> None:
    arguments = loss_arguments(dtype)
    outer = torch.tensor([1.0, -2.5], dtype=dtype)  # each model's gradient is its own
    got, want = pinball_loss(*arguments), naive_loss(*arguments)
    torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)
    grads = torch.autograd.grad((got * outer).sum(), arguments[:3])
    known = torch.autograd.grad((want * outer).sum(), arguments[:3])
    for mine, theirs in zip(grads, known, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance)


def test_the_gradient_of_the_loss_equals_finite_differences() -> None:
    location, log_scale, z, target, weight = loss_arguments(torch.float64)
    assert torch.autograd.gradcheck(lambda *free: pinball_loss(*free, target, weight), (location, log_scale, z))


def test_targets_without_weight_do_not_matter() -> None:
    location, log_scale, z, target, weight = loss_arguments(torch.float64)
    weight[:, 1] = 0
    strange = target.clone()
    strange[:, 1] = 1e6
    got, want = (
        pinball_loss(location, log_scale, z, strange, weight),
        pinball_loss(location, log_scale, z, target, weight),
    )
    torch.testing.assert_close(got, want)
    grads = torch.autograd.grad(got.sum(), [location, log_scale, z])
    for part in grads:
        assert torch.isfinite(part).all()
        assert not part[:, 1].any()


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.floats(-2, 1))
def test_quantiles_never_cross(seed, reach) -> None:
    stream = np.random.default_rng(seed)
    rows = torch.from_numpy((10**reach * stream.standard_normal((2, sum(LAYOUT.sizes)))).astype(np.float32))
    x = torch.from_numpy(stream.standard_normal((5, 2, 2, 6)).astype(np.float32))
    log_volatility = torch.from_numpy(stream.standard_normal((2, 6)).astype(np.float32))
    found = quantiles(LAYOUT.cut(rows), RECURRENCES["fused"], x, log_volatility)
    assert found.shape == (2, 4, 19, 6)
    assert torch.isfinite(found).all()
    assert (found.diff(dim=2) >= 0).all()


def test_the_median_is_the_location_and_the_rest_lies_around_it() -> None:
    z = standard_quantiles(torch.randn(2, 3, 18, generator=torch.Generator().manual_seed(0)))
    assert (z[:, :, MEDIAN] == 0).all()
    assert (z[:, :, :MEDIAN] < 0).all()
    assert (z[:, :, MEDIAN + 1 :] > 0).all()


def test_a_row_is_cut_without_a_copy_and_without_a_rest() -> None:
    rows = torch.arange(2.0 * sum(LAYOUT.sizes)).view(2, -1)
    parts = LAYOUT.cut(rows)
    assert torch.equal(torch.cat([part.reshape(2, -1) for part in parts], dim=1), rows)
    assert parts.recurrent.shape == (2, 12, 6)
    assert parts.head.shape == (2, 8, 4)
    assert parts.drivers.shape == (2, 4, 2)
    assert parts.gaps.shape == (2, 4, 18)
    rows[1, 0] = -1
    assert parts.recurrent[1, 0, 0] == -1


def test_training_starts_from_normal_quantiles_and_zero_biases() -> None:
    parts = LAYOUT.cut(drawn(LAYOUT, 1))
    assert not parts.recurrent[:, :, -1].any()
    assert not parts.head[:, :, -1].any()
    assert parts.drivers[0].tolist() == [[1.0, 0.5]] * 4
    np.testing.assert_allclose(standard_quantiles(parts.gaps)[0, 0], norm.ppf(LEVELS), atol=1e-5)


def test_the_volatility_widens_the_quantiles_by_its_weight() -> None:
    parts = LAYOUT.cut(drawn(LAYOUT, 1))
    x = torch.zeros(5, 1, 2, 2)
    found = quantiles(parts, RECURRENCES["loop"], x, torch.tensor([[0.0, float(np.log(2.0))]]))
    calm, wild = (found[0, :, :, k] - found[0, :, MEDIAN, None, k] for k in range(2))
    torch.testing.assert_close(wild, 2 * calm)


def test_the_last_range_alone_widens_the_quantiles_by_its_weight() -> None:
    rows = drawn(LAYOUT, 1)
    parts = LAYOUT.cut(rows)
    parts.recurrent.zero_()  # a state that sees nothing
    x = torch.zeros(5, 1, 2, 2)
    x[-1, 0, RANGE, 1] = np.log(4.0)
    x[:-1, 0, RANGE, 1] = 7.0
    found = quantiles(parts, RECURRENCES["loop"], x, torch.zeros(1, 2))
    narrow, wide = (found[0, :, :, k] - found[0, :, MEDIAN, None, k] for k in range(2))
    torch.testing.assert_close(wide, 2 * narrow)


def test_streams_differ_by_seed_member_and_name_alone() -> None:
    keys = [(0, 0, "A"), (1, 0, "A"), (0, 1, "A"), (0, 0, "B")]
    first = {key: random_stream(*key).random() for key in keys}
    assert len(set(first.values())) == 4
    assert {key: random_stream(*key).random() for key in reversed(keys)} == first


def test_streams_are_the_same_on_every_machine() -> None:
    """The numbers that a seed stands for are part of what is published: they are not to change by the way."""
    assert random_stream(0, 0, "GOOG").random() == 0.49960551510149065
