"""Requests that schemathesis makes from the API's own description: none of them is a server error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from sketch2video.studio.app import create_app
from tests.studio.serving import Served, offer, served

schemathesis = pytest.importorskip("schemathesis")
checks = pytest.importorskip("schemathesis.checks")

EXAMPLES = 20
"""Requests for each route."""

CHECKS = [
    *(checks.not_a_server_error, checks.response_schema_conformance),
    *(checks.status_code_conformance, checks.content_type_conformance),
]

ROUTES = [
    (method.upper(), path)
    for path, methods in create_app(list, Path("none")).openapi()["paths"].items()
    for method in methods
]


class Fuzzed(NamedTuple):
    """A running studio, its description as schemathesis reads it, and a video that exists."""

    studio: Served
    schema: Any
    existing: dict[str, str]


@pytest.fixture(scope="module")
def fuzzed(tiny_pipeline_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    folder = tmp_path_factory.mktemp("fuzzed")
    with served(lambda: [offer("sketch", tiny_pipeline_folder)], folder / "gallery") as studio:
        job, data = studio.paint(gallery=True, seed=1)
        schema = schemathesis.openapi.from_url(f"{studio.client.base_url}/api/openapi.json")
        yield Fuzzed(studio, schema, {"job": job, "key": data["key"]})
        studio.paint()  # it still works
        assert [path.name for path in folder.iterdir()] == ["gallery"]


def test_the_api_has_its_routes() -> None:
    assert set(ROUTES) == {
        ("GET", "/api/models"),
        ("POST", "/api/draw"),
        ("POST", "/api/fit/stroke"),
        ("POST", "/api/fit/file"),
        ("POST", "/api/paint"),
        ("GET", "/api/paint/{job}/events"),
        ("DELETE", "/api/paint/{job}"),
        ("GET", "/api/frames/{job}"),
        ("GET", "/api/video/{job}.{kind}"),
        ("POST", "/api/equation"),
        ("POST", "/api/export/{format}"),
        ("GET", "/api/gallery"),
        ("GET", "/api/gallery/{key}"),
        ("DELETE", "/api/gallery/{key}"),
        ("GET", "/api/gallery/{key}/frames"),
        ("GET", "/api/gallery/{key}/{kind}"),
    }


@pytest.mark.parametrize(("method", "path"), ROUTES, ids=lambda value: value)
def test_no_request_is_a_server_error(fuzzed: Fuzzed, method: str, path: str) -> None:
    operation = fuzzed.schema[path][method]
    exists = any(name in path for name in ("{job}", "{key}"))

    @settings(
        max_examples=EXAMPLES,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        for existing in ({}, fuzzed.existing) if exists and method == "GET" else ({},):
            for name in existing.keys() & set(case.path_parameters or {}):
                case.path_parameters[name] = existing[name]
            case.validate_response(case.call(timeout=30), checks=CHECKS)
        body = case.body if isinstance(case.body, dict) else {}
        if "model" in body and "client" in body:  # a random model leads nowhere
            answer = fuzzed.studio.client.post(path, json=body | {"model": "sketch"})
            expected = (202, 422, 429) if path == "/api/paint" else (200, 422, 429)
            assert answer.status_code in expected, answer.text

    ask()
