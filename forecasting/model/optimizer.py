"""AdamW and the one-cycle schedule for many independent models, one per row."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["AdamW", "one_cycle"]

WARM_UP = 0.3
"""Share of the schedule in which the learning rate rises."""


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019) and each model's gradient clipped to a norm.

    Each row has its own moments, count of steps and learning rate, so that a model's updates are the same as if it were
    trained alone.

    Parameters
    ----------
    rows
        ``(models, parameters)``, a leaf that requires its gradient.
    weight_decay
        Decay of the parameters, times the learning rate, a step.
    clip_norm
        Largest norm of a model's gradient; infinite for none.
    betas, epsilon
        Adam's own (Kingma and Ba 2015).
    """

    def __init__(
        self,
        rows: Tensor,
        weight_decay: float,
        clip_norm: float,
        betas: tuple[float, float] = (0.9, 0.99),
        epsilon: float = 1e-8,
    ) -> None:
        self.rows = rows
        self._decay, self._clip, self._betas, self._epsilon = weight_decay, clip_norm, betas, epsilon
        self._mean = torch.zeros_like(rows)
        self._square = torch.zeros_like(rows)
        # Bias correction: the moments start from zero, so a share beta^steps of their weight is still on that zero.
        self._bias, self._factors = rows.new_ones(rows.shape[0], 2), rows.new_tensor(betas)

    @torch.no_grad()
    def step(self, first: int, rate: Tensor) -> None:
        """Update the first models by their gradients, with each model's learning rate ``(first, 1)``."""
        if self.rows.grad is None:
            raise RuntimeError("there is no gradient to step by; call backward first")
        grad, rows = self.rows.grad[:first], self.rows[:first]
        mean, square, bias = self._mean[:first], self._square[:first], self._bias[:first]
        grad *= (self._clip / (grad.norm(dim=1, keepdim=True) + 1e-6)).clamp(max=1)
        bias *= self._factors
        mean.lerp_(grad, 1 - self._betas[0])
        square.mul_(self._betas[1]).addcmul_(grad, grad, value=1 - self._betas[1])
        rows.mul_(1 - rate * self._decay)
        unbiased = (square / (1 - bias[:, 1:])).sqrt_().add_(self._epsilon)
        rows.sub_(mean.div(unbiased).mul_(rate / (1 - bias[:, :1])))
        self.rows.grad = None

    def keep(self, which: Tensor) -> Tensor:
        """Keep only the models at these places, with their state; returns the new leaf."""
        self.rows = self.rows.detach()[which].requires_grad_()
        self._mean, self._square, self._bias = self._mean[which], self._square[which], self._bias[which]
        return self.rows


def one_cycle(progress: Tensor, peak: float) -> Tensor:
    """Learning rate after a share ``progress`` of the schedule: cosine up from peak/25, then down to almost zero.

    The policy of Smith and Topin (2018), as commonly parametrised: 30 % of the way up, end at peak/250,000.
    """
    low, end = peak / 25, peak / 250_000
    rising = low + (peak - low) * 0.5 * (1 - torch.cos(torch.pi * progress / WARM_UP))
    falling = end + (peak - end) * 0.5 * (1 + torch.cos(torch.pi * (progress - WARM_UP) / (1 - WARM_UP)))
    return torch.where(progress < WARM_UP, rising, falling)
