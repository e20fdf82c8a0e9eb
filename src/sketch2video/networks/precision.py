"""The precision in which the hardware is fast."""

from __future__ import annotations

import torch


def precision() -> str:
    """ "bf16" where the hardware multiplies in bfloat16, else "no", as Accelerate names them."""
    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if fast else "no"
