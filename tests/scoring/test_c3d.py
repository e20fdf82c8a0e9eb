"""C3D against an independent forward pass, and the two published ways to feed it."""

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from sketch2video.errors import UserError
from sketch2video.scoring.c3d import C3D, less_the_mean, load_c3d, load_mean_clip, probabilities

PUBLISHED = {
    "conv1a": (64, 3),
    "conv2a": (128, 64),
    "conv3a": (256, 128),
    "conv3b": (256, 256),
    "conv4a": (512, 256),
    "conv4b": (512, 512),
    "conv5a": (512, 512),
    "conv5b": (512, 512),
    "fc6": (4096, 8192),
    "fc7": (4096, 4096),
    "fc8": (101, 4096),
}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    with torch.device("meta"):
        network = C3D()
    network.to_empty(device="cpu")
    for name, value in network.named_parameters():
        value.data.normal_().mul_((2 / value[0].numel()) ** 0.5 if name.endswith("weight") else 0.05)
    return network.eval().requires_grad_(False)


def test_shapes_are_the_published_ones(network):
    for name, (outputs, inputs) in PUBLISHED.items():
        kernel = (3, 3, 3) if name.startswith("conv") else ()
        assert network.get_submodule(name).weight.shape == (outputs, inputs, *kernel)
    # Tran et al. 2015 give 78.4 million with 487 classes; 386 fewer classes are 1.6 million fewer.
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(78.4e6, abs=0.1e6)


def test_the_whole_network_equals_an_independent_forward_pass(network):
    video = torch.randn(1, 3, 16, 112, 112, generator=torch.Generator().manual_seed(1))
    w = dict(network.named_parameters())
    x = video
    with torch.inference_mode():
        for name in PUBLISHED:
            if name.startswith("fc"):
                break
            taps = F.pad(x, (1,) * 6)
            x = F.conv3d(taps, w[f"{name}.weight"], w[f"{name}.bias"]).clamp_min(0)
            if name in ("conv1a", "conv2a", "conv3b", "conv4b", "conv5b"):
                x = F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2))  # half a window behind the edge counts
                if name != "conv1a":
                    x = x.unfold(2, 2, 2).amax(-1)
                x = x.unfold(3, 2, 2).amax(-1)
                x = x.unfold(4, 2, 2).amax(-1)
        assert x.shape == (1, 512, 1, 4, 4)
        x = x.reshape(1, -1)
        for name in ("fc6", "fc7", "fc8"):
            x = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
            x = x.clamp_min(0) if name != "fc8" else x
        found = network(video)
        torch.testing.assert_close(found, x, rtol=1e-3, atol=1e-3 * float(x.std()))
        p = probabilities(network, video)
    assert p.dtype == torch.float64
    odds = np.exp(found[0].double().numpy())
    np.testing.assert_allclose(p[0], odds / odds.sum(), rtol=1e-9)


@pytest.fixture(scope="module")
def mean(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mean")
    values = np.random.default_rng(0).uniform(80, 120, (3, 16, 128, 171)).astype(np.float32)
    np.savez(folder / "mean2.npz", mean=values[None])
    np.testing.assert_array_equal(load_mean_clip(folder / "mean2.npz"), values)
    return values


def test_tgan_subtracts_the_middle_of_the_mean_and_cuts_the_middle_out(mean):
    frames = np.random.default_rng(1).uniform(0, 255, (16, 128, 128, 3)).astype(np.float32)
    found = less_the_mean(torch.from_numpy(frames).movedim(-1, 1)[None], torch.from_numpy(mean), "tgan")[0].numpy()
    for channel, of_rgb in enumerate((2, 1, 0)):
        expected = frames[..., of_rgb] - mean[channel, :, :, 21:149]
        np.testing.assert_allclose(found[channel], expected[:, 8:120, 8:120], rtol=1e-6, atol=1e-4)


def test_tganv2_subtracts_the_mean_from_its_corner(mean):
    frames = np.random.default_rng(2).uniform(0, 255, (16, 112, 112, 3)).astype(np.float32)
    found = less_the_mean(torch.from_numpy(frames).movedim(-1, 1)[None], torch.from_numpy(mean), "tganv2")[0].numpy()
    for channel, of_rgb in enumerate((2, 1, 0)):
        np.testing.assert_allclose(
            found[channel], frames[..., of_rgb] - mean[channel, :, 8:120, 8:120], rtol=1e-6, atol=1e-4
        )


def test_names_of_other_programs_mean_the_same_layers(monkeypatch, tmp_path):
    import sketch2video.scoring.c3d as c3d

    small = {"conv1a": (3, 2), "conv2a": (2, 2), "conv3a": (2, 2)}
    monkeypatch.setattr(c3d, "_CONVOLUTIONS", small)
    monkeypatch.setattr(c3d.nn, "Linear", lambda *_: torch.nn.Module())
    monkeypatch.setattr(c3d, "_POOLED", {})
    torch.manual_seed(0)
    own = {n: torch.randn_like(v) for n, v in c3d.C3D().state_dict().items()}
    save_file(own, tmp_path / "own.safetensors")
    other = {n.replace("conv1a", "conv1").replace("conv2a", "conv2"): v for n, v in own.items()}
    torch.save({"state_dict": other}, tmp_path / "torch.pt")
    np.savez(tmp_path / "chainer.npz", **{n.replace(".weight", "/W").replace(".bias", "/b"): v for n, v in own.items()})
    for file in ("own.safetensors", "torch.pt", "chainer.npz"):
        loaded = load_c3d(tmp_path / file).state_dict()
        assert loaded.keys() == own.keys()
        assert all(torch.equal(loaded[n], own[n]) for n in own), file


def test_files_that_are_something_else_are_refused(tmp_path):
    np.savez(tmp_path / "mean.npz", mean=np.zeros((3, 16, 112, 112)))
    with pytest.raises(UserError, match=r"mean\.npz holds no array `mean`"):
        load_mean_clip(tmp_path / "mean.npz")
    np.savez(tmp_path / "pickled.npz", mean=np.array([{}], dtype=object))
    with pytest.raises(UserError, match="cannot be read as weights"):
        load_mean_clip(tmp_path / "pickled.npz")
    save_file({"conv1a.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"lacks conv1a\.bias"):
        load_c3d(tmp_path / "other.safetensors")


def test_bicubic_frames_are_opencvs():
    from sketch2video.scoring.resizing import RESIZES

    picture = np.random.default_rng(3).integers(0, 256, (60, 80, 3), np.uint8)
    expected = cv2.resize(picture.astype(np.float64), (128, 128), interpolation=cv2.INTER_CUBIC)
    np.testing.assert_allclose(RESIZES["bicubic"](picture, 128), expected, atol=1e-2)
