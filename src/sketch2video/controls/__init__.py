"""Controls: the pictures that a system can follow, one object each, found by name."""

from sketch2video.controls.control import AFTER_CONTROL, Control, Way
from sketch2video.controls.none import NONE
from sketch2video.controls.registry import (
    check_controls,
    control_of_network,
    find_control,
    register_control,
    unregister_control,
)
from sketch2video.controls.sketch import SKETCH
from sketch2video.controls.video import VIDEO

__all__ = [
    "AFTER_CONTROL",
    "NONE",
    "SKETCH",
    "VIDEO",
    "Control",
    "Way",
    "check_controls",
    "control_of_network",
    "find_control",
    "register_control",
    "unregister_control",
]
