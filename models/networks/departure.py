"""Departures to an anomaly score: what day zero knows, and what labelled hours of other machines add.

Day zero: the channel that departs most from its slow level, in units of its own wandering, against a limit. Where
people have marked faults on machines of the class, signed weights say which departures of which channels belong to
faults.
Large departures are taken by their logarithm, so that one wild channel does not drown the others. The limit is inside
the graph: a score of `LIMIT` is always where the alarm begins.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LIMIT = 0.5
STEEP = 2.0  # of day zero: a score 20 % above the limit is a departure some 20 % above it
LARGEST = 4.0  # of an input in its own units; what learning never saw must not be extrapolated


class DepartureNetwork(nn.Module):
    """condition (N, 2 C): departures from the start, then from the slow level -> score (N,) 0 .. 1."""

    scale: Tensor
    weight: Tensor
    bias: Tensor
    day_zero: Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("scale", torch.ones(inputs))
        self.register_buffer("weight", torch.zeros(inputs))
        self.register_buffer("bias", torch.zeros(1))
        self.register_buffer("day_zero", torch.full((1,), STEEP))  # 0 once weights were learned

    def forward(self, condition: Tensor) -> tuple[Tensor]:
        """(N, 2 C) -> score (N,)."""
        departures = torch.log1p(torch.relu(condition)) - torch.log1p(torch.relu(-condition))
        slow = departures[:, condition.shape[1] // 2 :]
        most = torch.amax(torch.abs(slow), dim=1)
        known = torch.clamp(departures / self.scale, -LARGEST, LARGEST)
        score = (known * self.weight).sum(dim=1) + self.day_zero * most + self.bias
        return (torch.sigmoid(score),)
