"""Captions that are longer than a text encoder reads: what follows its last token changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.models.text import LONGEST
from sketch2video.systems.prompts import Prompt
from sketch2video.texts import brief

logger = logging.getLogger(__name__)


def warn_of_long_captions(
    tokenizer: PreTrainedTokenizerBase, text_encoder: PreTrainedModel, prompts: Sequence[Prompt]
) -> list[int]:
    """Warn once of all captions that the text encoder cuts off.

    Args:
        tokenizer, text_encoder: of the pipeline.
        prompts: what is asked for.

    Returns:
        The rows of these prompts.
    """
    longest = min(tokenizer.model_max_length, getattr(text_encoder.config, "max_position_embeddings", LONGEST))
    # One token more than is read shows that a caption is too long, and no tokenizer warns of it by itself.
    tokens = tokenizer([prompt.caption for prompt in prompts], truncation=True, max_length=longest + 1)["input_ids"]
    long = [prompt.row for prompt, each in zip(prompts, tokens, strict=True) if len(each) > longest]
    if long:
        rows = f"row{'s' if len(long) > 1 else ''} {brief(', '.join(map(str, long)))} of the prompts"
        logger.warning(
            "%s: longer than the %d tokens that the text encoder reads; it does not see the end: shorten the caption",
            rows,
            longest,
        )
    return long
