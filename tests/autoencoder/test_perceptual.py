import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from sketch2video.autoencoder.perceptual import random_perceptual_distance, vgg16_perceptual_distance
from sketch2video.errors import UserError

# torchvision's configuration "D" as far as relu3_3: numbers are channels, M a maximum over 2 x 2.
VGG16_LAYERS = (64, 64, "M", 128, 128, "M", 256, 256, 256)


def checkerboard() -> torch.Tensor:
    cells = (torch.arange(32)[:, None] // 8 + torch.arange(32) // 8) % 2
    return (cells * 2.0 - 1).expand(1, 3, 32, 32)


def test_a_frame_is_at_no_distance_from_itself() -> None:
    frames = torch.rand(2, 3, 32, 32) * 2 - 1
    assert random_perceptual_distance()(frames, frames) == 0


def test_the_more_a_frame_is_blurred_the_further_it_is() -> None:
    distance, sharp = random_perceptual_distance(), checkerboard()
    blurred = [functional.avg_pool2d(sharp, size, stride=1, padding=size // 2) for size in (3, 5, 7)]
    distances = [float(distance(frame, sharp)) for frame in blurred]
    assert 0 < distances[0] < distances[1] < distances[2]


def test_filters_are_the_same_whatever_the_global_seed() -> None:
    torch.manual_seed(1)
    first = random_perceptual_distance().state_dict()
    torch.manual_seed(2)
    second = random_perceptual_distance().state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_gradients_reach_the_frames_and_not_the_filters() -> None:
    distance, frames = random_perceptual_distance(), torch.rand(1, 3, 32, 32, requires_grad=True)
    distance(frames, checkerboard()).backward()
    assert frames.grad is not None
    assert frames.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in distance.parameters())


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_vgg16_weights_are_read_by_torchvisions_names(suffix: str, tmp_path) -> None:
    torch.manual_seed(0)
    reference, channels = nn.Sequential(), 3
    for layer in VGG16_LAYERS:
        if layer == "M":
            reference.append(nn.MaxPool2d(2, 2))
        else:
            reference.append(nn.Conv2d(channels, int(layer), 3, padding=1))
            reference.append(nn.ReLU(inplace=True))
            channels = int(layer)
    state = {f"features.{name}": tensor for name, tensor in reference.state_dict().items()}
    path = tmp_path / f"vgg16{suffix}"
    save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)

    frames = torch.rand(1, 3, 16, 16)
    normal = (frames - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(
        3, 1, 1
    )
    features = vgg16_perceptual_distance(path).features(frames * 2 - 1)
    for got, layers in zip(features, (4, 9, 16), strict=True):
        want = reference[:layers](normal)
        torch.testing.assert_close(got, functional.normalize(want, dim=1), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("content", [None, {}, {"features.0.weight": torch.zeros(1)}])
def test_a_file_that_is_not_vgg16_is_refused(content: dict | None, tmp_path) -> None:
    path = tmp_path / "weights.safetensors"
    if content is not None:
        save_file(content, path)
    with pytest.raises(UserError, match=r"weights.safetensors .*vgg16"):
        vgg16_perceptual_distance(path)
