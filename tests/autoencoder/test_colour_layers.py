import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sketch2video.autoencoder.colour_layers import ColourLayers
from sketch2video.autoencoder.network import FrameAutoencoder


def two_colours(scale: int = 2) -> ColourLayers:
    """Black and white everywhere; the control picture selects, with weights of e^10 to 1."""
    layers = ColourLayers(4, scale, 2, 8, 1)
    for module in (layers.colours, layers.fine[0], layers.control, layers.block.second, layers.weights):
        nn.init.zeros_(module.weight)
        nn.init.zeros_(module.bias)
    with torch.no_grad():
        layers.colours.bias.copy_(torch.tensor([-1.0, -1, -1, 1, 1, 1]))
        layers.control.weight[:, :, 1, 1] = 10.0
        layers.weights.weight[1, :, 1, 1] = 2 / 8
        layers.weights.bias[1] = -10.0
    return layers.eval()


@pytest.mark.parametrize("scale", [2, 4])
def test_an_edge_of_the_control_picture_is_an_edge_of_one_pixel(scale):
    control = torch.zeros(1, 1, 16, 16)
    control[..., 7:] = 1.0
    pixels = two_colours(scale)(torch.randn(1, 4, 16 // scale, 16 // scale), control)
    torch.testing.assert_close(pixels, (2 * control - 1).expand(1, 3, 16, 16), atol=1e-3, rtol=0)


def test_pixels_are_a_convex_combination_of_the_interpolated_colours():
    torch.manual_seed(0)
    layers = ColourLayers(8, 2, 3, 16, 1)
    features = torch.randn(2, 8, 6, 10)
    pixels = layers(features, torch.rand(2, 1, 12, 20))
    colours = functional.interpolate(layers.colours(features), scale_factor=2, mode="bilinear")
    colours = colours.unflatten(1, (3, 3))
    assert pixels.shape == (2, 3, 12, 20)
    assert (pixels <= colours.amax(1) + 1e-5).all()
    assert (pixels >= colours.amin(1) - 1e-5).all()
    assert (pixels - colours[:, 0]).abs().max() > 0.1


def test_contrast_of_edges_is_a_power_of_the_odds_of_two_colours():
    layers = two_colours()
    control, features = torch.linspace(0.3, 0.7, 16).expand(1, 1, 16, 16), torch.randn(1, 4, 8, 8)
    plain, steep = (layers(features, control, contrast).double() / 2 + 0.5 for contrast in (1.0, 3.0))
    torch.testing.assert_close(torch.logit(steep), 3 * torch.logit(plain), atol=1e-3, rtol=1e-3)


def test_without_a_control_picture_there_are_no_weights_for_it():
    layers = ColourLayers(8, 2, 3, 16, 0)
    assert layers.control is None
    assert layers(torch.randn(1, 8, 4, 4), None).shape == (1, 3, 8, 8)


def test_the_last_layer_of_an_autoencoder_has_a_gradient():
    for model in (FrameAutoencoder(2, 2, 16), FrameAutoencoder(2, 2, 16, colour_layers=2)):
        loss: Tensor = model(torch.rand(1, 3, 16, 16), torch.rand(1, 1, 16, 16)).sum()
        (gradient,) = torch.autograd.grad(loss, model.last_layer)
        assert gradient.abs().max() > 0
