"""The LSTM of every ticker as one tensor program: gates, recurrence and its gradient.

With a leading axis of models, gate by gate (Hochreiter and Schmidhuber 1997, with the forget gate of Gers,
Schmidhuber and Cummins 2000)::

    i = sigmoid(W_i x_t + U_i h_{t-1} + b_i)      c_t = f c_{t-1} + i g
    f = sigmoid(W_f x_t + U_f h_{t-1} + b_f)      h_t = o tanh(c_t)
    o = sigmoid(W_o x_t + U_o h_{t-1} + b_o)
    g = tanh   (W_g x_t + U_g h_{t-1} + b_g)

One model's parameters are one matrix, ``[U | W | b]`` with the gates in the order i, f, o, g, so that a time step of
all models is one batched product with ``[h_{t-1}; x_t; 1]``. Three forms give the same numbers: ``loop``, ``scan``
(a pure cell folded over time) and ``fused`` (the loop with its gradient written by hand; the fast one).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import accumulate
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

__all__ = ["RECURRENCES", "Recurrence", "State", "cell", "fused", "join", "loop", "scan", "zero_state"]


class State(NamedTuple):
    """What an LSTM carries from one time step to the next, each ``(models, hidden, batch)``."""

    hidden: Tensor
    cell: Tensor


Recurrence = Callable[[Tensor, Tensor, State | None], tuple[Tensor, State]]
"""``(weights, x, state) -> (hidden of every step, last state)``.

``weights`` is ``(models, 4 hidden, hidden + inputs + 1)``, ``x`` is ``(time, models, inputs, batch)``, the hidden
states come back as ``(time, models, hidden, batch)``. No state means zeros.
"""


def join(input_weights: Tensor, hidden_weights: Tensor, bias: Tensor) -> Tensor:
    """Put W ``(models, 4 hidden, inputs)``, U ``(models, 4 hidden, hidden)`` and b ``(models, 4 hidden, 1)`` in one."""
    return torch.cat([hidden_weights, input_weights, bias], dim=2)


def zero_state(weights: Tensor, batch: int) -> State:
    """Where a window starts from when nothing is handed in."""
    models, hidden = weights.shape[0], weights.shape[1] // 4
    zeros = weights.new_zeros(models, hidden, batch)
    return State(zeros, zeros)


def cell(weights: Tensor, state: State, x_t: Tensor) -> State:
    """One time step of every model, as a pure function of the state and the inputs ``(models, inputs, batch)``."""
    hidden = weights.shape[1] // 4
    ones = x_t.new_ones(x_t.shape[0], 1, x_t.shape[2])
    gates = torch.bmm(weights, torch.cat([state.hidden, x_t, ones], dim=1))
    i, f, o = gates[:, : 3 * hidden].sigmoid().split(hidden, dim=1)
    g = gates[:, 3 * hidden :].tanh()
    c = f * state.cell + i * g
    return State(o * c.tanh(), c)


def loop(weights: Tensor, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    """Walk over time, keeping every hidden state; see `Recurrence` for the shapes."""
    state = zero_state(weights, x.shape[3]) if state is None else state
    hidden = []
    for x_t in x:
        state = cell(weights, state, x_t)
        hidden.append(state.hidden)
    return torch.stack(hidden), state


def scan(weights: Tensor, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    """Fold the pure cell over time; see `Recurrence` for the shapes."""
    start = zero_state(weights, x.shape[3]) if state is None else state
    states = list(accumulate(x.unbind(), partial(cell, weights), initial=start))
    return torch.stack([each.hidden for each in states[1:]]), states[-1]


def fused(weights: Tensor, x: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    """Walk over time with the gradient of the whole walk written by hand; see `Recurrence` for the shapes."""
    state = zero_state(weights, x.shape[3]) if state is None else state
    hidden, last_hidden, last_cell = _Fused.apply(weights, x, state.hidden, state.cell)
    return hidden, State(last_hidden, last_cell)


RECURRENCES: dict[Literal["fused", "loop", "scan"], Recurrence] = {"fused": fused, "loop": loop, "scan": scan}


class _Fused(torch.autograd.Function):
    """The recurrence with in-place arithmetic on buffers that hold all time steps.

    tanh is computed as 2 sigmoid(2x) - 1, which costs a fraction of tanh on a CPU: the gates' doubling is folded into
    the weights of g, so that one sigmoid serves all four gates.
    """

    @staticmethod
    def forward(ctx: Any, weights: Tensor, x: Tensor, h_0: Tensor, c_0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return all hidden states ``(time, models, hidden, batch)``, the last of them, and the last cell state."""
        time, models, inputs, batch = x.shape
        hidden = h_0.shape[1]
        minus_one = x.new_tensor(-1.0)
        doubled = weights.clone()
        doubled[:, 3 * hidden :] *= 2
        # Row t holds [h_{t-1}; x_t; 1]; one row more, for the last hidden state.
        joined = x.new_empty(time + 1, models, hidden + inputs + 1, batch)
        joined[:time, :, hidden:-1] = x
        joined[:, :, -1] = 1
        joined[0, :, :hidden] = h_0
        gates = x.new_empty(time, models, 4, hidden, batch)
        cells = x.new_empty(time + 1, models, hidden, batch)
        cells[0] = c_0
        squashed = x.new_empty(time, models, hidden, batch)  # tanh(c_t)
        row, out, c, tanh_c = joined.unbind(), joined[1:, :, :hidden].unbind(), cells.unbind(), squashed.unbind()
        products = gates.view(time, models, 4 * hidden, batch).unbind()
        for t, (i, f, o, g) in enumerate(zip(*_by_gate(gates), strict=True)):
            torch.bmm(doubled, row[t], out=products[t]).sigmoid_()
            torch.add(minus_one, g, alpha=2, out=g)
            torch.mul(f, c[t], out=c[t + 1]).addcmul_(i, g)
            torch.mul(c[t + 1], 2, out=tanh_c[t]).sigmoid_()
            torch.add(minus_one, tanh_c[t], alpha=2, out=tanh_c[t])
            torch.mul(o, tanh_c[t], out=out[t])
        ctx.save_for_backward(weights, joined, gates, cells, squashed)
        ctx.set_materialize_grads(False)
        return joined[1:, :, :hidden], out[-1].clone(), c[-1].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(
        ctx: Any, grad_hidden: Tensor | None, grad_last: Tensor | None, grad_cell: Tensor | None
    ) -> tuple[Tensor, Tensor | None, Tensor, Tensor]:
        """Return the gradients of weights, inputs and both initial states, from those of the three results."""
        weights, joined, gates, cells, squashed = ctx.saved_tensors
        time, models, _, hidden, batch = gates.shape
        back_to_hidden = weights[:, :, :hidden].transpose(1, 2).contiguous()
        back_to_inputs = weights[:, :, hidden:-1].transpose(1, 2).contiguous()
        # Transposed, (models, hidden + inputs + 1, 4 hidden): products with a long last axis are the faster ones.
        d_weights = torch.zeros_like(weights.transpose(1, 2), memory_format=torch.contiguous_format)
        d_x = joined.new_empty(time, models, weights.shape[2] - hidden - 1, batch) if ctx.needs_input_grad[1] else None
        # One time step's gradients before the gates' squashing; small enough to stay in the processor's cache.
        before = torch.empty_like(gates[0])
        (d_i, d_f, d_o, d_g), product = before.unbind(1), before.view(models, 4 * hidden, batch)
        dh = torch.zeros_like(cells[0]) if grad_last is None else grad_last.clone()
        dc = torch.zeros_like(cells[0]) if grad_cell is None else grad_cell.clone()
        part, slope = torch.empty_like(dc), torch.empty_like(gates[0, :, :3])
        row, c, tanh_c, sigmoids = joined.unbind(), cells.unbind(), squashed.unbind(), gates[:, :, :3].unbind()
        for t, (i, f, o, g) in reversed(list(enumerate(zip(*_by_gate(gates), strict=True)))):
            if grad_hidden is not None:
                dh += grad_hidden[t]
            # d(o tanh c)/dc = o (1 - tanh^2 c)
            torch.mul(dh, tanh_c[t], out=d_o)
            dc.addcmul_(dh, o).addcmul_(torch.mul(d_o, o, out=part), tanh_c[t], value=-1)
            torch.mul(dc, g, out=d_i)
            torch.mul(dc, c[t], out=d_f)
            torch.mul(dc, i, out=d_g)
            # The slopes: s (1 - s) for the three sigmoids, 1 - g^2 for the tanh.
            before[:, :3].mul_(torch.addcmul(sigmoids[t], sigmoids[t], sigmoids[t], value=-1, out=slope))
            d_g.addcmul_(torch.mul(d_g, g, out=part), g, value=-1)
            dc.mul_(f)
            d_weights.baddbmm_(row[t], product.transpose(1, 2))
            if d_x is not None:
                torch.bmm(back_to_inputs, product, out=d_x[t])
            torch.bmm(back_to_hidden, product, out=dh)
        return d_weights.transpose(1, 2), d_x, dh, dc


def _by_gate(gates: Tensor) -> list[tuple[Tensor, ...]]:
    """View ``(time, models, 4, hidden, batch)`` as four sequences over time, in the order i, f, o, g."""
    return [gate.unbind() for gate in gates.unbind(2)]
