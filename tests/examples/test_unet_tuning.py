"""Combined tuning of a UNet: all weights, or LoRA."""

from collections.abc import Callable
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor

from examples.unet_tuning import merge_lora, tuned_parameters
from sketch2video.steadiness.combined_tuning import tune
from sketch2video.steadiness.masked_losses import LossWeights
from tests.bases.tiny import tiny_unet

EVENLY = LossWeights(1, 1, 1)


def prediction(unet: UNet2DConditionModel) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    latents, text = (torch.randn(shape, generator=draw) for shape in ((1, 4, 8, 8), (1, 5, 16)))
    return unet(latents, torch.tensor(500), encoder_hidden_states=text).sample


def towards_zero(unet: UNet2DConditionModel) -> Callable[[int, torch.Generator], tuple[Tensor, Tensor, Tensor]]:
    mask = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    return lambda step, generator: (prediction(unet), mask, ~mask)


def test_all_weights_of_a_unet_are_tuned() -> None:
    unet = tiny_unet().requires_grad_(False)
    before = {name: weight.clone() for name, weight in unet.named_parameters()}
    curve = tune(towards_zero(unet), tuned_parameters(unet, None), EVENLY, steps=3, learning_rate=1e-3)
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert all(not torch.equal(weight, before[name]) for name, weight in unet.named_parameters())


def test_lora_begins_at_nothing_and_ends_as_plain_weights(tmp_path: Path) -> None:
    torch.manual_seed(0)
    unet = tiny_unet().eval()
    before = {name: weight.clone() for name, weight in unet.named_parameters()}
    with torch.no_grad():
        untuned = prediction(unet)
    tuned = tuned_parameters(unet, lora_rank=2)
    assert 0 < sum(weight.numel() for weight in tuned) < 0.1 * sum(weight.numel() for weight in before.values())
    torch.testing.assert_close(prediction(unet), untuned)
    curve = tune(towards_zero(unet), tuned, EVENLY, steps=20, learning_rate=1e-2)
    assert curve[-1]["loss"] < curve[0]["loss"]
    with torch.no_grad():
        learned = prediction(unet)
        assert not torch.allclose(learned, untuned, atol=1e-3)
        merge_lora(unet)
        torch.testing.assert_close(prediction(unet), learned, atol=1e-4, rtol=1e-4)
        after = dict(unet.named_parameters())
        assert after.keys() == before.keys()
        changed = {name.split(".")[-2] for name in after if not torch.equal(after[name], before[name])}
        assert changed == {"to_q", "to_k", "to_v", "0"}
        unet.save_pretrained(tmp_path)
        torch.testing.assert_close(prediction(UNet2DConditionModel.from_pretrained(tmp_path)), prediction(unet))
