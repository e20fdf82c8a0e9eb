"""Great Expectations' Data Docs, changed to be readable without a network.

The generated pages load styles, scripts and pictures from other servers, and the index consists of scripts alone.
External resources are removed, a style and an index are added, and a content security policy prevents further
requests.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from pathlib import Path

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em; position: static }
.row { display: flex; flex-wrap: wrap; gap: 0 2em } .col-lg-2, .col-md-2, .navbar { display: none }
.col-lg-10, .col-md-10, .col-12 { flex: 1 1 100% } .container, .container-fluid { padding: 0 }
table { border-collapse: collapse; margin: .5em 0 }
td, th { border: 1px solid #8884; padding: .3em .7em; text-align: left }
.badge { background: #8882; border-radius: .3em; padding: 0 .3em } .m-0 { margin: 0 }
.text-success, .fa-check-circle { color: #1a7f37 } .text-danger, .fa-times, .fa-times-circle { color: #c62828 }
.fa-check-circle::before { content: "\\2714" } .fa-times::before, .fa-times-circle::before { content: "\\2718" }
.fas { font-style: normal; font-weight: bold } .cooltip .top, footer, .modal, .carousel, .btn { display: none }
@media (prefers-color-scheme: dark) { body { background: #16181b; color: #e8e8e8 } a { color: #8ab4f8 } }
"""

_SCRIPT = re.compile(r"<script\b.*?</script\s*>", re.DOTALL | re.IGNORECASE)
_LINK = re.compile(r"<(?:link|img|iframe)\b[^>]*\b(?:href|src)\s*=\s*[\"'](?:https?:)?//[^>]*>", re.IGNORECASE)
_URL = re.compile(r"url\(\s*[\"']?(?:https?:)?//[^)]*\)", re.IGNORECASE)
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)


def without_network(folder: Path, passed: Mapping[str, bool]) -> None:
    """Change the pages of a folder of Data Docs so that they load nothing, and write their index.

    Args:
        folder: where Great Expectations has built its site.
        passed: for each table whether all of its checks passed.
    """
    for page in folder.rglob("*.html"):
        page.write_text(alone(page.read_text(encoding="utf-8")), encoding="utf-8")
    for style in folder.rglob("*.css"):
        style.write_text(_URL.sub("none", style.read_text(encoding="utf-8")), encoding="utf-8")
    rows = []
    for table, success in passed.items():
        checks = min((folder / "validations" / table).rglob("*.html"), default=None)
        link = html.escape(table)
        if checks is not None:
            link = f'<a href="{html.escape(checks.relative_to(folder).as_posix())}">{link}</a>'
        mark = '<td class="text-success">passed</td>' if success else '<td class="text-danger">failed</td>'
        rows.append(
            f'<tr><td>{link}</td>{mark}<td><a href="expectations/{html.escape(table)}.html">expected</a></td></tr>'
        )
    body = f"<h1>Checks of the data</h1><table><tr><th>table</th><th>checks</th><th></th></tr>{''.join(rows)}</table>"
    index = f"<!DOCTYPE html><html><head><title>Checks of the data</title></head><body>{body}</body></html>\n"
    (folder / "index.html").write_text(alone(index), encoding="utf-8")


def alone(page: str) -> str:
    """An HTML page without scripts and external resources."""
    page = _URL.sub("none", _LINK.sub("", _SCRIPT.sub("", page)))
    head = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"><meta charset="utf-8">'
    page = _HEAD.sub(lambda found: found[0] + head, page, count=1)
    return page.replace("</head>", f"<style>{STYLE}</style></head>", 1)
