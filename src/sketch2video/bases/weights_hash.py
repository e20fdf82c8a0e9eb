"""A hash of a network's weights that is the same however they are stored."""

from __future__ import annotations

import hashlib

import torch
from torch import nn

SAMPLES = 64
"""Weights of each tensor that count. Training, merging and quantisation change nearly all of them."""


def weights_hash(network: nn.Module) -> str:
    """Hexadecimal SHA-256 over evenly spaced weights of every parameter, rounded to bfloat16.

    It takes a second for billions of weights. Names of parameters, the division into files, and float32 or bfloat16
    make no difference; other values or other shapes do.
    """
    digests = []
    for weight in network.parameters():
        flat = weight.detach().flatten()
        chosen = torch.linspace(0, len(flat) - 1, min(SAMPLES, len(flat)), dtype=torch.float64).round().long()
        values = flat[chosen.to(flat.device)].to(torch.bfloat16).view(torch.int16).cpu().numpy()
        digests.append(hashlib.sha256(f"{tuple(weight.shape)} ".encode() + values.tobytes()).hexdigest())
    return hashlib.sha256("".join(sorted(digests)).encode()).hexdigest()
