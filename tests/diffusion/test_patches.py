import pytest
import torch
from torch.nn import functional

from sketch2video.diffusion.patches import Patches
from sketch2video.diffusion.video_transformer import VideoTransformer


@pytest.mark.parametrize(("distance", "lapped"), [(1, False), (2, False), (2, True), (4, True)])
@pytest.mark.parametrize("size", [(8, 8), (4, 12)])
def test_what_is_cut_and_merged_is_as_before(distance, lapped, size):
    latents, patches = torch.randn(2, 3, 5, *size), Patches(distance, lapped)
    parts = patches.cut(latents)
    assert parts.shape == (2, 3, size[0] * size[1] // distance**2, 5 * patches.positions)
    torch.testing.assert_close(patches.merge(parts, *size), latents)


def test_plain_patches_are_those_of_pixel_unshuffle():
    latents = torch.randn(1, 2, 3, 4, 6)
    parts = Patches(2).cut(latents)
    reference = functional.pixel_unshuffle(latents, 2)
    torch.testing.assert_close(parts[0, 1, 4], reference[0, 1, :, 1, 1])


def test_a_lapped_patch_reaches_half_a_patch_beyond_its_own():
    latents = torch.zeros(1, 1, 1, 8, 8)
    latents[..., 3, 3] = 1.0
    seen = Patches(2, lapped=True).cut(latents)[0, 0].sum(-1).view(4, 4)
    assert (seen > 0).nonzero().tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


def test_where_patches_disagree_their_predictions_change_gradually():
    parts = torch.zeros(1, 1, 16, 16)
    parts.view(4, 4, 16)[:, 2:] = 1.0  # the right half of the tokens predicts 1, the left half 0
    (row,) = Patches(2, lapped=True).merge(parts, 8, 8)[0, 0, 0, 3:4]
    torch.testing.assert_close(row, torch.tensor([0, 0, 0, 0.25, 0.75, 1, 1, 1]))
    plain = Patches(2).merge(parts[..., :4], 8, 8)[0, 0, 0, 3]
    torch.testing.assert_close(plain, torch.tensor([0.0, 0, 0, 0, 1, 1, 1, 1]))


def test_an_odd_patch_cannot_be_lapped():
    with pytest.raises(ValueError, match="choose an even patch"):
        Patches(1, lapped=True)


def test_a_network_with_lapped_patches_sees_and_predicts_all_positions():
    torch.manual_seed(0)
    network = VideoTransformer(4, 4, width=32, layers=2, heads=2, text_width=16, control_channels=0, lapped=True)
    torch.nn.init.normal_(network.patch_out.weight)
    latents = torch.randn(1, 2, 4, 8, 8, requires_grad=True)
    out = network(latents, torch.rand(1))
    assert out.shape == latents.shape
    (gradient,) = torch.autograd.grad(out.square().sum(), latents)
    assert (gradient != 0).all()
    assert out.std(dim=(0, 1, 2)).min() > 0
