"""Labels and captions of the clips of Sprites."""

from __future__ import annotations

import hashlib

import numpy as np

from sketch2video.data.sources.sprites import SpriteClip

NAMES = {
    "skin": ("fair", "golden", "grey", "pale blue", "light brown", "dark brown"),
    "bottom": ("white trousers", "golden greaves", "red trousers", "steel greaves", "teal trousers", "green trousers"),
    "top": ("maroon shirt", "turquoise shirt", "cream shirt", "steel breastplate", "brown vest", "cream jacket"),
    "hair": ("spiky green", "upswept blue", "spiky orange", "parted white", "short red", "curly purple"),
}
"""Names of sheets 0, 1, ... of each attribute, in the order of a character's numbers; further sheets have none."""

WORDS_FOR_ACTION = {
    "walk": ("walking", "strolling", "taking a walk", "going for a walk"),
    "spellcast": ("casting a spell", "spellcasting", "working magic", "casting magic"),
    "slash": ("slashing", "swinging a blade", "slashing with a blade", "striking with a blade"),
}
WORDS_FOR_DIRECTION = {
    "front": ("facing the viewer", "facing the camera", "seen from the front", "turned to the front"),
    "left": ("facing left", "turned left", "turned to the left", "looking to the left"),
    "right": ("facing right", "turned right", "turned to the right", "looking to the right"),
}

_PHRASES = {"skin": "{} skin", "bottom": "{}", "top": "a {}", "hair": "{} hair"}
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
    """Names of a clip's skin, bottom, top, hair, action and direction; "top number 6" where a sheet has no name."""
    named = {
        key: names[number] if number < len(names) else f"{key} number {number}"
        for (key, names), number in zip(NAMES.items(), clip.character, strict=True)
    }
    return {**named, "action": clip.action, "direction": clip.direction}


def caption_of(clip: SpriteClip, seed: int) -> str:
    """A caption in varied wording that names all six attributes; it depends on ``seed`` and the clip's id alone."""
    rng = np.random.default_rng([seed, int.from_bytes(hashlib.sha256(clip.id.encode()).digest()[:8], "big")])
    words = {
        key: _PHRASES[key].format(name) if name in NAMES[key] else name
        for key, name in labels_of(clip).items()
        if key in NAMES
    }
    words["action"] = str(rng.choice(WORDS_FOR_ACTION[clip.action]))
    words["direction"] = str(rng.choice(WORDS_FOR_DIRECTION[clip.direction]))
    return str(rng.choice(_PATTERNS)).format(**words)
