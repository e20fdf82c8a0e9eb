"""The widened input layer, the hash of weights, and the choice of buckets."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from sketch2video.bases.buckets import Bucket, best_bucket
from sketch2video.bases.weights_hash import weights_hash
from sketch2video.bases.widened_input import WidenedInput, concatenating, widen

LAYERS: list[tuple[nn.Module, tuple[int, ...], int]] = [
    (nn.Linear(6, 5), (2, 7, 6), -1),
    (nn.Conv2d(6, 5, 2, stride=2), (2, 6, 8, 4), 1),
    (nn.Conv3d(6, 5, (1, 2, 2), stride=(1, 2, 2)), (2, 6, 3, 8, 4), 1),
]


@pytest.mark.parametrize(("layer", "shape", "axis"), LAYERS)
def test_it_is_one_layer_with_more_channels(layer: Any, shape: tuple[int, ...], axis: int) -> None:
    widened = WidenedInput(layer, 3)
    x = torch.randn(shape)
    control = torch.randn([3 if index == axis % len(shape) else size for index, size in enumerate(shape)])
    both = torch.cat([x, control], dim=axis)
    torch.testing.assert_close(widened(both), layer(x))
    torch.testing.assert_close(widened(x), layer(x))
    widened.control.weight.data.normal_()
    whole = copy.deepcopy(layer)
    whole.weight = nn.Parameter(torch.cat([layer.weight, widened.control.weight], dim=1))
    if isinstance(whole, nn.Conv2d | nn.Conv3d):
        whole.in_channels = 9
    torch.testing.assert_close(widened(both), whole(both))
    assert (widened(both) - layer(x)).abs().max() > 0.1


def test_a_layer_is_replaced_by_its_name() -> None:
    network = nn.ModuleDict({"patch": nn.ModuleDict({"proj": nn.Linear(2, 3)}), "out": nn.Linear(3, 1)})
    layer = widen(network, "patch.proj", 4)
    assert network["patch"]["proj"] is layer
    x, control = torch.randn(5, 2), torch.randn(5, 4)
    layer.control.weight.data.normal_()
    with concatenating(layer, control):
        inside = layer(x)
    torch.testing.assert_close(inside, layer(torch.cat([x, control], dim=1)))
    assert not torch.allclose(layer(x), inside), "the control is gone after the block"
    with pytest.raises(TypeError, match="LayerNorm cannot be widened"):
        WidenedInput(nn.LayerNorm(3), 1)


def test_a_hash_names_the_values_of_weights_and_nothing_else() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(30, 40), nn.Linear(40, 2))
    expected = weights_hash(network)
    assert weights_hash(copy.deepcopy(network).to(torch.bfloat16)) == expected
    assert weights_hash(nn.ModuleDict({"a": network[1], "b": network[0]})) == expected
    changed = copy.deepcopy(network)
    changed[0].weight.data += 0.01
    assert weights_hash(changed) != expected
    transposed = copy.deepcopy(network)
    transposed[1].weight.data = transposed[1].weight.data.view(40, 2)
    assert weights_hash(transposed) != expected


@pytest.mark.parametrize(
    ("width", "height", "seconds", "expected"),
    [
        (1920, 1080, 9.0, "832x480x81"),
        (1920, 1080, 4.0, "832x480x49"),
        (1920, 1080, 1.0, "832x480x49"),  # of which it fills none
        (1080, 1920, 9.0, "480x832x49"),
        (700, 600, 9.0, "640x640x49"),
    ],
)
def test_a_video_goes_to_the_nearest_shape_and_the_longest_length(
    width: int, height: int, seconds: float, expected: str
) -> None:
    buckets = [Bucket(832, 480, 49), Bucket(832, 480, 81), Bucket(480, 832, 49), Bucket(640, 640, 49)]
    assert best_bucket(buckets, width, height, seconds, 16.0).name == expected
