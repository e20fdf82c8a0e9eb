from __future__ import annotations

import pytest
import torch

from sketch2video.params import TokenChoice
from sketch2video.tokens.clip_condition import ClipCondition
from sketch2video.tokens.sampling import LevelWriter, sample_tokens
from sketch2video.tokens.transformer import TokenTransformer
from tests.tokens.tiny_tokens import CODES, condition_of, tiny_transformer, tokens_of

PLAIN = TokenChoice(temperature=1.0, top_k=0, top_p=1.0)
GREEDY = PLAIN.model_copy(update={"temperature": 0.0})


@pytest.fixture(scope="module")
def model() -> TokenTransformer:
    return tiny_transformer()


@torch.no_grad()
def likeliest(model: TokenTransformer, video: list[torch.Tensor], start: int, stop: int) -> list[torch.Tensor]:
    """The likeliest tokens of frames ``start`` to ``stop`` as one window of a video, given all that stands before."""
    times = ((torch.arange(start, stop) + 0.5) / video[0].shape[1]).expand(2, -1)
    logits = model([tokens[:, start:stop] for tokens in video], times, condition_of(model))
    return [each.argmax(-1) for each in logits]


def test_without_chance_every_token_is_the_likeliest_one(model: TokenTransformer) -> None:
    video = sample_tokens(model, [(1.0, condition_of(model))], 4, GREEDY)
    for tokens, wanted in zip(video, likeliest(model, video, 0, 4), strict=True):
        torch.testing.assert_close(tokens.flatten(2), wanted)


def test_a_full_window_begins_again_with_its_newer_half(model: TokenTransformer) -> None:
    video = sample_tokens(model, [(1.0, condition_of(model))], 7, GREEDY)
    assert model.config.window == 4
    for start, stop, sampled in [(0, 4, 0), (2, 6, 2), (4, 7, 2)]:
        for tokens, wanted in zip(video, likeliest(model, video, start, stop), strict=True):
            torch.testing.assert_close(tokens[:, start + sampled : stop].flatten(2), wanted[:, sampled:])


def test_given_frames_stay_and_are_read(model: TokenTransformer) -> None:
    known = tokens_of(frames=5)
    video = sample_tokens(model, [(1.0, condition_of(model))], 6, GREEDY, known=known)
    for tokens, given in zip(video, known, strict=True):
        torch.testing.assert_close(tokens[:, :5], given)
    for tokens, wanted in zip(video, likeliest(model, video, 2, 6), strict=True):
        torch.testing.assert_close(tokens[:, 5].flatten(1), wanted[:, 3])
    with pytest.raises(ValueError, match="5 frames are known of a video of 4"):
        sample_tokens(model, [(1.0, condition_of(model))], 4, GREEDY, known=known)


def test_the_memory_does_not_grow_with_the_video(model: TokenTransformer, monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = []
    write = LevelWriter.write

    def measured(writer: LevelWriter, *arguments: object) -> None:
        write(writer, *arguments)
        assert writer.reading is not None
        lengths.append(writer.reading.past.get_seq_length() - writer.reading.mask.shape[1])

    monkeypatch.setattr(LevelWriter, "write", measured)
    sample_tokens(model, [(1.0, condition_of(model))], 20, PLAIN)
    assert max(lengths) == 4 * 16


def test_draws_follow_the_distribution_that_is_left() -> None:
    logits = torch.log(torch.tensor([0.5, 0.25, 0.15, 0.1]))
    expected = {
        PLAIN: [0.5, 0.25, 0.15, 0.1],
        PLAIN.model_copy(update={"temperature": 0.5}): [0.25 / 0.345, 0.0625 / 0.345, 0.0225 / 0.345, 0.01 / 0.345],
        PLAIN.model_copy(update={"top_k": 2}): [2 / 3, 1 / 3, 0, 0],
        PLAIN.model_copy(update={"top_p": 0.8}): [0.5 / 0.9, 0.25 / 0.9, 0.15 / 0.9, 0],
    }
    generator = torch.Generator().manual_seed(0)
    count = 20_000
    for sampling, shares in expected.items():
        writer = LevelWriter(tiny_transformer(), 0, _nothing(), torch.ones(1), sampling)
        noise = -torch.log(-torch.log(torch.rand(count, 4, generator=generator)))
        found = torch.bincount(writer.draw(logits.expand(count, -1).clone(), noise), minlength=4) / count
        torch.testing.assert_close(found, torch.tensor(shares), atol=0.015, rtol=0)


def _nothing() -> ClipCondition:
    return ClipCondition(torch.zeros(1, 1, 6), torch.ones(1, 1, dtype=torch.bool), torch.zeros(1, 16))


def test_a_video_depends_on_its_own_generator_alone(model: TokenTransformer) -> None:
    def sampled(seeds: list[int], rows: list[int]) -> list[torch.Tensor]:
        whole = condition_of(model)
        condition = ClipCondition(whole.tokens[rows], whole.mask[rows], whole.vector[rows])
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        return sample_tokens(model, [(1.0, condition)], 3, PLAIN, generators)

    together, alone, other = sampled([3, 4], [0, 1]), sampled([4], [1]), sampled([3, 5], [0, 1])
    for both, single, changed in zip(together, alone, other, strict=True):
        torch.testing.assert_close(both[1:], single)
        torch.testing.assert_close(both[:1], changed[:1])
        assert not torch.equal(both[1], changed[1])


def test_guidance_moves_away_from_what_is_not_asked_for(model: TokenTransformer) -> None:
    asked, nothing = condition_of(model), model.condition(2)
    plain = sample_tokens(model, [(1.0, asked)], 3, GREEDY)
    same = sample_tokens(model, [(3.0, asked), (-2.0, asked)], 3, GREEDY)
    far = sample_tokens(model, [(30.0, asked), (-29.0, nothing)], 3, GREEDY)
    for tokens, equal, guided in zip(plain, same, far, strict=True):
        torch.testing.assert_close(equal, tokens)
        assert not torch.equal(guided, tokens)
    with torch.no_grad():
        times = torch.full((2, 1), 0.5 / 3)
        top = [torch.zeros(2, 1, side, side, dtype=torch.long) for side in (4, 2)]
        with_text, without = (model(top, times, each)[1][:, 0, 0].log_softmax(-1) for each in (asked, nothing))
    torch.testing.assert_close(far[1][:, 0, 0, 0], (30 * with_text - 29 * without).argmax(-1))


@pytest.mark.parametrize("wrong", [{"temperature": -1.0}, {"top_k": -1}, {"top_p": 0.0}, {"top_p": 1.5}])
def test_impossible_settings_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        TokenChoice(**{**PLAIN.model_dump(), **wrong})


def test_all_codes_can_come_up(model: TokenTransformer) -> None:
    video = sample_tokens(model, [(1.0, model.condition(16))], 4, PLAIN.model_copy(update={"temperature": 3.0}))
    assert set(video[0].unique().tolist()) == set(range(CODES))
