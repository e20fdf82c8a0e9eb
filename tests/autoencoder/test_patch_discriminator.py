import pytest
import torch

from sketch2video.autoencoder.patch_discriminator import PatchDiscriminator


@pytest.mark.parametrize(("halvings", "side", "patch"), [(1, 46, 16), (2, 22, 34), (3, 10, 70)])
def test_a_logit_judges_its_own_patch_alone(halvings: int, side: int, patch: int) -> None:
    torch.manual_seed(0)
    model = PatchDiscriminator(width=8, halvings=halvings)
    frames = torch.rand(1, 3, 96, 96, requires_grad=True)
    logits = model(frames)
    assert logits.shape == (1, 1, side, side)
    (gradient,) = torch.autograd.grad(logits[0, 0, side // 2, side // 2], frames)
    rows = gradient.abs().sum((0, 1, 3)).nonzero().flatten()
    assert len(rows) == patch
    assert rows[-1] - rows[0] == patch - 1


def test_a_change_in_one_corner_does_not_reach_the_opposite_one() -> None:
    torch.manual_seed(0)
    model, frames = PatchDiscriminator(width=8), torch.rand(2, 3, 64, 64)
    changed = frames.clone()
    changed[..., :12, :12] += 5
    before, after = model(frames), model(changed)
    assert torch.equal(before[..., 8:, 8:], after[..., 8:, 8:])
    assert not torch.equal(before[..., 0, 0], after[..., 0, 0])


def test_channels_stop_growing() -> None:
    widths = [layer.out_channels for layer in PatchDiscriminator(8, 5).layers if hasattr(layer, "out_channels")]
    assert widths == [8, 16, 32, 64, 64, 64, 1]


def test_it_learns_to_tell_smooth_pictures_from_rough_ones() -> None:
    torch.manual_seed(0)
    model = PatchDiscriminator(width=8, halvings=1)
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(30):
        rough, smooth = torch.rand(4, 3, 16, 16), torch.rand(4, 3, 1, 1).expand(4, 3, 16, 16)
        loss = torch.relu(1 - model(rough)).mean() + torch.relu(1 + model(smooth)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert model(torch.rand(8, 3, 16, 16)).mean() > 0 > model(torch.rand(8, 3, 1, 1).expand(8, 3, 16, 16)).mean()
