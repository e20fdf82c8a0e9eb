import pytest
import torch
from torch.distributions import Normal, kl_divergence

from sketch2video.autoencoder.network import FrameAutoencoder, Posterior, load_autoencoder
from sketch2video.errors import UserError


@pytest.fixture(params=[0, 3])
def autoencoder(request: pytest.FixtureRequest) -> FrameAutoencoder:
    torch.manual_seed(0)
    return FrameAutoencoder(latent_channels=3, halvings=3, width=32, colour_layers=request.param).eval()


@pytest.mark.parametrize(("halvings", "height", "width"), [(1, 6, 10), (3, 32, 32), (4, 64, 32)])
def test_latents_are_smaller_by_the_factor(halvings: int, height: int, width: int) -> None:
    model = FrameAutoencoder(latent_channels=3, halvings=halvings, width=32, colour_layers=halvings - 1)
    posterior = model.encode(torch.zeros(2, 3, height, width))
    assert model.factor == 2**halvings
    assert posterior.mean.shape == (2, 3, height // model.factor, width // model.factor)
    assert model.decode(posterior.mean, torch.zeros(2, 1, height, width)).shape == (2, 3, height, width)


@pytest.mark.parametrize("colour_layers", [0, 2])
def test_larger_frames_are_folded_more_into_layers_of_one_size(colour_layers: int) -> None:
    layers = {
        fold: FrameAutoencoder(3, halvings, 32, colour_layers=colour_layers, fold=fold)
        for halvings, fold in ((3, 2), (4, 4))
    }
    small, large = (sum(p.numel() for p in layers[fold].encoder.parameters()) for fold in (2, 4))
    assert small == large
    posterior = layers[4].encode(torch.zeros(1, 3, 64, 32))
    assert posterior.mean.shape == (1, 3, 4, 2)
    assert layers[4].decode(posterior.mean).shape == (1, 3, 64, 32)


@pytest.mark.parametrize("fold", [1, 3, 16])
def test_a_fold_that_is_no_power_of_two_or_too_large_is_refused(fold: int) -> None:
    with pytest.raises(ValueError, match=f"fold is {fold}, expected"):
        FrameAutoencoder(3, 3, 32, fold=fold)


def test_every_pixel_of_the_drawing_reaches_the_decoder(autoencoder: FrameAutoencoder) -> None:
    ink = torch.rand(1, 1, 32, 32, requires_grad=True)
    autoencoder.decode(torch.randn(1, 3, 4, 4), ink).square().sum().backward()
    assert ink.grad is not None
    assert (ink.grad != 0).all()


def test_without_a_drawing_the_sheet_is_blank(autoencoder: FrameAutoencoder) -> None:
    latents = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(autoencoder.decode(latents), autoencoder.decode(latents, torch.zeros(2, 1, 32, 32)))


def test_an_autoencoder_without_a_sketch_ignores_it() -> None:
    model = FrameAutoencoder(latent_channels=3, halvings=2, width=32, control_channels=0)
    latents = torch.randn(1, 3, 4, 4)
    torch.testing.assert_close(model.decode(latents), model.decode(latents, torch.rand(1, 1, 16, 16)))


def test_frames_do_not_influence_each_other(autoencoder: FrameAutoencoder) -> None:
    frames, ink = torch.rand(3, 3, 32, 32), torch.rand(3, 1, 32, 32)
    torch.testing.assert_close(autoencoder(frames, ink)[1:2], autoencoder(frames[1:2], ink[1:2]), atol=1e-5, rtol=1e-4)


def test_a_frame_that_cannot_be_halved_is_refused(autoencoder: FrameAutoencoder) -> None:
    with pytest.raises(ValueError, match="multiples of 8"):
        autoencoder.encode(torch.zeros(1, 3, 32, 36))


def test_posterior_agrees_with_torch_distributions() -> None:
    torch.manual_seed(0)
    mean, log_variance = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    posterior = Posterior(mean, log_variance)
    reference = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(posterior.kl(), reference)
    samples = torch.stack([posterior.sample(torch.randn_like(mean)) for _ in range(4000)])
    torch.testing.assert_close(samples.mean(0), mean, atol=0.25, rtol=0)
    torch.testing.assert_close(samples.std(0), (log_variance / 2).exp(), atol=0.25, rtol=0)


def test_a_saved_autoencoder_decodes_the_same(autoencoder: FrameAutoencoder, tmp_path) -> None:
    autoencoder.save_pretrained(tmp_path / "ae")
    loaded = load_autoencoder(tmp_path / "ae")
    frames, ink = torch.rand(1, 3, 32, 32), torch.rand(1, 1, 32, 32)
    torch.testing.assert_close(loaded(frames, ink), autoencoder(frames, ink), atol=0, rtol=0)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert {path.suffix for path in (tmp_path / "ae").iterdir()} == {".json", ".safetensors"}


def test_a_missing_autoencoder_is_named(tmp_path) -> None:
    with pytest.raises(UserError, match=r"nowhere.*train_autoencoder"):
        load_autoencoder(tmp_path / "nowhere")
