"""Anchors in append blobs, against a fake that keeps Azure's contract as it is documented."""

from __future__ import annotations

import json
import re

import aiohttp
import httpx
import pytest
from azure.core.exceptions import ClientAuthenticationError

from broker.edge.audit.blobs import BlobAnchors, access_token_of
from broker.edge.audit.port import SinkFailed
from broker.edge.audit.sealing import Head

CONTAINER = "https://account.blob.core.windows.net/anchors"
AT_S = 1_795_000_000.0  # 2026-11-18
DAY_S = 86_400


class Container:
    """Append blobs under a locked policy: made once, added to, never changed."""

    def __init__(self):
        self.blobs: dict[str, bytes] = {}
        self.asked: list[httpx.Request] = []

    def answer(self, request):
        self.asked.append(request)
        name = request.url.path.removeprefix("/anchors/")
        if request.headers.get("authorization") != "Bearer canary-token":
            return httpx.Response(401)
        if request.url.params.get("comp") == "appendblock":
            if name not in self.blobs:
                return httpx.Response(404)
            self.blobs[name] += request.content
            return httpx.Response(201)
        if request.headers["if-none-match"] == "*" and name in self.blobs:
            return httpx.Response(409)
        assert request.headers["x-ms-blob-type"] == "AppendBlob"
        assert request.content == b""
        self.blobs[name] = b""
        return httpx.Response(201)


@pytest.fixture
def container(respx_mock):
    fake = Container()
    respx_mock.put(url__regex=re.escape(CONTAINER)).mock(side_effect=fake.answer)
    return fake


async def token():
    return "canary-token"


@pytest.fixture
async def anchors(container):
    async with aiohttp.ClientSession() as http:
        yield BlobAnchors(http, CONTAINER, token)


async def test_anchors_of_a_day_are_lines_of_one_blob(anchors, container):
    for n, at_s in ((1, AT_S), (7, AT_S + 60), (9, AT_S + DAY_S)):
        await anchors.put(Head("c", n, "h"), at_s)
    assert {name: text.count(b"\n") for name, text in container.blobs.items()} == {
        "c.20261118.jsonl": 2,
        "c.20261119.jsonl": 1,
    }
    told = json.loads(container.blobs["c.20261118.jsonl"].splitlines()[1])
    assert (told["chain"], told["n"], told["hash"]) == ("c", 7, "h")
    assert all(request.headers["x-ms-version"] for request in container.asked)


async def test_a_blob_that_came_to_be_meanwhile_is_added_to(anchors, container):
    first = container.answer

    def meanwhile(request):
        answer = first(request)
        container.blobs.setdefault("c.20261118.jsonl", b"")
        return answer

    container.answer = meanwhile
    await anchors.put(Head("c", 1, "h"), AT_S)
    assert container.blobs["c.20261118.jsonl"].count(b"\n") == 1


@pytest.mark.parametrize("status", [307, 400, 401, 403, 409, 500, 503])
async def test_what_the_store_refuses_is_told_by_its_status_alone(respx_mock, status):
    respx_mock.put(url__regex=re.escape(CONTAINER)).respond(status, text="canary")
    async with aiohttp.ClientSession() as http:
        with pytest.raises(SinkFailed, match=f"^HTTP {status}$"):
            await BlobAnchors(http, CONTAINER, token).put(Head("c", 1, "h"), AT_S)


async def test_a_container_that_is_none_is_told(respx_mock):
    respx_mock.put(url__regex=re.escape(CONTAINER)).respond(404)
    async with aiohttp.ClientSession() as http:
        with pytest.raises(SinkFailed, match="404"):
            await BlobAnchors(http, CONTAINER, token).put(Head("c", 1, "h"), AT_S)


async def test_a_store_that_cannot_be_reached_is_told_by_class(respx_mock):
    respx_mock.put(url__regex=re.escape(CONTAINER)).mock(side_effect=httpx.ConnectError("canary"))
    async with aiohttp.ClientSession() as http:
        with pytest.raises(SinkFailed, match=r"^ClientConnectionError$"):
            await BlobAnchors(http, CONTAINER, token).put(Head("c", 1, "h"), AT_S)


async def test_an_identity_that_gets_no_token_is_told_by_class():
    class Refused:
        async def get_token(self, *_scopes):
            raise ClientAuthenticationError("canary")

    with pytest.raises(SinkFailed, match=r"^ClientAuthenticationError$"):
        await access_token_of(Refused())()
