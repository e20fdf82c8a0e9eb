"""Docstrings of this project for mkdocstrings: roles of reStructuredText become links and code of Markdown."""

from __future__ import annotations

import re
from typing import Any

import griffe

ROLE = re.compile(r":(?:py:)?(?:mod|class|func|meth|attr|data|exc|obj):`(~?)([\w.]+)`")
LITERAL_BLOCK = re.compile(r"::[ \t]*(?=\n[ \t]*\n)")


def _link(match: re.Match[str]) -> str:
    short, target = match.groups()
    shown = target.rpartition(".")[2] if short else target
    # Optional: what has no page of its own, such as a private module or a class of another library, is code alone.
    return f'<autoref identifier="{target}" optional><code>{shown}</code></autoref>'


class Roles(griffe.Extension):
    """Rewrite the roles in every docstring."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """See :class:`griffe.Extension`."""
        if obj.docstring:
            text = re.sub(r"(\s)~(?=`)", r"\1", obj.docstring.value)
            obj.docstring.value = LITERAL_BLOCK.sub(":", ROLE.sub(_link, text))
