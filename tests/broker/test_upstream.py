"""An upstream that speaks anything but HTTP, over a real socket: respx can only raise what httpx knows."""

from __future__ import annotations

import asyncio
import gzip
import time
from contextlib import asynccontextmanager

import pytest

from broker.app import create_app
from broker.upstream import Insecure, Upstream, http_session
from tests.broker.build import settings
from tests.broker.certificates import self_signed
from tests.running import running

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
RUBBISH = {
    "a banner": b"SSH-2.0-OpenSSH_9.2\r\n",
    "gzip that is none": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    "gzip nobody asked for": HEAD + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"{}"),
    "bad chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a header of 20 kB": HEAD + b"X-Long: " + b"x" * 20_000 + b"\r\n\r\n{}",
    "NUL in a header": HEAD + b"X-Nul: a\x00b\r\n\r\n{}",
    "a status of six digits": b"HTTP/1.1 200200 OK\r\n\r\n",
    "half an answer": HEAD + b"Content-Length: 100\r\n\r\n{",
    "nothing": b"",
    "a token no header can carry": HEAD
    + b"Content-Length: 46\r\n\r\n"
    + b'{"value": "ek_\\ud800", "expires_at": 1e300}   ',
}


@asynccontextmanager
async def speaking(answer: bytes):
    """A server on a free port that reads a little and says ``answer``."""

    async def serve(reader, writer):
        await reader.read(100)
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("answer", RUBBISH.values(), ids=RUBBISH.keys())
async def test_an_azure_that_speaks_rubbish_is_a_problem_and_no_bug(answer):
    async with (
        speaking(answer) as url,
        running(create_app(settings(azure_voicelive_endpoint=url), probing=False)) as broker,
    ):
        response = await broker.post("/realtime/token")
    assert response.status_code in {502, 503, 504}
    assert response.json()["type"].startswith("urn:voicelive:problem:mint-")


@pytest.mark.parametrize("answer", RUBBISH.values(), ids=RUBBISH.keys())
async def test_a_memory_that_speaks_rubbish_is_a_miss_and_no_problem(answer):
    token = b'{"value": "ek_1", "expires_at": %d}'
    async with speaking(answer) as memory, minting(token) as azure:
        app = create_app(settings(azure_voicelive_endpoint=azure, enrichment_url=memory), probing=False)
        async with running(app) as broker:
            response = await broker.post("/realtime/token")
    assert response.status_code == 200
    assert response.json()["memory"] == {"status": "miss", "facts": 0}


def minting(token: bytes):
    body = token % (int(time.time()) + 60)
    return speaking(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body)


async def test_a_redirect_is_an_answer_and_the_key_goes_nowhere_else():
    elsewhere = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: %s/\r\nContent-Length: 0\r\n\r\n"
    heard = []

    async def serve(reader, writer):
        heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    target = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, speaking(elsewhere % target.encode()) as url, http_session() as session:
        upstream = Upstream(session, connect_s=2, answer_s=2)
        answer = await upstream.ask("POST", url, {"api-key": "canary"}, b"{}")
    assert (answer.status, heard) == (307, [])


async def test_a_server_that_cannot_prove_who_it_is_gets_nothing_and_is_called_insecure(tmp_path):
    tls = self_signed(tmp_path / "localhost.pem")
    heard = []

    async def serve(reader, writer):
        heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server, http_session() as session:
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(Insecure):
            await Upstream(session, connect_s=2, answer_s=2).ask("POST", url, {"api-key": "canary"}, b"{}")
    assert heard == []
