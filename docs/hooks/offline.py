"""After a build of the documentation: fail if a page of it would load anything from the network."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

REMOTE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
IN_STYLES = re.compile(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", re.IGNORECASE)

NOT_LOADED = {"alternate", "author", "canonical", "help", "license", "next", "prev", "search"}
"""Kinds of ``<link>`` that a browser does not load."""


class _Loads(HTMLParser):
    """Collects the addresses that a page loads when it is opened; what a reader may click is no load."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """See :class:`HTMLParser`."""
        values = {name: value or "" for name, value in attrs}
        if "mermaid" in values.get("class", "").split():
            self.found.append("a diagram of mermaid, for which the theme loads a script")
        addresses = [values.get(name, "") for name in ("src", "data", "poster")]
        addresses += [part.split()[0] for part in values.get("srcset", "").split(",") if part.strip()]
        if tag == "link" and not set(values.get("rel", "").split()) <= NOT_LOADED:
            addresses.append(values.get("href", ""))
        if tag in ("image", "use"):
            addresses += [values.get("href", ""), values.get("xlink:href", "")]
        self.found += [address for address in addresses if REMOTE.match(address)]


def remote_loads(name: str, text: str) -> list[str]:
    """The addresses on the network that a file of a site loads.

    Args:
        name: of the file; its ending says whether it is a page (``.html``) or a style sheet (``.css``).
        text: its content.
    """
    found = IN_STYLES.findall(text) if name.endswith((".html", ".css", ".svg")) else []
    if name.endswith((".html", ".svg")):
        parser = _Loads()
        parser.feed(text)
        found += parser.found
    return found


def on_post_build(config: Any) -> None:
    """See the hooks of MkDocs."""
    from mkdocs.exceptions import PluginError

    site = Path(config["site_dir"])
    loads = [
        f"{path.relative_to(site)} loads {address}"
        for path in sorted(site.rglob("*.*"))
        if path.suffix in (".html", ".css", ".svg")
        for address in remote_loads(path.name, path.read_text(encoding="utf-8"))
    ]
    if config["repo_url"]:
        loads.append(f"repo_url is {config['repo_url']}, whose numbers of stars the theme loads")
    if loads:
        raise PluginError("the site must load nothing from the network: " + "; ".join(loads))
