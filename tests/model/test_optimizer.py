from __future__ import annotations

import pytest
import torch

from forecasting.model.optimizer import AdamW, one_cycle


def some_rows(models, width=6):
    return torch.randn(models, width, generator=torch.Generator().manual_seed(0)).requires_grad_()


def some_loss(rows, step):
    """Another function of each row at every step, with gradients from small to beyond the clipping norm."""
    return ((rows - 0.3 * step).square() * torch.linspace(0.1, 2, rows.shape[1])).sum(1) * torch.linspace(
        0.05, 3, rows.shape[0]
    )


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("clip", [0.5, float("inf")])
def test_each_model_is_stepped_as_by_torch(decay, clip) -> None:
    rows = some_rows(3)
    optimizer = AdamW(rows, decay, clip)
    alone = [torch.nn.Parameter(row.detach().clone()[None]) for row in rows]
    theirs = [torch.optim.AdamW([one], betas=(0.9, 0.99), eps=1e-8, weight_decay=decay) for one in alone]
    for step in range(20):
        rates = torch.tensor([[0.01], [0.02], [0.005 * step]])
        some_loss(rows, step).sum().backward()
        optimizer.step(3, rates)
        scales = torch.linspace(0.05, 3, 3)
        for k, (one, their) in enumerate(zip(alone, theirs, strict=True)):
            their.zero_grad()
            (((one - 0.3 * step).square() * torch.linspace(0.1, 2, 6)).sum() * scales[k]).backward()
            torch.nn.utils.clip_grad_norm_([one], clip)
            their.param_groups[0]["lr"] = rates[k].item()
            their.step()
    torch.testing.assert_close(rows.detach(), torch.cat([one.detach() for one in alone]), rtol=1e-5, atol=1e-6)


def test_a_long_gradient_is_scaled_down_and_a_short_one_is_left() -> None:
    rows = torch.zeros(2, 2, requires_grad=True)
    # Without memory, and with so large an epsilon, a step is -g / (|g| + 1) of the clipped gradient g.
    optimizer = AdamW(rows, 0.0, clip_norm=1.0, betas=(0.0, 0.0), epsilon=1.0)
    rows.grad = torch.tensor([[30.0, 40.0], [0.3, 0.4]])
    optimizer.step(2, torch.ones(2, 1))
    clipped = torch.tensor([[0.6, 0.8], [0.3, 0.4]])
    torch.testing.assert_close(rows.detach(), -clipped / (clipped + 1), rtol=1e-5, atol=0)


def test_models_after_the_first_ones_are_left_alone() -> None:
    rows, later = some_rows(4), some_rows(4).detach()[2:].requires_grad_()
    all_four, last_two = AdamW(rows, 0.1, 1.0), AdamW(later, 0.1, 1.0)

    def step(optimizer: AdamW, models: torch.Tensor, first: int, at: int) -> None:
        gradient = torch.randn(rows.shape, generator=torch.Generator().manual_seed(at))
        models.grad = gradient[-len(models) :].clone()
        optimizer.step(first, torch.full((first, 1), 0.01))

    # The last two are stepped twice among all four, and twice by themselves: the step in between is not theirs.
    step(all_four, rows, 4, at=0)
    step(last_two, later, 2, at=0)
    before = rows.detach().clone()
    step(all_four, rows, 2, at=1)
    assert torch.equal(rows.detach()[2:], before[2:])
    assert not torch.equal(rows.detach()[:2], before[:2])
    step(all_four, rows, 4, at=2)
    step(last_two, later, 2, at=2)
    torch.testing.assert_close(rows.detach()[2:], later.detach())


def test_models_that_are_kept_go_on_as_if_nothing_had_happened() -> None:
    rows, others = some_rows(3), some_rows(3)
    left, right = AdamW(rows, 0.1, 1.0), AdamW(others, 0.1, 1.0)
    rate = torch.full((3, 1), 0.02)
    for step in range(6):
        if step == 3:
            rows = left.keep(torch.tensor([0, 2]))
        weights = torch.linspace(0.05, 3, 3)[[0, 2]] if step >= 3 else torch.linspace(0.05, 3, 3)
        (((rows - 0.3 * step).square() * torch.linspace(0.1, 2, 6)).sum(1) * weights).sum().backward()
        left.step(len(rows), rate[: len(rows)])
        some_loss(others, step).sum().backward()
        right.step(3, rate)
    torch.testing.assert_close(rows.detach(), others.detach()[[0, 2]], rtol=0, atol=0)


def test_a_gradient_that_is_not_finite_stays_in_its_row() -> None:
    rows = some_rows(3)
    optimizer = AdamW(rows, 0.1, 1.0)
    some_loss(rows, 0).sum().backward()
    rows.grad[1] = float("nan")
    optimizer.step(3, torch.full((3, 1), 0.01))
    assert torch.isfinite(rows[[0, 2]]).all()
    assert not torch.isfinite(rows[1]).any()


def test_a_gradient_is_used_once() -> None:
    rows = some_rows(2)
    optimizer = AdamW(rows, 0.0, 1.0)
    with pytest.raises(RuntimeError, match="no gradient"):
        optimizer.step(2, torch.ones(2, 1))
    some_loss(rows, 0).sum().backward()
    optimizer.step(2, torch.ones(2, 1))
    with pytest.raises(RuntimeError, match="no gradient"):
        optimizer.step(2, torch.ones(2, 1))


def test_the_schedule_is_torchs_one_cycle() -> None:
    steps, peak = 1000, 0.02
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=peak, total_steps=steps, cycle_momentum=False)
    theirs = []
    for _ in range(steps):
        theirs.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if len(theirs) < steps:
            schedule.step()
    ours = one_cycle(torch.arange(steps) / steps, peak)
    # Theirs ends on its last step, ours just after it: a thousandth of the way apart.
    torch.testing.assert_close(ours, torch.tensor(theirs), rtol=0, atol=4e-3 * peak)


def test_the_schedule_rises_to_its_peak_and_ends_at_almost_nothing() -> None:
    rate = one_cycle(torch.tensor([0.0, 0.15, 0.3, 0.65, 1.0], dtype=torch.float64), 1.0)
    assert rate.tolist() == pytest.approx([1 / 25, (1 + 1 / 25) / 2, 1.0, (1 + 1 / 250_000) / 2, 1 / 250_000])
