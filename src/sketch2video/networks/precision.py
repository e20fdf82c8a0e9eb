"""The device that networks run on without Accelerate, and the precision in which it is fast."""

from __future__ import annotations

import torch


def device_name() -> str:
    """ "cuda" where there is a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def precision() -> str:
    """ "bf16" where the hardware multiplies in bfloat16, else "no", as Accelerate names them.

    ``ATEN_CPU_CAPABILITY=avx2``, PyTorch's variable, gives what a processor without AVX-512 has; with
    ``ONEDNN_MAX_CPU_ISA=AVX2`` its kernels are used, too.
    """
    if torch.cuda.is_available():
        fast = torch.cuda.is_bf16_supported(including_emulation=False)
    elif not torch.backends.cpu.get_cpu_capability().startswith("AVX512"):
        fast = False
    else:
        fast = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return "bf16" if fast else "no"
