"""Attack 38: the clock of a server jumps by an hour. Nothing is lost, doubled or locked out."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from broker.app import create_app as broker_with
from broker.edge.grants import GrantSigner
from enrichment.app import create_app
from enrichment.delivery import Delivery
from enrichment.outbox.port import LEASE_S
from tests.attacks.test_limits import LIMITED, ROOMY, Farm
from tests.broker.build import settings as broker_settings
from tests.broker.conftest import azure  # noqa: F401 - fixture
from tests.broker.over_http import minted, problem
from tests.clocks import Clock
from tests.enrichment.build import FakeMemory, settings, turn
from tests.enrichment.conftest import clock, outbox  # noqa: F401 - fixtures
from tests.enrichment.service import JWKS, said
from tests.running import running
from tests.waiting import until

HOUR_S = 3600.0
JUMPS = pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S], ids=["ahead", "back"])


# Leases


@JUMPS
async def test_38_a_jump_during_a_delivery_neither_loses_nor_doubles_a_turn(outbox, clock, jump_s):  # noqa: F811
    memory = FakeMemory()
    await outbox.accept("p", "s", [turn("a"), turn("b", after="a")])
    claim = await outbox.claim()
    await memory.remember("p", "s", claim.turns)
    clock.pass_s(jump_s)
    after = Delivery(outbox, memory)
    while await after.deliver_one():  # somebody else may think that the lease has run out
        pass
    await outbox.delivered(claim)
    await outbox.accept("p", "s", [turn("c", after="b")])
    while await after.deliver_one():
        pass
    assert memory.ids("s") == ["a", "b", "c"]
    assert (await outbox.depth()).pending == 0


@JUMPS
async def test_38_what_a_deliverer_that_died_held_comes_free_in_the_end(outbox, clock, jump_s):  # noqa: F811
    memory = FakeMemory()
    await outbox.accept("p", "s", [turn("a")])
    await outbox.claim()
    clock.pass_s(jump_s)
    await outbox.accept("p", "other", [turn("x")])
    subject = Delivery(outbox, memory)
    while await subject.deliver_one():
        pass
    assert memory.ids("other") == ["x"]  # who comes after the jump waits for nothing
    clock.pass_s(max(0.0, -jump_s) + LEASE_S)
    while await subject.deliver_one():
        pass
    assert memory.ids("s") == ["a"]


# Grants


@asynccontextmanager
async def enriching(tmp_path, respx_mock):
    """Enrichment and who signs its grants, both by one clock that the test moves."""
    now, memory = Clock(), FakeMemory()
    signer = GrantSigner(Ed25519PrivateKey.generate(), environment="development", now=now)
    respx_mock.get(JWKS).respond(200, json=signer.jwks())
    chosen = settings(tmp_path, grant_jwks_url=JWKS, auth_required=True, auth_dev_tokens=True)
    async with running(create_app(chosen, memory=lambda _: memory, now=now)) as client:
        yield client, now, signer, memory


def granted(signer) -> str:
    return signer.sign(person="alice", session_id="s-1", agent_id="elena")[0]


@JUMPS
async def test_38_a_page_goes_on_after_a_jump_at_the_latest_with_a_new_grant(tmp_path, respx_mock, jump_s):
    async with enriching(tmp_path, respx_mock) as (client, now, signer, memory):

        async def post(bears, turn_id):
            return await client.post("/memory/enrich", json={"grant": bears, "turns": [said(turn_id)]})

        old = granted(signer)
        assert (await post(old, "u1")).status_code == 202
        now.pass_s(jump_s)
        assert (await post(old, "u2")).status_code in {202, 401}  # the page asks for a new one after a 401
        assert (await post(granted(signer), "u2")).status_code == 202
        now.pass_s(-jump_s)
        assert (await post(old, "u3")).status_code == 202

        async def all_there():
            return len(memory.kept.get(("alice", "s-1"), [])) == 3

        await until(all_there)
        assert memory.ids("s-1", "alice") == ["u1", "u2", "u3"]


async def test_38_a_clock_that_went_back_revives_no_grant_of_the_future(tmp_path, respx_mock):
    async with enriching(tmp_path, respx_mock) as (client, now, signer, _):
        now.pass_s(HOUR_S)
        ahead = granted(signer)
        now.pass_s(-HOUR_S)
        body = {"grant": ahead, "turns": [said("u1")]}
        problem(await client.post("/memory/enrich", json=body), 401, "not-signed-in")


# Breakers and limits


@JUMPS
async def test_38_a_jump_neither_opens_nor_closes_the_way_to_azure(azure, jump_s):  # noqa: F811
    now = Clock()
    async with running(broker_with(broker_settings(), now=now, probing=False)) as broker:
        assert (await broker.post("/realtime/token", json={})).status_code == 200
        now.pass_s(jump_s)
        assert (await broker.post("/realtime/token", json={})).status_code == 200
        azure.respond(429, headers={"Retry-After": "30"})
        assert (await broker.post("/realtime/token", json={})).status_code == 503
        before = azure.call_count
        now.pass_s(jump_s)
        azure.respond(200, json=minted())
        refused = problem(await broker.post("/realtime/token", json={}), 503, "mint-throttled")
        assert 29_000 <= refused["retry_after_ms"] <= 36_000
        assert azure.call_count == before


@JUMPS
async def test_38_a_jump_locks_nobody_out_and_gives_nobody_more_than_once(azure, jump_s):  # noqa: F811
    now = Clock(1_795_089_600.0)  # noon, UTC
    async with running(broker_with(broker_settings(**LIMITED | ROOMY), now=now, probing=False)) as broker:
        crowd = Farm(broker, now)
        assert [(await crowd.ask(session="s")).status_code for _ in range(4)] == [200] * 3 + [429]
        now.pass_s(jump_s)
        answers = [await crowd.ask(session="s") for _ in range(10)]
        assert [answer.status_code for answer in answers].count(200) <= 3
        wait_s = problem(answers[-1], 429, "too-many-requests")["retry_after_ms"] / 1000
        assert wait_s <= 10
        now.pass_s(wait_s)
        assert (await crowd.ask(session="s")).status_code == 200
