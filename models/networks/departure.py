"""Departures to an anomaly score: what day zero knows, and what labelled hours of other machines add.

Day zero: the channel that departs most from its slow level, in units of its own wandering, against a limit. Where
people have marked faults on machines of the class, weights say how much each departure counts, upwards and downwards
apart, and a little, more, or far: a curve of three straight pieces on each side. What is farther than the last piece
counts no more, so one wild channel does not drown the others, and what learning never saw is not extrapolated.
The limit is inside the graph: a score of `LIMIT` is always where the alarm begins.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

LIMIT = 0.5
STEEP = 2.0  # of day zero: a score 20 % above the limit is a departure some 20 % above it
PIECES = ((0.0, 1.0), (1.0, 2.0), (3.0, 6.0))  # where a piece of a curve begins, and how long it is


def pieces(condition: Tensor) -> Tensor:
    """(N, D) -> (N, 2 P D): how much of each piece is covered, of the P upwards, then of the P downwards."""
    sides = (condition, -condition)
    return torch.cat([torch.clamp(x - begin, 0.0, long) for x in sides for begin, long in PIECES], dim=1)


class DepartureNetwork(nn.Module):
    """condition (N, 2 C): departures from the start, then from the slow level -> score (N,) 0 .. 1."""

    weight: Tensor
    bias: Tensor
    day_zero: Tensor

    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(2 * len(PIECES) * inputs))
        self.register_buffer("bias", torch.zeros(1))
        self.register_buffer("day_zero", torch.full((1,), STEEP))  # 0 once weights were learned

    def forward(self, condition: Tensor) -> tuple[Tensor]:
        """(N, 2 C) -> score (N,)."""
        slow = torch.abs(condition[:, condition.shape[1] // 2 :])
        most = torch.amax(torch.log1p(slow), dim=1)
        learned = (pieces(condition) * self.weight).sum(dim=1)
        return (torch.sigmoid(learned + self.day_zero * most + self.bias),)
