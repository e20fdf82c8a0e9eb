"""The table of trainers: sizes, frame counts, colours of lines, metadata and commands of each.

A further trainer is one more entry of :data:`TRAINERS`. ``checked`` names the commit of each project whose loading
code the entry follows.
"""

from __future__ import annotations

import csv
import json
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from sketch2video.trainer_data.clips import Settings


@dataclass(frozen=True)
class Entry:
    """A clip as metadata name it.

    Attributes:
        video, control: paths relative to the data set's folder, with slashes.
        caption: on one line.
    """

    video: str
    control: str
    caption: str


@dataclass(frozen=True)
class DataSet:
    """What metadata and commands depend on besides the clips.

    Attributes:
        folder: of the data set, absolute.
        settings: of the clips.
    """

    folder: Path
    settings: Settings

    @property
    def variable(self) -> str:
        """The line of shell that sets ``DATA`` to the folder."""
        return f"DATA={shlex.quote(str(self.folder))}"


@dataclass(frozen=True)
class Trainer:
    """What a trainer expects.

    Attributes:
        title: the project and the model that its command trains.
        url: of the project.
        checked: commit and date of the loading code that this entry follows.
        size: default width and height in px.
        multiple: of which width and height are.
        frames: default number of frames.
        step: frame counts are ``step * n + 1``.
        fps: default frame rate.
        lines: default colours of control videos, a key of :data:`~sketch2video.trainer_data.clips.LINES`.
        metadata: name of the metadata file; its extension is the format: ``.csv``, ``.json`` or ``.jsonl``.
        row: the fields of a clip in the metadata, in their order.
        commands: the shell commands that train, run in the project's folder.
        files: further files by name, with their content.
        notes: what users of the trainer should know, a sentence or two each.
        neutral_names: whether names of files must not contain words of the source, because the loader guesses splits
            from words such as ``test``.
        not_text: captions that the loader does not read as text.
    """

    title: str
    url: str
    checked: str
    size: tuple[int, int]
    multiple: int
    frames: int
    step: int
    fps: float
    lines: str
    metadata: str
    row: Callable[[Entry, DataSet], dict[str, Any]]
    commands: Callable[[DataSet], str]
    files: Callable[[DataSet], Mapping[str, str]] = lambda _: {}
    notes: tuple[str, ...] = ()
    neutral_names: bool = False
    not_text: frozenset[str] = frozenset()


_PANDAS_MISSING = frozenset(
    {"#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"}
    | {"NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""Cells of a CSV that pandas reads as missing values."""

_WAN: dict[str, Any] = {"size": (832, 480), "multiple": 16, "frames": 81, "step": 4, "fps": 16.0}


def _diffsynth(column: str, model: str, weights: str, part: str) -> Callable[[DataSet], str]:
    paths = ",".join(f"{model}:{file}" for file in weights.split())

    def commands(data: DataSet) -> str:
        name = model.rpartition("/")[2]
        return f"""{data.variable}
accelerate launch examples/wanvideo/model_training/train.py \\
  --dataset_base_path "$DATA" \\
  --dataset_metadata_path "$DATA/metadata.csv" \\
  --data_file_keys "video,{column}" \\
  --height {data.settings.height} --width {data.settings.width} --num_frames {data.settings.length.frames} \\
  --dataset_repeat 100 \\
  --model_id_with_origin_paths "{paths}" \\
  --learning_rate 1e-4 --num_epochs 5 \\
  --remove_prefix_in_ckpt "pipe.{part}." \\
  --output_path "./models/train/{name}_lora" \\
  --lora_base_model "{part}" --lora_target_modules "q,k,v,o,ffn.0,ffn.2" --lora_rank 32 \\
  --extra_inputs "{column}" \\
  --use_gradient_checkpointing_offload"""

    return commands


def _videox_fun(data: DataSet) -> str:
    settings = data.settings
    side = round((settings.width * settings.height) ** 0.5 / 16) * 16
    return f"""{data.variable}
accelerate launch --mixed_precision="bf16" scripts/wan2.1_fun/train_control_lora.py \\
  --config_path="config/wan2.1/wan_civitai.yaml" \\
  --pretrained_model_name_or_path="models/Diffusion_Transformer/Wan2.1-Fun-V1.1-1.3B-Control" \\
  --train_data_dir="$DATA" --train_data_meta="$DATA/metadata.json" \\
  --image_sample_size={side} --video_sample_size={side} --token_sample_size={side} \\
  --video_sample_stride=1 --video_sample_n_frames={settings.length.frames} \\
  --train_batch_size=1 --video_repeat=1 --gradient_accumulation_steps=1 --dataloader_num_workers=8 \\
  --num_train_epochs=100 --checkpointing_steps=50 --learning_rate=1e-04 --seed=42 \\
  --output_dir="output_dir_wan2.1_fun_control_lora" \\
  --gradient_checkpointing --mixed_precision="bf16" \\
  --adam_weight_decay=3e-2 --adam_epsilon=1e-10 --vae_mini_batch=1 --max_grad_norm=0.05 \\
  --random_hw_adapt --training_with_video_token_length --enable_bucket --uniform_sampling \\
  --train_mode="control_ref" --control_ref_image="random" --add_full_ref_image_in_self_attention \\
  --rank=64 --network_alpha=32 --target_name="q,k,v,ffn.0,ffn.2" --use_peft_lora --low_vram"""


def _musubi(data: DataSet) -> str:
    return f"""{data.variable}
python src/musubi_tuner/wan_cache_latents.py --dataset_config "$DATA/dataset.toml" --vae path/to/Wan2.1_VAE.pth
python src/musubi_tuner/wan_cache_text_encoder_outputs.py --dataset_config "$DATA/dataset.toml" \\
  --t5 path/to/models_t5_umt5-xxl-enc-bf16.pth --batch_size 16
accelerate launch --num_cpu_threads_per_process 1 --mixed_precision bf16 src/musubi_tuner/wan_train_network.py \\
  --task t2v-1.3B-FC --dit path/to/wan2.1_fun_control_1.3B_bf16.safetensors \\
  --dataset_config "$DATA/dataset.toml" --sdpa --mixed_precision bf16 --fp8_base \\
  --optimizer_type adamw8bit --learning_rate 2e-4 --gradient_checkpointing \\
  --max_data_loader_n_workers 2 --persistent_data_loader_workers \\
  --network_module networks.lora_wan --network_dim 32 \\
  --timestep_sampling shift --discrete_flow_shift 3.0 \\
  --max_train_epochs 16 --save_every_n_epochs 1 --seed 42 \\
  --output_dir output --output_name sketch-control"""


def _musubi_files(data: DataSet) -> dict[str, str]:
    settings = data.settings
    toml = f"""[general]
resolution = [{settings.width}, {settings.height}]
batch_size = 1
enable_bucket = false

[[datasets]]
video_jsonl_file = {_toml(data.folder / "metadata.jsonl")}
cache_directory = {_toml(data.folder / "cache")}
target_frames = [{settings.length.frames}]
frame_extraction = "head"
"""
    return {"dataset.toml": toml}


def _toml(path: Path) -> str:
    """A path as a basic string of TOML, whose escapes are those of JSON."""
    return json.dumps(str(path), ensure_ascii=False).replace("\x7f", "\\u007f")


def _ltx(data: DataSet) -> str:
    settings = data.settings
    bucket = f"{settings.width}x{settings.height}x{settings.length.frames}"
    return f"""{data.variable}
cd packages/ltx-trainer
uv run python scripts/process_dataset.py "$DATA/dataset.json" \\
  --resolution-buckets "{bucket}" --skip-audio \\
  --model-path path/to/ltx-2.3-22b-dev.safetensors --text-encoder-path path/to/gemma
cp configs/v2v_ic_lora.yaml sketch_control.yaml
# in sketch_control.yaml: model_path, text_encoder_path, validation samples, and
#   preprocessed_data_root: {data.folder}/.precomputed
uv run python scripts/train.py sketch_control.yaml"""


def _finetrainers(data: DataSet) -> str:
    return f"""{data.variable}
# Its control trainer expects five axes of a video that has four:
sed -i 's/batch_size, num_frames, num_channels, height, width = data\\["video"\\].shape/num_frames, num_channels, height, width = data["video"].shape/' \\
  finetrainers/trainer/control_trainer/data.py
pip install 'datasets>=3.4,<4'
torchrun --standalone --nnodes=1 --nproc_per_node=1 train.py \\
  --parallel_backend ptd --pp_degree 1 --dp_degree 1 --dp_shards 1 --cp_degree 1 --tp_degree 1 \\
  --model_name wan --pretrained_model_name_or_path Wan-AI/Wan2.1-T2V-1.3B-Diffusers \\
  --control_type custom --rank 128 --lora_alpha 128 \\
  --target_modules "blocks.*(to_q|to_k|to_v|to_out.0|ff.net.0.proj|ff.net.2)" \\
  --frame_conditioning_type full \\
  --dataset_config "$DATA/finetrainers.json" --dataset_shuffle_buffer_size 1 --dataloader_num_workers 0 \\
  --flow_weighting_scheme logit_normal \\
  --training_type control-lora --seed 42 --batch_size 1 --train_steps 5000 --gradient_checkpointing \\
  --checkpointing_steps 500 --checkpointing_limit 2 --enable_slicing --enable_tiling \\
  --optimizer adamw --lr 2e-5 --lr_scheduler constant_with_warmup --lr_warmup_steps 1000 --max_grad_norm 1.0 \\
  --output_dir sketch-control"""  # noqa: E501


def _finetrainers_files(data: DataSet) -> dict[str, str]:
    settings = data.settings
    config = {
        "data_root": str(data.folder),
        "dataset_type": "video",
        "video_resolution_buckets": [[settings.length.frames, settings.height, settings.width]],
        "reshape_mode": "bicubic",
    }
    return {"finetrainers.json": json.dumps({"datasets": [config]}, indent=2, ensure_ascii=False) + "\n"}


_DIFFSYNTH: dict[str, Any] = {
    "url": "https://github.com/modelscope/DiffSynth-Studio",
    "checked": "fed7b18, 2026-08-20",
    "metadata": "metadata.csv",
    "not_text": _PANDAS_MISSING,
    **_WAN,
}

TRAINERS: dict[str, Trainer] = {
    "diffsynth": Trainer(
        **_DIFFSYNTH,
        title="DiffSynth-Studio, Wan2.1-Fun-1.3B-Control",
        lines="white-on-black",
        row=lambda clip, _: {"video": clip.video, "prompt": clip.caption, "control_video": clip.control},
        commands=_diffsynth(
            "control_video",
            "PAI/Wan2.1-Fun-1.3B-Control",
            "diffusion_pytorch_model*.safetensors models_t5_umt5-xxl-enc-bf16.pth Wan2.1_VAE.pth"
            " models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth",
            "dit",
        ),
    ),
    "diffsynth-vace": Trainer(
        **_DIFFSYNTH,
        title="DiffSynth-Studio, Wan2.1-VACE-1.3B",
        lines="black-on-white",
        row=lambda clip, _: {"video": clip.video, "prompt": clip.caption, "vace_video": clip.control},
        commands=_diffsynth(
            "vace_video",
            "Wan-AI/Wan2.1-VACE-1.3B",
            "diffusion_pytorch_model*.safetensors models_t5_umt5-xxl-enc-bf16.pth Wan2.1_VAE.pth",
            "vace",
        ),
    ),
    "videox-fun": Trainer(
        **_WAN,
        title="VideoX-Fun, Wan2.1-Fun-V1.1-1.3B-Control",
        url="https://github.com/aigc-apps/VideoX-Fun",
        checked="804a425, 2026-05-12",
        lines="white-on-black",
        metadata="metadata.json",
        row=lambda clip, data: {
            "file_path": clip.video,
            "text": clip.caption,
            "type": "video",
            "control_file_path": clip.control,
            "width": data.settings.width,
            "height": data.settings.height,
        },
        commands=_videox_fun,
        notes=(
            "`--video_sample_stride=1`: the clips have their final frame rate. Its examples have 2, for 30 fps.",
            "Older versions drop the first and the last tenth of each video: `video_length_drop_start`, `_end`.",
        ),
    ),
    "musubi": Trainer(
        **_WAN,
        title="Musubi Tuner, Wan2.1 Fun Control 1.3B",
        url="https://github.com/kohya-ss/musubi-tuner",
        checked="30c658c, 2026-06-24",
        lines="white-on-black",
        metadata="metadata.jsonl",
        # Relative paths would be looked up in the working directory.
        row=lambda clip, data: {
            "video_path": str(data.folder / clip.video),
            "control_path": str(data.folder / clip.control),
            "caption": clip.caption,
        },
        commands=_musubi,
        files=_musubi_files,
        notes=(
            "The paths in `metadata.jsonl` and `dataset.toml` are absolute, as the trainer requires. After moving the"
            " folder, run the command below again; it keeps the clips.",
            "`source_fps` is not set: all frames of the clips are used. Videos shorter than `target_frames` would be"
            " dropped silently; here they are in `rejected.csv`.",
            "After a change of clips, remove the folder `cache`.",
        ),
    ),
    "ltx": Trainer(
        title="LTX-2 trainer, IC-LoRA",
        url="https://github.com/Lightricks/LTX-2",
        checked="400fd31, 2026-08-16",
        size=(960, 544),
        multiple=32,
        frames=49,
        step=8,
        fps=24.0,
        lines="white-on-black",
        metadata="dataset.json",
        row=lambda clip, _: {"caption": clip.caption, "video": clip.video, "reference_video": clip.control},
        commands=_ltx,
        notes=(
            "After a change of clips, add `--overwrite` to `process_dataset.py`: it keeps what is in `.precomputed`.",
        ),
    ),
    "finetrainers": Trainer(
        **{**_WAN, "frames": 49},
        title="finetrainers, control LoRA on Wan2.1-T2V-1.3B",
        url="https://github.com/a-r-r-o-w/finetrainers",
        checked="f476c37, 2025-06-04",
        lines="white-on-black",
        metadata="metadata.jsonl",
        row=lambda clip, _: {
            "file_name": clip.video,
            "control_video_file_name": clip.control,
            "caption": clip.caption,
        },
        commands=_finetrainers,
        files=_finetrainers_files,
        notes=(
            "`datasets` from 3.4 on reads columns that end in `_file_name` as videos; from 4 on they are of a type that"
            " the trainer does not decode.",
            "The path in `finetrainers.json` is absolute. After moving the folder, run the command below again; it"
            " keeps the clips.",
        ),
        neutral_names=True,
    ),
}
"""By the name for ``--to``."""


def metadata_text(trainer: Trainer, clips: list[Entry], data: DataSet) -> str:
    """The content of the metadata file."""
    rows = [trainer.row(clip, data) for clip in clips]
    kind = Path(trainer.metadata).suffix
    if kind == ".csv":
        return _csv(rows)
    if kind == ".json":
        return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows)


def _csv(rows: list[dict[str, Any]]) -> str:
    stream = StringIO(newline="")
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue()
