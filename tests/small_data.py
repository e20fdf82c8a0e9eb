from pathlib import Path
from typing import Any

from sketch2video.params import Params, load_params

ROOT = Path(__file__).parents[1]


def small_params(section: str, steps: int, **changes: Any) -> Params:
    """The project's own parameters for 4 frames of 32 x 32 px, with a small network that is trained for a few steps."""
    values = load_params(ROOT / "params.yaml").model_dump(by_alias=True)
    values["base"] |= {"size": 32, "frames": 4}
    training = {"steps": steps, "batch_size": 8, "warmup_steps": 2, "checkpoint_every": 1000, "preview_every": 0}
    values[section]["training"] |= training | {"ema_decay": 0.5}
    values[section] |= changes
    values["evaluate"]["sampler"] = values["generate"]["sampler"] = "unipc"  # which fits every objective
    return Params.model_validate(values)
