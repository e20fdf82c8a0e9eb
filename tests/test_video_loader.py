import csv
import pickle
from itertools import islice

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from sketch2video import video_loader
from sketch2video.errors import UserError
from sketch2video.media.codec import read_clip
from sketch2video.media.containers import RejectedVideo
from sketch2video.text.training import train_tokenizer
from sketch2video.video_loader import CaptionedVideos, batches
from tests.media.small_videos import encode, number_of, numbered

CAPTIONS = ["a red circle", "a blue star moves from left to right", "a star grows"]
LENGTHS = [40, 30, 24]


def write_table(folder, rows):
    with (folder / "captions.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("path_to_video", "caption"), *rows])
    return folder / "captions.csv"


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer(CAPTIONS, 300, 16)


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    for number, length in enumerate(LENGTHS):
        encode(folder / f"{number}.mp4", numbered(length))
    rows = [(f"{number}.mp4", caption) for number, caption in enumerate(CAPTIONS)]
    return write_table(folder, [*rows, ("../outside.mp4", "a star"), ("0.mp4", "")])


def videos(table, tokenizer, **options):
    return CaptionedVideos(table, tokenizer, **{"frames": 5, "size": 16, "draws": 20} | options)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_sample_has_the_frames_it_says(table, tokenizer):
    dataset = videos(table, tokenizer)
    assert len(dataset) == 60
    for number in range(9):
        sample = dataset[number]
        assert sample.frames.shape == (5, 16, 16, 3)
        assert sample.frames.dtype == np.uint8
        assert (np.diff(sample.numbers) > 0).all()
        assert [number_of(frame) for frame in sample.frames] == sample.numbers.tolist()
        np.testing.assert_allclose(sample.seconds, sample.numbers / 25, rtol=1e-6)
        assert (sample.clip, sample.caption) == (number % 3, CAPTIONS[number % 3])


def test_frames_are_cut_and_resized_as_ingest_does(tmp_path, tokenizer):
    rng = np.random.default_rng(0)
    encode(tmp_path / "a.mkv", rng.integers(0, 256, (6, 48, 64, 3), np.uint8), codec="ffv1")
    table = write_table(tmp_path, [("a.mkv", "a star")])
    sample = videos(table, tokenizer, frames=6)[0]
    np.testing.assert_array_equal(sample.frames, read_clip(tmp_path / "a.mkv", 6, 16).frames)


def test_every_frame_is_drawn_in_the_end_and_equally_often(table, tokenizer):
    dataset = videos(table, tokenizer, draws=200)
    numbers = np.concatenate([dataset[number].numbers for number in range(2, 600, 3)])
    counts = np.bincount(numbers, minlength=24)  # 1,000 of 24 frames: 41.7 expected of each, standard deviation 5.7
    assert len(counts) == 24
    assert counts.min() > 15
    assert counts.max() < 70


def test_runs_have_their_stride(table, tokenizer):
    dataset = videos(table, tokenizer, stride=4)
    starts = set()
    for number in range(60):
        numbers = dataset[number].numbers
        assert (np.diff(numbers) == 4).all()
        assert numbers[-1] < LENGTHS[number % 3]
        starts.add((number % 3, int(numbers[0])))
    assert len(starts) > 25
    assert {start for clip, start in starts if clip == 2} <= set(range(24 - 16))


def test_captions_are_padded_behind_their_ends(table, tokenizer):
    batch = videos(table, tokenizer).batch([0, 1, 2, 4])
    assert batch["frames"].shape == (4, 5, 16, 16, 3)
    assert batch["index"].tolist() == [0, 1, 2, 1]
    single = [tokenizer(CAPTIONS[place])["input_ids"] for place in (0, 1, 2, 1)]
    lengths = [len(ids) for ids in single]
    assert len(set(lengths)) > 1
    assert batch["mask"].sum(1).tolist() == lengths
    assert batch["mask"].shape == batch["tokens"].shape == (4, max(lengths))
    for ids, tokens, mask in zip(single, batch["tokens"], batch["mask"], strict=True):
        assert tokens[: len(ids)].tolist() == ids
        assert mask[: len(ids)].all()
        assert (tokens[len(ids) :] == tokenizer.pad_token_id).all()


def test_a_tokenizer_that_pads_in_front_is_told_otherwise(table, tokenizer):
    other = train_tokenizer(CAPTIONS, 300, 16)
    other.padding_side = "left"
    assert same(videos(table, other).batch([0, 1]), videos(table, tokenizer).batch([0, 1]))


def test_samples_depend_on_seed_and_number_alone(table, tokenizer, monkeypatch):
    dataset = videos(table, tokenizer)
    expected = [dataset[number] for number in range(12)]
    monkeypatch.setattr(video_loader, "OPEN_FILES", 1)
    again = pickle.loads(pickle.dumps(dataset))
    for number in (7, 3, 11, 0):
        np.testing.assert_array_equal(again[number].frames, expected[number].frames)
    drawn = {tuple(sample.numbers) for sample in expected}
    assert len(drawn) > 8
    other = videos(table, tokenizer, seed=1)
    assert {tuple(other[number].numbers) for number in range(12)}.isdisjoint(drawn)


def test_batches_go_on_where_an_interrupted_run_stopped(table, tokenizer):
    dataset = videos(table, tokenizer, draws=2)
    first = list(islice(batches(dataset, 4, seed=3), 5))
    second = list(islice(batches(videos(table, tokenizer, draws=2), 4, seed=3, start=3, ahead=1), 2))
    assert all(same(one, other) for one, other in zip(first[3:], second, strict=True))
    assert not same(first[0], next(batches(dataset, 4, seed=4)))
    assert sorted(torch.cat([batch["index"] for batch in first[:3]]).tolist()) == sorted(list(range(3)) * 4)


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_data_loader_takes_it_with_workers(table, tokenizer, context):
    dataset = videos(table, tokenizer, draws=2)
    expected = [dataset.batch(numbers) for numbers in ([0, 1, 2], [3, 4, 5])]
    loader = DataLoader(
        dataset, batch_size=3, num_workers=2 if context == "fork" else 1, collate_fn=dataset.collate,
        multiprocessing_context=context,
    )  # fmt: skip
    assert all(same(one, other) for one, other in zip(loader, expected, strict=True))


def test_rows_that_cannot_be_used_are_listed(table, tokenizer, tmp_path):
    dataset = videos(table, tokenizer)
    assert [clip.caption for clip in dataset.clips] == CAPTIONS
    assert [rejection.row for rejection in dataset.rejected] == [5, 6]
    with pytest.raises(UserError, match=r"no usable row \(line 2: caption is empty\)"):
        videos(write_table(tmp_path, [("0.mp4", " ")]), tokenizer)


def test_videos_that_cannot_be_used_are_named(tokenizer, tmp_path):
    encode(tmp_path / "short.mp4", numbered(4))
    (tmp_path / "damaged.mp4").write_bytes((tmp_path / "short.mp4").read_bytes()[:300])
    dataset = videos(write_table(tmp_path, [("short.mp4", "a"), ("damaged.mp4", "b"), ("absent.mp4", "c")]), tokenizer)
    for number, reason in enumerate(["short.mp4 is too short: 4 frames, at least 5", "damaged.mp4", "absent.mp4"]):
        with pytest.raises(RejectedVideo, match=reason):
            dataset[number]
    with pytest.raises(RejectedVideo, match="at least 9 are needed"):
        videos(tmp_path / "captions.csv", tokenizer, stride=2)[0]


def test_impossible_settings_are_refused(table, tokenizer):
    for option in ("frames", "size", "stride", "draws"):
        with pytest.raises(ValueError, match="at least 1"):
            videos(table, tokenizer, **{option: 0})
    with pytest.raises(IndexError, match="0 to 59, not 60"):
        videos(table, tokenizer)[60]
