"""What the sheets of Sprites show, in words: labels and captions."""

from __future__ import annotations

import hashlib

import numpy as np

from sketch2video.videos.sprites import SpriteClip

NAMES = {
    "skin": ("fair", "golden", "grey", "pale blue", "light brown", "dark brown"),
    "bottom": (
        *("white trousers", "golden leg armour", "red trousers", "steel leg armour", "teal trousers"),
        "dark green trousers",
    ),
    "top": (
        *("maroon shirt", "turquoise shirt", "cream shirt", "steel breastplate", "brown leather vest"),
        "cream jacket with a tie",
    ),
    "hair": ("spiky green", "tied-up blue", "spiky orange", "parted white", "short red", "curly purple"),
}
"""Names of the sheets 0, 1, ... of each attribute; a further sheet is called by its number."""

_PHRASES = {"skin": "{} skin", "bottom": "{}", "top": "a {}", "hair": "{} hair"}
_ACTIONS = {
    "walk": ("walking", "strolling", "taking a walk", "going for a walk"),
    "spellcast": ("casting a spell", "spellcasting", "working magic", "casting magic"),
    "slash": ("slashing", "swinging a blade", "slashing with a blade", "striking with a blade"),
}
_DIRECTIONS = {
    "front": ("facing the viewer", "facing the camera", "seen from the front", "turned to the front"),
    "left": ("facing left", "turned to the left", "turned left", "looking to the left"),
    "right": ("facing right", "turned to the right", "turned right", "looking to the right"),
}
_PATTERNS = (
    "a character with {skin} and {hair} in {top} and {bottom} is {action}, {direction}",
    "a figure in {top} and {bottom}, with {skin} and {hair}, is {action} {direction}",
    "{direction}, a person with {hair} and {skin} who wears {top} and {bottom} is {action}",
    "someone with {hair}, {skin}, {top} and {bottom} is {action} while {direction}",
    "{hair}, {skin}, {top}, {bottom}: a character {direction} and {action}",
    "a video of a character {direction}, {action}, with {skin}, {hair}, {top} and {bottom}",
    "wearing {bottom} and {top}, a figure with {skin} and {hair} is {action}, {direction}",
    "a pixel character {action}, {direction}; {skin}, {hair}, {bottom} and {top}",
)


def labels_of(clip: SpriteClip) -> dict[str, str]:
    """Names of a clip's skin, bottom, top and hair, action and direction."""
    numbers = dict(zip(NAMES, clip.character, strict=True))
    named = {key: names[n] if (n := numbers[key]) < len(names) else f"{key} number {n}" for key, names in NAMES.items()}
    return {**named, "action": clip.action, "direction": clip.direction}


def caption_of(clip: SpriteClip, seed: int) -> str:
    """A caption in varied wording that names all that the labels name; drawn by ``seed`` and the clip's id."""
    rng = np.random.default_rng([seed, int.from_bytes(hashlib.sha256(clip.id.encode()).digest()[:8], "big")])
    labels = labels_of(clip)
    words = {key: _PHRASES[key].format(labels[key]) if "number" not in labels[key] else labels[key] for key in NAMES}
    words["action"] = str(rng.choice(_ACTIONS[clip.action]))
    words["direction"] = str(rng.choice(_DIRECTIONS[clip.direction]))
    return str(rng.choice(_PATTERNS)).format(**words)
