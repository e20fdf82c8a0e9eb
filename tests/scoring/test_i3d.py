"""I3D against literal loops for its parts and an independent forward pass for the whole."""

import itertools
import os

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from sketch2video.errors import UserError
from sketch2video.scoring.i3d import I3D, MaxPoolSame, Unit3D, load_i3d
from sketch2video.scoring.metrics import frechet_distance

BRANCHES = {
    "3b": (192, 64, 96, 128, 16, 32, 32),
    "3c": (256, 128, 128, 192, 32, 96, 64),
    "4b": (480, 192, 96, 208, 16, 48, 64),
    "4c": (512, 160, 112, 224, 24, 64, 64),
    "4d": (512, 128, 128, 256, 24, 64, 64),
    "4e": (512, 112, 144, 288, 32, 64, 64),
    "4f": (528, 256, 160, 320, 32, 128, 128),
    "5b": (832, 256, 160, 320, 32, 128, 128),
    "5c": (832, 384, 192, 384, 48, 128, 128),
}


def published_shapes():
    """Names and shapes of the state dicts in circulation, written out from the paper's table."""
    units = {
        "Conv3d_1a_7x7": (64, 3, 7),
        "Conv3d_2b_1x1": (64, 64, 1),
        "Conv3d_2c_3x3": (192, 64, 3),
    }
    for stage, (n, b0, b1a, b1b, b2a, b2b, b3b) in BRANCHES.items():
        branches = {
            "b0": (b0, n, 1),
            "b1a": (b1a, n, 1),
            "b1b": (b1b, b1a, 3),
            "b2a": (b2a, n, 1),
            "b2b": (b2b, b2a, 3),
            "b3b": (b3b, n, 1),
        }
        units |= {f"Mixed_{stage}.{name}": sizes for name, sizes in branches.items()}
    shapes = {}
    for name, (outputs, inputs, k) in units.items():
        shapes[f"{name}.conv3d.weight"] = (outputs, inputs, k, k, k)
        shapes |= {f"{name}.bn.{part}": (outputs,) for part in ("weight", "bias", "running_mean", "running_var")}
    return shapes | {"logits.conv3d.weight": (400, 1024, 1, 1, 1), "logits.conv3d.bias": (400,)}


@pytest.fixture(scope="module")
def weights():
    """Random weights under which values neither vanish nor explode; like TensorFlow's, without scales."""
    generator = torch.Generator().manual_seed(0)
    tensors = {}
    for name, shape in published_shapes().items():
        if name.endswith("conv3d.weight"):
            fan_in = shape[1] * shape[2] * shape[3] * shape[4]
            tensors[name] = torch.randn(shape, generator=generator) * (2 / fan_in) ** 0.5
        elif name.endswith("running_var"):
            tensors[name] = 0.002 + torch.rand(shape, generator=generator)
        elif name.endswith("bn.weight"):
            tensors[name] = torch.ones(shape)
        else:
            tensors[name] = 0.1 * torch.randn(shape, generator=generator)
    return tensors


@pytest.fixture(scope="module")
def video():
    return torch.rand(1, 3, 10, 224, 224, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.fixture(scope="module")
def network(weights, tmp_path_factory):
    path = tmp_path_factory.mktemp("i3d") / "i3d.safetensors"
    save_file(weights, path)
    return load_i3d(path)


@pytest.fixture(scope="module")
def logits(network, video):
    with torch.inference_mode():
        return network(video)


def same_places(size, kernel, stride):
    """For each output place of TensorFlow's "SAME", the input places under the kernel; those outside are None."""
    outputs = int(np.ceil(size / stride))
    before = max((outputs - 1) * stride + kernel - size, 0) // 2
    return [
        [i if 0 <= i < size else None for i in range(o * stride - before, o * stride - before + kernel)]
        for o in range(outputs)
    ]


def windows(x, kernel, stride):
    """Literal loops: yield output place and, for each tap inside the input, its offset and value (C,)."""
    places = [same_places(x.shape[axis + 1], kernel[axis], stride[axis]) for axis in range(3)]
    for out in itertools.product(*(range(len(p)) for p in places)):
        taps = []
        for offset in itertools.product(*(range(k) for k in kernel)):
            where = [places[axis][out[axis]][offset[axis]] for axis in range(3)]
            if None not in where:
                taps.append((offset, x[(slice(None), *where)]))
        yield out, taps


@pytest.mark.parametrize(
    ("kernel", "stride", "shape"), [(3, 2, (5, 6, 7)), (7, 2, (4, 9, 8)), (3, 1, (2, 3, 4)), (1, 1, (2, 3, 3))]
)
def test_a_unit_is_a_convolution_padded_as_in_tensorflow(kernel, stride, shape):
    torch.manual_seed(kernel)
    unit = Unit3D(2, 3, kernel, stride).eval()
    unit.bn.running_mean.normal_()
    unit.bn.running_var.uniform_(0.001, 0.1)
    unit.bn.bias.data.normal_()
    x = torch.randn(2, *shape)
    with torch.inference_mode():
        found = unit(x[None])[0].numpy()
    weight = unit.conv3d.weight.detach().double().numpy()
    mean, variance, shift = (
        t.detach().double().numpy() for t in (unit.bn.running_mean, unit.bn.running_var, unit.bn.bias)
    )
    expected = np.zeros((3, *(int(np.ceil(s / stride)) for s in shape)))
    for out, taps in windows(x.double().numpy(), (kernel,) * 3, (stride,) * 3):
        summed = sum(weight[(slice(None), slice(None), *offset)] @ value for offset, value in taps)
        expected[(slice(None), *out)] = np.maximum((summed - mean) / np.sqrt(variance + 1e-3) + shift, 0)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("kernel", "stride"),
    [((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2)), ((3, 3, 3), (1, 1, 1))],
)
def test_pooling_never_sees_its_padding(kernel, stride):
    x = -torch.rand(2, 5, 6, 7, generator=torch.Generator().manual_seed(2)) - 1  # below any zero of a padding
    found = MaxPoolSame(kernel, stride)(x[None])[0].numpy()
    for out, taps in windows(x.numpy(), kernel, stride):
        np.testing.assert_array_equal(found[(slice(None), *out)], np.max([value for _, value in taps], axis=0))


def independent_forward(w, x):
    """The whole network anew: weights with the normalisation folded in, explicit zeros around, slices for pooling."""

    def pad(x, kernel, stride, value=0.0):
        amounts = []
        for size, k, s in zip(x.shape[:1:-1], kernel[::-1], stride[::-1], strict=True):
            total = max(k - s, 0) if size % s == 0 else max(k - size % s, 0)
            amounts += [total // 2, total - total // 2]
        return F.pad(x, amounts, value=value)

    def unit(name, x, k=1, s=1):
        factor = w[f"{name}.bn.weight"] / (w[f"{name}.bn.running_var"] + 1e-3).sqrt()
        weight = w[f"{name}.conv3d.weight"] * factor[:, None, None, None, None]
        bias = w[f"{name}.bn.bias"] - w[f"{name}.bn.running_mean"] * factor
        return F.conv3d(pad(x, (k,) * 3, (s,) * 3), weight, bias, s).clamp_min(0)

    def pool(x, kernel, stride):
        x = pad(x, kernel, stride)  # zeros do: all values are above them
        for axis, (k, s) in enumerate(zip(kernel, stride, strict=True), start=2):
            x = x.unfold(axis, k, s).amax(-1)
        return x

    def mixed(name, x):
        one = unit(f"{name}.b1b", unit(f"{name}.b1a", x), 3)
        two = unit(f"{name}.b2b", unit(f"{name}.b2a", x), 3)
        three = unit(f"{name}.b3b", pool(x, (3, 3, 3), (1, 1, 1)))
        return torch.cat([unit(f"{name}.b0", x), one, two, three], 1)

    x = pool(unit("Conv3d_1a_7x7", x, 7, 2), (1, 3, 3), (1, 2, 2))
    x = pool(unit("Conv3d_2c_3x3", unit("Conv3d_2b_1x1", x), 3), (1, 3, 3), (1, 2, 2))
    x = pool(mixed("Mixed_3c", mixed("Mixed_3b", x)), (3, 3, 3), (2, 2, 2))
    for stage in "bcdef":
        x = mixed(f"Mixed_4{stage}", x)
    x = mixed("Mixed_5c", mixed("Mixed_5b", pool(x, (2, 2, 2), (2, 2, 2))))
    steps = [x[:, :, t : t + 2].mean((2, 3, 4)) for t in range(x.shape[2] - 1)]
    logits = [s @ w["logits.conv3d.weight"].flatten(1).T + w["logits.conv3d.bias"] for s in steps]
    return torch.stack(logits).mean(0)


def test_names_shapes_and_number_of_parameters_are_the_published_ones():
    network = I3D()
    own = {n: tuple(v.shape) for n, v in network.state_dict().items() if not n.endswith("num_batches_tracked")}
    assert own == published_shapes()
    learnt = {n: int(np.prod(s)) for n, s in published_shapes().items() if "running" not in n}
    assert sum(p.numel() for p in network.parameters()) == sum(learnt.values()) == 12_697_264


def test_the_whole_network_equals_an_independent_forward_pass(logits, weights, video):
    with torch.inference_mode():
        expected = independent_forward(weights, video)
    assert logits.shape == (1, 400)
    assert expected.std() > 0.05
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("layout", ["piergiaj", "videogpt", "without scales", "wrapped"])
def test_both_layouts_in_circulation_load_alike(layout, weights, network, tmp_path):
    tensors = dict(weights)
    if layout == "piergiaj":  # saved by a PyTorch that counts batches
        tensors |= {n.replace("running_var", "num_batches_tracked"): torch.tensor(7) for n in weights if "var" in n}
    if layout == "without scales":  # TensorFlow's network has none
        tensors = {n: v for n, v in weights.items() if not n.endswith("bn.weight")}
    if layout == "wrapped":
        tensors = {"state_dict": {f"module.{n}": v for n, v in weights.items()}}
    torch.save(tensors, tmp_path / "i3d.pt")
    loaded = load_i3d(tmp_path / "i3d.pt").state_dict()
    for name, value in network.state_dict().items():
        assert torch.equal(loaded[name], value), name


class Harmful:
    def __reduce__(self):
        return (os.mkdir, ("ran",))


def test_files_that_are_no_such_weights_are_refused_by_name(weights, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": Harmful()}, "harmful.pt")
    torch.save({n: v for n, v in weights.items() if n != "Mixed_4c.b2a.conv3d.weight"}, "incomplete.pt")
    torch.save(weights | {"logits.conv3d.weight": torch.zeros(600, 1024, 1, 1, 1)}, "kinetics600.pt")
    torch.save(weights | {"logits.conv3d.bias": torch.full((400,), torch.nan)}, "damaged.pt")
    (tmp_path / "cut.safetensors").write_bytes(b"\0" * 10)
    told = {
        "harmful.pt": "cannot be read",
        "incomplete.pt": "Mixed_4c.b2a.conv3d.weight",
        "kinetics600.pt": "logits.conv3d.weight",
        "damaged.pt": "not finite",
        "cut.safetensors": "cannot be read",
        "missing.pt": "is not a file",
    }
    for name, words in told.items():
        with pytest.raises(UserError, match=words) as error:
            load_i3d(name)
        assert name in str(error.value)
        assert "\n" not in str(error.value)
    assert not (tmp_path / "ran").exists()


def test_too_few_frames_or_another_size_are_an_error(network):
    with pytest.raises(ValueError, match="at least 10 frames of 224×224, got 9"):
        network(torch.zeros(1, 3, 9, 224, 224))
    with pytest.raises(ValueError, match="got 16 of 112×112"):
        network(torch.zeros(1, 3, 16, 112, 112))


@pytest.mark.slow
@pytest.mark.skipif("SKETCH2VIDEO_I3D" not in os.environ, reason="needs the weights: SKETCH2VIDEO_I3D=file")
class TestWithTheWeights:
    """Public values of DeepMind's weights on TensorFlow Hub."""

    @staticmethod
    def logits(videos):
        """(N, 3, T, 224, 224) views, a few at a time."""
        device = "cuda" if torch.cuda.is_available() else "cpu"
        network = load_i3d(os.environ["SKETCH2VIDEO_I3D"]).to(device)
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            return np.concatenate(
                [network(videos[i : i + 4].to(device)).cpu().numpy() for i in range(0, len(videos), 4)]
            )

    def test_two_sets_of_noise(self):
        # universome/fvd-comparison shows its numbers in [0, 1] to the network as they are.
        sets = []
        for seed in (1, 2):
            noise = np.random.RandomState(seed).rand(128, 16, 224, 224, 3).astype(np.float32)
            sets.append(self.logits(torch.from_numpy(noise).permute(0, 4, 1, 2, 3)))
        assert frechet_distance(*sets) == pytest.approx(10.1381, abs=2e-3)

    def test_zeros_against_ones(self):
        # JunyaoHu/common_metrics_on_video_quality; resized, a constant stays what it is.
        zeros, ones = (self.logits(torch.full((1, 3, 30, 224, 224), value)) for value in (-1.0, 1.0))
        assert frechet_distance(zeros.repeat(8, 0), ones.repeat(8, 0)) == pytest.approx(151.26, abs=0.5)
