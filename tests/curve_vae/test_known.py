import numpy as np
import pytest
import torch

from sketch2video.curve_vae.known import Known, between, describe, hold, random_known, tokens_of
from sketch2video.curve_vae.strokes import known_numbers
from sketch2video.curves.equation.stroke_keys import with_key_frames
from tests.curve_vae.sets import network, seeded, smooth, strokes


def test_between_is_linear_interpolation_held_at_both_ends() -> None:
    shown = torch.tensor([[0, 1, 0, 0, 1, 0], [0, 0, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1]]).bool()
    values = torch.randn(3, 6, 2)
    drawn = between(values, shown)
    for row in range(3):
        at = shown[row].nonzero()[:, 0].numpy()
        for axis in range(2):
            expected = np.interp(np.arange(6), at, values[row, at, axis])
            np.testing.assert_allclose(drawn[row, :, axis], expected, atol=1e-6)


def test_what_is_wholly_known_is_described_by_its_own_latents() -> None:
    vae, sets = network(), strokes()
    vae.whiten(sets)
    everything = Known(sets.coefficients, sets.visible, ~sets.visible)
    described = describe(vae, everything)
    assert described.shape == (2, 4, known_numbers(len(vae.mean), 4))
    tokens = vae.whitened(vae.encode(sets.coefficients, sets.life).mode())
    shown = sets.present
    torch.testing.assert_close(tokens_of(described, vae)[shown], tokens[shown], atol=1e-4, rtol=1e-3)


def test_nothing_known_is_zero_and_hidden_strokes_are_not() -> None:
    vae, sets = network(), strokes()
    nothing = torch.zeros_like(sets.visible)
    assert (describe(vae, Known(sets.coefficients, nothing, nothing)) == 0).all()
    hidden = nothing.clone()
    hidden[0, 0, 0] = True
    described = describe(vae, Known(sets.coefficients, nothing, hidden))
    assert described[0, 0].abs().max() > 0
    assert (described[0, 1:] == 0).all()


def test_what_is_not_shown_has_no_influence() -> None:
    vae, sets = network(), strokes()
    shown = torch.zeros_like(sets.visible)
    shown[..., 0] = sets.visible[..., 0]
    other = torch.where(shown[..., None, None], sets.coefficients, 7.0)
    one, two = (describe(vae, Known(c, shown, torch.zeros_like(shown))) for c in (sets.coefficients, other))
    torch.testing.assert_close(one, two)


def test_held_strokes_pass_through_what_is_known_and_keep_their_way_between() -> None:
    drawn, wanted = smooth(1, 2, frames=9, seed=1), smooth(1, 2, frames=9, seed=2)
    visible = torch.ones(1, 2, 9, dtype=torch.bool)
    visible[0, 0, 0] = False
    shown = torch.zeros(1, 2, 9, dtype=torch.bool)
    shown[0, 0, [0, 8]] = True
    hidden = torch.zeros_like(shown)
    hidden[0, 1, 4] = True
    held, seen = hold(drawn, visible, Known(wanted, shown, hidden))
    torch.testing.assert_close(held[shown], wanted[shown])
    torch.testing.assert_close(held[0, 1], drawn[0, 1])
    assert seen[0, 0].all()
    assert seen[0, 1].long().tolist() == [1, 1, 1, 1, 0, 1, 1, 1, 1]
    correction = (held - drawn)[0, 0]
    torch.testing.assert_close(correction[4], (correction[0] + correction[8]) / 2)


def test_known_frames_change_a_stroke_as_its_key_frames_do() -> None:
    drawn, wanted = smooth(1, 1, frames=9, seed=1), smooth(1, 1, frames=9, seed=2)
    shown = torch.zeros(1, 1, 9, dtype=torch.bool)
    shown[0, 0, [2, 3, 7]] = True
    held, _ = hold(drawn, torch.ones_like(shown), Known(wanted, shown, torch.zeros_like(shown)))
    keys = {frame: wanted[0, 0, frame].numpy() for frame in (2, 3, 7)}
    np.testing.assert_allclose(held[0, 0], with_key_frames(drawn[0, 0].numpy(), keys), atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_clips_is_known_in_part(share: float) -> None:
    sets = strokes(clips=400)
    known = random_known(sets, share, seeded())
    any_known = (known.shown | known.hidden).flatten(1).any(1).float().mean()
    assert any_known == pytest.approx(share, abs=0.1)
    assert not (known.shown & known.hidden).any()
    assert not (known.shown & ~sets.visible).any()
    assert not (known.hidden & sets.visible).any()
    if share == 1:
        frames = (known.shown | known.hidden).all(1)  # of clips whose frames are known, those that are
        patterns = {tuple(row) for row in frames.long().tolist()}
        assert (1, 0, 0, 0, 0, 0, 0, 1) in patterns
        assert {(1,) * n + (0,) * (8 - n) for n in range(1, 5)} <= patterns
        whole = (known.shown | known.hidden).all(2)
        assert ((whole.sum(1) > 0) & (whole.sum(1) < 4)).any()  # some strokes in all frames
