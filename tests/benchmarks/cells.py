"""Tables of benchmarks as tests read them."""

import re


def cells_of(line: str) -> list[str]:
    """The cells of a line of a Markdown table."""
    assert line.startswith("|")
    assert line.endswith("|")
    return [cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line[1:-1])]
