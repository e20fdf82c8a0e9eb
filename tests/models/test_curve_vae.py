import numpy as np
import pytest
import torch
from torch import Tensor

from sketch2video.curves import CurveSequence
from sketch2video.models.curve_vae import CurveVAE, LatentFlow, frame_times, take_apart, within_budget

STROKES, HARMONICS, TEXT = 3, 9, 12


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture
def vae() -> CurveVAE:
    vae = CurveVAE(STROKES, HARMONICS, TEXT, width=16, layers=2, heads=2, latent_dim=4, time_terms=6, budget=40)
    with torch.no_grad():  # heads start near zero; what they say should matter here
        for parameter in vae.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return vae.eval()


def clips(count: int = 2, frames: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Coefficients that fall with k, visibility in which every stroke is missing somewhere, frame rates."""
    fall = torch.arange(1, HARMONICS + 1).float().pow(-1.5)
    coefficients = 0.3 * torch.randn(count, frames, STROKES, 2, HARMONICS) * fall
    visibility = torch.ones(count, frames, STROKES)
    visibility[0, 2:, 1] = 0.0
    visibility[1, :, 2] = 0.0
    return coefficients, visibility, torch.tensor([8.0, 24.0])


def captions(count: int = 2, words: int = 4) -> tuple[Tensor, Tensor]:
    return torch.randn(count, words, TEXT), torch.ones(count, words, dtype=torch.bool)


def test_place_is_the_mean_of_a_strokes_points_and_size_their_spread() -> None:
    coefficients, visibility, _ = clips()
    strokes = take_apart(coefficients, visibility)
    sequence = CurveSequence(coefficients[0].numpy(), visibility[0].numpy())
    points = sequence.points(20001)  # the trapezoid rule over u
    weight = np.r_[0.5, np.ones(19999), 0.5][:, None] / 20000
    mean = (points * weight).sum(2)
    spread = np.sqrt((((points - mean[:, :, None]) ** 2) * weight).sum((2, 3)))
    np.testing.assert_allclose(strokes.place[0], mean, atol=1e-5)
    np.testing.assert_allclose(strokes.log_size[0].exp(), spread, rtol=1e-4)
    torch.testing.assert_close(strokes.coefficients(), coefficients)


def test_a_dot_has_a_finite_size() -> None:
    strokes = take_apart(torch.zeros(1, 1, 1, 2, 4), torch.ones(1, 1, 1))
    assert torch.isfinite(strokes.log_size).all()
    assert (strokes.coefficients() == 0).all()


def test_invisible_strokes_have_no_influence_on_the_latent(vae: CurveVAE) -> None:
    coefficients, visibility, fps = clips()
    expected = vae.encode(coefficients, visibility, fps)
    changed = torch.where(visibility[..., None, None] > 0, coefficients, 7.0)
    for got, want in zip(vae.encode(changed, visibility, fps), expected, strict=True):
        torch.testing.assert_close(got, want)


def test_strokes_frames_and_rate_matter_to_the_latent(vae: CurveVAE) -> None:
    coefficients, visibility, fps = clips()
    mean = vae.encode(coefficients, visibility, fps).mean
    for other in (
        vae.encode(coefficients.flip(1), visibility.flip(1), fps),
        vae.encode(coefficients.flip(2), visibility.flip(2), fps),
        vae.encode(coefficients, visibility, 2 * fps),
    ):
        assert (other.mean - mean).abs().max() > 1e-4


def test_kl_is_that_of_torch(vae: CurveVAE) -> None:
    posterior = vae.encode(*clips())
    gaussian = torch.distributions.Normal(posterior.mean, (0.5 * posterior.log_variance).exp())
    torch.testing.assert_close(
        posterior.kl(), torch.distributions.kl_divergence(gaussian, torch.distributions.Normal(0.0, 1.0))
    )


def test_a_longer_sequence_shows_the_same_clip_at_more_times(vae: CurveVAE) -> None:
    hidden, mask = captions()
    latents, fps = torch.randn(2, 4), torch.tensor([8.0, 8.0])
    few = vae.decode(latents, hidden, mask, frame_times(5), fps)
    many = vae.decode(latents, hidden, mask, frame_times(9), fps)
    for short, long in zip(few, many, strict=True):
        torch.testing.assert_close(short, long[:, ::2])


def test_padding_of_a_caption_has_no_influence(vae: CurveVAE) -> None:
    hidden, mask = captions()
    padded = torch.cat([hidden, torch.randn(2, 3, TEXT)], 1)
    padded_mask = torch.cat([mask, torch.zeros(2, 3, dtype=torch.bool)], 1)
    seeds = [1, 2]
    results = [
        vae.sample(*text, 5, 8.0, [torch.Generator().manual_seed(s) for s in seeds])
        for text in ((hidden, mask), (padded, padded_mask))
    ]
    for got, want in zip(*results, strict=True):
        torch.testing.assert_close(got, want)


def test_samples_do_not_depend_on_their_batch(vae: CurveVAE) -> None:
    hidden, mask = captions(3)
    generators = [torch.Generator().manual_seed(s) for s in (5, 6, 7)]
    together = vae.sample(hidden, mask, 6, torch.tensor([8.0, 12.0, 24.0]), generators)
    alone = vae.sample(hidden[1:2], mask[1:2], 6, 12.0, torch.Generator().manual_seed(6))
    for all_three, one in zip(together, alone, strict=True):
        torch.testing.assert_close(all_three[1:2], one, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("frames", [1, 4, 33])
def test_samples_are_curve_sequences_within_the_budget(vae: CurveVAE, frames: int) -> None:
    coefficients, visibility = vae.sample(*captions(), frames, 8.0, torch.Generator().manual_seed(1))
    assert coefficients.shape == (2, frames, STROKES, 2, HARMONICS)
    assert coefficients.dtype == visibility.dtype == torch.float32
    assert ((visibility == 0) | (visibility > 0.5)).all()
    assert visibility.max() <= 1
    for one in zip(coefficients.numpy(), visibility.numpy(), strict=True):
        assert CurveSequence(*one).num_parameters <= 40


def test_temperature_zero_leaves_no_variety(vae: CurveVAE) -> None:
    hidden, mask = captions(1)
    two = [hidden.expand(2, -1, -1), mask.expand(2, -1)]
    cold, _ = vae.sample(*two, 4, 8.0, torch.Generator().manual_seed(1), temperature=0.0)
    warm, _ = vae.sample(*two, 4, 8.0, torch.Generator().manual_seed(1))
    torch.testing.assert_close(cold[0], cold[1])
    assert (warm[0] - warm[1]).abs().max() > 1e-3


def test_a_saved_network_draws_the_same(vae: CurveVAE, tmp_path) -> None:
    vae.save_pretrained(tmp_path)
    assert (tmp_path / "diffusion_pytorch_model.safetensors").exists()
    text = captions()
    drawn = [
        one.sample(*text, 4, 8.0, torch.Generator().manual_seed(1))[0]
        for one in (vae, CurveVAE.from_pretrained(tmp_path))
    ]
    torch.testing.assert_close(*drawn, rtol=0, atol=0)


def test_within_budget_drops_the_smallest_tails() -> None:
    strokes, harmonics, budget = 3, 6, 21
    coefficients, visibility = torch.randn(1, 4, strokes, 2, harmonics), torch.ones(1, 4, strokes)
    kept = within_budget(coefficients, visibility, budget)
    used = (kept[0] != 0).any(0).any(1)  # (S, K)
    assert int(used.sum()) == (budget - strokes) // 2
    assert used[:, 0].all()
    assert (used.long().diff(dim=1) <= 0).all()  # a stroke loses its highest harmonics and no others
    tails = torch.tensor([[float(coefficients[0, :, s, :, k:].square().sum()) for k in range(6)] for s in range(3)])
    assert tails[:, 1:][used[:, 1:]].min() > tails[:, 1:][~used[:, 1:]].max()
    torch.testing.assert_close(kept[kept != 0], coefficients[kept != 0])


def test_within_budget_leaves_alone_what_fits_and_clears_what_is_not_visible() -> None:
    coefficients, visibility = torch.randn(2, 3, 2, 2, 4), torch.ones(2, 3, 2)
    visibility[0, 1, 1] = 0.2
    kept = within_budget(coefficients, visibility, 100)
    shown = visibility > 0.5
    torch.testing.assert_close(kept[shown], coefficients[shown])
    assert (kept[~shown] == 0).all()


def test_within_budget_clears_what_no_eye_would_miss() -> None:
    coefficients = torch.full((1, 2, 1, 2, 5), 1e-4)
    coefficients[..., 0] = 0.5
    coefficients[..., 2] = 0.1
    kept = within_budget(coefficients, torch.ones(1, 2, 1), 100)
    assert (kept[..., :3] == coefficients[..., :3]).all()  # a small one under a large one stays: it is in the series
    assert (kept[..., 3:] == 0).all()


def test_the_prior_learns_heaps_that_depend_on_the_caption() -> None:
    """One caption's latents lie in two heaps, the other's in one: a Gaussian prior could not tell."""
    flow = LatentFlow(latent_dim=2, text_width=TEXT, width=48, queries=2)
    hidden, mask = captions(2, 3)
    optimizer = torch.optim.Adam(flow.parameters(), 3e-3)
    for _ in range(400):
        side = torch.randint(2, (256,)) * 2.0 - 1
        two_heaps = torch.stack([1.5 * side, torch.zeros(256)], -1)
        one_heap = torch.tensor([0.0, -1.5]).expand(256, 2)
        data = torch.stack([two_heaps, one_heap]) + 0.1 * torch.randn(2, 256, 2)
        noise, time = torch.randn_like(data), torch.rand(2, 256)
        between = (1 - time[..., None]) * data + time[..., None] * noise
        loss = (flow(between, time, hidden, mask) - (noise - data)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        first, second = (
            flow.sample(torch.randn(200, 2), hidden[i : i + 1].expand(200, -1, -1), mask[i : i + 1].expand(200, -1))
            for i in range(2)
        )
    assert 0.3 < (first[:, 0] > 0).float().mean() < 0.7
    assert ((first[:, 0].abs() - 1.5).abs() < 0.5).float().mean() > 0.9
    assert ((second - torch.tensor([0.0, -1.5])).norm(dim=1) < 0.6).float().mean() > 0.9
