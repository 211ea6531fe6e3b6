"""The network's first convolution, exact under mixed precision.

Mixed precision rounds what enters a convolution. For inner feature maps, which a normalization has centered, that is
harmless. The input is not centered: after the sigmoid CT lies in [0.5, 0.731], where bfloat16 has 60 values, 13 of them
between 0 and 100 HU, and PET rounds to 1 from a z-score of 6 on. So this convolution is computed in float32, and hands
float32 on to the instance normalization of the first block, which takes the common offset away; the convolution behind
it is the first to round. ``benchmarks/input_precision.py`` measures what that changes and costs.
"""

from __future__ import annotations

import torch


class ExactConv3d(torch.nn.Conv3d):
    """A 3-D convolution in the precision of its weights, inside and outside of autocast."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Convolve (batch, channel, z, y, x); the result has the weights' dtype."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.to(self.weight.dtype))


def keep_exact(convolution: torch.nn.Conv3d) -> ExactConv3d:
    """The same convolution, with the same weights, exact. It has no bias, as all of SegResNet's but the heads."""
    made = ExactConv3d(
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,  # type: ignore[arg-type]  # torch declares a tuple of any length
        padding=convolution.padding,  # type: ignore[arg-type]
        bias=False,
        device="meta",  # draws no random numbers
    )
    made.weight = convolution.weight
    return made
