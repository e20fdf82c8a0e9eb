from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import VideoMAEConfig, VideoMAEModel

from sketch2video.autoencoder.adversarial import hinge_discriminator_loss
from sketch2video.errors import UserError
from sketch2video.tokens.video_discriminator import (
    CHANGE_SCALE,
    pretrained_video_discriminator,
    small_video_discriminator,
)


def test_every_piece_of_every_frame_is_judged_by_all_five() -> None:
    torch.manual_seed(0)
    discriminator = small_video_discriminator(size=32, width=32, layers=1).eval()
    frames = torch.rand(2, 5, 3, 32, 32, requires_grad=True)
    logits = discriminator(frames)
    assert logits.shape == (2, 5 * 8 * 8)
    (gradient,) = torch.autograd.grad(logits[0, 0], frames)
    reached = gradient.abs().sum((2, 3, 4))
    assert (reached[0] > 0).all()
    assert not reached[1].any()


def test_other_numbers_of_frames_are_refused() -> None:
    discriminator = small_video_discriminator(size=32, width=32, layers=1)
    with pytest.raises(ValueError, match="expected"):
        discriminator(torch.rand(1, 4, 3, 32, 32))


def test_frames_that_waver_are_soon_told_from_frames_that_do_not() -> None:
    torch.manual_seed(0)
    discriminator = small_video_discriminator(size=32, width=32, layers=1)
    optimizer = torch.optim.AdamW(discriminator.parameters(), lr=3e-3)

    def loss() -> torch.Tensor:
        still = torch.rand(8, 1, 3, 1, 1).expand(-1, 5, -1, 32, 32) * 1.6 - 0.8
        wavering = still + 0.1 * torch.randn(8, 5, 3, 8, 8).repeat_interleave(4, 3).repeat_interleave(4, 4)
        return hinge_discriminator_loss(*discriminator(torch.cat([still, wavering])).chunk(2))

    assert loss() > 1.8
    for _ in range(40):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    with torch.no_grad():
        assert loss() < 0.3, "chance is 2; without the changes it would still be at 1.4"


def test_a_pretrained_encoder_sees_frames_as_it_expects_them(tmp_path: Path) -> None:
    config = VideoMAEConfig(
        image_size=48,
        patch_size=16,
        num_frames=8,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
    )
    torch.manual_seed(0)
    VideoMAEModel(config).save_pretrained(tmp_path)
    discriminator = pretrained_video_discriminator(str(tmp_path))
    seen: list[torch.Tensor] = []
    discriminator.encoder.register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    frames = (torch.arange(5) / 4).view(1, 5, 1, 1, 1).expand(-1, -1, 3, 32, 32) * 2 - 1
    assert discriminator(frames).shape == (1, 4 * 3 * 3)
    assert seen[0].shape == (1, 8, 6, 48, 48)
    pixels = seen[0][:, :, :3] * discriminator.std + discriminator.mean
    expected = torch.tensor([0, 1, 1, 2, 2, 3, 3, 4]) / 4
    torch.testing.assert_close(pixels, expected.view(1, 8, 1, 1, 1).expand_as(pixels), atol=1e-5, rtol=0)
    changes = seen[0][:, :, 3:] * discriminator.std / CHANGE_SCALE
    since = torch.tensor([0, 1, 1, 1, 1, 1, 1, 1]) / 4
    torch.testing.assert_close(changes, since.view(1, 8, 1, 1, 1).expand_as(changes), atol=1e-5, rtol=0)
    untouched = VideoMAEModel.from_pretrained(tmp_path).eval()
    discriminator.eval()
    torch.testing.assert_close(
        discriminator.encoder(seen[0]).last_hidden_state, untouched(seen[0][:, :, :3]).last_hidden_state
    )
    assert all(weight.requires_grad for weight in discriminator.encoder.parameters())


def test_a_missing_encoder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing cannot be loaded as a VideoMAE .*discriminator_pretrained"):
        pretrained_video_discriminator(str(tmp_path / "nothing"))
