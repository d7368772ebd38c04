"""From where a machine's slow channels have been to its remaining life, for a fleet that has failed often.

* They see the few directions in which the channels move together, not each channel (`training/fleet/directions.py`),
  and have learned from machines that were made up after the fleet's lives (`training/fleet/made_up.py`).
* Small networks answer side by side and their mean counts: what one took for wear by chance, the others did not.
* The life is learned up to a cap: a new machine shows nothing that could tell 200 from 300. The median never says more
  than the cap; p95 is learned beyond it, so that it holds for a new machine, too.
* Quantiles are the median less and plus steps that are never negative, so they cannot cross.
* Degradation is the share of the cap that is gone.
* A machine shows a trend where its channels have gone farther from their start, on average over some time, than noise
  would have taken them. Age alone is none: without a trend there is no degradation, and no date of this machine.
* The graph reckons in double precision: near the end an answer is a small difference of large numbers, and in float32
  it would depend on the processor's order of adding. Learning, where that does not matter, stays in float32.
* All that a device would otherwise have to know (directions, scaler, cap, widening) is inside the graph.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LARGEST_TREND = 10.0
FARTHEST = 4.0  # scaled inputs beyond are cut: what training never saw must not be extrapolated
_NARROW = 2.0  # learning starts with steps of softplus(-2), 0.13 of the cap


class FleetNetwork(nn.Module):
    """condition (N, D) -> degradation (N,), rul_s (N, 3): p05, p50, p95; trend (N,)."""

    location: Tensor
    mix: Tensor
    centre: Tensor
    moved: Tensor
    cap_s: Tensor
    widening: Tensor

    def __init__(self, inputs: int, directions: int, members: int, *, width: int = 64) -> None:
        super().__init__()
        self.register_buffer("location", torch.zeros(inputs))
        self.register_buffer("mix", torch.zeros(inputs, directions))  # (D, E)
        self.register_buffer("centre", torch.zeros(directions))  # (E,)
        self.register_buffer("moved", torch.zeros(inputs, 1))  # (D, M) movements, 1 where one shows
        self.register_buffer("cap_s", torch.ones(1))
        self.register_buffer("widening", torch.zeros(1))  # of both ends, in caps
        sizes = (directions, width, width, 3)
        bounds = [n**-0.5 for n in sizes]
        self.weights = nn.ParameterList(
            nn.Parameter(torch.empty(members, a, b).uniform_(-r, r))
            for a, b, r in zip(sizes, sizes[1:], bounds, strict=False)
        )
        self.biases = nn.ParameterList(nn.Parameter(torch.zeros(members, 1, b)) for b in sizes[1:])

    def scaled(self, condition: Tensor) -> Tensor:
        """(..., D) -> (..., E): inputs as the members take them."""
        location, mix, centre = (t.to(condition.dtype) for t in (self.location, self.mix, self.centre))
        return torch.clamp((condition - location) @ mix - centre, -FARTHEST, FARTHEST)

    def members(self, scaled: Tensor) -> Tensor:
        """(1 or K, N, E) -> (K, N, 3): what each member says, median and steps down and up in caps."""
        x = scaled
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = torch.relu(torch.matmul(x, weight.to(x.dtype)) + bias.to(x.dtype))
        said = torch.matmul(x, self.weights[-1].to(x.dtype)) + self.biases[-1].to(x.dtype)
        steps = nn.functional.softplus(said[..., 1:] - _NARROW)
        return torch.cat([said[..., :1], steps], dim=-1)

    def trend(self, condition: Tensor) -> Tensor:
        """(N, D) -> (N,): the largest movement, from 0 on; below 1 none shows."""
        far = torch.abs(condition @ self.moved.to(condition.dtype)).amax(dim=1)
        return torch.clamp(far, max=_LARGEST_TREND)

    def forward(self, condition: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(N, D) -> degradation (N,) 0 .. 1, rul_s (N, 3) in seconds, trend (N,) from 0 on."""
        said = self.members(self.scaled(condition.double()).unsqueeze(0)).mean(dim=0)
        median = said[:, :1]
        low, high = median - said[:, 1:2] - self.widening, median + said[:, 2:3] + self.widening
        shown = torch.clamp(median, 0.0, 1.0)
        low, high = torch.minimum(torch.relu(low), shown), torch.maximum(high, shown)
        rul_s = torch.cat([low, shown, high], dim=1) * self.cap_s
        trend = self.trend(condition.double())
        degradation = (1.0 - shown.squeeze(1)) * torch.clamp(trend, max=1.0)
        return degradation.float(), rul_s.float(), trend.float()
