"""The OpenAPI documents name what the services have, and nothing else.

A test that names a route here wants a row of that name in ``DESCRIBED`` of ``broker/described.py`` or
``enrichment/described.py``: a summary, the type of each answer (or the media type of what is no JSON, as in
``"metrics": Operation("Figures for Prometheus", {200: "text/plain"})``), and the errors that are its own.
A route that ``app.py`` adds to those of ``routes.py`` is also listed in ``api()`` there.
"""

from __future__ import annotations

import json

import httpx
import jsonschema_rs
import pytest
import schemathesis
from starlette.applications import Starlette
from starlette.routing import Mount, Route

import broker.app
import broker.described
import enrichment.app
import enrichment.described
from broker.edge.problems import EDGE_PROBLEMS
from broker.page import page_routes
from tests.broker import build as of_broker
from tests.enrichment import build as of_enrichment
from tests.running import running

BROKER = broker.app.api()
ENRICHMENT = enrichment.app.api()
DOCUMENTS = pytest.mark.parametrize("document", [BROKER, ENRICHMENT], ids=["broker", "enrichment"])


def innermost(app) -> Starlette:
    while not isinstance(app, Starlette):
        app = app._app if hasattr(app, "_app") else app.app
    return app


def reachable(routes, prefix=""):
    """Every method and path, as Starlette has them."""
    for route in routes:
        if isinstance(route, Mount):
            yield from reachable(route.routes, prefix + route.path)
        else:
            assert isinstance(route, Route), f"{route}: say in this test how it is declared"
            yield from ((method, prefix + route.path) for method in route.methods - {"HEAD"})


def declared(document):
    return {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}


def test_every_route_of_the_broker_is_declared_and_nothing_else_but_the_page_is_there():
    app = innermost(broker.app.create_app(of_broker.settings(serve_page=True)))
    page = {("GET", route.path) for route in page_routes({})}
    assert set(reachable(app.routes)) - page == declared(BROKER)


def test_every_route_of_enrichment_is_declared_and_nothing_else_is_there(tmp_path):
    app = innermost(enrichment.app.create_app(of_enrichment.settings(tmp_path)))
    assert set(reachable(app.routes)) == declared(ENRICHMENT)


@pytest.mark.parametrize(
    ("document", "described"),
    [(BROKER, broker.described.DESCRIBED), (ENRICHMENT, enrichment.described.DESCRIBED)],
)
def test_no_description_is_of_a_route_that_is_gone(document, described):
    named = {op["operationId"] for methods in document["paths"].values() for op in methods.values()}
    assert described.keys() <= named


@DOCUMENTS
def test_what_older_pages_call_is_deprecated_and_nothing_else(document):
    for path, methods in document["paths"].items():
        assert all(op["deprecated"] == path.startswith("/api/v1/") for op in methods.values()), path


@pytest.mark.parametrize(
    ("document", "table"), [(BROKER, broker.app.PROBLEMS), (ENRICHMENT, enrichment.app.PROBLEMS)]
)
def test_every_problem_is_declared_somewhere_and_no_other(document, table):
    of_the_service = {problem.uri for problem in {**EDGE_PROBLEMS, **table}.values()}
    named = {
        uri
        for methods in document["paths"].values()
        for operation in methods.values()
        for answer in operation["responses"].values()
        for uri in answer["content"]
        .get("application/problem+json", {})
        .get("schema", NONE)["allOf"][1]["properties"]["type"]["enum"]
    }
    assert named - {"about:blank"} == of_the_service


NONE = {"allOf": [{}, {"properties": {"type": {"enum": []}}}]}


@DOCUMENTS
def test_it_is_openapi_3_1_and_its_schemas_are_json_schemas(document):
    schemathesis.openapi.from_dict(json.loads(json.dumps(document))).validate()
    for name, schema in document["components"]["schemas"].items():
        assert jsonschema_rs.meta.is_valid(schema), name


@DOCUMENTS
def test_no_two_operations_have_the_same_id(document):
    ids = [op["operationId"] for methods in document["paths"].values() for op in methods.values()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("service", ["broker", "enrichment"])
async def test_a_path_with_a_slash_too_many_is_no_other_path_and_nobody_is_sent_elsewhere(service, tmp_path):
    if service == "broker":
        app, document = broker.app.create_app(of_broker.settings()), BROKER
    else:
        app, document = enrichment.app.create_app(of_enrichment.settings(tmp_path)), ENRICHMENT
    asked = httpx.ASGITransport(app)  # which does not start it: nothing of it is reached
    async with httpx.AsyncClient(transport=asked, base_url="http://service.test") as client:
        for method, path in [*sorted(declared(document)), ("GET", "/memory"), ("GET", "/api/v1/voice")]:
            changed = path.replace("{", "").replace("}", "") + "/"
            response = await client.request(method, changed)
            assert (response.status_code, response.headers.get("location")) == (404, None), changed
            assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("environment", ["staging", "development"])
async def test_where_nobody_s_data_is_anybody_may_read_it(environment, tmp_path):
    async with running(broker.app.create_app(of_broker.settings(environment=environment))) as client:
        assert (await client.get("/openapi.json")).json() == BROKER
    app = enrichment.app.create_app(of_enrichment.settings(tmp_path, environment=environment))
    async with running(app) as client:
        assert (await client.get("/openapi.json")).json() == ENRICHMENT


async def test_where_people_s_data_is_there_is_no_such_path(tmp_path):
    strict = {**of_broker.SIGN_IN, "environment": "production"}
    app = broker.app.create_app(of_broker.settings(**strict, azure_voicelive_endpoint=None))
    async with running(app) as client:
        assert (await client.get("/openapi.json")).status_code == 404
    shared = {
        "database_url": "postgresql://nobody@localhost/none",
        "grant_jwks_url": "https://broker.test/jwks",
        "memory_backend": "zep",
        "zep_api_url": "https://zep.test",
        "zep_api_key": "k",
    }
    app = enrichment.app.create_app(of_enrichment.settings(tmp_path, **strict, **shared))
    asked = httpx.ASGITransport(app)  # which does not start it: there is no such database
    async with httpx.AsyncClient(transport=asked, base_url="http://enrichment.test") as client:
        assert (await client.get("/openapi.json")).status_code == 404
