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
from torch.nn import functional

from hnseg.models.channels_last import ChannelsLastInstanceNorm3d, is_exporting


class ExactConv3d(torch.nn.Conv3d):
    """A 3-D convolution in the precision of its weights, inside and outside of autocast.

    On a CPU a single image is convolved as two slabs, a batch of two: torch hands a batch to oneDNN and a single image
    of few channels to a loop of its own, which takes several times as long and leaves its result in another memory
    order than the rest of the network works in.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Convolve (batch, channel, z, y, x); the result has the weights' dtype."""
        with torch.autocast(input.device.type, enabled=False):
            image = input.to(self.weight.dtype)
            if image.device.type == "cpu" and len(image) == 1 and image.shape[2] % 2 == 0 and not is_exporting():
                return _convolve_slabs(image, self)
            return super().forward(image)


def _convolve_slabs(image: torch.Tensor, layer: torch.nn.Conv3d) -> torch.Tensor:
    """Convolve one image (1, channel, z, y, x) of even length z as two halves, each with the neighbors it needs."""
    margin, half = layer.kernel_size[0] // 2, image.shape[2] // 2
    padded = functional.pad(image, (margin,) * 6)
    slabs = torch.cat([padded[:, :, : half + 2 * margin], padded[:, :, half:]])
    halves = functional.conv3d(slabs.contiguous(memory_format=torch.channels_last_3d), layer.weight, layer.bias)
    # In this memory order (slab, z, y, x, channel) one slab follows the other: the whole is a view.
    return halves.permute(0, 2, 3, 4, 1).flatten(0, 1)[None].permute(0, 4, 1, 2, 3)


class RoundingInstanceNorm3d(ChannelsLastInstanceNorm3d):
    """Instance normalization whose result is in autocast's precision, so that no float32 copy of it is kept."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalize (batch, channel, z, y, x); outside of autocast the dtype stays."""
        normalized = super().forward(input)
        kind = input.device.type
        return normalized.to(torch.get_autocast_dtype(kind)) if torch.is_autocast_enabled(kind) else normalized


def keep_input_exact(network: SegResNetDS) -> None:
    """Put these two in the place of the network's first convolution and first normalization.

    Their weights and the names of their weights stay. In float32 the network computes what it did, to rounding.
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
