from __future__ import annotations

import pytest
import torch

from sketch2video.networks.precision import precision


@pytest.mark.parametrize("avx512_bf16", [False, True])
@pytest.mark.parametrize("amx_tile", [False, True])
@pytest.mark.parametrize("capability", ["DEFAULT", "AVX2", "AVX512", "NEON"])
def test_a_cpu_multiplies_in_bfloat16_by_avx512_or_amx(
    capability: str, amx_tile: bool, avx512_bf16: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both flags are those of the processor, which ``ATEN_CPU_CAPABILITY`` does not change."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx_tile)
    fast = capability == "AVX512" and (avx512_bf16 or amx_tile)
    assert precision() == ("bf16" if fast else "no")


@pytest.mark.parametrize("supported", [False, True])
def test_a_gpu_says_itself_whether_it_multiplies_in_bfloat16(supported: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(
        torch.cuda, "is_bf16_supported", lambda including_emulation=True: supported or including_emulation
    )
    assert precision() == ("bf16" if supported else "no")
