import logging

import pytest
import torch

from sketch2video.generation.caption_length import warn_of_long_captions
from sketch2video.generation.prompts import Prompt
from sketch2video.text.encoder import encode_text
from tests.conftest import tiny_parts


@pytest.fixture(scope="module")
def reader():
    parts = tiny_parts(control_channels=1)
    return parts["tokenizer"], parts["text_encoder"].eval()


def test_captions_that_an_encoder_cuts_off_are_named_in_one_warning(reader, caplog):
    tokenizer, encoder = reader
    captions = [" ".join(["circle"] * number) for number in range(1, 40)]
    lengths = [len(tokenizer(caption)["input_ids"]) for caption in captions]
    expected = [row for row, length in enumerate(lengths, 5) if length > tokenizer.model_max_length]
    caplog.clear()
    assert warn_of_long_captions(tokenizer, encoder, [Prompt(n, c) for n, c in enumerate(captions, 5)]) == expected
    (line,) = caplog.messages
    assert line.startswith(f"rows {expected[0]}, {expected[1]}, ")
    assert f"({len(expected)} in all)" in line
    assert f"the {tokenizer.model_max_length} tokens" in line


def test_the_captions_that_are_named_are_those_whose_end_changes_nothing(reader, caplog):
    tokenizer, encoder = reader
    same = []
    for number in range(1, 40):
        text = " ".join(["circle"] * number)
        hidden = encode_text(tokenizer, encoder, [f"{text} moves", f"{text} grows"]).hidden
        same.append(torch.equal(hidden[0], hidden[1]))
        assert not same[-1] or warn_of_long_captions(tokenizer, encoder, [Prompt(2, f"{text} moves")]) == [2]
    assert not same[0]
    assert same[-1]


def test_captions_that_are_read_whole_bring_no_warning(reader, caplog):
    with caplog.at_level(logging.INFO):
        assert warn_of_long_captions(*reader, [Prompt(1, "a red circle")]) == []
    assert not caplog.messages
