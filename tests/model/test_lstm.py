from __future__ import annotations

import pytest
import torch

from forecasting.model.lstm import RECURRENCES, State, cell, join, zero_state

TIME, MODELS, INPUTS, HIDDEN, BATCH = 7, 3, 2, 4, 5
FORMS = sorted(RECURRENCES)


def peers(dtype):
    """One nn.LSTM a model, and all their weights as one of ours; torch's gates come as i, f, g, o."""
    torch.manual_seed(0)
    each = [torch.nn.LSTM(INPUTS, HIDDEN, dtype=dtype) for _ in range(MODELS)]

    def ours(name):
        stacked = torch.stack([getattr(one, name).detach() for one in each])
        i, f, g, o = stacked.chunk(4, dim=1)
        return torch.cat([i, f, o, g], dim=1)

    bias = (ours("bias_ih_l0") + ours("bias_hh_l0"))[:, :, None]
    return each, join(ours("weight_ih_l0"), ours("weight_hh_l0"), bias).requires_grad_()


def inputs(dtype):
    stream = torch.Generator().manual_seed(1)
    x = torch.randn(TIME, MODELS, INPUTS, BATCH, generator=stream, dtype=dtype)
    hidden, memory = torch.randn(2, MODELS, HIDDEN, BATCH, generator=stream, dtype=dtype)
    return x.requires_grad_(), State(hidden.requires_grad_(), memory.requires_grad_())


def some_loss(hidden, state):
    """A number in which every output counts for something else."""
    return (hidden * torch.linspace(-1, 1, hidden.numel()).view_as(hidden)).sum() + 2 * (
        state.hidden.square().sum() + state.cell.sin().sum()
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
@pytest.mark.parametrize("handed_in", [False, True])
def test_values_equal_those_of_torch(form, dtype, tolerance, handed_in) -> None:
    each, weights = peers(dtype)
    x, start = inputs(dtype)
    hidden, last = RECURRENCES[form](weights, x, start if handed_in else None)
    for k, one in enumerate(each):
        # nn.LSTM wants (time, batch, features).
        state = tuple(part[k].T[None].contiguous() for part in start) if handed_in else None
        out, (h_n, c_n) = one(x[:, k].transpose(1, 2), state)
        torch.testing.assert_close(hidden[:, k].transpose(1, 2), out, rtol=0, atol=tolerance)
        torch.testing.assert_close(last.hidden[k].T, h_n[0], rtol=0, atol=tolerance)
        torch.testing.assert_close(last.cell[k].T, c_n[0], rtol=0, atol=tolerance)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-13)])
def test_gradients_equal_those_of_torch(form, dtype, tolerance) -> None:
    each, weights = peers(dtype)
    x, start = inputs(dtype)
    weight_grad, x_grad, h_grad, c_grad = torch.autograd.grad(
        some_loss(*RECURRENCES[form](weights, x, start)), [weights, x, *start]
    )
    x_too, start_too = inputs(dtype)
    states, outs = [], []
    for k, one in enumerate(each):
        out, state = one(x_too[:, k].transpose(1, 2), tuple(part[k].T[None].contiguous() for part in start_too))
        outs.append(out.transpose(1, 2))
        states.append([part[0].T for part in state])
    last = State(*(torch.stack(parts) for parts in zip(*states, strict=True)))
    some_loss(torch.stack(outs, dim=1), last).backward()

    def close(got, want):
        torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance * float(want.abs().max()))

    close(x_grad, x_too.grad)
    close(h_grad, start_too.hidden.grad)
    close(c_grad, start_too.cell.grad)
    for k, one in enumerate(each):
        for columns, name in ((slice(HIDDEN), "weight_hh_l0"), (slice(HIDDEN, -1), "weight_ih_l0")):
            i, f, o, g = weight_grad[k, :, columns].chunk(4)
            close(torch.cat([i, f, g, o]), getattr(one, name).grad)
        i, f, o, g = weight_grad[k, :, -1].chunk(4)
        close(torch.cat([i, f, g, o]), one.bias_ih_l0.grad)


@pytest.mark.parametrize("form", FORMS)
def test_gradients_equal_finite_differences(form) -> None:
    stream = torch.Generator().manual_seed(2)

    def draw(*shape):
        return torch.randn(*shape, generator=stream, dtype=torch.float64, requires_grad=True)

    def outputs(weights, x, hidden, memory):
        every, last = RECURRENCES[form](weights, x, State(hidden, memory))
        return every, last.hidden, last.cell

    assert torch.autograd.gradcheck(outputs, (draw(2, 12, 3 + 2 + 1), draw(4, 2, 2, 3), draw(2, 3, 3), draw(2, 3, 3)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("used", ["every", "hidden", "cell"])
def test_a_gradient_may_come_from_one_output_alone(form, used) -> None:
    _, weights = peers(torch.float64)
    x, _ = inputs(torch.float64)

    def gradient(name):
        every, last = RECURRENCES[name](weights, x.detach(), None)
        return torch.autograd.grad({"every": every, **last._asdict()}[used].square().sum(), weights)[0]

    torch.testing.assert_close(gradient(form), gradient("loop"), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_a_walk_may_be_taken_in_two_parts(form) -> None:
    _, weights = peers(torch.float64)
    x, start = inputs(torch.float64)
    whole, end = RECURRENCES[form](weights, x, start)
    first, between = RECURRENCES[form](weights, x[:3], start)
    second, last = RECURRENCES[form](weights, x[3:], between)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    torch.testing.assert_close(last.hidden, end.hidden)
    torch.testing.assert_close(last.cell, end.cell)


@pytest.mark.parametrize("form", FORMS)
def test_a_model_among_others_is_as_alone(form) -> None:
    _, weights = peers(torch.float32)
    x, start = inputs(torch.float32)
    together, _ = RECURRENCES[form](weights, x, start)
    for k in range(MODELS):
        mine = slice(k, k + 1)
        alone, _ = RECURRENCES[form](weights[mine], x[:, mine], State(start.hidden[mine], start.cell[mine]))
        torch.testing.assert_close(alone, together[:, mine], rtol=0, atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_handed_in_is_left_as_it_was(form) -> None:
    _, weights = peers(torch.float32)
    x, start = inputs(torch.float32)
    before = [part.detach().clone() for part in (weights, x, *start)]
    some_loss(*RECURRENCES[form](weights, x, start)).backward()
    for part, kept in zip((weights, x, *start), before, strict=True):
        assert torch.equal(part.detach(), kept)


@pytest.mark.parametrize("form", FORMS)
def test_a_model_gone_wrong_spoils_no_other(form) -> None:
    _, weights = peers(torch.float32)
    x, _ = inputs(torch.float32)
    sound = RECURRENCES[form](weights, x, None)[0].detach()
    with torch.no_grad():
        weights[1] = float("nan")
    every, last = RECURRENCES[form](weights, x, None)
    some_loss(every, last).backward()
    for k in (0, 2):
        assert torch.equal(every[:, k], sound[:, k])
        assert torch.isfinite(weights.grad[k]).all()
    assert torch.isnan(every[:, 1]).all()


@pytest.mark.parametrize("form", FORMS)
def test_large_inputs_saturate_and_do_not_overflow(form) -> None:
    weights = torch.full((1, 4, 3), 30.0, requires_grad=True)
    x = torch.full((3, 1, 1, 2), 1e4)
    every, last = RECURRENCES[form](weights, x, None)
    (every.sum() + last.cell.sum()).backward()
    assert torch.isfinite(every).all()
    assert torch.isfinite(weights.grad).all()


def test_a_cell_is_the_equations_of_the_tutorial() -> None:
    """Gate by gate, by hand, for one unit and one input."""
    w, u, b = (
        torch.tensor([0.1, -0.2, 0.3, 0.4]),
        torch.tensor([0.5, 0.6, -0.7, 0.8]),
        torch.tensor([0.0, 1.0, 0.0, -1.0]),
    )
    weights = join(w.view(1, 4, 1), u.view(1, 4, 1), b.view(1, 4, 1))
    x, h, c = 2.0, 0.25, -0.5
    i, f, o = (torch.sigmoid(w[k] * x + u[k] * h + b[k]) for k in range(3))
    g = torch.tanh(w[3] * x + u[3] * h + b[3])
    after = cell(weights, State(torch.full((1, 1, 1), h), torch.full((1, 1, 1), c)), torch.full((1, 1, 1), x))
    memory = f * c + i * g
    assert after.cell.item() == pytest.approx(memory.item())
    assert after.hidden.item() == pytest.approx((o * torch.tanh(memory)).item())


def test_a_walk_starts_from_nothing_when_nothing_is_handed_in() -> None:
    _, weights = peers(torch.float32)
    state = zero_state(weights, BATCH)
    assert state.hidden.shape == state.cell.shape == (MODELS, HIDDEN, BATCH)
    assert not state.hidden.any()
    assert not state.cell.any()
