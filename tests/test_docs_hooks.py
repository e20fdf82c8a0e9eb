"""What the build of the documentation adds to MkDocs: pages load nothing from the network, roles become links."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

HOOKS = Path(__file__).parents[1] / "docs/hooks"


def hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, HOOKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("name", "text", "loads"),
    [
        ("a.html", '<script src="https://cdn.example/x.js"></script>', ["https://cdn.example/x.js"]),
        ("a.html", '<link rel="stylesheet" href="//fonts.example/css?a=b">', ["//fonts.example/css?a=b"]),
        ("a.html", '<link rel="preconnect" href="https://fonts.example">', ["https://fonts.example"]),
        ("a.html", '<img src=HTTP://x.example/y.png srcset="a.png 1x, https://x.example/z.png 2x">', [
            "HTTP://x.example/y.png", "https://x.example/z.png",
        ]),
        ("a.html", "<style>@import 'https://x.example/a.css';</style>", ["https://x.example/a.css"]),
        ("a.css", "@font-face { src: url( 'https://x.example/f.woff2' ) }", ["https://x.example/f.woff2"]),
        ("a.html", '<pre class="mermaid">graph</pre>', ["a diagram of mermaid, for which the theme loads a script"]),
        ("a.html", '<a href="https://www.desmos.com">see</a><link rel="canonical" href="https://x.example">', []),
        ("a.html", '<script src="assets/x.js"></script><img src="../y.png"><link rel="icon" href="z.png">', []),
        ("a.html", "<p>https://x.example/y.js, url(y.png)</p>", []),
    ],
)  # fmt: skip
def test_what_a_page_loads_from_the_network_is_found(name: str, text: str, loads: list[str]) -> None:
    assert hook("offline").remote_loads(name, text) == loads


def test_roles_become_links_and_literal_blocks_code() -> None:
    griffe = pytest.importorskip("griffe")
    source = '"""See :class:`~a.b.C` and :func:`f`; as in::\n\n    f(x)\n\nEnd.\n"""'
    module = griffe.visit("m", Path("m.py"), source)
    hook("roles").Roles().on_object(obj=SimpleNamespace(docstring=module.docstring))
    assert module.docstring.value == (
        'See <autoref identifier="a.b.C" optional><code>C</code></autoref> and'
        ' <autoref identifier="f" optional><code>f</code></autoref>; as in:\n\n    f(x)\n\nEnd.'
    )
