"""The models that the studio offers, and those that are loaded."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from sketch2video.errors import UserError
from sketch2video.generation.videos import Model
from sketch2video.studio.schemas import OfferedModel
from sketch2video.systems.facts import PipelineFacts, pipeline_facts
from sketch2video.systems.loading import INDEX, content_hash, load_pipeline
from sketch2video.systems.registry import find_system, system_names

MOST_LOADED = 2
"""Most pipelines in memory; the one that was not used for the longest time is removed."""

FRESH = 5.0
"""Seconds within which the list of models is not made again."""

HELP = "there is no trained model; run `make demo` to train one, or name one with --model"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Offer:
    """A model that can be chosen.

    Attributes:
        id: by which requests choose it.
        name: for users.
        reference: registered model or folder, as in the manifest.
        folder: of the pipeline.
        version: of the registered model; None for a folder.
        facts: what it can do.
    """

    id: str
    name: str
    reference: str
    folder: Path
    version: str | None
    facts: PipelineFacts


class Models:
    """The list of models, and the loaded ones.

    Args:
        find: makes the list, the default model first.
    """

    def __init__(self, find: Callable[[], list[Offer]]) -> None:
        self._find = find
        self._finding = threading.Lock()
        self._offers: dict[str, Offer] = {}
        self._found = -FRESH
        self._loaded: OrderedDict[tuple[str, int], Model] = OrderedDict()

    def offers(self) -> list[Offer]:
        """All models, the default one first; the list is made again after some seconds."""
        with self._finding:
            if time.monotonic() - self._found >= FRESH:
                self._offers = {offer.id: offer for offer in self._find()}
                self._found = time.monotonic()
            return list(self._offers.values())

    def find(self, identifier: str) -> Offer:
        """A model of the list by its id.

        Raises:
            UserError: there is none.
        """
        offer = self._offers.get(identifier) or next((each for each in self.offers() if each.id == identifier), None)
        if offer is None:
            raise UserError("there is no such model; choose one of /api/models")
        return offer

    def load(self, offer: Offer) -> Model:
        """The model with its pipeline; only the worker's thread may call this.

        Raises:
            UserError: it cannot be loaded.
        """
        key = _loading_key(offer)
        if key not in self._loaded:
            while len(self._loaded) >= MOST_LOADED:
                self._loaded.popitem(last=False)
            pipeline = load_pipeline(offer.folder)
            self._loaded[key] = Model(pipeline, offer.reference, offer.version, content_hash(offer.folder))
        self._loaded.move_to_end(key)
        return self._loaded[key]

    def listed(self) -> list[OfferedModel]:
        """The list for the API."""
        return [
            OfferedModel(
                id=offer.id,
                name=offer.name,
                loaded=_loading_key(offer) in self._loaded,
                **vars(offer.facts),
            )
            for offer in self.offers()
        ]


def _loading_key(offer: Offer) -> tuple[str, int]:
    """The model's id and when its folder was made: a graph that runs again puts another folder in its place."""
    index = offer.folder / "model_index.json"
    return offer.id, index.stat().st_mtime_ns if index.exists() else 0


def find_models(model: str | None, registered: str | None) -> list[Offer]:
    """The model that the user named, all versions of the registered model, and the pipelines in ``models/``.

    The first of them is the default: the named one, else the champion, else the newest version, else the first system.

    Args:
        model: registered model or folder; None: none was named.
        registered: name of the registered model; None: there is no registry to look into.

    Raises:
        UserError: the named model cannot be used.
    """
    offers = [_named(model)] if model else []
    if registered:
        try:
            offers += _versions(registered)
        except UserError as error:
            logger.warning("registered models are not offered: %s", error)
    for system in system_names():
        folder = find_system(system).folder
        if (folder / INDEX).is_file():
            offers += _offered(system, f"{find_system(system).title} ({folder.as_posix()})", folder.as_posix(), folder)
    return offers


def _named(reference: str) -> Offer:
    from sketch2video.tracking.location import locate_model

    located = locate_model(reference)
    return Offer("chosen", reference, reference, located.folder, located.version, pipeline_facts(located.folder))


def _versions(name: str) -> Iterator[Offer]:
    """Versions of the registered model: the champion, then the newest first."""
    from sketch2video.tracking.registry import CHAMPION, list_versions
    from sketch2video.tracking.store import is_own_store, tracking_uri

    versions = list_versions(name)
    if not is_own_store():  # whose versions are downloaded before they can be described
        versions = [version for version in versions if version.aliases]
    for version in sorted(versions, key=lambda each: (CHAMPION not in each.aliases, -each.number)):
        reference = f"models:/{name}/{version.number}"
        try:
            folder, number = _located(tracking_uri(), reference)
        except UserError as error:
            logger.warning("%s is not offered: %s", reference, error)
            continue
        aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
        yield from _offered(f"{_identifier(name)}-{number}", f"{name} {number}{aliases}", reference, folder, number)


@lru_cache(maxsize=256)
def _located(store: str, reference: str) -> tuple[Path, str]:
    """Folder and number of a version, which do not change."""
    from sketch2video.tracking.registry import locate_version

    return locate_version(reference)


def _offered(identifier: str, name: str, reference: str, folder: Path, version: str | None = None) -> Iterator[Offer]:
    try:
        yield Offer(identifier, name, reference, folder, version, pipeline_facts(folder))
    except UserError as error:
        logger.warning("%s is not offered: %s", reference, error)


def _identifier(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:40]
