"""One server for the page, the broker and Enrichment: serves what is shipped, answers as a test wishes."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from tests.waiting import until
from tests.web.modules.acted import MAIN

WEB = Path(__file__).parents[3] / "web"

CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; media-src 'self' blob:; img-src 'self' data:; "
    "connect-src 'self' https://azure.test {enrichment}; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)
ANY_ORIGIN = {"access-control-allow-origin": "*"}
AGENTS = [
    {"id": "elena", "name": "Elena", "role": "Business analyst", "voice": "marin"},
    {"id": "marcus", "name": "Marcus", "role": "Project manager", "voice": "cedar"},
    {"id": "sage", "name": "Sage", "role": "Storyteller", "voice": "sage"},
]


KINDS = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


def caching(path: str) -> bytes:
    """A browser that has compiled the modules for one test need not do it for the next."""
    return b"max-age=3600" if path.endswith((".js", ".css")) else b"no-store"


class Services:
    """The broker's and Enrichment's side of HTTP, scripted by a test; they keep what they got."""

    def __init__(self, port: int, folder: Path = WEB, policy: str = CSP) -> None:
        self.folder, self.policy = folder, policy
        self.page = f"http://127.0.0.1:{port}"
        self.acted_page = f"{self.page}/acted.html"
        self.enrichment = f"http://localhost:{port}"  # the same server, and another origin for the browser
        self.forget()

    def forget(self) -> None:
        self.answers: list[JSONResponse] = []  # used up one by one; then every turn is accepted
        self.closed = False  # 503 for all
        self.gate = threading.Event()  # Enrichment answers when it is set
        self.gate.set()
        self.posts: list[dict[str, Any]] = []
        self.content_types: list[str] = []
        self.preflights = 0
        self.tokens: list[dict[str, Any]] = []
        self.traceparents: list[str] = []  # of the requests for a token
        self.renewals: list[str] = []  # sessions that a new grant was asked for
        self.token_problem: dict[str, Any] | None = None
        self.token: dict[str, Any] = {}
        self.episode: list[dict[str, Any]] | None = None
        self.memory = True
        self.facts: list[str] | None = []  # None: out of reach
        self.forgotten: list[str] = []  # the paths of what was erased
        self.erasure = 200  # 202: memory has still to confirm it
        self.erasing = threading.Event()  # Enrichment confirms when it is set
        self.erasing.set()

    def app(self):
        routes = [
            Route("/blank", self.blank),
            Route("/acted.html", self.acted),
            Route("/acted-main.js", self.acted_main),
            Route("/agents", self.agents),
            Route("/realtime/token", self.mint, methods=["POST"]),
            Route("/realtime/grant", self.renew, methods=["POST"]),
            Route("/memory/enrich", self.enrich, methods=["POST", "OPTIONS"]),
            Route("/memory/episodes/{session_id}", self.read_episode, methods=["GET"]),
            Route("/memory/episodes/{session_id}", self.erase, methods=["DELETE", "OPTIONS"]),
            Route("/memory/context", self.context),
            Route("/memory/users/me", self.erase, methods=["DELETE", "OPTIONS"]),
            Route("/{path:path}", self.file),
        ]
        app = Starlette(routes=routes)

        async def strict(scope, receive, send):
            async def with_headers(message):
                if message["type"] == "http.response.start":
                    policy = self.policy.format(enrichment=self.enrichment).encode()
                    message["headers"] += [
                        (b"content-security-policy", policy),
                        (b"cache-control", caching(scope["path"])),
                    ]
                await send(message)

            await app(scope, receive, with_headers)

        return strict

    async def file(self, request):
        """Read at once, without a thread: a page has fifty of them, and a test opens it."""
        path = self.folder / (request.path_params["path"] or "index.html")
        if not path.is_file():
            return HTMLResponse("", 404)
        return Response(path.read_bytes(), media_type=KINDS[path.suffix])

    async def blank(self, request):
        return HTMLResponse("<!doctype html><link rel=icon href='data:,'><audio id=speaker></audio>")

    async def acted(self, request):
        """The page, with a session that a test acts."""
        return HTMLResponse((self.folder / "index.html").read_text().replace("main.js", "acted-main.js"))

    async def acted_main(self, request):
        return Response(MAIN, media_type=KINDS[".js"])

    async def agents(self, request):
        urls = {
            "url": f"{self.enrichment}/memory/enrich",
            "episodes_url": f"{self.enrichment}/memory/episodes",
            "context_url": f"{self.enrichment}/memory/context",
            "person_url": f"{self.enrichment}/memory/users/me",
        }
        enrichment = urls if self.memory else None
        return JSONResponse({"agents": AGENTS, "default_agent": "elena", "enrichment": enrichment})

    async def mint(self, request):
        self.tokens.append(await request.json())
        self.traceparents.append(request.headers.get("traceparent", ""))
        if self.token_problem:
            return JSONResponse(self.token_problem, self.token_problem["status"])
        trace = {"x-trace-id": self.traceparents[-1][3:35]}  # as the broker does
        return JSONResponse(self.call_pass(self.tokens[-1]["agent_id"]) | self.token, headers=trace)

    async def renew(self, request):
        self.renewals.append((await request.json())["session_id"])
        if not self.memory:
            return JSONResponse({"status": 404, "title": "There is no memory here"}, 404)
        return JSONResponse({"session_id": self.renewals[-1], "enrichment": self.call_pass()["enrichment"]})

    def call_pass(self, agent_id="elena"):
        enrichment = {
            "url": f"{self.enrichment}/memory/enrich",
            "grant": "grant-1",
            "expires_at": 1_890_000_000,
        }
        return {
            "token": "ek_never_shown",
            "calls_url": "https://azure.test/openai/v1/realtime/calls?webrtcfilter=on",
            "session_id": "session-1",
            "agent": next(agent for agent in AGENTS if agent["id"] == agent_id),
            "greeting": False,
            "session_update": None,
            "enrichment": enrichment if self.memory else None,
            "memory": {"status": "hit" if self.memory else "off", "facts": 3},
        }

    async def enrich(self, request):
        if request.method == "OPTIONS":
            self.preflights += 1
            return JSONResponse({}, 405)
        self.content_types.append(request.headers["content-type"])
        post = json.loads(await request.body())
        self.posts.append(post)
        is_refused = self.closed  # as it came: who opens after a post was seen does not let that one in
        await asyncio.to_thread(self.gate.wait, 5)
        answer = self.answers.pop(0) if self.answers else self.accept(post)
        answer = JSONResponse({}, 503) if is_refused else answer
        answer.headers["access-control-allow-origin"] = "*"
        return answer

    def accept(self, post):
        return JSONResponse(
            {"accepted": [turn["turn_id"] for turn in post["turns"]], "duplicate": [], "rejected": []}, 202
        )

    async def read_episode(self, request):
        return JSONResponse(
            {"id": request.path_params["session_id"], "transcript": self.episode or []}, headers=ANY_ORIGIN
        )

    async def context(self, request):
        if self.facts is None:
            return JSONResponse({}, 503, headers=ANY_ORIGIN)
        return JSONResponse({"context": "", "facts": self.facts}, headers=ANY_ORIGIN)

    async def erase(self, request):
        if request.method == "OPTIONS":
            return JSONResponse({}, headers=ANY_ORIGIN | {"access-control-allow-methods": "DELETE"})
        await asyncio.to_thread(self.erasing.wait, 5)
        if self.erasure >= 400:
            return JSONResponse({"status": self.erasure}, self.erasure, headers=ANY_ORIGIN)
        self.forgotten.append(request.url.path)
        return JSONResponse({"complete": self.erasure == 200}, self.erasure, headers=ANY_ORIGIN)

    def turn_ids(self):
        """What was posted, post by post."""
        return [[turn["turn_id"] for turn in post["turns"]] for post in self.posts]

    def all_turn_ids(self):
        return [turn_id for post in self.turn_ids() for turn_id in post]

    async def has_posted(self, *posts: list[str]) -> None:
        """Waits until the posts are these, whichever page or closing tab sent them."""

        async def complete():
            return self.turn_ids() == [*posts]

        await until(complete)


@contextmanager
def serving(kind=Services, **page):
    """The server in a thread of its own, so that the browser is answered while a test waits."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # from now on a browser waits until it is served
        services = kind(listener.getsockname()[1], **page)
        config = uvicorn.Config(services.app(), log_level="error", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield services
        finally:
            server.should_exit = True
            thread.join(10)
