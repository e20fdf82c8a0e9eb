"""VideoMAE and CLIP as extractors, on tiny untrained networks saved here."""

import numpy as np
import pytest
import torch
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTokenizer,
    VideoMAEConfig,
    VideoMAEForPreTraining,
    VideoMAEForVideoClassification,
)

from sketch2video.errors import UserError
from sketch2video.media.codec import read_frames
from sketch2video.scoring.metrics import frechet_distance
from sketch2video.scoring.pretrained import clip_captions, clip_extractor, sha256_of_weights, videomae_extractor
from sketch2video.scoring.requested import requested_scores
from sketch2video.scoring.resizing import RESIZES
from sketch2video.scoring.score import score_sets
from sketch2video.scoring.video_sets import list_videos
from tests.media.small_videos import encode, noisy

SIZES = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}


def videomae(kind=VideoMAEForVideoClassification, **options):
    torch.manual_seed(0)
    config = VideoMAEConfig(image_size=16, patch_size=8, num_frames=4, num_labels=3, **SIZES, **options)
    return kind(config).eval()


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clip")
    letters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    words = [*letters, *(f"{c}</w>" for c in letters), "<|startoftext|>", "<|endoftext|>"]
    tokenizer = CLIPTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[])
    tokenizer.save_pretrained(folder)
    text = SIZES | {"vocab_size": len(words), "max_position_embeddings": 12, "bos_token_id": 52, "eos_token_id": 53}
    vision = SIZES | {"image_size": 16, "patch_size": 8}
    CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("videos") / "video.mp4"
    encode(path, noisy(10, 24, 32))
    return path


def features_of(extractor, video):
    with torch.inference_mode():
        return extractor.network(torch.from_numpy(extractor.read(video)[None])).cpu()[0]


@pytest.mark.parametrize("pooled", [True, False])
def test_videomaes_features_are_what_its_classifier_sees_of_frames_in_0_to_1(pooled, video, tmp_path):
    model = videomae(use_mean_pooling=pooled)
    model.save_pretrained(tmp_path)
    seen = []
    model.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    frames = [RESIZES["straight"](frame, 16) / 255 for frame in list(read_frames(video))[:4]]
    with torch.inference_mode():
        model(torch.from_numpy(np.stack(frames)).movedim(-1, 1)[None])
    extractor = videomae_extractor(str(tmp_path))
    torch.testing.assert_close(features_of(extractor, video), seen[0][0], rtol=1e-4, atol=1e-5)
    assert (extractor.protocol.frames, extractor.protocol.size, extractor.protocol.weights) == (
        4,
        16,
        sha256_of_weights(model),
    )


def test_a_videomae_that_was_never_fine_tuned_is_refused(tmp_path):
    sizes = {"decoder_hidden_size": 16, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2}
    videomae(VideoMAEForPreTraining, **sizes).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="lacks fc_norm"):
        videomae_extractor(str(tmp_path))


def test_names_of_nothing_are_refused_in_one_line(tmp_path):
    for make in (videomae_extractor, clip_extractor):
        with pytest.raises(UserError, match="cannot be loaded") as error:
            make(str(tmp_path / "nothing"))
        assert "\n" not in str(error.value)


def test_the_hash_is_of_weights_and_nothing_else():
    one, same = videomae(), videomae()
    assert sha256_of_weights(one) == sha256_of_weights(same)
    with torch.no_grad():
        same.classifier.bias[0] += 1e-6
    assert sha256_of_weights(one) != sha256_of_weights(same)


def test_a_caption_times_a_video_is_the_mean_cosine_that_clip_itself_gives(clip_folder, video):
    extractor = clip_extractor(str(clip_folder), frames=3)
    model, tokenizer = CLIPModel.from_pretrained(clip_folder).eval(), CLIPTokenizer.from_pretrained(clip_folder)
    caption = "a red circle moves"
    frames = list(read_frames(video))
    pixels = np.stack([RESIZES["clip"](frames[i], 16) for i in (0, 4, 9)]) / 255
    pixels = (pixels - [0.48145466, 0.4578275, 0.40821073]) / [0.26862954, 0.26130258, 0.27577711]
    tokens = tokenizer(caption, truncation=True, max_length=12, return_tensors="pt")
    with torch.inference_mode():
        out = model(pixel_values=torch.from_numpy(pixels).float().movedim(-1, 1), **tokens)
        expected = (out.logits_per_image / model.logit_scale.exp()).mean()
    captions = clip_captions(str(clip_folder), [caption, "other words"])
    assert captions.shape == (2, 8)
    assert float(features_of(extractor, video).numpy() @ captions[0]) == pytest.approx(float(expected), abs=1e-5)


def test_both_are_scored_if_they_are_requested(clip_folder, tmp_path):
    videomae().save_pretrained(tmp_path / "videomae")
    none = dict.fromkeys(("i3d", "c3d", "c3d_mean", "judge", "control"))
    settings = {"resize": "tensorflow", "is_variant": "tgan", "is_splits": 1}
    requests = requested_scores(
        **none, **settings, videomae=tmp_path / "videomae", clip=clip_folder, frames=3, sampling="spread", stride=1
    )
    sets = {}
    for name, number in (("real", 4), ("generated", 3)):
        lines = ["path_to_video,caption"]
        for i in range(number):
            encode(tmp_path / f"{name}{i}.mp4", noisy(10, 24, 32))
            lines.append(f"{name}{i}.mp4,a circle {'abcd'[i]}")
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
        sets[name] = list_videos(tmp_path / f"{name}.csv")
    scores, _ = score_sets(sets["real"], sets["generated"], requests, tmp_path / "cache", bootstrap=0)
    assert set(scores) == {"cd_fvd", "clipsim", "clipsim_real"}
    network = videomae_extractor(str(tmp_path / "videomae"), "spread")
    features = [np.stack([features_of(network, v.path).numpy() for v in sets[name]]) for name in ("real", "generated")]
    assert scores["cd_fvd"].value == pytest.approx(frechet_distance(*features), rel=1e-3)
    clip = clip_extractor(str(clip_folder), 3, "spread")
    for name, score in (("generated", "clipsim"), ("real", "clipsim_real")):
        texts = clip_captions(str(clip_folder), [v.caption for v in sets[name]])
        cosines = [features_of(clip, v.path).numpy() @ text for v, text in zip(sets[name], texts, strict=True)]
        assert scores[score].value == pytest.approx(np.mean(cosines), abs=1e-5)
