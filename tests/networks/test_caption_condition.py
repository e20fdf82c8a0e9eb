import torch

from sketch2video.networks.caption_condition import CaptionAndRate, pooled


def test_captions_are_told_by_what_they_do_not_share() -> None:
    torch.manual_seed(0)
    shared, mask = 10 * torch.randn(16), torch.ones(200, 4, dtype=torch.bool)
    text = shared + torch.randn(200, 4, 16) * torch.linspace(0.1, 2, 16)
    caption = CaptionAndRate(text_width=16, width=8)
    caption.centre(text, mask)
    tokens, present = caption.tokens(200, text, mask)
    vectors = pooled(tokens[:, 1:], present[:, 1:])
    assert vectors.mean(0).abs().max() < 0.3
    torch.testing.assert_close(vectors.square().mean(1), torch.ones(200), atol=1e-3, rtol=0)


def test_the_mean_of_words_leaves_out_what_is_masked() -> None:
    tokens, mask = torch.randn(1, 3, 8), torch.tensor([[True, False, True]])
    mean = (tokens[0, 0] + tokens[0, 2]) / 2
    torch.testing.assert_close(pooled(tokens, mask)[0], mean / mean.square().mean().sqrt())


def test_without_a_caption_or_with_an_empty_one_is_the_same() -> None:
    torch.manual_seed(0)
    caption = CaptionAndRate(text_width=16, width=8)
    nothing = caption.vector(*caption.tokens(2, None, None), None)
    empty = caption.tokens(2, torch.randn(2, 5, 16), torch.zeros(2, 5, dtype=torch.bool))
    torch.testing.assert_close(caption.vector(*empty, torch.zeros(2)), nothing)
    assert not torch.allclose(caption.vector(*empty, torch.full((2,), 8.0)), nothing)
