"""Parts that several systems share: ``models/shared/<part>``."""

from __future__ import annotations

from sketch2video.systems.spec import TEXT_ENCODER, Part

SHARED_PARTS = (
    Part(
        "sketcher",
        "Network from photographs to drawings, needed if sketch.extractor is learned",
        "sketch2video.sketches.training:train_sketcher",
        sections=("sketcher",),
        unneeded=lambda params: (
            None if params.sketch.extractor == "learned" else f"sketch.extractor is {params.sketch.extractor}"
        ),
        note="sketch2video.sketches.learned:write_description",
    ),
    Part(
        "judge",
        "Judge of videos, for data with labels of their own",
        "sketch2video.judges.trained.training:train_video_judge",
        sections=("judge",),
        unneeded=lambda params: (
            "the judge of the package knows embedded scenes with one object"
            if params.ingest.source == "synthetic" and params.ingest.synthetic.objects == 1
            else None
        ),
        note="sketch2video.judges.trained.description:write_description",
    ),
    Part(
        "text_encoder",
        "Tokenizer and text encoder of all systems",
        "sketch2video.text.training:train_text_encoder",
        sections=("text_encoder",),
    ),
    Part(
        "curve_vae",
        "VAE from captions to curve sequences",
        "sketch2video.curve_vae.training:train_curve_vae",
        lambda params: {"text_encoder": TEXT_ENCODER},
        ("curve_vae",),
    ),
)
