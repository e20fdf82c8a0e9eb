from pathlib import Path

import pytest
import torch
from transformers import (
    BertConfig,
    BertModel,
    CLIPTextConfig,
    CLIPTextModel,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5EncoderModel,
)

from sketch2video.errors import UserError
from sketch2video.text.encoder import TextCondition, encode_text, load_text_encoder, pooled_mean
from sketch2video.text.training import train_tokenizer

CAPTIONS = ["", "a red circle moves left to right", "grün 漢字 🙂", "word " * 40]


SIZES = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}


def bert(vocabulary: int) -> PreTrainedModel:
    config = BertConfig(vocab_size=vocabulary, max_position_embeddings=12, type_vocab_size=1, **SIZES)
    return BertModel(config, add_pooling_layer=False)


def clip(vocabulary: int) -> PreTrainedModel:
    return CLIPTextModel(CLIPTextConfig(vocab_size=vocabulary, max_position_embeddings=12, eos_token_id=3, **SIZES))


def t5(vocabulary: int) -> PreTrainedModel:
    return T5EncoderModel(T5Config(vocab_size=vocabulary, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2))


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer([CAPTIONS[1]] * 5, 300, 12)


@pytest.fixture(params=[bert, clip, t5], ids=["bert", "clip", "t5"])
def saved(request, tokenizer, tmp_path):
    torch.manual_seed(0)
    model = request.param(len(tokenizer)).eval()
    tokenizer.save_pretrained(tmp_path)
    model.save_pretrained(tmp_path)
    return model, tmp_path


def test_a_saved_encoder_is_loaded_frozen_with_all_its_weights(saved):
    model, folder = saved
    _, loaded = load_text_encoder(folder)
    assert type(loaded) is type(model)
    assert not loaded.training
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert loaded.state_dict().keys() == model.state_dict().keys()
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in loaded.state_dict().items())


def test_token_states_are_the_models_own(saved):
    model, folder = saved
    tokenizer, loaded = load_text_encoder(folder)
    text = encode_text(tokenizer, loaded, CAPTIONS)
    assert text.hidden.shape == (4, 12, 16)
    assert text.hidden.dtype == torch.float32
    assert text.mask.dtype == torch.bool
    for row, caption in enumerate(CAPTIONS):
        ids = tokenizer(caption, truncation=True, max_length=12, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            alone = model(input_ids=ids).last_hidden_state[0]
        assert text.mask[row].tolist() == [True] * len(alone) + [False] * (12 - len(alone))
        torch.testing.assert_close(text.hidden[row, : len(alone)], alone, rtol=1e-4, atol=1e-5)
        assert not text.hidden[row, len(alone) :].any()


def test_the_empty_caption_has_tokens_of_its_own(saved):
    _, folder = saved
    text = encode_text(*load_text_encoder(folder), ["", "a"])
    assert text.mask[0].any()
    assert not torch.equal(text.hidden[0], text.hidden[1])


def test_the_mean_leaves_padding_out(saved):
    _, folder = saved
    tokenizer, model = load_text_encoder(folder)
    together = pooled_mean(encode_text(tokenizer, model, CAPTIONS))
    alone = torch.cat([pooled_mean(encode_text(tokenizer, model, [caption])) for caption in CAPTIONS])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    states = torch.tensor([[[1.0], [3.0], [50.0]]])  # a network's states at padding are not zero
    mask = torch.tensor([[True, True, False]])
    assert pooled_mean(TextCondition(states, mask)).tolist() == [[2.0]]


def test_more_captions_than_one_batch_holds(tokenizer):
    torch.manual_seed(0)
    model = bert(len(tokenizer)).eval()
    text = encode_text(tokenizer, model, CAPTIONS[:2] * 200)
    assert text.hidden.shape[0] == 400
    torch.testing.assert_close(text.hidden[398:], text.hidden[:2])


def test_what_cannot_be_loaded_is_named(tmp_path, tokenizer, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match="text_encoder is missing; run `dvc repro"):
        load_text_encoder(tmp_path / "text_encoder")
    with pytest.raises(UserError, match="text_encoder is missing; run `dvc repro"):
        load_text_encoder(Path("models/text_encoder"))  # never a model of the hub
    with pytest.raises(UserError, match="cannot be loaded as a text encoder"):
        load_text_encoder(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    bert(len(tokenizer)).save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(UserError, match="cannot be loaded as a text encoder"):
        load_text_encoder(tmp_path)
