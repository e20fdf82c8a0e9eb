"""Strict reading of YAML files that users edit: any fault is reported as one line with its position."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError
from yaml.scanner import ScannerError

from sketch2video.errors import UserError
from sketch2video.inputs.texts import brief, read_text


def read_yaml(path: Path | str) -> Any:
    """Read a file of YAML 1.1 in Python's own types.

    Raises:
        UserError: the file cannot be read or is no YAML, names a key twice, or contains itself by an alias.
    """
    text = read_text(path, "run the command in the project's folder")
    with naming_fault(path):
        return yaml.load(text, _Loader)


@contextmanager
def naming_fault(path: Path | str) -> Iterator[None]:
    """Convert exceptions of YAML readers in the block into one line with the file's name."""
    try:
        yield
    except RecursionError as error:
        raise UserError(f"{path} is not valid YAML: it has too many brackets within each other") from error
    except Exception as error:
        # PyYAML and ruamel.yaml have no class of errors in common.
        if not isinstance(error, yaml.YAMLError) and type(error).__module__.partition(".")[0] != "ruamel":
            raise
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error


_BITS = 64
"""Of the largest integer: Python does not print those of thousands of digits, not even in a message."""

UNFIT = (ValueError, TypeError, LookupError, AttributeError, OverflowError)
"""What constructors raise for a day 45, an integer without digits or with thousands, a key that cannot be one."""


def unfit(node: Any) -> str:
    """What is wrong with a node that cannot be made a value."""
    return f"a value is no {brief(str(node.tag).rpartition(':')[2])}"


class _Loader(yaml.SafeLoader):
    """PyYAML's own, which keeps the last of equal keys and raises anything for values that do not fit their tag."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._open: list[str] = []

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """Compose a node, which may not be an alias of one that contains it."""
        event: Any = self.peek_event()
        anchor, mark = getattr(event, "anchor", None), event.start_mark
        if anchor is None:
            return super().compose_node(parent, index)
        if isinstance(event, yaml.AliasEvent):
            if anchor in self._open:
                raise ComposerError(None, None, f"*{brief(anchor)} contains itself", mark)
            return super().compose_node(parent, index)
        self._open.append(anchor)
        node = super().compose_node(parent, index)
        self._open.pop()
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Compose a mapping without equal keys."""
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise ComposerError(None, None, f"the key {brief(key.value)} occurs twice", key.start_mark)
                seen.add(key.value)
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Make a value of a node."""
        try:
            value = super().construct_object(node, deep)
            if isinstance(value, int) and value.bit_length() > _BITS:
                raise OverflowError
            return value
        except UNFIT as error:
            raise ConstructorError(None, None, unfit(node), node.start_mark) from error

    def scan_flow_scalar_non_spaces(self, double: bool, start_mark: yaml.Mark) -> Any:
        """Scan a part of a quoted string, whose escapes must be characters."""
        try:
            return super().scan_flow_scalar_non_spaces(double, start_mark)
        except ValueError as error:
            raise ScannerError(None, None, "an escape is not a character", start_mark) from error
