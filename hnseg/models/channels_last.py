"""Instance normalization in channels-last memory order, so that a CPU does not copy every feature map twice.

torch's instance normalization makes its input contiguous, channel after channel, and the convolution that follows turns
it back. For a single image instance normalization is batch normalization over that image, which works in either order.
``benchmarks/train_step.py`` measures a training step with and without.
"""

from __future__ import annotations

import torch
from torch.nn import functional


class ChannelsLastInstanceNorm3d(torch.nn.InstanceNorm3d):
    """Instance normalization that keeps a single image's memory order on a CPU; elsewhere it is torch's own."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Normalize (batch, channel, z, y, x) over z, y and x."""
        if len(input) != 1 or input.device.type != "cpu" or is_exporting():
            return super().forward(input)
        return functional.batch_norm(input, None, None, self.weight, self.bias, training=True, eps=self.eps)


def is_exporting() -> bool:
    """Whether a layer is being recorded; an exported network holds torch's plain layers."""
    return torch.jit.is_tracing() or torch.compiler.is_compiling()  # type: ignore[attr-defined]


def keep_channels_last(network: torch.nn.Module) -> None:
    """Put this layer in the place of every plain instance normalization; weights and their names stay."""
    for module in list(network.modules()):
        for name, norm in list(module.named_children()):
            if type(norm) is torch.nn.InstanceNorm3d:
                # On "meta" nothing is drawn at random: the numbers that come after stay the same.
                made = ChannelsLastInstanceNorm3d(norm.num_features, eps=norm.eps, affine=True, device="meta")
                made.weight, made.bias = norm.weight, norm.bias
                setattr(module, name, made)
