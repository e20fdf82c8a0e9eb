import pytest
import torch

from sketch2video.diffusion.known_frames import PIECES, SeenClips, known_masks, seen_clips
from sketch2video.params import MixtureParams

FRAMES, CLIPS = 16, 8


def mixture(**changes: float) -> MixtureParams:
    return MixtureParams.model_validate(
        {"known_frames": 0.0, "half_rate": 0.0, "image_share": 0.0, "image_steps": 0} | changes
    )


def batch(frames: int = FRAMES) -> dict[str, torch.Tensor]:
    """Clips whose latents are the numbers of their frames."""
    latents = torch.arange(frames).float().view(1, -1, 1, 1, 1).expand(CLIPS, -1, 2, 2, 2)
    return {"latents": latents, "fps": torch.full((CLIPS,), 8.0), "index": torch.arange(CLIPS)}


def seen(count: int, **changes: float) -> list[SeenClips]:
    generator = torch.Generator().manual_seed(0)
    return [seen_clips(batch(), mixture(**changes), generator) for _ in range(count)]


def test_what_is_switched_off_changes_nothing_and_draws_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    clips, known = seen_clips(batch(), mixture(), generator)
    assert known is None
    assert all(torch.equal(clips[name], array) for name, array in batch().items())
    assert torch.equal(generator.get_state(), torch.Generator().manual_seed(0).get_state())


@pytest.mark.parametrize("share", [0.2, 0.6, 1.0])
def test_the_share_of_clips_with_known_frames_is_that_of_the_parameter(share: float) -> None:
    steps = seen(2000, known_frames=share, half_rate=0.3)
    shown = torch.cat([known.any(1) for _, known in steps if known is not None]).sum() / (2000 * CLIPS)
    assert shown == pytest.approx(share, abs=0.03)
    pieces = [known for clips, known in steps if clips["latents"].shape[1] not in (FRAMES, FRAMES // 2)]
    assert len(pieces) / 2000 == pytest.approx(PIECES * share, abs=0.03)
    assert all(known is not None and known.any(1).all() for known in pieces)


def test_pieces_are_neighbouring_frames_between_ends() -> None:
    steps = [clips for clips, _ in seen(400, known_frames=1.0) if clips["latents"].shape[1] < FRAMES]
    numbers = [clips["latents"][0, :, 0, 0, 0] for clips in steps]
    assert {len(each) for each in numbers} == {9, 11, 13, 15}
    assert all((each.diff() == 1).all() for each in numbers)
    assert {int(each[0]) for each in numbers if len(each) == 9} == set(range(8))
    assert all(torch.equal(clips["fps"], batch()["fps"]) for clips in steps)


def test_every_second_frame_comes_at_half_the_frame_rate() -> None:
    steps = seen(1000, half_rate=0.4)
    slow = [clips for clips, _ in steps if clips["latents"].shape[1] == FRAMES // 2]
    assert len(slow) / 1000 == pytest.approx(0.4, abs=0.05)
    assert {tuple(clips["latents"][0, :, 0, 0, 0].int().tolist()) for clips in slow} == {
        tuple(range(0, 16, 2)),
        tuple(range(1, 16, 2)),
    }
    assert all((clips["fps"] == 4.0).all() for clips in slow)
    whole = [clips for clips, _ in steps if clips["latents"].shape[1] == FRAMES]
    assert len(slow) + len(whole) == 1000
    assert all((clips["fps"] == 8.0).all() for clips in whole)


@pytest.mark.parametrize("frames", [2, 3, 16])
def test_masks_are_of_three_kinds_and_leave_something_to_do(frames: int) -> None:
    masks = known_masks(6000, frames, 1.0, torch.Generator().manual_seed(0))
    assert masks.any(1).all()
    assert not masks.all(1).any()
    if frames < 16:
        return
    every_second = (masks == (torch.arange(frames) % 2 == 0)).all(1)
    first = (masks.int().diff(dim=1) <= 0).all(1)
    assert every_second.float().mean() == pytest.approx(1 / 3, abs=0.03)
    assert first.float().mean() == pytest.approx(1 / 3, abs=0.05)
    assert masks[first].sum(1).unique().tolist() == list(range(1, frames))
    others = masks[~every_second & ~first]
    assert others.float().mean(0).std() < 0.05, "any frame may be known"
    assert others.sum(1).unique().tolist() == list(range(1, frames))


@pytest.mark.parametrize("frames", [2, 3, 4, 5, 8])
def test_short_clips_have_frames_left(frames: int) -> None:
    generator = torch.Generator().manual_seed(0)
    for _ in range(50):
        clips, known = seen_clips(batch(frames), mixture(known_frames=0.9, half_rate=0.3), generator)
        assert clips["latents"].shape[1] >= 1
        assert known is None or (known.shape == clips["latents"].shape[:2] and not known.all(1).any())
