"""Zep Community Edition as a local server, with every row of its contract that surprises.

Observed on the real server (getzep/zep at ``7de18df``, ``legacy/``, its extraction stubbed, 2026-11-20). The
key chooses what goes wrong: ``zep-key`` is well, ``zep-key-SCENARIO`` is not; there is no global switch.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.simulator.zep_store import Refusal, Session, Store

KEY = "zep-key"
SCENARIOS = frozenset(
    """
    500-after-storing users-500 facts-down throttled throttled-until-a-date unavailable html redirect
    refuses-and-quotes keeps-users keeps-sessions fails-for-strangers
    """.split()  # noqa: SIM905 - a list of words
)
MOST_MESSAGES = 30
MOST_CHARACTERS = 2_500
MOST_BYTES = 5 * 1024 * 1024
WINDOW_S = 0.02  # between finding no session and making one: who comes meanwhile is lost
EXTRACTED_ROLES = frozenset({"user", "assistant", "system"})
ROLES = EXTRACTED_ROLES | {"tool", "function", "norole"}


def scenario_of(request: Request) -> str:
    """What the key asks for; empty when all is well. Raises `Refusal` for a key that is none."""
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    scenario = key.removeprefix(KEY).removeprefix("-")
    if scheme != "Api-Key" or not key.startswith(KEY) or (scenario and scenario not in SCENARIOS):
        raise Refusal(401, "unauthorized")
    return scenario


def store_of(request: Request) -> Store:
    return cast(Store, request.app.state.store)


def go_json(content: Any, status: int = 200) -> Response:
    """JSON that says it is text, as most of Zep's answers do."""
    return PlainTextResponse(json.dumps(content), status)


async def body_of(request: Request) -> dict[str, Any]:
    body = await request.body()
    if len(body) > MOST_BYTES:
        raise Refusal(413, "request body too large")
    try:
        return cast(dict[str, Any], json.loads(body))
    except ValueError:
        raise Refusal(400, "unexpected EOF") from None


async def add_user(request: Request) -> Response:
    given = await body_of(request)
    user = store_of(request).add_user(given.get("user_id", ""), given)
    if scenario_of(request) == "users-500":  # extraction failed, the user is there
        raise Refusal(500, "failed to create the user in graphiti")
    return go_json(user, 201)


async def get_user(request: Request) -> Response:
    user = store_of(request).users.get(request.path_params["user_id"])
    if user is None:
        raise Refusal(404, "not found")
    return go_json(user)


async def delete_user(request: Request) -> Response:
    if scenario_of(request) != "keeps-users":
        store_of(request).delete_user(request.path_params["user_id"])
    return JSONResponse({"message": "OK"})


async def list_sessions(request: Request) -> Response:
    """A flat list, where the SDK wants a list of lists."""
    is_known = request.path_params["user_id"] in store_of(request).users
    if scenario_of(request) == "fails-for-strangers" and not is_known:
        raise Refusal(500, "failed to get sessions")
    return go_json([each.told() for each in store_of(request).sessions_of(request.path_params["user_id"])])


async def add_session(request: Request) -> Response:
    given = await body_of(request)
    session_id, user_id = given.get("session_id", ""), given.get("user_id")
    return go_json(store_of(request).add_session(session_id, user_id, given.get("metadata")).told(), 201)


async def get_session(request: Request) -> Response:
    session = store_of(request).sessions.get(request.path_params["session_id"])
    if session is None:
        raise Refusal(404, "not found")
    return go_json(session.told())


async def add_memory(request: Request) -> Response:
    scenario, given = scenario_of(request), await body_of(request)
    messages = checked(given)
    if scenario == "refuses-and-quotes":
        raise Refusal(400, f"bad request: cannot tokenize {messages[0]['content']}")
    session = await _session(request)
    fails = scenario == "500-after-storing" or any(not is_extracted(each) for each in messages)
    store_of(request).add_messages(session, messages, extracted=not fails)
    if len(messages) > MOST_MESSAGES:  # it forgot to return: refused, and stored, and two bodies in one
        refusal = json.dumps({"message": "messages must not exceed 30"})
        return Response(refusal + '\n{"message":"OK"}', 400, media_type="application/json")
    if fails:
        raise Refusal(500, "failed to initialize processing memory: dial tcp: connection refused")
    return JSONResponse({"message": "OK"}, 201)


async def _session(request: Request) -> Session:
    """The session, made for nobody when there is none. Two at once find none, and the later one is lost."""
    store, session_id = store_of(request), request.path_params["session_id"]
    if session_id not in store.sessions:
        await asyncio.sleep(WINDOW_S)
        return store.add_session(session_id, None)
    return store.sessions[session_id]


def checked(given: dict[str, Any]) -> list[dict[str, Any]]:
    if "messages" not in given:
        raise Refusal(
            400, "Key: 'Messages' Error:Field validation for 'Messages' failed on the 'required' tag"
        )
    for message in given["messages"]:
        _check(message)
    return cast(list[dict[str, Any]], given["messages"])


def _check(message: dict[str, Any]) -> None:
    if message.get("uuid"):
        try:
            uuid.UUID(message["uuid"])
        except ValueError:
            raise Refusal(400, f"invalid UUID length: {len(message['uuid'])}") from None
    if not message.get("role_type"):
        raise Refusal(400, "messages are required to have a RoleType")
    if message["role_type"] not in ROLES:
        raise Refusal(500, 'invalid input value for enum role_type_enum: "…"')
    if len(message.get("content", "")) > MOST_CHARACTERS:
        raise Refusal(400, "message content exceeds 2500 characters")


def is_extracted(message: dict[str, Any]) -> bool:
    return message["role_type"] in EXTRACTED_ROLES


async def get_memory(request: Request) -> Response:
    session = store_of(request).sessions.get(request.path_params["session_id"])
    last = int(request.query_params.get("lastn", 6))
    if last < 0:
        raise Refusal(400, "lastn cannot be negative")
    if session is None:
        return go_json({"messages": [], "relevant_facts": []})
    if scenario_of(request) == "facts-down":
        raise Refusal(500, "failed to get memory: context deadline exceeded")
    facts = store_of(request).relevant_facts(session)
    return go_json({"messages": session.messages[-last:] if last else [], "relevant_facts": facts})


async def list_messages(request: Request) -> Response:
    """What is called a cursor counts pages from 1; an unknown session has no messages and is no error."""
    session = store_of(request).sessions.get(request.path_params["session_id"])
    messages = session.messages if session else []
    limit, page = int(request.query_params.get("limit", 0)), int(request.query_params.get("cursor", 1))
    shown = messages[(page - 1) * limit : page * limit] if limit else messages
    return go_json({"messages": shown, "total_count": len(messages), "row_count": len(shown)})


async def delete_memory(request: Request) -> Response:
    if scenario_of(request) != "keeps-sessions":
        store_of(request).delete_session(request.path_params["session_id"])
    return JSONResponse({"message": "OK"})


async def search_sessions(request: Request) -> Response:
    given = await body_of(request)
    facts = store_of(request).matching(given.get("user_id") or "", given.get("text") or "")
    limit = int(request.query_params.get("limit", 10))
    return go_json({"results": [{"fact": fact, "score": 0} for fact in facts[:limit]]})


async def alive(_request: Request) -> Response:
    """Without a key, and also while nothing can be extracted."""
    return PlainTextResponse(".")


def anything_else(_request: Request) -> Response:
    return PlainTextResponse("404 page not found", 404)


def refused(_request: Request, exc: Exception) -> Response:
    refusal = cast(Refusal, exc)
    if refusal.status == 401:
        return PlainTextResponse(refusal.message, 401)
    return JSONResponse(
        {"message": refusal.message}, refusal.status, media_type="application/json; charset=utf-8"
    )


INSTEAD: dict[str, Callable[[], Response]] = {
    "throttled": partial(JSONResponse, {"message": "slow down"}, 429, {"Retry-After": "7"}),
    "throttled-until-a-date": partial(
        JSONResponse, {"message": "slow down"}, 429, {"Retry-After": "Wed, 01 Jan 2120 00:00:00 GMT"}
    ),
    "unavailable": partial(HTMLResponse, "<h1>503 Service Temporarily Unavailable</h1>", 503),
    "html": partial(HTMLResponse, "<h1>Welcome</h1>"),
    "redirect": partial(RedirectResponse, "/login", 302),
}


def guarded(endpoint: Callable[..., Any]) -> Callable[..., Any]:
    """Asks for the key first, and gives what stands before Zep when the scenario wants that."""

    async def answer(request: Request) -> Response:
        scenario = scenario_of(request)
        return INSTEAD[scenario]() if scenario in INSTEAD else await endpoint(request)

    return answer


def route(method: str, path: str, endpoint: Callable[..., Any]) -> Route:
    return Route(f"/api/v2{path}", guarded(endpoint), methods=[method])


def create_app() -> Starlette:
    """A server with nothing in it."""
    app = Starlette(
        routes=[
            route("POST", "/users", add_user),
            route("GET", "/users/{user_id}", get_user),
            route("DELETE", "/users/{user_id}", delete_user),
            route("GET", "/users/{user_id}/sessions", list_sessions),
            route("POST", "/sessions", add_session),
            route("POST", "/sessions/search", search_sessions),
            route("GET", "/sessions/{session_id}", get_session),
            route("POST", "/sessions/{session_id}/memory", add_memory),
            route("GET", "/sessions/{session_id}/memory", get_memory),
            route("DELETE", "/sessions/{session_id}/memory", delete_memory),
            route("GET", "/sessions/{session_id}/messages", list_messages),
            Route("/healthz", alive),
            Route("/{path:path}", anything_else, methods=["GET", "POST", "PATCH", "DELETE"]),
        ],
        exception_handlers={Refusal: refused},
    )
    app.state.store = Store()
    return app
