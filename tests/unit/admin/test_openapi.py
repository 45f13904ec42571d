"""`schema/admin.openapi.yaml` and the reference pages against the routes and answers there are."""

import asyncio
import re
from pathlib import Path

import jsonschema
import pytest
import yaml
from aiohttp.web import RouteDef

from anyclawd.admin.routes import Routes
from anyclawd.admin.views import plan_view
from anyclawd.model.value import Json
from tests.fakes.control import AGENT, PLAN, FakeControl

ROOT = Path(__file__).parents[3]
DOCUMENT: Json = yaml.safe_load((ROOT / "schema" / "admin.openapi.yaml").read_text("utf-8"))
METHODS = ("get", "post", "delete")


def path_of(route: RouteDef) -> str:
    """As OpenAPI writes it: without what a segment has to look like."""
    return re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.path)


ROUTES = sorted((route.method, path_of(route)) for route in Routes(FakeControl()).all())


def described(document: Json) -> list[tuple[str, str]]:
    return sorted(
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method in item
        if method in METHODS
    )


def test_it_describes_each_route_and_no_other() -> None:
    assert described(DOCUMENT) == ROUTES


def test_operations_are_named_as_the_handlers_are() -> None:
    named = {
        (method.upper(), path): item[method]["operationId"]
        for path, item in DOCUMENT["paths"].items()
        for method in METHODS
        if method in item
    }
    for route in Routes(FakeControl()).all():
        assert named[route.method, path_of(route)] == route.handler.__name__


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_each_route_is_in_the_reference(method: str, path: str) -> None:
    reference = (ROOT / "docs" / "reference" / "admin-api.md").read_text("utf-8")
    assert f"`{method} {path}" in reference


CONTROL = FakeControl()
ANSWERS = {
    "Status": CONTROL.status(),
    "Unit": asyncio.run(CONTROL.unit(AGENT, 10)),
    "Schedule": CONTROL.schedule(AGENT),
    "Explanation": CONTROL.explain(AGENT),
    "Boot": asyncio.run(CONTROL.boot(0)),
    "Boots": asyncio.run(CONTROL.boots()),
    "Health": CONTROL.health(),
    "Plan": plan_view(PLAN),
    "Job": CONTROL.jobs()["jobs"][0],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_answers_have_the_described_shape(name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DOCUMENT["components"]}
    jsonschema.Draft202012Validator(schema).validate(ANSWERS[name])


def test_every_reference_inside_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        target = DOCUMENT
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


def references(value: Json) -> list[str]:
    if isinstance(value, dict):
        own = [value["$ref"]] if "$ref" in value else []
        return own + [found for item in value.values() for found in references(item)]
    if isinstance(value, list):
        return [found for item in value for found in references(item)]
    return []
