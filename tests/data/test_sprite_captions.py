import itertools
import re

import pytest

from sketch2video.data.sources.sprite_captions import (
    NAMES,
    WORDS_FOR_ACTION,
    WORDS_FOR_DIRECTION,
    caption_of,
    labels_of,
)
from sketch2video.data.sources.sprites import DIRECTIONS, ROWS, Character, SpriteClip, clips_of
from sketch2video.params import load_params

CLIPS = clips_of(load_params().ingest.sprites.model_copy(update={"characters": 164}), seed=0)


def named(caption):
    """Label values that a caption names, by the attribute's name; several if it is ambiguous."""
    phrases = {
        "skin": {name: [f"{name} skin"] for name in NAMES["skin"]},
        "bottom": {name: [name] for name in NAMES["bottom"]},
        "top": {name: [f"a {name}"] for name in NAMES["top"]},
        "hair": {name: [f"{name} hair"] for name in NAMES["hair"]},
        "action": WORDS_FOR_ACTION,
        "direction": WORDS_FOR_DIRECTION,
    }
    return {
        key: [value for value, wordings in values.items() if any(re.search(rf"\b{w}\b", caption) for w in wordings)]
        for key, values in phrases.items()
    }


def test_a_caption_names_each_attribute_and_no_other_value():
    for clip in CLIPS:
        assert named(caption_of(clip, 0)) == {key: [value] for key, value in labels_of(clip).items()}


def test_captions_vary_by_seed_and_clip_and_are_reproducible():
    captions = [caption_of(clip, 0) for clip in CLIPS]
    assert captions == [caption_of(clip, 0) for clip in CLIPS]
    assert len(set(captions)) == len(CLIPS)
    assert sum(caption_of(clip, 1) != caption for clip, caption in zip(CLIPS, captions, strict=True)) > 0.9 * len(CLIPS)
    for wordings in (*WORDS_FOR_ACTION.values(), *WORDS_FOR_DIRECTION.values()):
        assert all(any(wording in caption for caption in captions) for wording in wordings)


def test_captions_fit_the_text_encoder():
    """Each word and each sign is one token once the tokenizer has learned the few words; two more mark the ends."""
    longest = max(len(re.findall(r"\w+|[^\w\s]", caption_of(clip, 0))) for clip in CLIPS)
    assert longest + 2 <= load_params().text_encoder.max_length


def test_names_are_unambiguous_within_their_attribute():
    assert list(NAMES) == ["skin", "bottom", "top", "hair"]
    for names in NAMES.values():
        assert len(names) == 6
        assert not any(a in b for a, b in itertools.permutations(names, 2))
    assert set(WORDS_FOR_ACTION) == set(ROWS)
    assert set(WORDS_FOR_DIRECTION) == set(DIRECTIONS)


@pytest.mark.parametrize(("place", "key"), enumerate(NAMES))
def test_a_sheet_without_a_name_is_called_by_its_number(place, key):
    numbers = [0, 0, 0, 0]
    numbers[place] = 6
    clip = SpriteClip(Character(*numbers), "slash", "right", "train")
    assert labels_of(clip)[key] == f"{key} number 6"
    for seed in range(20):
        assert re.search(rf"\b{key} number 6\b(?! (skin|hair))", caption_of(clip, seed))
