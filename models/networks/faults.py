"""Lines and shape of a vibration to probabilities of faults, in two small parts that cannot learn each other's task.

* Which part is struck is told by the bearing's lines alone: outer race, inner race, or neither. The shape of a spectrum
  knows one bearing from another by heart, and tells nothing of a third one's part.
* Whether anything is struck at all is told by the shape: that is what balls without a clear line are known by.
* On a shape far from all that training saw the network knows nothing, and says so by equal probabilities.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

FAULTS = ("normal", "outer_race", "inner_race", "ball")  # `ball`: struck, and by neither race
LINES = 6  # of the condition: they come first
_LARGEST = 4.0  # scaled shapes beyond are cut
_SHARPNESS = 8.0  # how fast familiarity ends at its reach


class FaultNetwork(nn.Module):
    """condition (N, D) -> degradation (N,), the probability of a fault where the shape is known; fault (N, 4)."""

    location: Tensor
    scale: Tensor
    known: Tensor
    reach: Tensor
    taught: Tensor

    def __init__(self, inputs: int, known: int, *, width: int = 8) -> None:
        """`known` is the number of shapes that familiarity is measured by."""
        super().__init__()
        shape = inputs - LINES
        self.register_buffer("location", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))
        self.register_buffer("known", torch.zeros(known, shape))
        self.register_buffer("reach", torch.ones(1))
        self.register_buffer("taught", torch.ones(4))  # 0 for a class that training had no machine of
        self.part = nn.Sequential(nn.Linear(LINES, width), nn.Tanh(), nn.Linear(width, 3))
        self.struck = nn.Sequential(nn.Linear(shape, width), nn.Tanh(), nn.Linear(width, 1))

    def scaled(self, condition: Tensor) -> Tensor:
        """(N, D) -> shapes (N, D - 6) in the training's standard deviations."""
        return (condition[:, LINES:] - self.location) / self.scale

    def logits(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D) -> parts (N, 3): outer, inner, neither; struck (N,): what the losses are of."""
        shape = torch.clamp(self.scaled(condition), -_LARGEST, _LARGEST)
        return self.part(condition[:, :LINES]), self.struck(shape).squeeze(1)

    def familiar(self, condition: Tensor) -> Tensor:
        """(N, D) -> (N, 1): 1 near a known shape, 0 far from all of them."""
        square = (self.scaled(condition).unsqueeze(1) - self.known).square().mean(dim=2)
        nearest = torch.sqrt(square.amin(dim=1, keepdim=True))
        return torch.sigmoid(_SHARPNESS * (1.0 - nearest / self.reach))

    def forward(self, condition: Tensor) -> tuple[Tensor, Tensor]:
        """(N, D) -> degradation (N,), fault (N, 4) in the order of `FAULTS`."""
        parts, struck = self.logits(condition)
        fault = torch.sigmoid(struck).unsqueeze(1)
        told = torch.cat([1.0 - fault, fault * torch.softmax(parts, dim=1)], dim=1)
        told = told * self.taught * self.familiar(condition)
        unsure = 1.0 - told.sum(dim=1, keepdim=True)
        return told[:, 1:].sum(dim=1), told + unsure / len(FAULTS)
