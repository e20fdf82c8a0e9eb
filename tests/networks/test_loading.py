from __future__ import annotations

from pathlib import Path

import huggingface_hub.constants
import pytest
import torch
from diffusers import T2IAdapter
from transformers import BertConfig, BertModel

from sketch2video.errors import UserError
from sketch2video.networks.loading import load_clip_tokenizer, load_named
from tests.bases.tiny import tiny_adapter

TINY = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8, "vocab_size": 9}


def test_models_of_both_libraries_come_whole_in_float32_and_evaluation_mode(tmp_path: Path) -> None:
    torch.manual_seed(0)
    for saved in (tiny_adapter().half(), BertModel(BertConfig(**TINY)).half()):
        saved.save_pretrained(tmp_path / "all" / "one")
        loaded = load_named(type(saved), tmp_path / "all", "a model", "fix it", part="one")
        assert not loaded.training
        for name, weight in loaded.named_parameters():
            assert weight.dtype == torch.float32
            assert torch.equal(weight, saved.get_parameter(name).float())


def test_what_lacks_is_named_unless_nobody_uses_it(tmp_path: Path) -> None:
    BertModel(BertConfig(**TINY), add_pooling_layer=False).save_pretrained(tmp_path)
    assert load_named(BertModel, tmp_path, "a BERT", "fix it", unused="pooler.") is not None
    with pytest.raises(UserError, match=r"is no complete BertModel: it lacks pooler.dense.bias; fix it"):
        load_named(BertModel, tmp_path, "a BERT", "fix it")
    BertConfig(**{**TINY, "vocab_size": 10}).save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"it lacks .*embeddings.word_embeddings.weight.*; fix it"):
        load_named(BertModel, tmp_path, "a BERT", "fix it", unused="pooler.")


@pytest.mark.parametrize("kind", [T2IAdapter, BertModel])
def test_without_a_network_an_id_is_one_line(kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    line = "some/one cannot be loaded as a model (it is not on this machine, and the hub cannot be reached); fix it"
    with pytest.raises(UserError) as raised:
        load_named(kind, "some/one", "a model", "fix it")
    assert str(raised.value) == line


@pytest.mark.parametrize("name", ["some/one", "folder"])
def test_a_tokenizer_without_words_is_none(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    where = name if name == "some/one" else tmp_path
    with pytest.raises(UserError, match=r"cannot be loaded as a CLIP tokenizer \(its vocabulary is .*; fix it"):
        load_clip_tokenizer(where, "fix it")


def test_a_folder_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere cannot be loaded as a BERT \(there is no such folder\); fix it"):
        load_named(BertModel, tmp_path / "nowhere", "a BERT", "fix it")
