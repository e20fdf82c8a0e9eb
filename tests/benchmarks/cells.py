"""Tables of benchmarks as tests read them."""


def cells_of(line: str) -> list[str]:
    """The cells of a line of a Markdown table."""
    assert line.startswith("|")
    assert line.endswith("|")
    return [cell.strip() for cell in line[1:-1].split("|")]
