"""23: a secret and a person's words are in no log, no record, no metric and no answer of an error.

Real processes, with a canary in everything that must not get out, are driven through what can go wrong; then
everything that they wrote down for others to read is searched.
"""

from __future__ import annotations

import base64
import json
import uuid
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from tests.local.forks import fork
from tests.local.processes import free_port
from tests.local.stack import SIMULATOR_KEY, Plan, Stack, new_signing_key
from tests.waiting import until

KEY, ZEP_KEY, AUDIT_KEY = "canary-azure-key", "canary-zep-key", "canary-audit-key-of-32-characters"
WORDS = "canary words: my door code is 4711"
SENT = ("canary-bearer", "canary-body", "canary-query", "canary-header")
FAILING = ("429", "500", "bad-body", "html-body", "huge-body", "expired-token", "nobody-deployed-this")
OF_OPERATORS = ("/status", "/ready", "/metrics", "/realtime/strategies", "/openapi.json")


@dataclass
class Seen:
    """What got out, with where; and what must not have."""

    canaries: set[str] = field(default_factory=lambda: {KEY, SIMULATOR_KEY, ZEP_KEY, AUDIT_KEY, WORDS, *SENT})
    texts: dict[str, str] = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)

    def answered(self, answer: httpx.Response) -> httpx.Response:
        self.statuses.append(answer.status_code)
        if answer.status_code >= 400 or answer.url.path in OF_OPERATORS:
            self.texts[f"{answer.url} {len(self.texts)}"] = f"{answer.headers} {answer.text}"
        return answer

    def wrote(self, *files: Path) -> None:
        self.texts |= {str(file): file.read_text(errors="replace") for file in files}

    def leaks(self) -> list[str]:
        return [
            f"{canary[:20]} in {place}" for place, text in self.texts.items() for canary in self.spelled(text)
        ]

    def spelled(self, text: str) -> list[str]:
        """The canaries in it, as they are and in base64."""
        return [
            one for one in self.canaries if one in text or base64.b64encode(one.encode()).decode() in text
        ]


@pytest.fixture
async def system(tmp_path):
    settings = {
        "AZURE_VOICELIVE_KEY": KEY,  # refused, so the second one is tried
        "AZURE_VOICELIVE_KEY_2": SIMULATOR_KEY,
        "GRANT_SIGNING_KEY": new_signing_key(),
        "AUDIT_LOG_ENABLED": "true",
        "AUDIT_KEY": AUDIT_KEY,
        "AUDIT_URL": f"file:{tmp_path / 'audit'}",
        "LOG_LEVEL": "debug",
        "TRACES": "console",  # spans beside the log lines
    }
    stack = Stack(Plan(tmp_path, settings=settings), fork)
    try:
        await stack.start(*stack.plan.services())
        yield stack
    finally:
        await stack.stop()


async def failing_brokers(stack):
    """One whose Azure fails in each way."""
    plan = stack.plan
    model = "AZURE_VOICELIVE_MODEL"
    for name in FAILING:
        service = plan.broker(port=free_port(), **{model: f"gpt-realtime-{name}"})
        await stack.start(service)
        yield service.url


async def with_a_zep_that_is_away(stack):
    """A second enrichment, whose memory refuses connections and whose key is a canary."""
    command = next(one for one in stack.plan.services() if one.name == "enrichment")
    port, folder = free_port(), stack.plan.data / "zep"
    settings = {
        **command.environment,
        "DATA_DIR": str(folder),
        "MEMORY_BACKEND": "zep",
        "ZEP_API_URL": f"http://127.0.0.1:{free_port()}",
        "ZEP_API_KEY": ZEP_KEY,
    }
    arguments = ["enrichment", "serve", "--port", str(port)]
    other = replace(command, name="enrichment-zep", port=port, arguments=arguments, environment=settings)
    await stack.start(other)
    return other.url


def turns(count=1):
    turn = {"speaker": "user", "text": WORDS, "spoken_at": "2026-11-20T08:00:00Z", "interrupted": False}
    ids = [str(uuid.uuid4()) for _ in range(count)]
    return [turn | {"turn_id": one, "previous_turn_id": None} for one in ids]


async def talk(http, seen, broker, enrichment):
    """A call and its turns; whose token and grant are canaries from now on."""
    opened = seen.answered(await http.post(f"{broker}/realtime/token", json={"agent_id": "elena"})).json()
    seen.canaries |= {opened["token"], opened["enrichment"]["grant"]}
    body = {"grant": opened["enrichment"]["grant"], "turns": turns()}
    seen.answered(await http.post(f"{enrichment}/memory/enrich", json=body))
    return opened


async def provoke(http, seen, broker, enrichment, opened):
    """What a caller can do wrong, with a canary in it."""
    grant = opened["enrichment"]["grant"]
    bad = [
        b"{canary-body",
        b'{"grant": "canary-body"}',
        b"[" * 5000 + b"canary-body",
        b"canary-body" * 10_000,
    ]
    bad += [json.dumps({"grant": f"{grant}x", "turns": turns()}).encode()]
    bad += [json.dumps({"grant": grant, "turns": [{**turns()[0], "speaker": "canary-body"}]}).encode()]
    headers = {"Authorization": "Bearer canary-bearer.canary-bearer.canary-bearer", "X-Odd": "canary-header"}
    as_json = headers | {"Content-Type": "application/json"}
    for url in (f"{broker}/realtime/token", f"{broker}/realtime/grant", f"{enrichment}/memory/enrich"):
        for content in bad:
            seen.answered(await http.post(url, content=content, headers=as_json))
    for url in (f"{enrichment}/memory/search", f"{enrichment}/nowhere", f"{broker}/nowhere"):
        seen.answered(await http.post(url, json={"query": "canary-query"}, headers=headers))
        seen.answered(await http.get(f"{url}?q=canary-query", headers=headers))
    seen.answered(await http.get(f"{enrichment}/memory/episodes/..%2Fcanary-query?x=canary-query"))


async def delivery_fails(http, enrichment):
    async def has_failed():
        return (await http.get(f"{enrichment}/status")).json()["last_error"]

    await until(has_failed)


async def test_23_no_secret_and_no_word_of_a_person_gets_out_whatever_goes_wrong(system):
    seen = Seen()
    seen.canaries.add(system.plan.settings["GRANT_SIGNING_KEY"].splitlines()[1])
    broker, enrichment = system["broker"].url, system["enrichment"].url
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        opened = await talk(http, seen, broker, enrichment)
        await provoke(http, seen, broker, enrichment, opened)
        async for failing in failing_brokers(system):
            seen.answered(await http.post(f"{failing}/realtime/token", json={"agent_id": "elena"}))
        away = await with_a_zep_that_is_away(system)
        await talk(http, seen, broker, away)
        await delivery_fails(http, away)
        for service in (broker, enrichment, away):
            for path in OF_OPERATORS:
                seen.answered(await http.get(f"{service}{path}"))
    await system.stop()
    ours = [file for file in (system.plan.data / "logs").iterdir() if "simulator" not in file.name]
    records = [file for file in (system.plan.data / "audit").rglob("*") if file.is_file()]
    seen.wrote(*ours, *records)

    assert seen.leaks() == []
    assert {400, 401, 404, 413, 502, 503} <= set(seen.statuses)  # it did go wrong
    assert len(ours) == len(FAILING) + 3
    assert any(seen.texts[str(file)] for file in records)
    assert "turns.accept" in "".join(seen.texts[str(file)] for file in ours)  # spans were there
    assert "upstream_status" in "".join(seen.texts[str(file)] for file in ours)
    kept = b"".join(file.read_bytes() for file in system.plan.data.glob("*.db*"))
    assert WORDS.encode() in kept  # what was searched for did pass through
