"""The network's input, exact under mixed precision.

Mixed precision rounds what enters a convolution. For inner feature maps, which a normalization has centered, that is
harmless. The input is not centered: after the sigmoid CT lies in [0.5, 0.731], where bfloat16 has 60 values, 13 of them
between 0 and 100 HU, and PET rounds to 1 from a z-score of 6 on. So the first convolution is computed in float32 and
hands float32 on to the instance normalization of the first block. That takes the common offset away, in float32, and
rounds its result; from there on the network is in half precision. ``benchmarks/input_precision.py`` measures what that
changes and costs.
"""

from __future__ import annotations

import torch
from monai.networks.nets import SegResNetDS


class ExactConv3d(torch.nn.Conv3d):
    """A 3-D convolution in the precision of its weights, inside and outside of autocast."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Convolve (batch, channel, z, y, x); the result has the weights' dtype."""
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input.to(self.weight.dtype))


class RoundingInstanceNorm3d(torch.nn.InstanceNorm3d):
    """Instance normalization whose result is in autocast's precision, so that no float32 copy of it is kept."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalize (batch, channel, z, y, x); outside of autocast the dtype stays."""
        normalized = super().forward(input)
        kind = input.device.type
        return normalized.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else normalized


def keep_input_exact(network: SegResNetDS) -> None:
    """Put these two in the place of the network's first convolution and first normalization.

    Their weights and the names of their weights stay. In float32 the network computes what it did, bit for bit.
    """
    encoder, block = network.encoder, network.encoder.layers[0]["blocks"][0]
    first, norm = encoder.conv_init, block.norm1
    # On "meta" nothing is drawn at random: the numbers that come after stay the same.
    encoder.conv_init = ExactConv3d(
        first.in_channels, first.out_channels, first.kernel_size, padding=first.padding, bias=False, device="meta"
    )
    encoder.conv_init.weight = first.weight
    block.norm1 = RoundingInstanceNorm3d(norm.num_features, eps=norm.eps, affine=True, device="meta")
    block.norm1.weight, block.norm1.bias = norm.weight, norm.bias
