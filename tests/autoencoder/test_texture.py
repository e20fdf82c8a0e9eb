import pytest
import torch

from sketch2video.autoencoder.frame_batches import decode_generated, decode_videos
from sketch2video.autoencoder.network import FrameAutoencoder
from sketch2video.autoencoder.texture import StaticTexture, covariance_loss, frequencies

SIZE, BAND = 32, (0.15, 0.25)


def band_noise(count: int, seed: int) -> torch.Tensor:
    """Noise (count, 1, SIZE, SIZE) between the two frequencies of BAND, in cycles a pixel."""
    noise = torch.randn(count, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(seed))
    frequency = frequencies(SIZE, SIZE)
    kept = (frequency > BAND[0]) & (frequency < BAND[1])
    return torch.fft.ifft2(torch.fft.fft2(noise) * kept).real


def power_by_radius(field: torch.Tensor, low: float, high: float) -> float:
    """Share of a field's power between two frequencies, in cycles a pixel."""
    power = torch.fft.fft2(field).abs().square()
    frequency = frequencies(SIZE, SIZE)
    return float(power[..., (frequency > low) & (frequency < high)].sum() / power.sum())


def test_the_field_has_the_power_of_what_both_residuals_share():
    shared, moving = band_noise(256, 0), torch.randn(2, 256, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    texture = StaticTexture(4, 2)
    texture.set_power(shared + 0.3 * moving[0], shared + 0.3 * moving[1], factor=8)
    field = texture.field(torch.randn(64, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(2)))
    assert power_by_radius(field, BAND[0] - 0.03, BAND[1] + 0.03) > 0.9
    assert field.var() == pytest.approx(1, abs=0.1)


def test_what_latents_hold_is_not_sampled():
    texture = StaticTexture(4, 2)
    residuals = torch.randn(256, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    texture.set_power(residuals, residuals, factor=2)  # up to a quarter of a cycle a pixel
    field = texture.field(torch.randn(64, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(1)))
    assert power_by_radius(field, -1, 0.2) == pytest.approx(0, abs=1e-6)
    outside = (frequencies(SIZE, SIZE) >= 0.25).float().mean()
    assert field.var() == pytest.approx(float(outside), abs=0.05)


@pytest.mark.parametrize("size", [(32, 32), (64, 48), (17, 40)])
def test_the_field_of_white_power_is_white_noise_of_any_size(size):
    noise = torch.randn(4, 1, *size, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(StaticTexture(4, 2).field(noise), noise, atol=1e-5, rtol=0)


def test_amplitudes_learn_the_covariance_of_two_frames():
    generator = torch.Generator().manual_seed(0)
    features = torch.zeros(32, 2, 8, 8)
    features[:, 0, :, :4], features[:, 1, :, 4:] = 1.0, 1.0
    texture = StaticTexture(2, 2, width=8)
    optimizer = torch.optim.Adam(texture.layers.parameters(), 0.03)
    for _ in range(300):
        static = 0.2 * torch.randn(32, 1, 16, 16, generator=generator)
        first, second = (static + 0.1 * torch.randn(static.shape, generator=generator) for _ in range(2))
        first[..., 8:], second[..., 8:] = (0.3 * torch.randn(2, 32, 1, 16, 8, generator=generator)).unbind()
        amplitude = texture.amplitude(features)
        loss = covariance_loss(amplitude, amplitude, (first, second))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    amplitude = texture.amplitude(features).detach()[:, 0].mean((0, 1))
    assert amplitude[2:6].mean() == pytest.approx(0.2, abs=0.03)  # the static part alone
    assert amplitude[10:14].mean() < 0.08  # what differs between frames gets none


def test_the_loss_is_least_at_the_covariance():
    first = torch.full((1, 1, 4, 4), 0.3)
    residuals = torch.full((1, 1, 4, 4), 0.6), torch.full((1, 1, 4, 4), 0.2)
    losses = [float(covariance_loss(first, torch.full_like(first, a), residuals)) for a in (0.3, 0.4, 0.5)]
    assert losses[1] == pytest.approx(0, abs=1e-9)
    assert min(losses[0], losses[2]) > 1e-3


@pytest.mark.parametrize("colour_layers", [0, 2])
def test_a_decoder_adds_amplitude_times_texture(colour_layers):
    torch.manual_seed(0)
    model = FrameAutoencoder(2, 2, 16, colour_layers=colour_layers, texture=True).eval()
    latents, control = torch.randn(3, 2, 4, 4), torch.rand(3, 1, 16, 16)
    field = torch.randn(3, 1, 16, 16)
    with torch.no_grad():
        plain, textured = model.decode(latents, control), model.decode(latents, control, field)
        amplitude = model.texture.amplitude(model.features(latents, control))
    assert amplitude.shape == (3, 1, 16, 16)
    assert amplitude.min() > 0
    torch.testing.assert_close(textured - plain, (amplitude * field).expand(-1, 3, -1, -1), atol=1e-6, rtol=0)


def test_generated_latents_decode_with_scaled_texture_and_contrast():
    torch.manual_seed(0)
    model = FrameAutoencoder(2, 2, 16, colour_layers=2, texture=True, texture_scale=3.0, edge_contrast=2.0).eval()
    latents, control = torch.randn(2, 5, 2, 4, 4), torch.rand(2, 5, 1, 16, 16)

    def generator() -> torch.Generator:
        return torch.Generator().manual_seed(1)

    white = torch.randn(2, 1, 16, 16, generator=generator())
    with torch.no_grad():
        generated = decode_generated(model, latents, control, generator())
        expected = decode_videos(model, latents, control, 3 * model.texture.field(white), 2.0)
        plain = decode_videos(model, latents, control)
    torch.testing.assert_close(generated, expected)
    assert (generated - plain).abs().max() > 0.01


def test_an_autoencoder_without_texture_refuses_one():
    with pytest.raises(ValueError, match="texture=True"):
        FrameAutoencoder(2, 2, 16).decode(torch.randn(1, 2, 4, 4), None, torch.zeros(1, 1, 16, 16))


def test_power_and_amplitude_are_saved(tmp_path):
    model = FrameAutoencoder(2, 2, 16, texture=True)
    model.texture.set_power(*torch.randn(2, 8, 1, 16, 16), factor=4)
    model.save_pretrained(tmp_path)
    loaded = FrameAutoencoder.from_pretrained(tmp_path, low_cpu_mem_usage=False)
    torch.testing.assert_close(loaded.texture.power, model.texture.power)
    assert loaded.texture.power.min() == 0
