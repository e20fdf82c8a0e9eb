"""Optimizers by name."""

from __future__ import annotations

from typing import Any

import torch

from sketch2video.errors import UserError
from sketch2video.params import Optimizer


def make_optimizer(
    name: Optimizer, groups: list[dict[str, Any]], rate: float, weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW, whose state has 32 or 8 bits.

    Args:
        name: ``adamw``; ``adamw_8bit`` is that of bitsandbytes (Dettmers et al. 2022, "8-bit optimizers via block-wise
            quantization"), whose state takes a quarter of the memory.
        groups: of parameters.
        rate: learning rate.
        weight_decay: weight decay.

    Raises:
        UserError: bitsandbytes is not installed.
    """
    if name == "adamw":
        return torch.optim.AdamW(groups, lr=rate, weight_decay=weight_decay)
    try:
        from bitsandbytes.optim import AdamW8bit
    except ImportError as error:
        raise UserError(
            "adamw_8bit needs the package bitsandbytes; run `pip install bitsandbytes`, or choose adamw"
        ) from error
    optimizer: torch.optim.Optimizer = AdamW8bit(groups, lr=rate, weight_decay=weight_decay)
    return optimizer
