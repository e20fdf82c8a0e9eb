"""Axes of the bottleneck."""

import pytest

from benchmarks.axes import AXES, Bottleneck


def test_both_axes_begin_at_one_bottleneck_and_have_equally_many_numbers():
    space, time = AXES["space"], AXES["time"]
    assert space[0] == time[0] == Bottleneck(3, 1)
    for axis in (space, time):
        assert [bottleneck.numbers(4, 64) for bottleneck in axis] == [256, 64, 16]
    assert [(b.factor, b.frames_per_latent) for b in space] == [(8, 1), (16, 1), (32, 1)]
    assert [(b.factor, b.frames_per_latent) for b in time] == [(8, 1), (8, 4), (8, 16)]
    assert [str(bottleneck) for bottleneck in time] == ["f8t1", "f8t4", "f8t16"]


def test_the_denoiser_has_equally_many_tokens_a_frame_behind_both_axes():
    for axis in AXES.values():
        tokens = [(64 // b.factor // b.patch) ** 2 / b.frames_per_latent for b in axis]
        assert tokens == [16, 16, 4]


def test_autoencoders_of_every_factor_have_equally_many_resolutions():
    assert {b.halvings - b.fold.bit_length() for axis in AXES.values() for b in axis} == {1}


@pytest.mark.parametrize(("bottleneck", "numbers"), [(Bottleneck(2), 64), (Bottleneck(3, 3), 6), (Bottleneck(5, 4), 1)])
def test_numbers_of_a_frame_are_rounded_up(bottleneck, numbers):
    assert bottleneck.numbers(1, 32) == numbers
