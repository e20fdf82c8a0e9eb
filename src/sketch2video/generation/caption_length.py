"""Warning for captions that exceed the maximum length of the text encoder."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from sketch2video.generation.prompts import Prompt
from sketch2video.text.encoder import LONGEST

_ROWS_SHOWN = 20

logger = logging.getLogger(__name__)


def warn_of_long_captions(
    tokenizer: PreTrainedTokenizerBase, text_encoder: PreTrainedModel, prompts: Sequence[Prompt]
) -> list[int]:
    """Warn once about all captions that the text encoder truncates.

    Args:
        tokenizer, text_encoder: those of the pipeline.
        prompts: the prompts.

    Returns:
        The rows of these prompts.
    """
    longest = min(tokenizer.model_max_length, getattr(text_encoder.config, "max_position_embeddings", LONGEST))
    # One token more than the maximum length shows that a caption is too long, without a warning of the tokenizer.
    tokens = tokenizer([prompt.caption for prompt in prompts], truncation=True, max_length=longest + 1)["input_ids"]
    long = [prompt.row for prompt, each in zip(prompts, tokens, strict=True) if len(each) > longest]
    if long:
        shown = ", ".join(map(str, long[:_ROWS_SHOWN]))
        more = f", ... ({len(long)} in all)" if len(long) > _ROWS_SHOWN else ""
        logger.warning(
            "row%s %s%s of the prompts: longer than the %d tokens that the text encoder reads;"
            " what follows them changes nothing, so shorten the caption",
            "s" if len(long) > 1 else "",
            shown,
            more,
            longest,
        )
    return long
