"""What a service takes and answers, as an OpenAPI 3.1 document built from its routes, models and problems.

A service keeps one table: the name of a route's function -> an `Operation`. A new route is one new row; a
test names every route that has none. Nothing here checks a request or an answer: routes do, tests compare.

Source: https://spec.openapis.org/oas/v3.1.1.html (checked 2026-11-20).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, TypeAdapter
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from broker.edge.bodies import JSON
from broker.edge.problems import (
    EDGE_PROBLEMS,
    Ambiguous,
    Compressed,
    CutOff,
    Invalid,
    NotAllowed,
    NotSignedIn,
    ProblemType,
    RolesNotInToken,
    SignInUnverifiable,
    TooDeep,
    TooLarge,
    TooSlow,
    Unreadable,
    WrongMediaType,
)

ALIASES = "/api/v1/"  # what pages that were there before us call
REFS = "#/components/schemas/{model}"
OPENAPI = "openapi"  # the name of the route below

Errors = tuple[type[Exception], ...]

ALWAYS: Errors = (Ambiguous, Compressed, Exception)
OF_A_BODY: Errors = (Unreadable, TooDeep, CutOff, WrongMediaType, TooLarge, TooSlow, Invalid)
OF_WHO_ASKS: Errors = (NotSignedIn, NotAllowed, RolesNotInToken, SignInUnverifiable)

PROOFS: dict[str, dict[str, str]] = {
    "access_token": {
        "type": "http",
        "scheme": "bearer",
        "description": "an access token of Entra ID; in staging and development also dev_<user>_<role>",
    },
    "grant": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "the grant that came with a token; turns may carry it in their body instead",
    },
    "scraper": {"type": "http", "scheme": "bearer", "description": "METRICS_TOKEN, where it is set"},
}


class Said(BaseModel):
    """An answer: what it says, and nothing else."""

    model_config = ConfigDict(extra="forbid")


class Place(Said):
    """Where a request is wrong, and how; never what stood there."""

    pointer: str
    detail: str


class Problem(Said):
    """A problem document (RFC 9457). Switch on ``type``, never on text."""

    type: str
    title: str
    status: int
    trace_id: str
    retryable: bool
    detail: str | None = None
    retry_after_ms: int | None = None
    errors: list[Place] | None = None


class Health(Said):
    """How a service is, in words."""

    status: str


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a request says beside its body. ``shape`` is any type that pydantic knows."""

    name: str
    where: Literal["path", "query"]
    shape: Any


@dataclass(frozen=True, slots=True)
class Operation:
    """One route in words and types.

    ``answers``: status -> the type of its JSON, or the media type of what is none. ``body``: the type of the
    request's, in each of ``kinds``. ``proofs``: names of `PROOFS`, any one is enough; "" is none at all.
    ``raises``: its own errors; those of every body and of every proof are added.
    """

    summary: str
    answers: Mapping[int, Any]
    body: Any = None
    kinds: Collection[str] = JSON
    body_may_be_left_out: bool = False
    parameters: Sequence[Parameter] = ()
    proofs: Sequence[str] = ()
    raises: Errors = ()

    def errors(self, method: str) -> Errors:
        """Everything it may raise, what stands around it included."""
        page_may_be_foreign: Errors = () if method == "GET" else (NotAllowed,)
        of_the_body = OF_A_BODY if self.body is not None else ()
        of_who_asks = OF_WHO_ASKS if self.proofs else ()
        return (*ALWAYS, *page_may_be_foreign, *of_the_body, *of_who_asks, *self.raises)


METRICS = Operation("What is counted, for Prometheus", {200: "text/plain"}, proofs=("", "scraper"))


Described = Mapping[str, Operation]


def api_route(describe: Callable[[], dict[str, Any]]) -> Route:
    """``GET /openapi.json``; the document is built when it is first asked for, which is hardly ever."""
    built = cache(lambda: to_json(describe()))

    async def serve(_request: Request) -> Response:
        return Response(built(), media_type="application/json")

    return Route("/openapi.json", serve, name=OPENAPI)


def document(
    title: str,
    routes: Sequence[BaseRoute],
    described: Described,
    table: Mapping[type[Exception], ProblemType],
) -> dict[str, Any]:
    """The whole document. Routes that nobody described are left out."""
    shapes = _Shapes([Problem, *_types_in(described.values())])
    problems = {**EDGE_PROBLEMS, **table}
    paths: dict[str, dict[str, Any]] = {}
    for path, method, name in listed(routes):
        if name in described:
            operation = _Written(described[name], method, path, shapes, problems)
            paths.setdefault(path, {})[method.lower()] = operation.as_json(name)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1"},
        "paths": paths,
        "components": {"schemas": shapes.components, "securitySchemes": PROOFS},
    }


def listed(routes: Sequence[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Path, method and name of each; HEAD goes without saying where GET is."""
    for route in routes:
        if isinstance(route, Mount):
            yield from listed(route.routes, prefix + route.path)
        elif isinstance(route, Route):
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield prefix + route.path, method, route.name


class _Shapes:
    """The JSON Schema of every type, by type; what several share is in ``components``."""

    def __init__(self, types: Sequence[Any]) -> None:
        adapters = [(index, "validation", TypeAdapter(each)) for index, each in enumerate(types)]
        by_key, definitions = TypeAdapter.json_schemas(adapters, ref_template=REFS)  # type: ignore[arg-type]
        self._types = list(types)
        self._schemas = [by_key[(index, "validation")] for index in range(len(types))]
        self.components: dict[str, Any] = definitions.get("$defs", {})

    def of(self, shape: Any) -> dict[str, Any]:
        return self._schemas[self._types.index(shape)]


def _types_in(operations: Iterable[Operation]) -> Iterator[Any]:
    for operation in operations:
        yield from (parameter.shape for parameter in operation.parameters)
        yield from (shape for shape in operation.answers.values() if not isinstance(shape, str))
        if operation.body is not None:
            yield operation.body


@dataclass(frozen=True, slots=True)
class _Written:
    """An operation at one path, on its way into the document."""

    operation: Operation
    method: str
    path: str
    shapes: _Shapes
    problems: Mapping[type[Exception], ProblemType]

    def as_json(self, name: str) -> dict[str, Any]:
        is_alias = self.path.startswith(ALIASES)
        parts: dict[str, Any] = {
            "operationId": self.path.strip("/").replace("/", ".") + f".{name}" if is_alias else name,
            "summary": self.operation.summary,
            "deprecated": is_alias,
            "parameters": [self._parameter(parameter) for parameter in self.operation.parameters],
            "responses": {**self._refusals(), **self._answers()},
            "security": [{proof: []} if proof else {} for proof in self.operation.proofs],
        }
        return parts | ({"requestBody": self._body()} if self.operation.body is not None else {})

    def _parameter(self, parameter: Parameter) -> dict[str, Any]:
        return {
            "name": parameter.name,
            "in": parameter.where,
            "required": parameter.where == "path",
            "schema": self.shapes.of(parameter.shape),
        }

    def _body(self) -> dict[str, Any]:
        as_text = {"type": "string", "contentMediaType": "application/json"}
        of_kind = {"text/plain": as_text, "application/json": self.shapes.of(self.operation.body)}
        return {
            "required": not self.operation.body_may_be_left_out,
            "content": {kind: {"schema": of_kind[kind]} for kind in sorted(self.operation.kinds)},
        }

    def _answers(self) -> dict[str, Any]:
        return {str(status): self._answer(status, shape) for status, shape in self.operation.answers.items()}

    def _answer(self, status: int, shape: Any) -> dict[str, Any]:
        kind = shape if isinstance(shape, str) else "application/json"
        schema = {"type": "string"} if isinstance(shape, str) else self.shapes.of(shape)
        return {"description": HTTPStatus(status).phrase, "content": {kind: {"schema": schema}}}

    def _refusals(self) -> dict[str, Any]:
        by_status: dict[int, dict[str, str]] = {}
        for error in self.operation.errors(self.method):
            problem = self.problems[error]
            by_status.setdefault(problem.status, {})[problem.uri] = problem.title
        if "{" in self.path:  # an id with a slash in it is another path
            by_status.setdefault(404, {})["about:blank"] = HTTPStatus.NOT_FOUND.phrase
        return {str(status): self._refusal(status, titles) for status, titles in sorted(by_status.items())}

    def _refusal(self, status: int, titles: Mapping[str, str]) -> dict[str, Any]:
        of_this_status = {"properties": {"type": {"enum": sorted(titles)}, "status": {"const": status}}}
        schema = {"allOf": [self.shapes.of(Problem), of_this_status]}
        return {
            "description": "; ".join(sorted(set(titles.values()))),
            "content": {"application/problem+json": {"schema": schema}},
        }
