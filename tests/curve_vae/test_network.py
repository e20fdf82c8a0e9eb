import torch

from sketch2video.curve_vae.network import GIVEN, LEAST_EFFECT, LEAST_SPREAD, LIFE_EFFECT, OUTSIDE, CurveVAE
from sketch2video.curve_vae.strokes import StrokeSet, frame_times, rms_distance
from tests.curve_vae.sets import STROKES, network, smooth, strokes


def test_strokes_are_encoded_one_by_one() -> None:
    vae, sets = network(), strokes()
    whole = vae.encode(sets.coefficients, sets.life).mode()
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(vae.encode(sets.coefficients[:, order], sets.life[:, order]).mode(), whole[:, order])


def test_place_size_and_life_are_kept_as_they_are() -> None:
    vae, sets = network(), strokes()
    latents = vae.encode(sets.coefficients, sets.life).mode()
    moved, larger = latents.clone(), latents.clone()
    moved[..., 0] += 1.0
    larger[..., 2] += 1.0
    times = frame_times(8)
    parts, life = vae.decode(latents, times)
    torch.testing.assert_close(life, sets.life)
    torch.testing.assert_close(
        vae.decode(moved, times)[0].position[..., 0] - parts.position[..., 0], torch.full((2, 4, 8), 0.3)
    )
    grown = vae.decode(larger, times)[0]
    assert ((grown.log_size - parts.log_size).mean(-1) > 0).float().mean() > 0.5
    seen = vae.encode(sets.coefficients + torch.tensor([0.3, 0.0])[:, None] * (torch.arange(6) == 0), sets.life)
    torch.testing.assert_close(seen.mode()[..., 1:], latents[..., 1:], atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(seen.mode()[..., 0], latents[..., 0] + 1.0, atol=1e-4, rtol=1e-3)


def test_more_frames_show_the_same_strokes_at_more_times() -> None:
    vae = network()
    latents = torch.randn(2, 3, len(vae.mean))
    few, many = (vae.decode(latents, frame_times(frames))[0].coefficients() for frames in (5, 15))
    torch.testing.assert_close(few, many[:, :, 1::3], atol=1e-5, rtol=1e-4)


def test_kl_is_that_of_torch() -> None:
    sets = strokes()
    posterior = network().encode(sets.coefficients, sets.life)
    gaussian = torch.distributions.Normal(posterior.mean, (0.5 * posterior.log_variance).exp())
    torch.testing.assert_close(
        posterior.kl(), torch.distributions.kl_divergence(gaussian, torch.distributions.Normal(0.0, 1.0))
    )


def test_tokens_are_whitened_by_the_root_of_what_they_move() -> None:
    vae, sets = network(), strokes(clips=40)
    vae.whiten(sets)
    latents = vae.encode(sets.coefficients, sets.life).mode()[sets.present]
    tokens = vae.whitened(latents)
    torch.testing.assert_close(vae.unwhitened(tokens), latents, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(tokens.mean(0), torch.zeros(len(vae.mean)), atol=1e-3, rtol=0)
    deviation = tokens.std(0)
    spread = latents[:, 3:GIVEN].std(0)
    expected = LIFE_EFFECT**0.5 * spread / spread.clamp_min(LEAST_SPREAD)
    torch.testing.assert_close(deviation[3:GIVEN], expected, rtol=1e-2, atol=1e-2)
    # An independent measure of one number's effect: the x of the place moves every point by as much as it changes.
    effect = 64 * 0.3 * latents[:, 0].std()
    torch.testing.assert_close(deviation[0], effect.sqrt(), rtol=1e-2, atol=1e-2)


def test_a_late_birth_among_strokes_that_live_all_along_is_not_far_away() -> None:
    vae = network()
    coefficients, life = smooth(40, STROKES, frames=8), torch.tensor([0.0, 1.0]).repeat(40, STROKES, 1)
    vae.whiten(StrokeSet(coefficients, life, torch.ones(40, STROKES, dtype=torch.bool)))
    late = vae.encode(coefficients[:1, 0], torch.tensor([[0.5, 1.0]])).mode()
    assert vae.whitened(late)[0, 3:GIVEN].abs().max() < 10


def test_numbers_that_the_encoder_does_not_use_are_small_noise_to_the_prior() -> None:
    vae, sets = network(), strokes(clips=40)
    unused, last = 1, vae.encoder[-1]
    with torch.no_grad():
        for row in (unused, 5 + unused):  # its mean and its logarithm of the variance
            last.weight[row], last.bias[row] = 0.0, 0.0
        vae.decoder[0].weight[:, unused] = 0.0
    vae.whiten(sets)
    posterior = vae.encode(sets.coefficients, sets.life)
    latents = posterior.sample(torch.randn(posterior.mean.shape, generator=torch.Generator().manual_seed(0)))
    tokens = vae.whitened(latents[sets.present])
    torch.testing.assert_close(tokens[:, GIVEN + unused].std(), torch.tensor(LEAST_EFFECT).sqrt(), rtol=0.1, atol=0.0)


def test_strokes_that_the_first_or_last_frame_shows_live_beyond_it() -> None:
    vae = network()
    life = torch.tensor([[0.0, 1.0], [0.0, 0.5], [0.25, 1.0], [0.25, 0.5]])
    latents = vae.encode(smooth(4, frames=8), life).mode()
    outside = torch.tensor([[-OUTSIDE, 1 + OUTSIDE], [-OUTSIDE, 0.5], [0.25, 1 + OUTSIDE], [0.25, 0.5]])
    torch.testing.assert_close(latents[:, 3:GIVEN], 2 * outside - 1)
    torch.testing.assert_close(vae.decode(latents, frame_times(8))[1], life)


def test_a_saved_network_is_the_same(tmp_path) -> None:
    vae = network()
    vae.whiten(strokes(clips=8))
    vae.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "diffusion_pytorch_model.safetensors"]
    again = CurveVAE.from_pretrained(tmp_path)
    assert again.config.slots == vae.config.slots
    torch.testing.assert_close(again.scale, vae.scale)
    latents = torch.randn(1, 2, len(vae.mean))
    one, other = (net.decode(latents, frame_times(4))[0].coefficients() for net in (vae, again))
    assert float(rms_distance(one - other).detach().max()) < 1e-4


def test_a_stroke_without_an_equal_number_of_frames_can_be_encoded() -> None:
    vae = network()
    for frames in (1, 2, 4, 9):
        latents = vae.encode(smooth(3, frames=frames), torch.tensor([0.0, 1.0]).expand(3, 2)).mode()
        assert torch.isfinite(latents).all()
