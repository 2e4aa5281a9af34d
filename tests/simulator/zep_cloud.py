"""Zep Cloud (``/api/v4``) as a local server: it makes every id itself, and erases in its own time.

Made from what zep-cloud 4.0.1 sends and reads (its sources, 2026-11-20); nobody has compared it with Zep
Cloud. The key chooses what goes wrong: ``cloud-key`` is well, ``cloud-key-SCENARIO`` is not.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.simulator.zep_store import now, words

KEY = "cloud-key"
SCENARIOS = frozenset(
    """
    throttled 500-after-storing slow-erasure failed-erasure forgets-idempotency refuses-and-quotes
    """.split()  # noqa: SIM905 - a list of words
)
MOST_CHARACTERS = 4_096
MOST_MESSAGES = 30
MOST_METADATA = 10
CODES = {400: "bad_request", 401: "unauthorized", 404: "not_found", 409: "conflict", 500: "internal"}


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error = {"code": code or CODES.get(status, "error"), "message": message, "request_id": "r-1"}


@dataclass
class Store:
    """Everything in memory, by UUID. ``answers`` are those given to an idempotency key."""

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    threads: dict[str, dict[str, Any]] = field(default_factory=dict)
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    edges: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[tuple[str, str, str], tuple[int, Any]] = field(default_factory=dict)
    erasures: dict[str, Callable[[], None]] = field(default_factory=dict)

    def erase_thread(self, thread: str) -> None:
        self.threads.pop(thread, None)
        self.messages.pop(thread, None)

    def erase_user(self, user: str) -> None:
        for thread in [each for each, told in self.threads.items() if told["user_uuid"] == user]:
            self.erase_thread(thread)
        self.edges.pop(self.users[user]["graph_uuid"], None)
        del self.users[user]

    def begin(self, erasure: Callable[[], None]) -> dict[str, Any]:
        task = {"uuid": new(), "status": "pending", "type": "delete", "created_at": now()}
        self.tasks[task["uuid"]] = task
        self.erasures[task["uuid"]] = erasure
        return task


def new() -> str:
    return str(uuid.uuid4())


def store_of(request: Request) -> Store:
    return cast(Store, request.app.state.store)


def scenario_of(request: Request) -> str:
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    scenario = key.removeprefix(KEY).removeprefix("-")
    if scheme != "Api-Key" or not key.startswith(KEY) or (scenario and scenario not in SCENARIOS):
        raise Refusal(401, "unauthorized")
    return scenario


def addressed(request: Request, things: dict[str, Any]) -> str:
    """The UUID in the path, of something that exists."""
    given = str(request.path_params["uuid"])
    try:
        uuid.UUID(given)
    except ValueError:
        raise Refusal(400, f"{given} is not a UUID", "invalid_identifier") from None
    if given not in things:
        raise Refusal(404, "not found")
    return given


async def create_user(request: Request) -> tuple[int, Any]:
    given, store = await request.json(), store_of(request)
    if any(user["user_id"] == given["user_id"] for user in store.users.values()):
        raise Refusal(409, "user already exists")
    user = {"uuid": new(), "graph_uuid": new(), "created_at": now(), "user_id": given["user_id"]}
    store.users[user["uuid"]] = user
    store.edges[user["graph_uuid"]] = []
    return 201, user


async def look_up_user(request: Request) -> tuple[int, Any]:
    wanted = (await request.json())["user_id"]
    for user in store_of(request).users.values():
        if user["user_id"] == wanted:
            return 200, user
    raise Refusal(404, "not found")


async def delete_user(request: Request) -> tuple[int, Any]:
    store = store_of(request)
    user = addressed(request, store.users)
    return 202, {"task": store.begin(lambda: store.erase_user(user))}


async def create_thread(request: Request) -> tuple[int, Any]:
    store, user = store_of(request), (await request.json())["user_uuid"]
    if user not in store.users:
        raise Refusal(404, "not found")
    thread = {"uuid": new(), "user_uuid": user, "created_at": now()}
    store.threads[thread["uuid"]] = thread
    store.messages[thread["uuid"]] = []
    return 201, thread


async def get_thread(request: Request) -> tuple[int, Any]:
    store = store_of(request)
    return 200, store.threads[addressed(request, store.threads)]


async def delete_thread(request: Request) -> tuple[int, Any]:
    store = store_of(request)
    thread = addressed(request, store.threads)
    return 202, {"task": store.begin(lambda: store.erase_thread(thread))}


async def add_messages(request: Request) -> tuple[int, Any]:
    store, given = store_of(request), await request.json()
    thread = addressed(request, store.threads)
    if scenario_of(request) == "refuses-and-quotes":
        raise Refusal(400, f"cannot tokenize {given['messages'][0]['content']}")
    for message in given["messages"]:
        _check(message)
    kept = [{"uuid": new(), "created_at": now(), **message} for message in given["messages"]]
    store.messages[thread] += kept
    graph = store.users[store.threads[thread]["user_uuid"]]["graph_uuid"]
    ignored = set(given.get("ignore_roles") or ())
    store.edges[graph] += [_edge(each) for each in kept if each["role"] not in ignored]
    return 200, {"messages": kept, "task": {"uuid": new(), "status": "pending"}}


def _check(message: dict[str, Any]) -> None:
    if message.get("uuid"):
        raise Refusal(400, "uuid is reserved")
    if len(message["content"]) > MOST_CHARACTERS:
        raise Refusal(400, "content is too long")
    metadata = message.get("metadata") or {}
    scalars = all(isinstance(value, str | int | float | bool) for value in metadata.values())
    if len(metadata) > MOST_METADATA or not scalars:
        raise Refusal(400, "metadata is too much")


def _edge(message: dict[str, Any]) -> dict[str, Any]:
    """A fact; one that begins with "Once" does not hold any more."""
    past = now() if message["content"].startswith("Once") else None
    return {"uuid": new(), "fact": f"It was said: {message['content'][:80]}", "invalid_at": past}


async def list_messages(request: Request) -> tuple[int, Any]:
    store = store_of(request)
    messages = store.messages[addressed(request, store.threads)]
    query = request.query_params
    if query.get("order") == "desc":
        messages = messages[::-1]
    start, size = int(query.get("cursor", 0)), int(query.get("page_size", 50))
    following = str(start + size) if start + size < len(messages) else None
    page = {"items": messages[start : start + size], "total_size": len(messages)}
    return 200, page | ({"next_cursor": following} if following else {})


async def context(request: Request) -> tuple[int, Any]:
    edges = store_of(request).edges[addressed(request, store_of(request).edges)]
    return 200, {"context": "", "results": {"edges": edges}}


async def search_edges(request: Request) -> tuple[int, Any]:
    edges = store_of(request).edges[addressed(request, store_of(request).edges)]
    query = words((await request.json())["query"])
    size = int(request.query_params.get("page_size", 10))
    return 200, {"items": [edge for edge in edges if words(edge["fact"]) & query][:size]}


async def get_task(request: Request) -> tuple[int, Any]:
    """A task goes one step each time somebody looks: pending, processing, succeeded."""
    store, scenario = store_of(request), scenario_of(request)
    task = store.tasks[addressed(request, store.tasks)]
    if task["status"] == "processing" and scenario == "failed-erasure":
        task["status"] = "failed"
    elif task["status"] == "processing" and scenario != "slow-erasure":
        task["status"] = "succeeded"
        store.erasures.pop(task["uuid"])()
    elif task["status"] == "pending":
        task["status"] = "processing"
    return 200, task


def guarded(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Asks for the key first; gives the same answer again to a request with the same idempotency key."""

    async def answer(request: Request) -> Response:
        scenario = scenario_of(request)
        if scenario == "throttled":
            return JSONResponse({"error": {"code": "rate_limited"}}, 429, {"Retry-After": "7"})
        answers = store_of(request).answers
        key = (request.method, request.url.path, request.headers.get("idempotency-key", ""))
        is_known = key[2] != "" and key in answers and scenario != "forgets-idempotency"
        status, content = answers[key] if is_known else await endpoint(request)
        answers[key] = (status, content)
        if scenario == "500-after-storing" and not is_known and endpoint is add_messages:
            raise Refusal(500, f"failed after storing {json.dumps(content)}")
        return JSONResponse(content, status)

    return answer


def refused(_request: Request, exc: Exception) -> Response:
    refusal = cast(Refusal, exc)
    return JSONResponse({"error": refusal.error}, refusal.status)


def route(method: str, path: str, endpoint: Callable[..., Any]) -> Route:
    return Route(f"/api/v4{path}", guarded(endpoint), methods=[method])


def create_app() -> Starlette:
    """A project with nothing in it."""
    app = Starlette(
        routes=[
            route("POST", "/users", create_user),
            route("POST", "/users/lookup", look_up_user),
            route("DELETE", "/users/{uuid}", delete_user),
            route("POST", "/threads", create_thread),
            route("GET", "/threads/{uuid}", get_thread),
            route("DELETE", "/threads/{uuid}", delete_thread),
            route("POST", "/threads/{uuid}/messages", add_messages),
            route("GET", "/threads/{uuid}/messages", list_messages),
            route("POST", "/graphs/{uuid}/context", context),
            route("POST", "/graphs/{uuid}/search/edges", search_edges),
            route("GET", "/tasks/{uuid}", get_task),
        ],
        exception_handlers={Refusal: refused},
    )
    app.state.store = Store()
    return app
