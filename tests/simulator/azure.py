"""The HTTP surface of Azure OpenAI Realtime: mint, call, hang up, side-band. Everything else is 404."""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from typing import TypedDict

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.simulator import refusals
from tests.simulator.call import Call, OfferRefused
from tests.simulator.loopback import loopback_only
from tests.simulator.refusals import Refusal
from tests.simulator.scenarios import Scenario, known_scenarios
from tests.simulator.session_rules import checked_mint
from tests.simulator.speech import Speech
from tests.simulator.switchboard import Switchboard
from tests.simulator.tokens import Pass, Tokens

KEY = "simulator-key"
TOKEN_TTL_S = 60  # Azure's life of a token that was asked for without expires_after
SLOW_S = 5.0
HUGE = 128 * 1024  # bytes


class State(TypedDict):
    credentials: Credentials
    known: dict[str, Scenario]
    tokens: Tokens
    token_ttl_s: int
    speech: Speech
    switchboard: Switchboard


class Credentials:
    """The resource's key, and the one Entra token that is accepted if any."""

    def __init__(self, key: str, bearer: str | None) -> None:
        self._key = key
        self._bearer = bearer

    def check(self, connection: HTTPConnection) -> None:
        """Raises `Refusal` unless the request carries a standing credential."""
        key = connection.headers.get("api-key")
        bearer = bearer_of(connection)
        if key is not None and secrets.compare_digest(key.encode(), self._key.encode()):
            return
        if bearer and self._bearer and secrets.compare_digest(bearer.encode(), self._bearer.encode()):
            return
        raise refusals.wrong_credential()


async def mint(request: Request) -> Response:
    state = request.state
    state["credentials"].check(request)
    refuse_dated_version(request)
    session, lifetime_s, scenario = checked_mint(await request.body(), state["known"])
    await asyncio.sleep(scenario.mint_delay_s)
    transcribing = session["audio"]["input"]["transcription"] is not None
    if scenario.refuse and (transcribing or not scenario.refuse_only_with_transcription):
        raise refusals.staged(scenario)
    session |= {"id": f"sess_{secrets.token_hex(10)}"}
    value, minted = state["tokens"].mint(session, scenario, ttl_s=lifetime_s or state["token_ttl_s"])
    return minted_reply(value, minted)


def minted_reply(value: str, minted: Pass) -> Response:
    body = {"value": value, "expires_at": minted.expires_at, "session": minted.session}
    match minted.scenario.reply:
        case "html":
            return HTMLResponse("<html><body>Our services aren't available right now</body></html>")
        case "no-value":
            return JSONResponse({"expires_at": minted.expires_at, "session": minted.session})
        case "huge":
            return JSONResponse(body | {"padding": "x" * HUGE})
        case _:
            return JSONResponse(body)


async def call(request: Request) -> Response:
    """Answer an SDP offer. Only an ephemeral token opens it."""
    if request.method == "OPTIONS":  # not a preflight, those never come here
        return PlainTextResponse("OK")
    state = request.state
    token = redeemed(request, state["tokens"])
    offer = await sdp_of(request)
    if token.scenario.sdp_refused:
        raise refusals.detailed(400, "invalid_offer", "The SDP offer was refused.", "sdp")
    held = Call(token, state["speech"], filtered=request.query_params.get("webrtcfilter") == "on")
    try:
        answer = await held.answer(offer)
    except OfferRefused as exc:
        raise refusals.detailed(400, "invalid_offer", "Failed to parse the SDP offer.", "sdp") from exc
    state["switchboard"].connect(held)
    return Response(answer, 201, {"Location": f"/v1/realtime/calls/{held.id}"}, "application/sdp")


async def hang_up(request: Request) -> Response:
    state = request.state
    state["credentials"].check(request)
    held = state["switchboard"].find(request.path_params["call_id"])
    if held is None:
        raise refusals.short(404, "404", "Call not found")
    held.hang_up()
    return Response(status_code=200)


async def side_band(socket: WebSocket) -> None:
    """Every event of a call, unfiltered, and the right to send client events into it."""
    state = socket.state
    held = state["switchboard"].find(socket.query_params.get("call_id", ""))
    try:
        state["credentials"].check(socket)
    except Refusal:
        held = None
    if held is None:
        await socket.close()  # not accepted yet, so this is an HTTP 403
        return
    await socket.accept()
    await mirrored(held, socket)


async def mirrored(held: Call, socket: WebSocket) -> None:
    outgoing: asyncio.Queue[str] = asyncio.Queue()
    held.mirrors.add(outgoing.put_nowait)
    outgoing.put_nowait(held.session_created())
    try:
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(forward(outgoing, socket), name=f"{held.id} side-band")
            ending = tasks.create_task(close_after(held, socket), name=f"{held.id} side-band end")
            async for message in socket.iter_text():
                held.receive(message)
            sending.cancel()
            ending.cancel()
    finally:
        held.mirrors.discard(outgoing.put_nowait)


async def forward(outgoing: asyncio.Queue[str], socket: WebSocket) -> None:
    while True:
        try:
            await socket.send_text(await outgoing.get())
        except WebSocketDisconnect:
            return


async def close_after(held: Call, socket: WebSocket) -> None:
    await held.ended()
    await socket.close()


async def alive(_request: Request) -> Response:
    return JSONResponse({"status": "healthy"})


async def anything_else(_request: Request) -> Response:
    raise refusals.not_found()


def refuse_dated_version(request: Request) -> None:
    """The v1 surface knows no dates.

    Source: https://github.com/pydantic/pydantic-ai/issues/5066 (checked 2026-11-20), on a sibling route.
    """
    if request.query_params.get("api-version", "v1") not in ("v1", "preview"):
        text = "api-version query parameter is not allowed when using /v1 path"
        raise refusals.short(400, "BadRequest", text)


def redeemed(request: Request, tokens: Tokens) -> Pass:
    value = bearer_of(request)
    token = tokens.redeem(value) if value else None
    if token is None:
        raise refusals.no_ephemeral_token(given=bool(value))
    return token


async def sdp_of(request: Request) -> str:
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/sdp":
        raise refusals.detailed(400, "unsupported_content_type", f"Unsupported content type '{kind}'.")
    offer = (await request.body()).decode(errors="replace")
    if not offer.startswith("v=0") or "\nm=" not in offer:
        raise refusals.detailed(400, "invalid_offer", "Failed to parse the SDP offer.", "sdp")
    return offer


def bearer_of(connection: HTTPConnection) -> str:
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.lower() == "bearer" else ""


class AzureHeaders:
    """Puts the headers that Azure's front adds on every response, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["apim-request-id"] = headers["x-request-id"] = str(uuid.uuid4())
                headers["x-ms-region"] = "East US 2"
                headers["x-ratelimit-remaining-requests"] = "199"
            await send(message)

        await self._app(scope, receive, with_headers)


BROWSERS = [Middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["POST"], allow_headers=["*"])]
ROUTES = [
    Route("/openai/v1/realtime/client_secrets", mint, methods=["POST"]),
    Route("/openai/v1/realtime/calls", call, methods=["POST", "OPTIONS"], middleware=BROWSERS),
    Route("/openai/v1/realtime/calls/{call_id}/hangup", hang_up, methods=["POST"]),
    WebSocketRoute("/openai/v1/realtime", side_band),
    Route("/health", alive),  # ours, for who starts it; Azure has none
    Route("/{path:path}", anything_else, methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
]


def create_app(
    *,
    key: str = KEY,
    bearer: str | None = None,
    token_ttl_s: int = TOKEN_TTL_S,
    slow_s: float = SLOW_S,
    loopback: bool = True,
    now: Callable[[], float] = time.time,
) -> Starlette:
    """A resource with one key, and optionally one accepted Entra token. ``now`` is in Unix seconds.

    ``loopback`` binds calls to 127.0.0.1, for this process as long as the app runs.
    """
    known = known_scenarios(slow_s=slow_s)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[State]:
        speech, switchboard = Speech(), Switchboard()
        with loopback_only() if loopback else nullcontext():
            try:
                yield {
                    "credentials": Credentials(key, bearer),
                    "known": known,
                    "tokens": Tokens(known, now=now),
                    "token_ttl_s": token_ttl_s,
                    "speech": speech,
                    "switchboard": switchboard,
                }
            finally:
                await switchboard.close()
                await speech.close()

    return Starlette(
        routes=ROUTES,
        lifespan=lifespan,
        middleware=[Middleware(AzureHeaders)],
        exception_handlers={Refusal: refusals.render},
    )
