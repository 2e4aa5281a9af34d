"""Attacks 18 and 19: text that breaks out of where it is put, and ids that lead elsewhere.

What a turn or a search may hold, on both engines, is in tests/enrichment/test_bad_input.py; requests that a
machine thinks of are in test_any_input.py. Here it is every other place that takes a string.
"""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from tests.broker.build import ENRICHMENT, settings
from tests.broker.conftest import azure  # noqa: F401 - fixture
from tests.broker.over_http import asked, broker_app
from tests.enrichment.build import FakeMemory
from tests.enrichment.conftest import keys, open_to_all  # noqa: F401 - fixtures
from tests.enrichment.service import delivered, service
from tests.running import running

JSON = {"Content-Type": "application/json"}
HOSTILE = {
    "nul": "a\0b",
    "a lone surrogate": "a\ud800b",
    "a pair the wrong way round": "\udc00\ud800",
    "right to left": "a\u202eb",
    "four bytes": "a\U0001f600b",
    "not a character": "a\uffffb",
    "a line for a log": 'a\r\n{"event": "forged"}',
    "markup": "<script>alert(1)</script>",
    "a statement": "a'; DROP TABLE turns; --",
    "a template": "{{7*7}}${7*7}%s%n",
}
PATHS = ["..", "../s-1", "..%2fs-1", "..%252f", "a/b", "a\\b", "%2e%2e", ".git", "a%00", "\u2025", "a\n"]
NOT_BYTES_OF_UTF_8 = [b"\xed\xa0\x80", b"\xff\xfe", b"\xc0\xaf", b"\xf5\x80\x80\x80"]


@pytest.fixture
async def broker(azure, respx_mock):  # noqa: F811
    async with running(broker_app(settings(enrichment_url=ENRICHMENT))) as client:
        yield client


async def refused_unread(client, path, **body):
    response = await client.post(path, content=json.dumps(body), headers=JSON)
    assert response.status_code in {400, 422}, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert not any(str(value) in response.text for value in body.values() if isinstance(value, str))


@pytest.mark.parametrize("hostile", [*HOSTILE.values(), *PATHS])
async def test_attack_18_and_19_the_broker_takes_no_such_id_and_asks_nobody(broker, respx_mock, hostile):
    await refused_unread(broker, "/realtime/token", session_id=hostile)
    await refused_unread(broker, "/realtime/token", agent_id=hostile)
    await refused_unread(broker, "/realtime/grant", session_id=hostile)
    assert (await broker.get(f"/config/{quote(hostile, safe='', errors='replace')}")).status_code == 404
    assert asked(respx_mock) == []


@pytest.mark.parametrize("raw", NOT_BYTES_OF_UTF_8)
@pytest.mark.parametrize("path", ["/realtime/token", "/realtime/grant"])
async def test_attack_18_the_broker_reads_nothing_that_is_no_utf_8(broker, respx_mock, path, raw):
    response = await broker.post(path, content=b'{"session_id": "a' + raw + b'"}', headers=JSON)
    assert response.status_code == 400
    assert asked(respx_mock) == []


@pytest.mark.parametrize("raw", NOT_BYTES_OF_UTF_8)
@pytest.mark.parametrize("path", ["/memory/enrich", "/conversation/turn", "/memory/search"])
async def test_attack_18_nor_does_enrichment(open_to_all, path, raw):  # noqa: F811
    body = b'{"session_id": "s-1", "speaker": "user", "text": "a%s", "query": "a%s"}' % (raw, raw)
    response = await open_to_all.post(path, content=body, headers=JSON)
    assert response.status_code == 400


@pytest.mark.parametrize(
    ("path", "text", "speaker"),
    [("/memory/enrich", "text", "speaker"), ("/conversation/turn", "content", "role")],
)
@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
async def test_attack_18_the_older_shapes_store_what_is_text(open_to_all, path, text, speaker, hostile):  # noqa: F811
    body = {"session_id": "s-1", text: hostile, speaker: "user"}
    response = await open_to_all.post(path, content=json.dumps(body), headers=JSON)
    if not is_text(hostile):
        assert response.status_code == 400
        return
    assert response.status_code == 202, response.text
    (line,) = await delivered(open_to_all, "s-1", 1)
    assert line["content"] == hostile.replace("\0", "").replace("\r\n", "\n")


def is_text(string):
    """A surrogate alone stands for nothing."""
    return string == string.encode(errors="replace").decode()


class Untouched(FakeMemory):
    """Whatever it is asked for about a session is noted: an SDK would have put the id into a path."""

    def __init__(self):
        super().__init__()
        self.seen = []

    async def episode(self, person, session_id):
        self.seen.append(session_id)
        return await super().episode(person, session_id)

    async def recall(self, person, session_id, *, limit):
        self.seen.append(session_id)
        return await super().recall(person, session_id, limit=limit)

    async def forget_session(self, person, session_id):
        self.seen.append(session_id)
        return await super().forget_session(person, session_id)


@pytest.mark.parametrize("hostile", [*HOSTILE.values(), *PATHS])
async def test_attack_18_and_19_enrichment_takes_no_such_id_and_no_memory_sees_it(tmp_path, keys, hostile):  # noqa: F811
    memory = Untouched()
    escaped = quote(hostile, safe="", errors="replace")
    async with service(tmp_path, memory) as client:
        await refused_unread(client, "/memory/enrich", session_id=hostile, text="Hello", speaker="user")
        await refused_unread(client, "/conversation/turn", session_id=hostile, content="Hello", role="user")
        assert (await client.get(f"/memory/context?session_id={escaped}")).status_code == 422
        for method in ("GET", "DELETE"):
            response = await client.request(method, f"/memory/episodes/{escaped}")
            assert response.status_code in {404, 422}, response.text
    assert memory.seen == []
    assert memory.kept == {}
