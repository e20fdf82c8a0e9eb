"""Losses of a generator and a discriminator, and the adaptive weight of the adversarial loss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.networks.processes import average

LARGEST_WEIGHT = 1e4

DISCRIMINATOR_SCALE = 0.01
"""Weight of a discriminator's loss where it is added to its generator's. AdamW takes the same steps at any scale, but
the training loop clips all gradients together, and the discriminator's, whose norm is up to a hundred times as large,
would shrink the generator's."""


Generator = TypeVar("Generator", bound=nn.Module)
Discriminator = TypeVar("Discriminator", bound=nn.Module | None)


class Adversaries(nn.Module, Generic[Generator, Discriminator]):
    """A generator and the discriminator that it is trained against, if any: one module, to share a training loop."""

    generator: Generator
    discriminator: Discriminator

    def __init__(self, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.generator = generator
        self.discriminator = discriminator


def hinge_discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's hinge loss of logits of any shape: scalar, 2 for zero logits (Lim & Ye 2017, eq. 3).

    Args:
        real: logits of real pictures or videos.
        fake: logits of generated ones.
    """
    return functional.relu(1 - real).mean() + functional.relu(1 + fake).mean()


def hinge_generator_loss(fake: Tensor) -> Tensor:
    """The generator's loss, of the discriminator's logits of generated samples: scalar (Lim & Ye 2017, eq. 4)."""
    return -fake.mean()


def adaptive_weight(reconstruction_loss: Tensor, adversarial_loss: Tensor, last_layer: Tensor) -> Tensor:
    """The weight at which adversarial and reconstruction gradient have the same norm at the generator's last layer.

    λ of Esser et al. 2021, "Taming Transformers for High-Resolution Image Synthesis", eq. 7.

    Args:
        reconstruction_loss, adversarial_loss: scalars with a graph, which is kept.
        last_layer: the parameter at which the gradients are taken.

    Returns:
        A scalar in [0, 10,000] without a gradient.
    """
    reconstruction, adversarial = (
        average(torch.autograd.grad(loss, last_layer, retain_graph=True)[0]).norm()
        for loss in (reconstruction_loss, adversarial_loss)
    )
    return (reconstruction / (adversarial + 1e-6)).clamp(0, LARGEST_WEIGHT).detach()


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Within the block a network's parameters receive no gradients."""
    network.requires_grad_(False)
    try:
        yield
    finally:
        network.requires_grad_(True)
