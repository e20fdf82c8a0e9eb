import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from sketch2video.data.clips.shards import write_table
from sketch2video.params import Params, load_params
from sketch2video.scenes.synthetic import caption_of, combinations, held_out, sample_scene
from sketch2video.text.encoder import encode_text, load_text_encoder
from sketch2video.text.training import MASKED_SHARE, mask_tokens, probe_accuracy, train_text_encoder, train_tokenizer
from sketch2video.training.loop import SilentLogger

PARAMS = Path(__file__).parents[2] / "params.yaml"
SHAPES, COLOURS = ("circle", "square", "star"), ("red", "green", "blue")
MOTIONS = ("left to right", "right to left", "grows")


def params(steps: int = 20, **text_encoder: object) -> Params:
    whole = load_params(PARAMS)
    section = whole.text_encoder
    training = section.training.model_copy(update={"steps": steps, "batch_size": 32, "warmup_steps": 5})
    small = {"width": 32, "layers": 1, "heads": 2, "vocabulary": 300, "max_length": 16, "training": training}
    return whole.model_copy(update={"text_encoder": section.model_copy(update=small | text_encoder)})


@pytest.fixture
def clips(tmp_path) -> Path:
    rows = []
    for place, (shape, colour, motion) in enumerate(itertools.product(SHAPES, COLOURS, MOTIONS)):
        for opening in ("a", "a video of a", "here a"):
            rows.append(
                {
                    "caption": f"{opening} {colour} {shape} moves {motion}",
                    "split": "train" if place % 4 else "test",
                    "shape": shape,
                    "colour": colour,
                    "motion": motion,
                }
            )
    folder = tmp_path / "clips"
    folder.mkdir()
    write_table(pd.DataFrame(rows), folder / "clips.parquet")
    return folder


def trained(chosen: Params, clips: Path, name: str):
    output = clips.parent / name
    result = train_text_encoder(
        chosen, SilentLogger(), output, clips=clips, checkpoints=clips.parent / f"checkpoints-{name}"
    )
    return result, output


def test_it_learns_and_the_saved_encoder_reads_captions(clips):
    result, output = trained(params(steps=60), clips, "a")
    assert result.metrics["loss"] < 0.7 * result.history[0]["loss"]
    assert result.metrics["loss_test"] < 0.7 * result.history[0]["loss"]
    assert result.metrics["probe_shape"] > 0.8
    assert result.metrics["probe_colour"] > 0.8
    tokenizer, model = load_text_encoder(output)
    text = encode_text(tokenizer, model, ["", "a red circle moves left to right"])
    assert text.hidden.shape[2] == 32
    assert {file.suffix for file in output.iterdir()} == {".json", ".safetensors"}


@pytest.mark.slow
def test_the_default_encoder_tells_unseen_combinations_and_the_order_of_words(tmp_path):
    """An untrained encoder tells 75% of the motions: the mean of its states forgets which side comes first."""
    rng, unseen, rows = np.random.default_rng(0), held_out(36, 0), []
    for combination in combinations() * 8:
        scene = sample_scene(rng, [combination])
        split = "test" if combination in unseen else "train"
        rows.append({"caption": caption_of(scene, rng), "split": split, **combination._asdict()})
    (tmp_path / "clips").mkdir()
    write_table(pd.DataFrame(rows), tmp_path / "clips" / "clips.parquet")
    metrics = trained(load_params(PARAMS), tmp_path / "clips", "a")[0].metrics
    assert min(metrics["probe_shape"], metrics["probe_colour"]) > 0.97
    assert metrics["probe_motion"] > 0.9


def test_the_same_seed_gives_the_same_bytes(clips):
    _, first = trained(params(), clips, "a")
    _, second = trained(params(), clips, "b")
    for file in first.iterdir():
        assert file.read_bytes() == (second / file.name).read_bytes(), file.name


def test_a_pretrained_encoder_is_taken_over_untrained(clips):
    _, first = trained(params(), clips, "a")
    result, second = trained(params(pretrained=str(first)), clips, "b")
    assert result.history == []
    assert result.metrics.keys() == {"probe_shape", "probe_colour", "probe_motion"}
    assert (first / "model.safetensors").read_bytes() == (second / "model.safetensors").read_bytes()
    assert (
        load_text_encoder(second)[0]("a red star")["input_ids"]
        == load_text_encoder(first)[0]("a red star")["input_ids"]
    )


def test_clips_without_attributes_have_no_probe(clips):
    table = pd.read_parquet(clips / "clips.parquet")
    table[["shape", "colour", "motion"]] = None
    write_table(table, clips / "clips.parquet")
    assert trained(params(), clips, "a")[0].metrics.keys() == {"loss", "loss_test"}


def test_any_caption_survives_the_tokenizer():
    tokenizer = train_tokenizer(["a red circle"] * 10, 300, 40)
    assert len(tokenizer) <= 300
    for caption in ("a red circle", "größe 漢字 🙂", "tab\tand  spaces"):
        ids = tokenizer(caption)["input_ids"]
        assert tokenizer.unk_token_id not in ids
        assert tokenizer.decode(ids, skip_special_tokens=True).strip() == caption
    assert tokenizer("A RED Circle")["input_ids"] == tokenizer("a red circle")["input_ids"]


def test_masks_follow_bert():
    tokenizer = train_tokenizer(["a red circle"] * 10, 300, 40)
    word = tokenizer("red")["input_ids"][1]
    ids = torch.full((100, 1000), word)
    ids[:, 0], ids[:, -1], ids[:, -2] = tokenizer.cls_token_id, tokenizer.pad_token_id, tokenizer.sep_token_id
    masked = mask_tokens(ids, tokenizer, torch.Generator().manual_seed(0))
    special = [0, -1, -2]
    assert torch.equal(masked[:, special], ids[:, special])
    words = masked[:, 1:-2]
    hidden, same = words == tokenizer.mask_token_id, words == word
    others = len(tokenizer) - 1  # a random token may be the word itself, or the mask
    assert float(hidden.float().mean()) == pytest.approx(MASKED_SHARE * (0.8 + 0.1 / len(tokenizer)), abs=0.004)
    assert float((~hidden & ~same).float().mean()) == pytest.approx(
        MASKED_SHARE * 0.1 * others / len(tokenizer), abs=0.002
    )
    assert len(words[~hidden & ~same].unique()) > 0.9 * (others - 1), "random tokens are of the whole vocabulary"


def test_the_probe_reads_what_is_linear_and_nothing_else():
    generator = torch.Generator().manual_seed(0)
    labels = [str(place % 3) for place in range(300)]
    features = torch.randn(300, 8, generator=generator)
    assert probe_accuracy(features[:200], labels[:200], features[200:], labels[200:]) < 0.6
    features[:, 0] += torch.tensor([10.0 * int(label == "0") for label in labels])
    features[:, 1] += torch.tensor([10.0 * int(label == "1") for label in labels])
    assert probe_accuracy(features[:200], labels[:200], features[200:], labels[200:]) == 1.0
    assert probe_accuracy(features[:200], labels[:200], features[200:], ["unseen"] * 100) == 0.0
