"""The text encoder: a byte-level BPE tokenizer and a small BERT, trained on the captions by masked-language modelling.

Devlin et al. 2019, "BERT", without next-sentence prediction. All systems share the frozen encoder, so what they need
must be contained in its token states: :func:`probe_accuracy` measures how well shape, colour and motion can be read
from them by a linear map, on captions of combinations that training did not contain.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch.nn import functional as F
from transformers import BertConfig, BertForMaskedLM, PreTrainedModel, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from sketch2video.data.clips.datasets import TensorDataset, clips_of_split
from sketch2video.data.clips.shards import read_table
from sketch2video.networks.processes import average, draw, replacing_once
from sketch2video.params import Params, TextEncoderParams
from sketch2video.text.encoder import TextCondition, encode_text, load_text_encoder, pooled_mean
from sketch2video.training.checkpoints import folder_for
from sketch2video.training.loop import Batch, RunLogger, Task, TrainResult, train

ATTRIBUTES = ("shape", "colour", "motion")
MASKED_SHARE = 0.3
"""Of the tokens; captions are short, and with BERT's 15% many would have no masked token."""

BAG_WEIGHT = 0.2
"""Weight of the loss for predicting the words of a caption from its mean state; with much more, the mean state loses
their order."""

_SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
_RIDGE = 1e-3


def train_text_encoder(
    params: Params,
    logger: RunLogger,
    output: Path,
    *,
    clips: Path = Path("data/clips"),
    checkpoints: Path = Path("checkpoints"),
) -> TrainResult:
    """Train the tokenizer and the encoder on the captions of the training split, or take over a pretrained pair.

    Args:
        params: all parameters; the section ``text_encoder`` and ``base.seed`` are read.
        logger: receives the loss curve.
        output: folder that gets the tokenizer and the model.
        clips: folder with ``clips.parquet``.
        checkpoints: folder of all checkpoints.

    Returns:
        Metrics: ``loss``, ``loss_test``, and, where the clips have attributes, ``probe_shape``, ``probe_colour``,
        ``probe_motion``: accuracies on the test split.

    Raises:
        UserError: the table or the pretrained model cannot be read, or the training fails; see
            :func:`~sketch2video.training.loop.train`.
    """
    section = params.text_encoder
    table = clips / "clips.parquet"
    if section.pretrained:
        tokenizer, encoder = load_text_encoder(section.pretrained)
        logger.begin(None)
        result = TrainResult(probe_accuracies(tokenizer, encoder, read_table(table)))
        logger.metrics(result.metrics, 0)
    else:
        captions = clips_of_split(table, "train")["caption"].tolist()
        tokenizer = train_tokenizer(captions, section.vocabulary, section.max_length)
        torch.manual_seed(params.base.seed)
        task = MaskedLanguageModelling(tokenizer, section, read_table(table))
        settings = {**section.model_dump(), "seed": params.base.seed}
        result = train(
            task,
            TensorDataset(_tokens(tokenizer, captions)),
            section.training,
            name="text_encoder",
            checkpoint_folder=folder_for("text_encoder", settings, [table], checkpoints, code=[__file__]),
            seed=params.base.seed,
            logger=logger,
        )
        encoder = task.module.bert.cpu()
    with replacing_once(output) as partial:
        tokenizer.save_pretrained(partial)
        encoder.save_pretrained(partial)
    return result


def train_tokenizer(captions: Sequence[str], vocabulary: int, max_length: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer: it knows no unknown characters, so that any caption can be encoded.

    Args:
        captions: texts to learn merges from; case and compatibility forms of Unicode are folded.
        vocabulary: number of tokens, at most; 256 bytes and 5 special tokens are always there.
        max_length: tokens of a caption, at most, ``[CLS]`` and ``[SEP]`` included.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_SPECIAL.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(captions, trainer)
    ends = [(token, tokenizer.token_to_id(token)) for token in (_SPECIAL["cls_token"], _SPECIAL["sep_token"])]
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=ends)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=max_length, **_SPECIAL)


class MaskedLanguageModelling(Task):
    """Predict a caption's words, some of them masked, from their states and from the mean state.

    With masked-language modelling alone, words that occur in the same contexts get similar states: the word explained
    only 10% of the variance of the states of "red", "green", ..., and the colour 0.5% of that of the mean states of
    captions. A video model cannot learn colours from that. So every word is predicted from its own state, masked or
    not, and all words of a caption from the mean of its states. ``module`` is a ``BertForMaskedLM``.

    Args:
        tokenizer: of the captions.
        section: sizes of the network.
        table: all clips, for the held-out metrics.
    """

    module: BertForMaskedLM

    def __init__(self, tokenizer: PreTrainedTokenizerBase, section: TextEncoderParams, table: pd.DataFrame) -> None:
        config = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=section.width,
            num_hidden_layers=section.layers,
            num_attention_heads=section.heads,
            intermediate_size=4 * section.width,
            max_position_embeddings=section.max_length,
            type_vocab_size=1,
            pad_token_id=tokenizer.pad_token_id,
        )
        super().__init__(BertForMaskedLM(config))
        self.tokenizer = tokenizer
        self.table = table

    def loss(
        self, batch: Batch, generator: torch.Generator, progress: float
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor | float]]:
        """Cross-entropy at every word of the changed caption, and of its bag of words given the mean state."""
        ids, attention = batch["input_ids"], batch["attention_mask"]
        masked = mask_tokens(ids, self.tokenizer, generator)
        states = self.module.bert(input_ids=masked, attention_mask=attention).last_hidden_state
        special = torch.isin(ids, torch.tensor(self.tokenizer.all_special_ids, device=ids.device))
        labels = ids.masked_fill(special, -100).flatten()
        words = F.cross_entropy(self.module.cls(states).float().flatten(0, 1), labels, ignore_index=-100)
        mean = self.module.cls(pooled_mean(TextCondition(states, attention.bool()))).float()
        each = mean[:, None].expand(-1, ids.shape[1], -1)
        bag = F.cross_entropy(each.flatten(0, 1), labels, ignore_index=-100)
        count = (labels >= 0).sum().float()
        words, bag = (loss * (count / average(count)) for loss in (words, bag))
        return words + BAG_WEIGHT * bag, {"words": words, "bag": bag}

    def metrics(self) -> dict[str, float]:
        """The loss on the test split, if there is one, and :func:`probe_accuracies`."""
        metrics = probe_accuracies(self.tokenizer, self.module.bert, self.table)
        test = self.table.loc[self.table["split"] == "test", "caption"].tolist()
        if test:
            device = self.module.device
            batch = {name: tensor.to(device) for name, tensor in _tokens(self.tokenizer, test).items()}
            metrics["loss_test"] = float(self.loss(batch, torch.Generator(device).manual_seed(0), 1.0)[0])
        return metrics


def mask_tokens(ids: torch.Tensor, tokenizer: PreTrainedTokenizerBase, generator: torch.Generator) -> torch.Tensor:
    """Choose ``MASKED_SHARE`` of the tokens; replace 80% of them by ``[MASK]`` and 10% by random ones (BERT, A.1).

    Args:
        ids: int64 (N, L).
        tokenizer: defines the special tokens, which are never chosen.
        generator: on the device of ``ids``.

    Returns:
        The changed ids, int64 (N, L).
    """

    def uniform() -> torch.Tensor:
        return draw(torch.rand, ids.shape, generator)

    special = torch.isin(ids, torch.tensor(tokenizer.all_special_ids, device=ids.device))
    chosen = (uniform() < MASKED_SHARE) & ~special
    fate = uniform()
    random_ids = draw(partial(torch.randint, len(tokenizer)), ids.shape, generator)
    masked = torch.where(chosen & (fate < 0.8), tokenizer.mask_token_id, ids)
    return torch.where(chosen & (fate >= 0.9), random_ids, masked)


def probe_accuracies(
    tokenizer: PreTrainedTokenizerBase, encoder: PreTrainedModel, table: pd.DataFrame
) -> dict[str, float]:
    """``probe_<attribute>``: how often a linear map reads it from test captions; empty where clips have no attributes.

    The map is fitted to the training split by :func:`probe_accuracy`; it sees a caption as the mean of its token
    states, which is less than a network that attends to them receives.
    """
    table = table.dropna(subset=list(ATTRIBUTES))
    train_rows, test_rows = table[table["split"] == "train"], table[table["split"] == "test"]
    if train_rows.empty or test_rows.empty:
        return {}
    seen = pooled_mean(encode_text(tokenizer, encoder, train_rows["caption"].tolist())).cpu()
    unseen = pooled_mean(encode_text(tokenizer, encoder, test_rows["caption"].tolist())).cpu()
    return {
        f"probe_{name}": probe_accuracy(seen, train_rows[name].tolist(), unseen, test_rows[name].tolist())
        for name in ATTRIBUTES
    }


def probe_accuracy(
    seen: torch.Tensor, seen_labels: Sequence[str], unseen: torch.Tensor, unseen_labels: Sequence[str]
) -> float:
    """Accuracy on ``unseen`` of a linear classifier (ridge regression on one-hot labels) fitted to ``seen``.

    Args:
        seen: (N, D) features.
        seen_labels: N labels.
        unseen: (M, D) features.
        unseen_labels: M labels; one that is not in ``seen_labels`` counts as an error.
    """
    classes = sorted(set(seen_labels))
    targets = F.one_hot(torch.tensor([classes.index(label) for label in seen_labels]), len(classes)).double()
    mean, scale = seen.double().mean(0), seen.double().std(0) + 1e-6
    x = F.pad((seen.double() - mean) / scale, (0, 1), value=1.0)
    weights = torch.linalg.solve(x.T @ x + _RIDGE * len(x) * torch.eye(x.shape[1]).double(), x.T @ targets)
    scores = F.pad((unseen.double() - mean) / scale, (0, 1), value=1.0) @ weights
    guesses = [classes[int(index)] for index in scores.argmax(1)]
    return sum(guess == label for guess, label in zip(guesses, unseen_labels, strict=True)) / len(guesses)


def _tokens(tokenizer: PreTrainedTokenizerBase, captions: Sequence[str]) -> dict[str, torch.Tensor]:
    encoded = tokenizer(list(captions), padding=True, truncation=True, return_tensors="pt")
    return {"input_ids": encoded["input_ids"], "attention_mask": encoded["attention_mask"]}
