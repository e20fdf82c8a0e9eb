"""Text conditions: captions as the token states of a frozen text encoder.

The encoder is any that ``transformers`` saves in a folder with its tokenizer: ours (a small BERT), or a pretrained CLIP
text model or T5 encoder. Nothing here relies on a pooled output, which these models define differently or not at all:
networks attend to the token states. The empty caption stands for "no caption" in classifier-free guidance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    BertModel,
    CLIPTextModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    T5EncoderModel,
)

from sketch2video.errors import UserError

LONGEST = 512
"""Tokens of a caption where the text encoder has no limit of its own."""

_BATCH = 256
_ENCODERS: dict[str, Callable[..., PreTrainedModel]] = {
    "bert": partial(BertModel.from_pretrained, add_pooling_layer=False),
    "clip": CLIPTextModel.from_pretrained,
    "clip_text_model": CLIPTextModel.from_pretrained,
    "t5": T5EncoderModel.from_pretrained,
}


class TextCondition(NamedTuple):
    """Encoded captions.

    Attributes:
        hidden: float32 (N, L, D), the state of every token; zero after a caption's end.
        mask: bool (N, L), True at the tokens of the caption.
    """

    hidden: torch.Tensor
    mask: torch.Tensor

    def to(self, device: torch.device | str) -> TextCondition:
        """The same condition on another device."""
        return TextCondition(self.hidden.to(device), self.mask.to(device))


def load_text_encoder(
    source: Path | str, words: Path | str | None = None
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """A tokenizer and its frozen text encoder, in evaluation mode and float32.

    Args:
        source: a folder written by ``save_pretrained``; or, as a string, the hub id of a CLIP, T5 or BERT-like model. A
            path is never looked up on the hub.
        words: folder or id of the tokenizer; None: that of the encoder.

    Raises:
        UserError: there is no such folder or model, or it is not a text encoder.
    """
    here = isinstance(source, Path) or Path(source).is_absolute()
    if here and not Path(source).is_dir():
        raise UserError(f"{source} is missing; run `dvc repro train_text_encoder` to make it")
    try:
        config = AutoConfig.from_pretrained(source, local_files_only=here)
        tokenizer = AutoTokenizer.from_pretrained(source if words is None else words, local_files_only=here)
        load = _ENCODERS.get(config.model_type, AutoModel.from_pretrained)
        model = load(source, dtype=torch.float32, local_files_only=here)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{source} cannot be loaded as a text encoder ({reason}); give a folder with a tokenizer and a model,"
            " or the hub id of a CLIP or T5 model and a network connection"
        ) from error
    if tokenizer.pad_token is None:
        raise UserError(
            f"{source} has a tokenizer without a padding token; choose a CLIP, T5 or BERT-like text encoder"
        )
    return tokenizer, model.requires_grad_(False).eval()


def tokenise(
    tokenizer: PreTrainedTokenizerBase, captions: Sequence[str], longest: int = LONGEST
) -> tuple[torch.Tensor, torch.Tensor]:
    """Token ids of captions of different lengths as one padded array.

    Args:
        tokenizer: one with a padding token.
        captions: N of them.
        longest: tokens; what is longer, or longer than the tokenizer's own limit, is cut off.

    Returns:
        int64 (N, L), padded behind the captions' ends to the longest of them, and bool (N, L), True at their tokens.
    """
    tokens = tokenizer(
        list(captions),
        padding=True,
        padding_side="right",
        truncation=True,
        max_length=min(tokenizer.model_max_length, longest),  # a tokenizer without a limit reports 1e30
        return_tensors="pt",
    )
    return tokens["input_ids"], tokens["attention_mask"].bool()


@torch.no_grad()
def encode_text(
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    captions: Sequence[str],
    device: torch.device | None = None,
) -> TextCondition:
    """Token states of captions.

    L is the length of the longest caption in tokens; what is longer than the model can read is cut off.

    Args:
        tokenizer, model: of :func:`load_text_encoder`.
        captions: N of them.
        device: where the model computes; None: the model's own device, which is another one while it is offloaded.
    """
    # T5, whose positions are relative, has no limit in its config.
    longest = getattr(model.config, "max_position_embeddings", LONGEST)
    tokens, mask = (tensor.to(device or model.device) for tensor in tokenise(tokenizer, captions, longest))
    parts = zip(tokens.split(_BATCH), mask.long().split(_BATCH), strict=True)
    states = [model(input_ids=ids, attention_mask=attention).last_hidden_state for ids, attention in parts]
    return TextCondition(torch.cat(states).float() * mask[..., None], mask)


def captions_of(text: TextCondition, index: torch.Tensor, device: torch.device) -> TextCondition:
    """The rows ``index`` of encoded captions, on a device, without the columns that none of them needs."""
    hidden, mask = text.hidden[index.cpu()], text.mask[index.cpu()]
    longest = int(mask.sum(1).max())
    return TextCondition(hidden[:, :longest].to(device), mask[:, :longest].to(device))


def pooled_mean(text: TextCondition) -> torch.Tensor:
    """The mean state of each caption's tokens, padding left out: (N, D). A caption without tokens gives zeros."""
    return (text.hidden * text.mask[..., None]).sum(1) / text.mask.sum(1, keepdim=True).clamp(min=1)
