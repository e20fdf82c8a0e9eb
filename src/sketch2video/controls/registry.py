"""Registry of controls by name; parameters and configs of networks hold the names.

To add one: a file in this folder with a :class:`~sketch2video.controls.control.Control` object.
"""

from __future__ import annotations

import importlib
import pkgutil
from importlib.metadata import entry_points
from pathlib import Path

from sketch2video.controls.control import Control
from sketch2video.controls.none import NONE
from sketch2video.controls.sketch import SKETCH
from sketch2video.controls.video import VIDEO
from sketch2video.errors import UserError, printable
from sketch2video.params import Params

GROUP = "sketch2video.controls"
"""Entry points by which an installed package provides a control; each names a :class:`Control` object."""


def _discovered() -> dict[str, Control]:
    """Every control of this folder's files, and those of installed packages."""
    modules = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    files = [importlib.import_module(f"{__package__}.{name}") for name in sorted({*modules} - {"registry"})]
    found = [value for file in files for value in vars(file).values() if isinstance(value, Control)]
    found += [point.load() for point in entry_points(group=GROUP)]
    return {control.name: control for control in found}


_CONTROLS = _discovered()

_UNNAMED = (NONE, SKETCH, VIDEO)
"""The controls of networks whose configs hold no name."""


def find_control(name: str, key: str | None = None, *, may_draw: bool = True) -> Control:
    """The registered control of a name.

    Args:
        name: of the control.
        key: parameter that holds the name, such as ``text_ldm.control``, for the message; None: it is no parameter's.
        may_draw: whether controls with which the system draws first are among the choices.

    Raises:
        UserError: it is not among the choices; the message names the key and the choices.
    """
    choices = {known: control for known, control in _CONTROLS.items() if may_draw or not control.draws}
    if name not in choices:
        raise UserError(
            f"{f'{key}: ' if key else ''}there is no control {printable(name)}; choose one of {', '.join(choices)},"
            " or register a control of your own first"
        )
    return choices[name]


def register_control(control: Control) -> None:
    """Register a control under its name.

    Raises:
        ValueError: its name is taken, or is not made of letters, digits and underscores.
    """
    if not control.name.isidentifier():
        raise ValueError(f"a control is named {control.name!r}; use letters, digits and underscores")
    if control.name in _CONTROLS:
        raise ValueError(f"there is a control {control.name} already; choose another name")
    _CONTROLS[control.name] = control


def unregister_control(name: str) -> None:
    """Unregister a control.

    Raises:
        ValueError: there is none of this name.
    """
    if name not in _CONTROLS:
        raise ValueError(f"there is no control {name}")
    del _CONTROLS[name]


def control_of_network(name: str | None, channels: int) -> Control:
    """The control that a network's config names.

    Args:
        name: ``control`` of the config; None in configs that were saved before they held a name. The name then follows
            from the channels: 0 none, 1 sketch, 3 video, which were the only controls.
        channels: ``control_channels`` of the config; of no meaning where there is a name.

    Raises:
        UserError: no control of this name is registered, or there is no name and the channels are those of no control.
    """
    if name is not None:
        return find_control(name)
    found = next((control for control in _UNNAMED if control.channels == channels), None)
    if found is None:
        raise UserError(f"a network has {channels} control channels and names no control; name it in its config.json")
    return found


def check_controls(params: Params, source: str = "params.yaml") -> None:
    """Raise if parameters name an unknown control.

    Args:
        params: whose keys ``control`` of ``text_ldm``, ``token_transformer`` and ``adapted_video`` are checked.
        source: of the parameters, for the message.

    Raises:
        UserError: a key does not name one of its choices.
    """
    find_control(params.text_ldm.control, f"{source}: text_ldm.control", may_draw=False)
    find_control(params.token_transformer.control, f"{source}: token_transformer.control")
    find_control(params.adapted_video.control, f"{source}: adapted_video.control")
