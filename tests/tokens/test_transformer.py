from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from sketch2video.tokens.level_transformer import Past
from sketch2video.tokens.transformer import TokenTransformer
from tests.tokens.tiny_tokens import CODES, FRAMES, condition_of, times_of, tiny_transformer, tokens_of


@pytest.fixture
def model() -> TokenTransformer:
    return tiny_transformer()


@torch.no_grad()
@pytest.mark.parametrize("level", [0, 1])
def test_a_token_is_predicted_from_what_stands_before_it_alone(model: TokenTransformer, level: int) -> None:
    tokens, condition = tokens_of(), condition_of(model)
    plain = model(tokens, times_of(), condition)
    slots = tokens[level][0].numel()
    for slot in (0, slots // 2, slots - 1):
        changed = [each.clone() for each in tokens]
        flat = changed[level].view(2, -1)
        flat[:, slot] = (flat[:, slot] + 1) % CODES
        moved = [
            (new - old).abs().amax(-1).flatten(1) > 1e-6
            for new, old in zip(model(changed, times_of(), condition), plain, strict=True)
        ]
        assert not moved[level][:, : slot + 1].any()
        assert moved[level][:, slot + 1 :].any(1).all() or slot == slots - 1
        if level == 1:  # the lower level sees the upper one in the same frame, and not before it
            frame = slot // 4
            assert not moved[0][:, : 16 * frame].any()
            assert moved[0][:, 16 * frame :].any(1).all()
        else:  # and the upper level the lower one in the frame before
            frame = slot // 16
            assert not moved[1][:, : 4 * (frame + 1)].any()
            assert moved[1][:, 4 * (frame + 1) :].any(1).all() or frame == FRAMES - 1


@torch.no_grad()
def test_reading_in_parts_is_reading_at_once(model: TokenTransformer) -> None:
    tokens, condition = tokens_of(), condition_of(model)
    at_once = model(tokens, times_of(), condition)
    vectors = [model.vectors(level, each) for level, each in enumerate(tokens)]
    before = [torch.cat([torch.zeros_like(each[:, :1]), each[:, :-1]], dim=1) for each in vectors]
    missing = torch.tensor([[True, False, False]] * 2)
    for level, part in enumerate(model.parts):
        bases = part.bases(Past(before, missing), vectors[level + 1 :], times_of(), condition)
        inputs = part.inputs(bases, vectors[level])
        reading = part.begin(condition)
        parts = inputs.split((1, 5, inputs.shape[1] - 6), dim=1)
        pieces = [part.read(reading, piece, model.codebooks[level]) for piece in parts]
        torch.testing.assert_close(torch.cat(pieces, dim=1), at_once[level].flatten(1, 2), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_padding_behind_captions_moves_nothing(model: TokenTransformer) -> None:
    tokens, condition = tokens_of(), condition_of(model)
    longer = condition._replace(
        tokens=functional.pad(condition.tokens, (0, 0, 0, 4), value=3.0), mask=functional.pad(condition.mask, (0, 4))
    )
    for plain, padded in zip(model(tokens, times_of(), condition), model(tokens, times_of(), longer), strict=True):
        torch.testing.assert_close(padded, plain, atol=1e-5, rtol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("what", ["tokens", "vector", "times", "control"])
def test_every_condition_has_influence(what: str) -> None:
    model = tiny_transformer(control_channels=3)
    tokens, condition, times = tokens_of(), condition_of(model), times_of()
    condition = condition._replace(control=torch.rand(2, FRAMES, 3, 16, 16))
    plain = model(tokens, times, condition)
    if what == "times":
        times = times / 2
    else:
        condition = condition._replace(**{what: torch.rand_like(getattr(condition, what))})
    for new, old in zip(model(tokens, times, condition), plain, strict=True):
        assert (new - old).abs().amax((1, 2, 3)).min() > 1e-4


@torch.no_grad()
def test_control_pictures_can_be_missing_for_one_clip() -> None:
    model = tiny_transformer(control_channels=1)
    tokens, condition, times = tokens_of(), condition_of(model), times_of()
    shown = condition._replace(control=torch.rand(2, FRAMES, 1, 16, 16))
    mixed = model(tokens, times, shown._replace(control_mask=torch.tensor([True, False])))
    for some, every, none in zip(mixed, model(tokens, times, shown), model(tokens, times, condition), strict=True):
        torch.testing.assert_close(some[:1], every[:1], atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(some[1:], none[1:], atol=1e-5, rtol=1e-4)


def test_a_token_sees_the_control_picture_around_it_and_that_of_its_own_frame_alone() -> None:
    model = tiny_transformer(control_channels=1)
    tokens, condition, times = tokens_of(), condition_of(model), times_of()
    control = torch.rand(2, FRAMES, 1, 16, 16).requires_grad_()
    for beyond in (False, True):
        fine, _ = model(tokens, times, condition._replace(control=control))
        (gradient,) = torch.autograd.grad(fine[0, 1, 0].square().sum(), control)
        seen = gradient[0, :, 0].abs() > 0
        assert not gradient[1].any()
        assert not seen[2:].any(), "later frames are not seen"
        # Before the first token of a frame nothing of that frame was read: what it sees of it is its own slot's view.
        assert seen[1, :4, :4].all()
        assert seen[1, 4:12, 4:12].any() == beyond
        for part in model.parts:  # as training leaves it
            torch.nn.init.normal_(part.control_around[-1].weight, std=0.1)


def test_upper_tokens_may_be_relaxed_and_gradients_flow_through_them(model: TokenTransformer) -> None:
    tokens, condition = tokens_of(), condition_of(model)
    relaxed = functional.one_hot(tokens[1], CODES).float().requires_grad_()
    logits = model.level_logits(0, tokens, [tokens[0], relaxed], times_of(), condition)
    torch.testing.assert_close(logits, model(tokens, times_of(), condition)[0])
    (gradient,) = torch.autograd.grad(logits.square().sum(), relaxed)
    assert (gradient.abs().sum((-1, -2, -3)) > 0).all()


@pytest.mark.parametrize(("levels", "sides"), [(1, (4,)), (3, (4, 2, 1))])
def test_any_number_of_levels(levels: int, sides: tuple[int, ...]) -> None:
    model = tiny_transformer(levels=levels)
    logits = model(tokens_of(sides=sides), times_of(), condition_of(model))
    assert [each.shape for each in logits] == [(2, FRAMES, side**2, CODES) for side in sides]


@torch.no_grad()
def test_a_saved_model_is_the_same_model(model: TokenTransformer, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".safetensors"}
    loaded = TokenTransformer.from_pretrained(tmp_path).eval()
    tokens = tokens_of()
    for new, old in zip(
        loaded(tokens, times_of(), condition_of(loaded)), model(tokens, times_of(), condition_of(model)), strict=True
    ):
        torch.testing.assert_close(new, old)
