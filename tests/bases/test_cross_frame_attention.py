import math

import pytest
import torch
from diffusers.models.attention_processor import Attention, AttnProcessor2_0
from torch import Tensor

from sketch2video.bases.cross_frame_attention import CrossFrameAttention, FrameAttention, attend_across_frames
from tests.bases.tiny import tiny_unet

KINDS: list[FrameAttention] = ["first_and_own", "first_and_former"]


def literal(attn: Attention, states: Tensor, seen: list[int]) -> Tensor:
    """Each token of each frame by itself, from the frames that it sees."""
    outputs = []
    width = attn.to_q.out_features // attn.heads
    for frame, other in enumerate(seen):
        context = torch.cat([states[0], states[other]])
        rows = []
        for token in states[frame]:
            heads = []
            for head in range(attn.heads):
                part = slice(head * width, (head + 1) * width)
                query = attn.to_q(token)[part]
                scores = torch.stack([query @ attn.to_k(one)[part] for one in context]) / math.sqrt(width)
                shares = (scores - scores.max()).exp()
                shares = shares / shares.sum()
                heads.append(sum(share * attn.to_v(one)[part] for share, one in zip(shares, context, strict=True)))
            rows.append(attn.to_out[0](torch.cat(heads)))
        outputs.append(torch.stack(rows))
    return torch.stack(outputs)


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_frames_see_those_of_their_window_and_no_others(kind: FrameAttention) -> None:
    torch.manual_seed(0)
    attn = Attention(query_dim=6, heads=2, dim_head=3)
    attn.set_processor(CrossFrameAttention(AttnProcessor2_0(), kind, frames=3))
    states = 2 * torch.randn(2 * 3, 5, 6)
    seen = [0, 1, 2] if kind == "first_and_own" else [0, 0, 1]
    expected = torch.cat([literal(attn, window, seen) for window in states.split(3)])
    torch.testing.assert_close(attn(states), expected, atol=1e-5, rtol=1e-5)


def test_batches_that_are_not_made_of_windows_are_refused() -> None:
    attn = Attention(query_dim=6, heads=2, dim_head=3)
    attn.set_processor(CrossFrameAttention(AttnProcessor2_0(), "first_and_own", frames=3))
    with pytest.raises(ValueError, match="4 frames does not consist of windows of 3"):
        attn(torch.randn(4, 5, 6))


def test_processors_come_and_go() -> None:
    unet = tiny_unet()
    before = unet.attn_processors
    attend_across_frames(unet, "first_and_former", 3)
    attend_across_frames(unet, "first_and_own", 4)
    for name, processor in unet.attn_processors.items():
        if "attn1" in name:
            assert isinstance(processor, CrossFrameAttention)
            assert (processor.kind, processor.frames, processor.processor) == ("first_and_own", 4, before[name])
        else:
            assert processor is before[name]
    attend_across_frames(unet, "own", 1)
    assert unet.attn_processors == before
    with pytest.raises(ValueError, match="choose one of own, first_and_own, first_and_former"):
        attend_across_frames(unet, "all", 1)  # type: ignore[arg-type]
