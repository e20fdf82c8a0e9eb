"""Offloading to the CPU, with a second device that refuses to compute with what lies on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sketch2video.curves import CurveSequence
from tests.systems.every_system import CAPTION, FRAMES, asked, made
from tests.systems.second_device import DEVICE, SecondDevice

LAYERS = torch.nn.Linear, torch.nn.Conv2d
INK = np.zeros((32, 32), np.uint8)
INK[8:24, 16] = 255
PICTURES = np.random.default_rng(0).integers(0, 256, (1, 2, 32, 32, 3), np.uint8)
STROKES = CurveSequence(np.tile(np.float32([[[0.5, 0.3], [0.5, 0.1]]]), (2, 1, 1, 1)), np.ones((2, 1), np.float32))

CALLS: dict[str, tuple[str, dict[str, Any]]] = {
    "a drawing of one's own of one frame": ("sketch_ldm", {"sketches": {0: INK}}),
    "no caption": ("sketch_ldm", {"captions": None}),
    "given frames and a control video": ("text_ldm", {"frames": PICTURES}),
    "given latents": ("text_ldm", {"latents": torch.ones(1, FRAMES, 4, 8, 8)}),
    "tokens": ("hierarchical_vqgan", {"frames": PICTURES, "num_frames": 3}),
    "given strokes": ("hierarchical_vqgan", {"strokes": [STROKES], "num_frames": 2}),
    "captions that change": ("long_video", {"captions": [[(0, CAPTION), (3, "a blue star grows")]]}),
    "fused backgrounds": ("long_video", {"num_frames": 8}),
    "an adapted base": ("adapted_video", {"control_guidance_scale": 1.5}),
    "an adapted base and a drawing of one frame": ("adapted_video", {"sketches": {0: INK}}),
}


@pytest.fixture(autouse=True)
def second_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diffusers.pipelines.pipeline_utils.empty_device_cache", lambda _: None)  # asks for its module
    for module in ("pipelines.latent_video", "systems.adapted_video.pipeline"):
        monkeypatch.setattr(f"sketch2video.{module}.precision", lambda: "no")


@pytest.mark.parametrize("way", ["model", "sequential"])
@pytest.mark.parametrize("call", CALLS)
def test_what_is_offloaded_comes_to_the_device_when_it_is_needed(call: str, way: str, tmp_path: Path) -> None:
    name, changes = CALLS[call]
    arguments = asked(name, num_inference_steps=2, output_type="pt") | {"captions": CAPTION} | changes
    pipe = made(name, tmp_path)
    if call == "fused backgrounds":
        pipe.register_to_config(fusion_times=[0.9, 0.0])
    expected = pipe(**arguments).frames
    assert expected.std() > 0.01
    with SecondDevice() as device:
        getattr(pipe, f"enable_{way}_cpu_offload")(device=DEVICE)
        assert pipe._execution_device == DEVICE
        arguments["generator"].manual_seed(0)
        found = pipe(**arguments).frames
        assert device.calls > 0
        torch.testing.assert_close(found.cpu(), expected, atol=1e-4, rtol=1e-4)
    networks = (part for part in pipe.components.values() if isinstance(part, torch.nn.Module))
    layers = (layer for network in networks for layer in network.modules() if isinstance(layer, LAYERS))
    assert {layer.weight.device.type for layer in layers} == {"cpu" if way == "model" else "meta"}


def test_the_second_device_refuses_what_lies_on_the_cpu() -> None:
    with SecondDevice(), torch.no_grad():
        layer = torch.nn.Linear(2, 3).to(DEVICE)
        numbers = torch.rand(4, 2)
        torch.testing.assert_close(layer(numbers.to(DEVICE)).cpu(), layer.to("cpu")(numbers))
        layer.to(DEVICE)
        with pytest.raises(RuntimeError, match="tensors of maia:0 and of cpu"):
            layer(numbers)
        with pytest.raises(RuntimeError, match="tensors of maia:0 and of cpu"):
            numbers + torch.zeros(2, device=DEVICE)
