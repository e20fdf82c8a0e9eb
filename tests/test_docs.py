"""The README is short, and what the documents link to is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_the_readme_is_read_in_one_go():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page):
    links = [link.partition("#")[0] for link in LINK.findall(page.read_text()) if not link.startswith("http")]
    assert [link for link in links if link and not (page.parent / link).exists()] == []


def test_every_page_is_linked_from_the_readme():
    linked = {(ROOT / link).resolve() for link in LINK.findall((ROOT / "README.md").read_text())}
    assert [page.name for page in PAGES[1:] if page not in linked] == []
