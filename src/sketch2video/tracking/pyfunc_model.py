"""The registered model for ``mlflow models serve``. MLflow executes this file ("models from code"), without pickles.

A request has one row for each video: ``caption``, and optionally ``seed`` and ``num_frames``, each of them for all rows
or for none. The parameters, those of :class:`~sketch2video.params.RequestParams`, apply to the whole request. The
response has one row for each video, in the same order: ``video``, an mp4 in base64; ``sketch``, an animated SVG, empty
for systems without drawings; ``seed``, which reproduces the video.
"""

from __future__ import annotations

import base64
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext
from pydantic import ValidationError

from sketch2video.curves import to_animated_svg
from sketch2video.errors import UserError
from sketch2video.generation.batch import batches, seeds_of
from sketch2video.generation.layout import SKETCH_SCALE
from sketch2video.generation.prompts import Prompt, parse_prompts
from sketch2video.generation.videos import Request, Video, generate_videos
from sketch2video.media.writing import write_video
from sketch2video.params import RequestParams
from sketch2video.systems.loading import load_pipeline


class ServedPipeline(PythonModel):
    """A pipeline behind MLflow's interface; the artifact ``pipeline`` is its folder."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the pipeline."""
        self.pipeline = load_pipeline(context.artifacts["pipeline"])
        # Requests set the pipeline's sampler: concurrent ones would change each other's.
        self.generating = Lock()

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """Generate a video for each row; see the module's description.

        Raises:
            MlflowException: a row or a parameter is wrong; the server responds with status 400 and the reason.
        """
        try:
            prompts = parse_prompts(model_input.astype(object).to_dict(orient="records"), "request")
            for prompt in prompts:
                prompt.check_length(self.pipeline.longest, f"row {prompt.row} of the request", "this model")
            settings = RequestParams.model_validate({**context.model_config, **(params or {})})
            with self.generating:
                videos = self._generate(prompts, settings)
        except (UserError, ValidationError) as error:
            raise MlflowException.invalid_parameter_value(" ".join(str(error).split())) from error
        rows = [{"video": _mp4(v), "sketch": _svg(v), "seed": seed} for v, seed in videos]
        return pd.DataFrame(rows)

    def _generate(self, prompts: list[Prompt], settings: RequestParams) -> list[tuple[Video, int]]:
        requests = [
            Request(prompt.caption, seed, prompt.num_frames, settings.fps)
            for prompt, seed in zip(prompts, seeds_of(prompts, 0), strict=True)
        ]
        videos: dict[int, Video] = {}
        for batch in batches([request.num_frames for request in requests], settings.batch_size):
            made = generate_videos(self.pipeline, [requests[index] for index in batch], settings)
            videos |= dict(zip(batch, made, strict=True))
        return [(videos[index], request.seed) for index, request in enumerate(requests)]


def _mp4(video: Video) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "video.mp4"
        write_video(path, video.frames, video.fps)
        return base64.b64encode(path.read_bytes()).decode()


def _svg(video: Video) -> str:
    if video.curves is None:
        return ""
    height, width = (SKETCH_SCALE * side for side in video.frames.shape[1:3])
    return to_animated_svg(video.curves, video.fps, height, width, SKETCH_SCALE)


set_model(ServedPipeline())
