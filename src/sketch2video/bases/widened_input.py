"""An input layer that also sees the latents of a control.

The layer of a pretrained network and a new one, which starts at zero, add up to one layer with more input channels (the
control LoRA of finetrainers and the control models of Wan widen theirs alike). At first the network therefore predicts
what it did before, with and without a control.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn


class WidenedInput(nn.Module):
    """A linear layer or convolution of C channels that accepts C or more.

    The channels are axis 1 of a convolution's input, the last axis of a linear layer's.

    Args:
        layer: the pretrained layer; its weights do not change.
        channels: additional channels of its input.
    """

    def __init__(self, layer: nn.Module, channels: int) -> None:
        super().__init__()
        self.layer = layer
        if isinstance(layer, nn.Linear):
            self.axis, self.channels = -1, layer.in_features
            self.control: nn.Module = nn.Linear(channels, layer.out_features, bias=False)
        elif isinstance(layer, nn.Conv2d | nn.Conv3d):
            self.axis, self.channels = 1, layer.in_channels
            shape = {"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.padding}
            self.control = type(layer)(channels, layer.out_channels, bias=False, **shape)  # type: ignore[arg-type]
        else:
            raise TypeError(f"{type(layer).__name__} cannot be widened")
        nn.init.zeros_(self.control.weight)

    def forward(self, x: Tensor) -> Tensor:
        """The layer's output; channels after the first C are those of the control, none or all."""
        if x.shape[self.axis] == self.channels:
            return self.layer(x)
        own, control = x.tensor_split([self.channels], dim=self.axis)
        out = self.layer(own)
        return out + self.control(control.to(cast(Tensor, self.control.weight).dtype)).to(out.dtype)


def widen(network: nn.Module, name: str, channels: int) -> WidenedInput:
    """Replace the layer of a network with this dotted name by a :class:`WidenedInput`, and return that."""
    parent, _, child = name.rpartition(".")
    owner = network.get_submodule(parent)
    widened = WidenedInput(getattr(owner, child), channels)
    setattr(owner, child, widened.to(next(network.parameters()).device))
    return widened


def concatenating(layer: WidenedInput, control: Tensor) -> torch.utils.hooks.RemovableHandle:
    """Append a control to whatever the layer receives, until the returned handle is removed.

    For networks that accept latents of a fixed number of channels only. A ``with`` block removes it at its end.
    """
    return layer.register_forward_pre_hook(lambda _, inputs: (torch.cat([inputs[0], control], dim=layer.axis),))
